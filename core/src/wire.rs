//! DynamoDB Streams on the wire: its operations, its JSON, its errors.
//!
//! [`StreamsApi`] answers the body of a request with the body of a response, so a host brings its own
//! HTTP server, or none. Items are JSON already when they get here: see [`Image`](crate::model::Image). What was put
//! together for one answer may be kept for others: see [`StreamsApi::cache_bytes`].

mod api;
mod blocks;
mod body;
mod errors;
mod observe;
mod rate;
pub mod record;
mod request;
mod response;

pub use api::StreamsApi;
pub use body::{Body, Part};
pub use errors::{TextSource, WireError};
pub use observe::Delivery;
pub use rate::RateLimits;
