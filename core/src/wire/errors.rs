//! What the wire says when a request is refused: one table of names and texts, each with its source.

use std::fmt;

use crate::error::Error;

/// A refusal, as a client is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireError {
    /// The exception, as in `ResourceNotFoundException`.
    pub name: &'static str,
    /// The text.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
    /// Where the text is from.
    pub source: TextSource,
}

/// Where the text of a [`WireError`] is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum TextSource {
    /// AWS has been seen to answer this.
    Recorded,
    /// The service model of the AWS SDKs, in the wording that AWS uses for all such models.
    Model,
    /// DynamoDB Local 1.25 has been seen to answer this; what AWS says is not known.
    Local,
    /// This library; what AWS says is not known.
    Own,
}

impl WireError {
    /// The body of the response, `{"__type":...,"message":...}`.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let name = format!("com.amazonaws.dynamodb.v20120810#{}", self.name);
        let body = serde_json::json!({ "__type": name, "message": self.message });
        body.to_string().into_bytes()
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.message)
    }
}

impl std::error::Error for WireError {}

/// Why a request is refused.
pub(super) enum Refusal<'a> {
    /// The operation is none of DynamoDB Streams.
    UnknownOperation(&'a str),
    /// The body is no JSON.
    NotJson(String),
    /// The body is JSON, but no object.
    NotAnObject,
    /// A member is a scalar of another type: what it is, and what it should be.
    WrongScalar(&'static str, &'static str),
    /// A member is a list instead of a value of this Java class.
    List(&'static str),
    /// A member is an object instead of a scalar.
    Structure,
    /// A member is a scalar instead of an object.
    Scalar,
    /// Members break the rules of the service model.
    Constraints(&'a [String]),
    /// ListStreams is asked for too much.
    ListLimit(usize),
    /// DescribeStream is asked for too much.
    DescribeLimit(usize),
    /// GetRecords is asked for too much.
    RecordsLimit(usize),
    /// A sequence number is given where there is none to give.
    UnwantedSequenceNumber,
    /// A sequence number is missing.
    MissingSequenceNumber,
    /// DescribeStream is called more often than this in a second.
    TooManyDescriptions(u32),
    /// GetRecords is called more often than this in a second.
    TooManyReads(u32),
    /// The library refuses.
    Core(&'a Error),
}

const VALIDATION: &str = "ValidationException";
const SERIALIZATION: &str = "SerializationException";
const NOT_FOUND: &str = "ResourceNotFoundException";
const TRIMMED: &str = "TrimmedDataAccessException";
const EXPIRED: &str = "ExpiredIteratorException";
/// GetRecords has an exception of its own in the service model; the others share the common one.
const LIMIT_EXCEEDED: &str = "LimitExceededException";
const THROTTLING: &str = "ThrottlingException";
const UNKNOWN_OPERATION: &str = "UnknownOperationException";

/// The table.
fn row(refusal: &Refusal<'_>) -> (&'static str, TextSource, String) {
    use Refusal as R;
    use TextSource::{Local, Model, Own, Recorded};
    match refusal {
        R::UnknownOperation(given) => (
            UNKNOWN_OPERATION,
            Own,
            format!(
                "unknown operation {given}: this endpoint serves ListStreams, DescribeStream, \
                 GetShardIterator and GetRecords"
            ),
        ),

        R::NotJson(problem) => (SERIALIZATION, Own, format!("the body is no JSON: {problem}")),
        R::NotAnObject => (SERIALIZATION, Own, "the body is no JSON object".into()),
        R::WrongScalar(is, should_be) => {
            (SERIALIZATION, Recorded, format!("{is} cannot be converted to {should_be}"))
        }
        R::List(class) => {
            (SERIALIZATION, Recorded, format!("Unrecognized collection type class {class}"))
        }
        R::Structure => {
            (SERIALIZATION, Recorded, "Start of structure or map found where not expected".into())
        }
        R::Scalar => (SERIALIZATION, Recorded, "Unexpected field type".into()),

        R::Constraints(violations) => {
            let plural = if violations.len() == 1 { "" } else { "s" };
            let (count, all) = (violations.len(), violations.join("; "));
            (VALIDATION, Model, format!("{count} validation error{plural} detected: {all}"))
        }
        R::ListLimit(most) => {
            (VALIDATION, Local, limit("cannot be greater than the maximum allowed size: ", *most))
        }
        R::DescribeLimit(most) => {
            (VALIDATION, Local, limit("cannot be greater than the maximum: ", *most))
        }
        R::RecordsLimit(most) => {
            (VALIDATION, Local, limit("should be less than or equal to ", *most))
        }
        R::UnwantedSequenceNumber => (
            VALIDATION,
            Recorded,
            invalid("SequenceNumber should not be passed for this iterator type"),
        ),
        R::MissingSequenceNumber => {
            (VALIDATION, Own, invalid("SequenceNumber is required for this iterator type"))
        }

        R::TooManyDescriptions(most) => (
            THROTTLING,
            Own,
            format!(
                "Rate exceeded: DescribeStream can be called {most} times per second for an \
                 account and a region"
            ),
        ),
        R::TooManyReads(most) => (
            LIMIT_EXCEEDED,
            Own,
            format!("Rate exceeded: GetRecords can be called {most} times per second for a shard"),
        ),

        R::Core(Error::StreamNotFound { arn }) => {
            (NOT_FOUND, Recorded, format!("Requested resource not found: Stream: {arn} not found"))
        }
        R::Core(Error::ShardNotFound { .. }) => {
            (NOT_FOUND, Recorded, "Requested resource not found: Shard does not exist".into())
        }
        R::Core(Error::Trimmed { .. }) => {
            (TRIMMED, Recorded, "The data you are trying to access has been trimmed".into())
        }
        R::Core(Error::ExpiredIterator { .. }) => {
            (EXPIRED, Recorded, "Shard iterator has expired".into())
        }
        R::Core(Error::InvalidIterator { .. } | Error::NotInSnapshot { .. }) => {
            (VALIDATION, Recorded, "Invalid ShardIterator".into())
        }
        R::Core(Error::InvalidArn { .. }) => (VALIDATION, Recorded, "Invalid StreamArn".into()),
        R::Core(Error::SequenceNumberOutOfShard { .. }) => {
            (VALIDATION, Local, "Invalid SequenceNumber for the shard".into())
        }
        R::Core(Error::InvalidSequenceNumber { .. }) => {
            (VALIDATION, Own, invalid("SequenceNumber is not a decimal number"))
        }
        // What no request leads to keeps the library's own words.
        R::Core(other) => (VALIDATION, Own, other.to_string()),
    }
}

fn invalid(what: &str) -> String {
    format!("One or more parameter values were invalid: {what}")
}

fn limit(rule: &str, most: usize) -> String {
    invalid(&format!("Limit {rule}{most}"))
}

impl From<Refusal<'_>> for WireError {
    fn from(refusal: Refusal<'_>) -> Self {
        let (name, source, message) = row(&refusal);
        Self { name, message, status: 400, source }
    }
}

impl From<Error> for WireError {
    /// What a client is told of an error of the library.
    fn from(error: Error) -> Self {
        Refusal::Core(&error).into()
    }
}
