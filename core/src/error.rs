//! What can go wrong, in this library's own terms. What the wire calls each of these stands in
//! `wire/errors.rs`.

use std::fmt;
use std::ops::RangeInclusive;

use crate::log::Position;
use crate::model::SequenceNumber;
use crate::stream::LostPlace;

mod archive;

pub use archive::ArchiveFault;

/// Why a call was refused. Each variant names what was given, and its text says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No stream has this ARN: it never existed, or it is gone.
    StreamNotFound {
        /// The ARN that was asked for.
        arn: Box<str>,
    },
    /// The stream has no shard of this id: it never existed, or it has expired.
    ShardNotFound {
        /// The ARN of the stream.
        arn: Box<str>,
        /// The shard id that was asked for.
        shard: Box<str>,
    },
    /// The stream is disabled or removed: it takes no more records.
    StreamClosed {
        /// The ARN of the stream.
        arn: Box<str>,
    },
    /// The position has been trimmed away.
    Trimmed {
        /// The earliest position of the shard that can still be read.
        earliest: Position,
    },
    /// A text is no stream ARN.
    InvalidArn {
        /// The text.
        given: Box<str>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A text is no table name.
    InvalidTableName {
        /// The text.
        given: Box<str>,
    },
    /// A text is no sequence number.
    InvalidSequenceNumber {
        /// The text.
        given: Box<str>,
    },
    /// A sequence number lies outside of the shard that it was used with.
    SequenceNumberOutOfShard {
        /// The number.
        given: SequenceNumber,
        /// The number that the shard starts with.
        starting: SequenceNumber,
    },
    /// A shard iterator was not made by this store.
    InvalidIterator {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A shard iterator is older than iterators live.
    ExpiredIterator {
        /// Its age in milliseconds.
        age_ms: u64,
        /// How long iterators live, in milliseconds.
        life_ms: u64,
    },
    /// A shard iterator or a checkpoint names a place that the snapshot does not hold from which the store was
    /// restored: it came after the snapshot, and is lost.
    NotInSnapshot {
        /// The ARN of the stream.
        arn: Box<str>,
        /// What is not there.
        place: LostPlace,
    },
    /// What should be restored is not a whole stream.
    InvalidArchive {
        /// The ARN of the stream.
        arn: Box<str>,
        /// What is wrong with it.
        fault: ArchiveFault,
    },
    /// A stream can make no more shards until it is restored from an archive.
    OutOfShards {
        /// The ARN of the stream.
        arn: Box<str>,
        /// So many it can make.
        allowed: u32,
    },
    /// A text, or its parts, are no checkpoints of a consumer.
    InvalidCheckpoints {
        /// The part that is malformed, or the beginning of it.
        given: Box<str>,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A limit is out of range.
    InvalidLimit {
        /// The limit.
        given: usize,
        /// The limits that are allowed.
        allowed: RangeInclusive<usize>,
    },
    /// A batch has too many changes.
    BatchTooLong {
        /// How many it has.
        given: usize,
        /// How many are allowed.
        allowed: usize,
    },
    /// A word is not in the vocabulary that it should be from.
    UnknownWord {
        /// What the word should have named.
        what: &'static str,
        /// The word.
        given: Box<str>,
        /// The words that are allowed.
        allowed: &'static [&'static str],
    },
    /// A key schema is none.
    InvalidKeySchema {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A change lacks an attribute of the primary key.
    MissingKey {
        /// The name of the attribute.
        attribute: Box<str>,
    },
    /// An item is none that DynamoDB would hold.
    InvalidItem {
        /// What is wrong with it; in DynamoDB's words, where DynamoDB has some.
        problem: Box<str>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StreamNotFound { arn } => write!(f, "no stream has the ARN `{arn}`"),
            Self::ShardNotFound { arn, shard } => {
                write!(f, "the stream `{arn}` has no shard `{shard}`")
            }
            Self::StreamClosed { arn } => {
                write!(f, "the stream `{arn}` is closed and takes no more records")
            }
            Self::Trimmed { earliest } => {
                write!(f, "the position is trimmed; the earliest that can be read is {earliest}")
            }
            Self::InvalidArn { given, problem } => write!(
                f,
                "`{given}` is no stream ARN: {problem}; expected \
                 arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>"
            ),
            Self::InvalidTableName { given } => write!(
                f,
                "`{given}` is no table name: allowed are 3 to 255 characters a-z, A-Z, 0-9, `_`, \
                 `.` and `-`"
            ),
            Self::InvalidSequenceNumber { given } => {
                write!(f, "`{given}` is no sequence number: allowed are 21 to 40 decimal digits")
            }
            Self::SequenceNumberOutOfShard { given, starting } => {
                write!(
                    f,
                    "the sequence number {given} is not of the shard that starts at {starting}"
                )
            }
            Self::InvalidIterator { problem } => {
                write!(f, "this store did not make the shard iterator: {problem}")
            }
            Self::ExpiredIterator { age_ms, life_ms } => {
                write!(f, "the shard iterator is {age_ms} ms old; iterators live {life_ms} ms")
            }
            Self::NotInSnapshot { arn, place } => write!(
                f,
                "the snapshot that this store was restored from does not hold what came after it: {place}, \
                 of the stream `{arn}`"
            ),
            Self::InvalidArchive { arn, fault } => {
                write!(f, "the stream `{arn}` cannot be restored: {fault}")
            }
            Self::OutOfShards { arn, allowed } => write!(
                f,
                "the stream `{arn}` has made {allowed} shards, and can make no more until it is \
                 restored from an archive"
            ),
            Self::InvalidCheckpoints { given, problem } => {
                write!(f, "no checkpoints: {problem}; given was `{given}`")
            }
            Self::InvalidLimit { given, allowed } => {
                write!(f, "the limit {given} is not from {} to {}", allowed.start(), allowed.end())
            }
            Self::BatchTooLong { given, allowed } => {
                write!(f, "a batch of {given} changes; at most {allowed} are allowed")
            }
            Self::UnknownWord { what, given, allowed } => {
                write!(f, "unknown {what} `{given}`: allowed are {}", allowed.join(", "))
            }
            Self::InvalidKeySchema { problem } => write!(
                f,
                "no key schema: {problem}; allowed is one HASH element, or one HASH and one RANGE \
                 element"
            ),
            Self::MissingKey { attribute } => {
                write!(f, "the item lacks the key attribute `{attribute}`")
            }
            Self::InvalidItem { problem } => write!(f, "no item of DynamoDB: {problem}"),
        }
    }
}

impl std::error::Error for Error {}
