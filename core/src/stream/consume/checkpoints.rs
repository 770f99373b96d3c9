//! Checkpoints: how far a consumer has read a stream, as a small value that a host can store.
//!
//! One entry for each shard that is being read: its name, and the number of its next record. The rest
//! follows from the lineage, so drained parents and unread children have no entry.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::error::Error;
use crate::model::SequenceNumber;

/// How far a [`Consumer`](super::Consumer) has read each shard: what to
/// [resume](super::ConsumerStart::After) with.
///
/// A value; a clone shares its entries. As text it is
/// `<shard id>=<sequence number of the shard's next record>`, one for each entry, with commas between.
/// Entries are in the order in which the shards were created. The default is the trim horizon: no
/// entry, the empty text.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Checkpoints(Arc<[Entry]>);

/// One shard's share.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) shard: Arc<str>,
    pub(super) next: SequenceNumber,
}

const PREFIX: &str = "shardId-";
const MS_DIGITS: usize = 20;
const TAG_DIGITS: usize = 8;

/// The creation time in a shard's name, in digits; `None` if it is no shard's name.
pub(crate) fn created_ms_of(shard: &str) -> Option<&str> {
    let (ms, tag) = shard.strip_prefix(PREFIX)?.split_once('-')?;
    let is_ms = ms.len() == MS_DIGITS && ms.bytes().all(|byte| byte.is_ascii_digit());
    let is_tag = tag.len() == TAG_DIGITS
        && tag.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (is_ms && is_tag).then_some(ms)
}

impl Checkpoints {
    /// Checkpoints from their parts: shards' names, each with the number of the shard's next record
    /// (or its starting number). For hosts with a format of their own; see also [`Checkpoints::iter`].
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCheckpoints`] for what is no shard's name, a number that no stream of this
    /// library gives, or a shard that is named twice.
    pub fn new<S: Into<Arc<str>>>(
        parts: impl IntoIterator<Item = (S, SequenceNumber)>,
    ) -> Result<Self, Error> {
        let mut entries = Vec::new();
        for (shard, next) in parts {
            let shard = shard.into();
            if created_ms_of(&shard).is_none() {
                let problem = "a shard is named `shardId-<20 digits>-<8 lower-case hex digits>`";
                return Err(invalid(&shard, problem));
            }
            if next.ordinal().is_none() {
                let problem = "the sequence number is none that a stream gives";
                return Err(invalid(&format!("{shard}={next}"), problem));
            }
            entries.push(Entry { shard, next });
        }
        let checkpoints = Self::of(entries);
        match checkpoints.0.windows(2).find(|pair| pair[0].next.ordinal() == pair[1].next.ordinal())
        {
            None => Ok(checkpoints),
            Some(pair) => Err(invalid(&pair[1].shard, "a shard has two entries")),
        }
    }

    /// Checkpoints from entries that are known to be well formed.
    pub(super) fn of(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| entry.next);
        Self(entries.into())
    }

    pub(super) fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// The shards that have an entry, each with the number of its next record.
    pub fn iter(&self) -> impl Iterator<Item = (&str, SequenceNumber)> {
        self.0.iter().map(|entry| (&*entry.shard, entry.next))
    }

    /// The number of entries: about as many as there are open shards.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no entry: the trim horizon.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (shard, next)) in self.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            write!(f, "{comma}{shard}={next}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Checkpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoints({self})")
    }
}

impl FromStr for Checkpoints {
    type Err = Error;

    /// Reads what `Display` wrote.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidCheckpoints`], with the part that is malformed.
    fn from_str(text: &str) -> Result<Self, Error> {
        let parts = text.split(',').filter(|_| !text.is_empty());
        let parts: Result<Vec<_>, Error> = parts.map(part).collect();
        Self::new(parts?)
    }
}

fn part(text: &str) -> Result<(&str, SequenceNumber), Error> {
    let (shard, next) = text
        .split_once('=')
        .ok_or_else(|| invalid(text, "an entry is `<shard id>=<sequence number>`"))?;
    let next = next.parse();
    Ok((shard, next.map_err(|_| invalid(text, "a sequence number has 21 to 40 decimal digits"))?))
}

#[cold]
fn invalid(given: &str, problem: &'static str) -> Error {
    // So much of a hostile text as an error should carry.
    Error::InvalidCheckpoints { given: given[..given.floor_char_boundary(128)].into(), problem }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::log::Position;

    fn problem(text: &str) -> (String, &'static str) {
        match text.parse::<Checkpoints>() {
            Err(Error::InvalidCheckpoints { given, problem }) => (given.into(), problem),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn malformed_text_says_what_is_wrong_with_it() {
        let shard = "shardId-00000000000000000001-0123abcd";
        let number = "100000000000000000001";
        let entry = "an entry is `<shard id>=<sequence number>`";
        for text in [",", "x", shard, &format!("{shard}={number},")] {
            assert_eq!(problem(text).1, entry, "{text}");
        }
        let digits = "a sequence number has 21 to 40 decimal digits";
        for next in ["", "1", "+00000000000000000001", "10000000000000000000x", &"1".repeat(41)] {
            assert_eq!(problem(&format!("{shard}={next}")).1, digits, "{next}");
        }
        let named = "a shard is named `shardId-<20 digits>-<8 lower-case hex digits>`";
        for name in ["", "shard", &shard[1..], &shard[..36], &shard.to_uppercase(), "shardId-1-2"] {
            assert_eq!(problem(&format!("{name}={number}")), (name.to_owned(), named));
        }
        let of_none = problem(&format!("{shard}=000000000000000000001")).1;
        assert_eq!(of_none, "the sequence number is none that a stream gives");
        assert_eq!(
            problem(&format!("{shard}={number},{shard}={number}")).1,
            "a shard has two entries"
        );
        assert_eq!(problem(&"é".repeat(1000)).0, "é".repeat(64), "an error carries an excerpt");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            parts in prop::collection::btree_map(any::<u32>(), (any::<u64>(), any::<u32>(), 0..u64::MAX), 0..9),
        ) {
            let parts: Vec<_> = parts
                .into_iter()
                .map(|(ordinal, (ms, tag, at))| {
                    let shard = format!("shardId-{ms:020}-{tag:08x}");
                    (shard, SequenceNumber::new(ordinal, Position::new(at)))
                })
                .collect();
            let made = Checkpoints::new(parts.clone().into_iter().rev()).unwrap();
            prop_assert_eq!(made.to_string().parse::<Checkpoints>(), Ok(made.clone()));
            let shown: Vec<_> = made.iter().map(|(shard, next)| (shard.to_owned(), next)).collect();
            prop_assert_eq!((made.len(), made.is_empty()), (parts.len(), parts.is_empty()));
            prop_assert_eq!(shown, parts);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "([sharId0-9a-f=,é-]|shardId-|00000000000000000001){0,40}") {
            if let Ok(read) = text.parse::<Checkpoints>() {
                prop_assert_eq!(read.to_string().parse::<Checkpoints>(), Ok(read));
            }
        }
    }
}
