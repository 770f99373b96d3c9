//! What can be wrong with a snapshot, by name.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a snapshot was not written, or is not restored.
#[derive(Debug)]
#[non_exhaustive]
pub enum SnapshotFault {
    /// The emulator was not told where to write one.
    NotConfigured,
    /// The operating system refuses.
    Io {
        /// What was to be done.
        doing: &'static str,
        /// With which file.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
    /// Another emulator has it, and may still write to it.
    InUse {
        /// The file that says so.
        lock: PathBuf,
    },
    /// The file does not begin as snapshots do.
    NotASnapshot,
    /// The snapshot was written by another version.
    UnknownVersion {
        /// That version.
        found: u32,
        /// The one that can be read.
        known: u32,
    },
    /// The file ends too early.
    Cut {
        /// After so many bytes.
        at: u64,
    },
    /// The checksum of a frame is wrong; the header is frame 0.
    Damaged {
        /// The number of the frame.
        frame: u64,
        /// Where it begins.
        at: u64,
    },
    /// A frame says that it is longer than frames can be.
    TooLong {
        /// The number of the frame.
        frame: u64,
        /// How long it says that it is.
        given: u32,
        /// How long frames can be.
        allowed: u32,
    },
    /// A frame is whole, but does not make sense.
    Malformed {
        /// The number of the frame.
        frame: u64,
        /// What is wrong with it.
        problem: String,
    },
    /// The last frame counts otherwise than there is.
    Miscounted {
        /// What is counted.
        what: &'static str,
        /// How many there are said to be.
        said: u64,
        /// How many there are.
        found: u64,
    },
    /// All frames are whole by themselves, but not those that were written.
    WrongDigest,
    /// Something follows the last frame.
    Trailing {
        /// From this byte on.
        at: u64,
    },
}

impl fmt::Display for SnapshotFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => {
                f.write_str("the emulator writes no snapshots: start it with --snapshot FILE")
            }
            Self::Io { doing, path, error } => {
                write!(f, "cannot {doing} {}: {error}", path.display())
            }
            Self::InUse { lock } => write!(
                f,
                "another emulator goes on from it and may still write to it: {} is locked",
                lock.display()
            ),
            Self::NotASnapshot => f.write_str("it is not a snapshot of this emulator"),
            Self::UnknownVersion { found, known } => {
                write!(f, "it is of version {found}; this emulator reads version {known}")
            }
            Self::Cut { at } => write!(f, "it is cut at byte {at}"),
            Self::Damaged { frame, at } => {
                write!(f, "the checksum of frame {frame}, which begins at byte {at}, is wrong")
            }
            Self::TooLong { frame, given, allowed } => {
                write!(f, "frame {frame} has {given} bytes; at most {allowed} are allowed")
            }
            Self::Malformed { frame, problem } => {
                write!(f, "frame {frame} is malformed: {problem}")
            }
            Self::Miscounted { what, said, found } => {
                write!(f, "it should have {said} {what}, and has {found}")
            }
            Self::WrongDigest => f.write_str("its frames are not those that were written"),
            Self::Trailing { at } => write!(f, "it goes on behind its end, at byte {at}"),
        }
    }
}

impl std::error::Error for SnapshotFault {}
