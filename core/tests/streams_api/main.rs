//! The Streams API: what goes in as JSON and what comes out.

#![cfg(feature = "serde")]

mod host;
mod records;
mod requests;
mod streams;
