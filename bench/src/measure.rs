//! One measurement, in a process of its own: what is done, what is timed, and what else is noted.

pub mod floors;
mod go;
mod latency;
mod link;
mod log;
mod machine;
mod record;
mod store;
mod threads;

pub use latency::{Latencies, Ticks};
pub use link::{Distance, Link};
pub(crate) use log::measure as measure_log;
pub use machine::Machine;
pub(crate) use machine::resident;
pub use record::Measurement;
pub(crate) use store::{
    NAMES as STORES, about as about_store, measure as measure_store, prepare as prepare_store,
};
