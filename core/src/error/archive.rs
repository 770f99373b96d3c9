//! What can be wrong with a stream that should be restored.

use std::fmt;

use crate::log::Position;

/// Why a stream cannot be restored from what was given. Shards are named by their ordinals.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ArchiveFault {
    /// The store has a stream of this ARN.
    Exists,
    /// There is no shard.
    NoShards,
    /// A record is given before any shard.
    NoShardYet,
    /// A shard's ordinal is not greater than that of the shard before it.
    OrdinalNotRising {
        /// The ordinal of the shard before.
        before: u32,
        /// The ordinal.
        given: u32,
    },
    /// A shard is not older than what comes next: its ordinal or its time is not below that of the next shard to be
    /// made.
    NotBorn {
        /// The shard.
        ordinal: u32,
    },
    /// A shard was not created after the shard before it.
    TimeNotRising {
        /// The shard.
        ordinal: u32,
    },
    /// A shard's parent is not among the shards before it.
    UnknownParent {
        /// The shard.
        ordinal: u32,
        /// The parent.
        parent: u32,
    },
    /// A shard's parent is open.
    OpenParent {
        /// The shard.
        ordinal: u32,
        /// The parent.
        parent: u32,
    },
    /// The name of a shard's parent, which has expired, is not that of an older shard.
    InvalidParent {
        /// The shard.
        ordinal: u32,
        /// The name.
        parent: Box<str>,
    },
    /// A range of hashes ends before it begins.
    InvalidRange {
        /// The shard.
        ordinal: u32,
    },
    /// The ranges of the open shards do not cover every hash exactly once.
    NotCovered,
    /// A closed shard of a stream that takes records has no child.
    Childless {
        /// The shard.
        ordinal: u32,
    },
    /// A shard of a disabled stream is open.
    OpenInDisabled {
        /// The shard.
        ordinal: u32,
    },
    /// A shard that was forgotten has records.
    ForgottenWithRecords {
        /// The shard.
        ordinal: u32,
    },
    /// A shard ends before it begins, or behind what a log can hold in this machine's memory.
    InvalidPositions {
        /// The shard.
        ordinal: u32,
        /// The first position.
        first: Position,
        /// The position behind the last.
        end: Position,
    },
    /// Records are missing, or there are too many.
    Hole {
        /// The shard.
        ordinal: u32,
        /// The position that should have been next; the shard's end if it has all of its records.
        expected: Position,
        /// The position that was given; the shard's end if nothing more was.
        given: Position,
    },
    /// A batch is longer than batches can be, or not whole.
    BrokenBatch {
        /// The shard.
        ordinal: u32,
        /// Where it begins.
        position: Position,
    },
    /// A record has images that one of its kind does not have in such a stream, or lacks an attribute of the key.
    InvalidRecord {
        /// The shard.
        ordinal: u32,
        /// Where it is.
        position: Position,
    },
    /// The next shard would be created at a time that no clock shows.
    InvalidTime {
        /// The time, in milliseconds since the Unix epoch.
        given: u64,
        /// The last one that is allowed.
        allowed: u64,
    },
    /// What the stream says of its earlier lives contradicts itself.
    InvalidLives,
    /// The stream was restored so often that there are no ordinals left for it.
    OutOfGenerations {
        /// The ordinal that its next shard would have had.
        next_ordinal: u32,
    },
}

impl fmt::Display for ArchiveFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("the store has a stream of this name"),
            Self::NoShards => f.write_str("it has no shard"),
            Self::NoShardYet => f.write_str("a record comes before the first shard"),
            Self::OrdinalNotRising { before, given } => {
                write!(f, "shard {given} comes behind shard {before}: ordinals rise")
            }
            Self::NotBorn { ordinal } => {
                write!(f, "shard {ordinal} is not older than the next one that is to be made")
            }
            Self::TimeNotRising { ordinal } => {
                write!(f, "shard {ordinal} was not created after the one before it")
            }
            Self::UnknownParent { ordinal, parent } => {
                write!(
                    f,
                    "shard {parent}, the parent of shard {ordinal}, is not among those before it"
                )
            }
            Self::OpenParent { ordinal, parent } => {
                write!(f, "shard {parent}, the parent of shard {ordinal}, is open")
            }
            Self::InvalidParent { ordinal, parent } => {
                write!(
                    f,
                    "`{parent}`, the parent of shard {ordinal}, is not the name of an older shard"
                )
            }
            Self::InvalidRange { ordinal } => {
                write!(f, "the hashes of shard {ordinal} end before they begin")
            }
            Self::NotCovered => f.write_str("the open shards do not cover every hash exactly once"),
            Self::Childless { ordinal } => {
                write!(f, "shard {ordinal} is closed, the stream is not, and nothing goes on there")
            }
            Self::OpenInDisabled { ordinal } => {
                write!(f, "shard {ordinal} is open, and the stream is disabled")
            }
            Self::ForgottenWithRecords { ordinal } => {
                write!(f, "shard {ordinal} was forgotten, and has records")
            }
            Self::InvalidPositions { ordinal, first, end } => write!(
                f,
                "shard {ordinal} has positions from {first} to {end}: allowed are ends that are not \
                 before the beginning, and that this machine has memory for"
            ),
            Self::Hole { ordinal, expected, given } => write!(
                f,
                "in shard {ordinal} position {given} comes where {expected} should come next"
            ),
            Self::BrokenBatch { ordinal, position } => write!(
                f,
                "in shard {ordinal} the batch at position {position} is too long, or not whole"
            ),
            Self::InvalidRecord { ordinal, position } => write!(
                f,
                "in shard {ordinal} the record at position {position} does not have the images, or \
                 the key, of a record of this stream"
            ),
            Self::InvalidTime { given, allowed } => write!(
                f,
                "its next shard would be created at {given} ms; {allowed} is the last that is allowed"
            ),
            Self::InvalidLives => f.write_str("its earlier lives contradict one another"),
            Self::OutOfGenerations { next_ordinal } => write!(
                f,
                "it has come to ordinal {next_ordinal}, and no generation is left behind that"
            ),
        }
    }
}
