//! Snapshots: everything that the emulator holds, in a file, and back from it.
//!
//! A snapshot is of one moment ([`capture`]); it is written while writes go on ([`write`]), and takes the place of
//! the former one only when it is whole and on the disk. What is read back ([`read`]) is checked frame by frame and
//! as a whole ([`frame`]); whatever is wrong with it has a name ([`fault`]), and then nothing of it is used.
//!
//! An emulator that was restored writes a snapshot before it takes the first request, and has the file for itself
//! until it ends ([`lock`]). So no two processes are ever restored from one snapshot and then use the same
//! sequence numbers for different records.
//!
//! Each start takes one of the 4,096 generations that a stream has; then it is refused by name.
//!
//! Not in it: the tokens of transactions ([`tokens`](crate::tokens)), by which one that is sent again is known.
//!
//! [`capture`]: self::capture
//! [`lock`]: self::lock
//! [`write`]: self::write

mod capture;
mod content;
mod fault;
mod frame;
mod lock;
mod read;
mod write;

use std::path::Path;
use std::time::Instant;

pub use fault::SnapshotFault;

use crate::calls::{Config, Emulator};
use capture::{Afterwards, Capture};
pub(crate) use lock::SnapshotLock;

/// A snapshot that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SnapshotReport {
    /// The size of the file.
    pub bytes: u64,
    /// The records of all streams.
    pub records: u64,
    /// The items of all tables.
    pub items: u64,
    /// How long it took to take and to write it, in milliseconds.
    pub ms: u64,
    /// How long writers were kept out meanwhile, in microseconds.
    pub pause_us: u64,
}

impl Emulator {
    /// The emulator that a configuration describes. If it names a [snapshot](Config::snapshot), it goes on where
    /// that ends, if there is one, and writes one before anybody uses it: so that it is known that it can, and
    /// that no other process goes on from the same snapshot under the same sequence numbers.
    ///
    /// # Errors
    ///
    /// What is wrong with the file; it stays as it is.
    pub fn start(config: Config) -> Result<Self, SnapshotFault> {
        let Some(path) = config.snapshot.clone() else {
            return Ok(Self::new(config));
        };
        let lock = SnapshotLock::of(&path)?;
        let is_there = path.try_exists().map_err(|error| SnapshotFault::Io {
            doing: "look for",
            path: path.clone(),
            error,
        })?;
        let mut emulator =
            if is_there { read::read_file(&path, config)? } else { Self::new(config) };
        emulator.snapshot_lock = Some(lock);
        emulator.write_snapshot()?;
        Ok(emulator)
    }

    /// Whether there is a table of this name.
    #[must_use]
    pub fn has_table(&self, name: &str) -> bool {
        self.tables.named(Some(name)).is_ok()
    }

    /// Writes a snapshot of everything as it is now in the place of the former one.
    ///
    /// It holds every write that was acknowledged before the call, and each write whole or not at all, a
    /// transaction too. The file holds the secret of the shard iterators, and is made readable for its owner alone.
    ///
    /// # Errors
    ///
    /// When there is no [`Config::snapshot`], or the file cannot be written; the former one is there then.
    ///
    /// # Progress
    ///
    /// Blocks until it is on the disk. Keeps writes out for a moment that does not grow with the number of items (0.1
    /// ms with a million items and as many records, on 2 virtual cores; a writer that is stopped while it holds a lock
    /// adds to that). While a table is being written, the first change of each of its 64 parts copies the part's
    /// index: up to 16 ms with a million items.
    pub fn write_snapshot(&self) -> Result<SnapshotReport, SnapshotFault> {
        self.snapshot(Afterwards::GoOn)
    }

    /// Writes the last snapshot of a process that is about to end, and keeps all writes out from then on: nothing
    /// is acknowledged any more that is not in it. Whoever tries to write, or to look at tables, waits for ever.
    ///
    /// # Errors
    ///
    /// As [`Emulator::write_snapshot`].
    ///
    /// # Progress
    ///
    /// As [`Emulator::write_snapshot`].
    pub fn write_last_snapshot(&self) -> Result<SnapshotReport, SnapshotFault> {
        self.snapshot(Afterwards::KeptOut)
    }

    fn snapshot(&self, afterwards: Afterwards) -> Result<SnapshotReport, SnapshotFault> {
        let path: &Path = self.config.snapshot.as_deref().ok_or(SnapshotFault::NotConfigured)?;
        // One at a time: the later one is the one that stays.
        let _writing = self.writing_snapshot.lock();
        let began = Instant::now();
        let capture = Capture::of(self, afterwards);
        let pause_us = capture.pause.as_micros() as u64;
        let (counts, bytes) = write::write_file(path, capture)?;
        let ms = began.elapsed().as_millis() as u64;
        Ok(SnapshotReport { bytes, records: counts.records, items: counts.items, ms, pause_us })
    }
}
