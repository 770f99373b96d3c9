//! One process at a time: a snapshot belongs to the emulator that was started with it, from before it is read until
//! the process has written the last one and ended.
//!
//! The lock is on a file beside the snapshot, which stays: the snapshot itself is replaced by a new file each time.
//! The system gives it up when the process ends, however it ends.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use super::fault::SnapshotFault as Fault;

/// Held by the emulator whose snapshot it is.
pub(crate) struct SnapshotLock {
    _file: File,
}

impl SnapshotLock {
    /// Takes the lock of the snapshot at `path`, if nobody has it.
    pub(super) fn of(path: &Path) -> Result<Self, Fault> {
        let beside = beside(path);
        let fault = |doing| {
            let path = beside.clone();
            move |error| Fault::Io { doing, path, error }
        };
        let mut options = OpenOptions::new();
        let file = options.write(true).create(true).truncate(false).open(&beside);
        let file = file.map_err(fault("open"))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(Fault::InUse { lock: beside }),
            Err(TryLockError::Error(error)) => Err(fault("lock")(error)),
        }
    }
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
