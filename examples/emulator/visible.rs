//! Records that were put, and waiting until every reader sees them.

use streamcore::Stream;
use streamcore::model::{Change, SequenceNumber};

use crate::error::{ApiError, ErrorKind};

/// A record that was put into a stream.
#[must_use = "a change is acknowledged only after `wait`"]
pub(crate) struct Receipt {
    stream: Stream,
    number: SequenceNumber,
}

impl Receipt {
    /// Puts records into a stream, those of one shard side by side. None if the stream was closed in the
    /// meantime: then the changes are ones that came after.
    pub(crate) fn put_all(stream: &Stream, changes: Vec<Change>) -> Result<Vec<Self>, ApiError> {
        let numbers = match stream.put_all(changes) {
            Ok(numbers) => numbers,
            Err(streamcore::Error::StreamClosed { .. }) => Vec::new(),
            Err(error) => return Err(fault(&error)),
        };
        let receipt = |number| Self { stream: stream.clone(), number };
        Ok(numbers.into_iter().map(receipt).collect())
    }

    /// Puts one record, as [`Receipt::put_all`].
    pub(crate) fn put(stream: &Stream, change: Change) -> Result<Option<Self>, ApiError> {
        match stream.put(change) {
            Ok(number) => Ok(Some(Self { stream: stream.clone(), number })),
            Err(streamcore::Error::StreamClosed { .. }) => Ok(None),
            Err(error) => Err(fault(&error)),
        }
    }

    /// Returns once every reader of the stream can see the record. Blocks for as long as
    /// writers that were ahead of this one need to finish: normally not at all.
    pub(crate) fn wait(&self) -> Result<(), ApiError> {
        self.stream.wait_visible(self.number).map_err(|error| fault(&error))
    }
}

fn fault(error: &streamcore::Error) -> ApiError {
    ApiError::new(ErrorKind::Internal, error.to_string())
}
