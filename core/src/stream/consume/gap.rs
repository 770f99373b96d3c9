//! Gaps: what a consumer missed because it was trimmed first.

use std::fmt;

use super::super::handle::Stream;
use super::super::shard::{Shard, ShardId};
use crate::error::Error;
use crate::log::Position;
use crate::model::StreamArn;

/// Records that a consumer has not read and that are no longer there:
/// [`Consumer::skip`](super::Consumer::skip) goes on behind them.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// The shard that they were in.
    pub shard: ShardId,
    /// The position of the first of them.
    pub from: Position,
    /// The earliest position of the shard that can still be read, where it goes on. `None`: the shard
    /// is gone with all that it had from `from` on, and its children are next.
    pub earliest: Option<Position>,
    arn: StreamArn,
}

impl Gap {
    pub(super) fn of_lost(stream: &Stream, shard: ShardId, from: Position) -> Self {
        Self { shard, from, earliest: None, arn: stream.info().arn().clone() }
    }

    #[cold]
    pub(super) fn in_lane(stream: &Stream, shard: &Shard, from: Position, error: Error) -> Self {
        let earliest = match error {
            Error::Trimmed { earliest } => earliest,
            // A cursor has no other error.
            _ => shard.log.earliest(),
        };
        let arn = stream.info().arn().clone();
        Self { shard: shard.id.clone(), from, earliest: Some(earliest), arn }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shard, from, earliest, .. } = self;
        match earliest {
            Some(earliest) => write!(
                f,
                "position {from} of the shard `{shard}` is trimmed; the earliest that can be read is \
                 {earliest}"
            ),
            None => write!(
                f,
                "the shard `{shard}` is gone, and with it what it had from position {from} on; its \
                 children are next"
            ),
        }
    }
}

impl std::error::Error for Gap {}

impl From<Gap> for Error {
    /// [`Error::Trimmed`], or [`Error::ShardNotFound`] for a shard that is gone.
    fn from(gap: Gap) -> Self {
        match gap.earliest {
            Some(earliest) => Self::Trimmed { earliest },
            None => Self::ShardNotFound {
                arn: gap.arn.as_str().into(),
                shard: gap.shard.as_str().into(),
            },
        }
    }
}
