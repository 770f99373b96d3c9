//! Heritage: what a restored stream, and a restored store, know of those that they were restored from.
//!
//! A process that is killed may have used positions and shards that the last snapshot does not hold. None of them
//! may be used for anything else. So a restored stream closes every shard, and goes on in shards whose ordinals
//! begin a new *generation*, a block that the process before cannot have reached.
//!
//! Shard iterators live on where they mean the same. A stream keeps one [`Life`] for each store that it lived in:
//! its incarnation, which shards the snapshot knew, and where the next generation began. From these follows for
//! every iterator whether its place is held, or came after the snapshot and is lost.

use std::fmt;

use super::token::ITERATOR_LIFE_MS;
use crate::log::Position;

/// A block of a stream's ordinals: one for each time that the stream is restored, the first for its first life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Generation(u16);

impl Generation {
    /// So many ordinals belong to a generation; the last of them is never used, so that what comes next
    /// belongs to the same one.
    pub const ORDINALS: u32 = 1 << 20;
    /// The generation of streams of a store that was not restored.
    pub const FIRST: Self = Self(0);

    /// The generation of new streams of a store that was restored so often: a stream of the same name, made at the
    /// same moment by a clock that was set back, may have lived in an earlier one, and is lost.
    pub(crate) fn of_new_streams(restores: u32) -> Self {
        let last = u32::MAX / Self::ORDINALS;
        Self(u16::try_from(restores.min(last)).unwrap_or(u16::MAX))
    }

    /// The first generation none of whose ordinals comes before `next_ordinal`; `None` if there is none left.
    #[must_use]
    pub fn behind(next_ordinal: u32) -> Option<Self> {
        let number = next_ordinal.div_ceil(Self::ORDINALS);
        u16::try_from(number)
            .ok()
            .filter(|number| u32::from(*number) <= u32::MAX / Self::ORDINALS)
            .map(Self)
    }

    /// Its first ordinal.
    #[must_use]
    pub fn first_ordinal(self) -> u32 {
        u32::from(self.0) * Self::ORDINALS
    }

    /// Whether a shard may be born with this ordinal.
    pub(crate) fn allows(self, ordinal: u32) -> bool {
        let behind_last = self.first_ordinal() + (Self::ORDINALS - 1);
        (self.first_ordinal()..behind_last).contains(&ordinal)
    }
}

/// One life of a stream, up to the snapshot that it was restored from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Life {
    /// The incarnation of the store that it lived in.
    pub incarnation: u64,
    /// The ordinal that the next shard would have had: what the snapshot knows is before it.
    pub next_ordinal: u32,
    /// The ordinal at which the next life began. What lies between the two is lost.
    pub resumed_at: u32,
}

/// The lives of a stream before the present one, in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Heritage(pub(crate) Vec<Life>);

impl Heritage {
    /// The life in the store of an incarnation.
    pub(crate) fn life(&self, incarnation: u64) -> Option<&Life> {
        // The last one, should a store have taken the same stream back twice.
        self.0.iter().rev().find(|life| life.incarnation == incarnation)
    }

    /// Whether a shard of this ordinal, if there was one, came after a snapshot, and is lost.
    pub(crate) fn is_lost(&self, ordinal: u32) -> bool {
        self.0.iter().any(|life| (life.next_ordinal..life.resumed_at).contains(&ordinal))
    }

    /// Whether a shard of this ordinal is from an earlier life, so that it ends where a snapshot did at the latest.
    pub(crate) fn is_earlier(&self, ordinal: u32) -> bool {
        self.0.last().is_some_and(|life| ordinal < life.resumed_at)
    }
}

/// A place that a snapshot does not hold, because it came after it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LostPlace {
    /// The stream was not in the snapshot: this one was made later, under the same name.
    Stream,
    /// The shard was made after the snapshot.
    Shard {
        /// Its ordinal.
        ordinal: u32,
    },
    /// The shard ends before.
    Position {
        /// The ordinal of the shard.
        ordinal: u32,
        /// The position.
        position: Position,
        /// Where the shard ends in the snapshot.
        end: Position,
    },
}

impl fmt::Display for LostPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream => f.write_str("the stream of that name that it is of"),
            Self::Shard { ordinal } => write!(f, "the shard of ordinal {ordinal}"),
            Self::Position { ordinal, position, end } => write!(
                f,
                "position {position} of the shard of ordinal {ordinal}, which ends at {end} there"
            ),
        }
    }
}

/// What a store must know of those before it, to go on with their shard iterators: see
/// [`Store::lineage`](crate::Store::lineage) and
/// [`StoreBuilder::restored_from`](crate::store::StoreBuilder::restored_from).
///
/// It holds the key that iterators are authenticated with, which is a secret: whoever reads it can make iterators
/// for any place. Keep it as you keep the records themselves.
#[derive(Clone, PartialEq, Eq)]
pub struct Lineage {
    key: [u8; 16],
    restores: u32,
    incarnations: Vec<Incarnation>,
}

/// A store of a [`Lineage`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Incarnation {
    /// Its number.
    pub number: u64,
    /// When it may have made iterators at the latest, in milliseconds since the Unix epoch. Nobody
    /// needs to know of it 15 minutes later.
    pub last_ms: u64,
}

impl Lineage {
    /// A lineage from its parts, the oldest store first. `restores` counts the stores before, those too that
    /// nobody needs to know any more.
    #[must_use]
    pub fn new(
        key: [u8; 16],
        restores: u32,
        incarnations: impl IntoIterator<Item = Incarnation>,
    ) -> Self {
        Self { key, restores, incarnations: incarnations.into_iter().collect() }
    }

    /// How many stores there were before the one that has this lineage.
    #[must_use]
    pub fn restores(&self) -> u32 {
        self.restores
    }

    /// The secret that shard iterators are authenticated with.
    #[must_use]
    pub fn iterator_key(&self) -> [u8; 16] {
        self.key
    }

    /// The stores, the oldest first.
    #[must_use]
    pub fn incarnations(&self) -> &[Incarnation] {
        &self.incarnations
    }

    /// The lineage as a store that begins at `now_ms` keeps it: the last one may have lived until now.
    pub(crate) fn continued(mut self, now_ms: u64) -> Self {
        if let Some(last) = self.incarnations.last_mut() {
            last.last_ms = last.last_ms.max(now_ms);
        }
        self
    }

    /// The lineage of what is restored from the present store, at `now_ms`.
    pub(crate) fn with(&self, number: u64, now_ms: u64) -> Self {
        let is_needed = |one: &&Incarnation| now_ms.saturating_sub(one.last_ms) <= ITERATOR_LIFE_MS;
        let former = self.incarnations.iter().filter(is_needed).copied();
        let all = former.chain([Incarnation { number, last_ms: now_ms }]);
        Self::new(self.key, self.restores.saturating_add(1), all)
    }

    pub(crate) fn knows(&self, number: u64) -> bool {
        self.incarnations.iter().any(|one| one.number == number)
    }
}

impl fmt::Debug for Lineage {
    /// Without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lineage").field("incarnations", &self.incarnations).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generations_do_not_meet() {
        let behind = |next| Generation::behind(next).map(Generation::first_ordinal);
        let block = Generation::ORDINALS;
        for (next, first) in
            [(0, 0), (1, block), (block - 1, block), (block, block), (block + 1, 2 * block)]
        {
            assert_eq!(behind(next), Some(first), "{next}");
        }
        let last = u32::MAX - (block - 1);
        assert_eq!(behind(last), Some(last));
        assert_eq!((behind(last + 1), behind(u32::MAX)), (None, None));
        let all = [Generation::FIRST, Generation(7), Generation::behind(last).unwrap()];
        for generation in all {
            let first = generation.first_ordinal();
            assert!(generation.allows(first) && generation.allows(first + (block - 2)));
            assert!(!generation.allows(first + (block - 1)), "what comes next is of the same one");
            assert!(first == 0 || !generation.allows(first - 1));
        }
    }

    #[test]
    fn stores_are_forgotten_when_their_iterators_have_expired() {
        let old = Incarnation { number: 1, last_ms: 1_000 };
        let lineage = Lineage::new([7; 16], 1, [old]).continued(5_000);
        assert_eq!(lineage.incarnations()[0].last_ms, 5_000);
        let next = lineage.with(2, 5_000 + ITERATOR_LIFE_MS);
        assert!(next.knows(1) && next.knows(2) && !next.knows(3));
        let next = lineage.with(2, 5_001 + ITERATOR_LIFE_MS);
        assert!(!next.knows(1) && next.knows(2));
        assert!(!format!("{next:?}").contains('7'), "the key is a secret");
    }
}
