//! What this layer refuses by itself, before a host is asked.

use std::time::Duration;

use hyper::Method;

use super::host::Failure;

/// Why a request is not handed on, or its answer is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// `X-Amz-Target` is missing, or names no operation of DynamoDB; what it says.
    NoOperation(String),
    /// The request carries no credentials at all; which ones does not matter.
    Unsigned,
    /// Operations are sent with `POST`.
    WrongMethod(Method),
    /// The body is larger than this.
    TooLarge(usize),
    /// The body came too slowly: within this time, next to nothing.
    TooSlow(Duration),
    /// The body could not be read to its end.
    Unread(String),
    /// There is no room for the body or the answer: so many bytes are in flight at the most.
    Busy(usize),
    /// The handler panicked.
    Panicked,
}

impl Refusal {
    /// The HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            Self::TooSlow(_) => 408,
            Self::TooLarge(_) => 413,
            Self::Panicked => 500,
            Self::Busy(_) => 503,
            Self::NoOperation(_) | Self::Unsigned | Self::WrongMethod(_) | Self::Unread(_) => 400,
        }
    }

    /// What `__type` says. SDKs send again what is refused with `RequestTimeoutException` or a status of
    /// 500 and above.
    fn type_name(&self) -> &'static str {
        match self {
            Self::NoOperation(_) | Self::WrongMethod(_) => {
                "com.amazon.coral.service#UnknownOperationException"
            }
            Self::Unsigned => "com.amazon.coral.service#MissingAuthenticationTokenException",
            Self::TooLarge(_) => "com.amazon.coral.service#RequestEntityTooLargeException",
            Self::TooSlow(_) => "com.amazon.coral.service#RequestTimeoutException",
            Self::Unread(_) => "com.amazon.coral.service#SerializationException",
            Self::Busy(_) => "com.amazon.coral.service#ServiceUnavailableException",
            Self::Panicked => "com.amazonaws.dynamodb.v20120810#InternalServerError",
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoOperation(target) if target.is_empty() => {
                f.write_str("The request has no header X-Amz-Target, which names the operation")
            }
            Self::NoOperation(target) => {
                write!(f, "This endpoint does not serve the operation {target}")
            }
            Self::Unsigned => f.write_str(
                "Request must contain either a valid (registered) AWS access key ID or X.509 \
                 certificate.",
            ),
            Self::WrongMethod(method) => {
                write!(f, "Operations are sent with POST, not with {method}")
            }
            Self::TooLarge(most) => {
                write!(f, "The request body is larger than the {most} bytes that are allowed")
            }
            Self::TooSlow(patience) => write!(
                f,
                "The request body came too slowly: at least {} KiB, or all that is left, must \
                 arrive every {patience:?}",
                super::LEAST_BYTES >> 10
            ),
            Self::Unread(problem) => write!(f, "The request body could not be read: {problem}"),
            Self::Busy(most) => write!(
                f,
                "The {most} bytes that large requests and answers may take together are in use; \
                 try again"
            ),
            Self::Panicked => f.write_str("The server has a fault; it goes on serving"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.status(), refusal.type_name(), &refusal.to_string())
    }
}
