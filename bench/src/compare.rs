//! The comparison: all contenders in all scenarios, interleaved and shuffled, one process a measurement; what
//! that says, and reports of it.

pub mod against;
mod cli;
pub(crate) mod format;
mod html;
mod markdown;
pub mod plan;
mod plots;
mod registry;
pub mod run;
pub mod statistics;
pub mod summary;

pub use cli::main;
pub use registry::{About, Registry};
