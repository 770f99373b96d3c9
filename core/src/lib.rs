//! streamcore.
#![deny(missing_docs, unsafe_op_in_unsafe_fn)]
pub mod log;
mod sync;
