//! What was acknowledged, and whether a reader of the stream saw exactly that.

use std::collections::HashSet;

use serde::Serialize;

use super::items::{Key, Put};

/// The puts that a server acknowledged: of each key the versions up to one, but for some.
#[derive(Clone, Default)]
pub struct Ledger {
    /// By key: the last version that was sent.
    last: Vec<u32>,
    /// Puts that were refused: they may have happened, or not.
    unknown: HashSet<Put>,
    acknowledged: u64,
}

impl Ledger {
    /// The next version of a key was acknowledged.
    pub fn acknowledged(&mut self, put: Put) {
        self.sent(put);
        self.acknowledged += 1;
    }

    /// The next version of a key was refused.
    pub fn refused(&mut self, put: Put) {
        self.sent(put);
        self.unknown.insert(put);
    }

    fn sent(&mut self, Put { key, version }: Put) {
        let key = key as usize;
        if self.last.len() <= key {
            self.last.resize(key + 1, 0);
        }
        self.last[key] = version;
    }

    /// How many puts were acknowledged.
    pub fn len(&self) -> u64 {
        self.acknowledged
    }

    /// Takes over what another connection wrote; they have no key in common.
    pub fn merge(&mut self, other: Self) {
        if self.last.len() < other.last.len() {
            self.last.resize(other.last.len(), 0);
        }
        for (mine, theirs) in self.last.iter_mut().zip(other.last) {
            *mine = theirs.max(*mine);
        }
        self.unknown.extend(other.unknown);
        self.acknowledged += other.acknowledged;
    }

    /// How many versions between two were acknowledged, both not counted.
    fn acknowledged_between(&self, key: Key, low: u32, high: u32) -> u64 {
        let sent = self.last.get(key as usize).copied().unwrap_or(0);
        let versions = low + 1..high.min(sent + 1);
        if self.unknown.is_empty() {
            return versions.len() as u64;
        }
        let known = |version: &u32| !self.unknown.contains(&Put { key, version: *version });
        versions.filter(known).count() as u64
    }
}

/// What one reader saw of a stream.
#[derive(Clone, Default)]
pub struct Seen {
    /// By key: the last version.
    last: Vec<u32>,
    /// Versions that were passed over: of this key, after this one, before that one.
    gaps: Vec<(Key, u32, u32)>,
    records: u64,
    repeated: u64,
    foreign: u64,
}

/// How what was seen differs from what was acknowledged. All 0: it does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Records that were seen.
    pub records: u64,
    /// Acknowledged puts that were not seen in their place.
    pub lost: u64,
    /// Records that came again, or after a later one of their key.
    pub repeated: u64,
    /// Records of puts that nobody made.
    pub foreign: u64,
}

impl Verdict {
    /// Whether exactly the acknowledged puts were seen, in their order.
    pub fn is_right(&self) -> bool {
        (self.lost, self.repeated, self.foreign) == (0, 0, 0)
    }

    /// The sum over several readers.
    pub fn and(self, other: Self) -> Self {
        Self {
            records: self.records + other.records,
            lost: self.lost + other.lost,
            repeated: self.repeated + other.repeated,
            foreign: self.foreign + other.foreign,
        }
    }
}

impl Seen {
    /// The record of a put.
    pub fn record(&mut self, Put { key, version }: Put) {
        self.records += 1;
        let at = key as usize;
        if self.last.len() <= at {
            self.last.resize(at + 1, 0);
        }
        let last = self.last[at];
        if version <= last {
            self.repeated += 1;
            return;
        }
        if version > last + 1 {
            self.gaps.push((key, last, version));
        }
        self.last[at] = version;
    }

    /// A record that no put of this run can have made.
    pub fn foreign(&mut self) {
        self.records += 1;
        self.foreign += 1;
    }

    /// How many records there were.
    pub fn len(&self) -> u64 {
        self.records
    }

    /// Compares with what was acknowledged.
    pub fn against(&self, ledger: &Ledger) -> Verdict {
        let Self { records, repeated, mut foreign, .. } = *self;
        let mut lost: u64 = self
            .gaps
            .iter()
            .map(|&(key, low, high)| ledger.acknowledged_between(key, low, high))
            .sum();
        for key in 0..self.last.len().max(ledger.last.len()) {
            let seen = self.last.get(key).copied().unwrap_or(0);
            let sent = ledger.last.get(key).copied().unwrap_or(0);
            foreign += u64::from(seen.saturating_sub(sent));
            if seen < sent {
                lost += ledger.acknowledged_between(key as Key, seen, sent + 1);
            }
        }
        Verdict { records, lost, repeated, foreign }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: Key, version: u32) -> Put {
        Put { key, version }
    }

    fn ledger() -> Ledger {
        let mut ledger = Ledger::default();
        for version in 1..=3 {
            ledger.acknowledged(put(0, version));
            ledger.acknowledged(put(1, version));
        }
        ledger.refused(put(1, 4));
        ledger
    }

    fn verdict(seen: &[(Key, u32)]) -> Verdict {
        let mut all = Seen::default();
        seen.iter().for_each(|&(key, version)| all.record(put(key, version)));
        all.against(&ledger())
    }

    const ALL: [(Key, u32); 6] = [(0, 1), (1, 1), (1, 2), (0, 2), (0, 3), (1, 3)];

    #[test]
    fn all_in_order_is_right_with_a_refused_put_and_without() {
        assert!(verdict(&ALL).is_right());
        assert!(verdict(&[&ALL[..], &[(1, 4)]].concat()).is_right());
    }

    #[test]
    fn what_is_missing_repeated_or_foreign_is_counted() {
        let wrong = |lost, repeated, foreign| (lost, repeated, foreign);
        let counts = |seen: &[(Key, u32)]| {
            let Verdict { lost, repeated, foreign, .. } = verdict(seen);
            (lost, repeated, foreign)
        };
        for (missing, record) in ALL.iter().enumerate() {
            let mut seen = ALL.to_vec();
            seen.remove(missing);
            assert_eq!(counts(&seen), wrong(1, 0, 0), "without {record:?}");
        }
        assert_eq!(counts(&[&ALL[..], &[(0, 3)]].concat()), wrong(0, 1, 0));
        assert_eq!(counts(&[&ALL[..], &[(0, 4), (9, 1)]].concat()), wrong(0, 0, 2));
        assert_eq!(counts(&[&ALL[..], &[(9, 5)]].concat()), wrong(0, 0, 5));
        // Two that are exchanged: one is missing in its place, and comes late.
        let mut seen = ALL.to_vec();
        seen.swap(1, 2);
        assert_eq!(counts(&seen), wrong(1, 1, 0));
        assert_eq!(counts(&[]), wrong(6, 0, 0));
    }
}
