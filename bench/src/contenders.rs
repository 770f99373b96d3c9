//! The contenders that come with the harness: one file per family.
//!
//! Lanes and combining are prototypes of arrangements that are said to scale further; `bench/SCALING.md` says how far.

mod combining;
mod disruptor;
mod lanes;
mod locked;
mod provisioned;
mod queues;
mod replaced;
mod streamcore;
mod vectors;

pub use self::disruptor::Disruptor;
pub use combining::Combining;
pub use lanes::Lanes;
pub use locked::{ParkingMutex, ParkingRwLock, StdMutex, StdRwLock};
pub use provisioned::StreamcoreProvisioned;
pub use queues::{Channel, Queue};
pub use replaced::Replaced;
pub use streamcore::{Streamcore, StreamcoreKept};
pub use vectors::{AppendOnly, Boxcar, Orx};
