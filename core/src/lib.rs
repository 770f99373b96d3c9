//! streamcore.
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]

pub mod error;
pub mod log;
pub mod model;
pub mod store;
pub mod stream;
mod sync;

pub use error::Error;
pub use store::{Store, StreamConfig};
pub use stream::Stream;
