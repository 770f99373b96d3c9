//! The modelled half of [`sync`](super): the same names on [loom], with what loom needs in order to
//! see the log's mistakes.
//!
//! - [`atomic`]: each atomic has links between its accesses, so that loom explores every order of a load and a
//!   later store, and a mirror, so that destructors can run while a failed model unwinds;
//! - [`memory`]: every block has a life. An access to a block that was released, or whose release
//!   is not ordered after the access, fails the model at once. Released bytes stay in quarantine
//!   until the next execution, so that a mistake is a message and not a crash. What is never
//!   released is a leak, reported with the place of its allocation;
//! - [`shared`]: `Arc` and `MetadataCell` with visible orderings;
//! - [`parking`]: `Parker` and `Backoff`. Time is not modelled: a sleep with a limit is a yield.
//!
//! The modules are public so that the harness (`loom-tests`) can begin and end executions and
//! check the checker itself; nothing of this exists in a production build.
//!
//! [loom]: https://docs.rs/loom

#![allow(dead_code, reason = "the names mirror native.rs, whichever of them the log uses")]

pub mod atomic;
pub mod memory;
pub mod parking;
pub mod shared;

pub use crossbeam_utils::CachePadded;
pub(crate) use memory::init_zeroed;
pub use memory::{Life, UnsafeCell, allocate_zeroed, release};
pub use parking::{Backoff, Parker};
pub use shared::{Arc, MetadataCell};
