//! The log under random schedules: three to five threads with dozens of operations each, checked against a
//! sequential model after every one of them.
//!
//! Segments have four slots here, so a few dozen records trim, recycle and seal many of them. Shuttle
//! explores interleavings and not orderings (see `core/src/sync/scheduled.rs`): what is found here is a
//! mistake of logic, at sizes that loom cannot reach.
//!
//! `STREAMCORE_SCHEDULES` says how many schedules each scheduler runs of each scenario (see
//! `harness.rs`), `STREAMCORE_SCHEDULES_SEED` which ones. A failure prints its schedule, and
//! `STREAMCORE_SCHEDULE` repeats it.

mod book;
mod casts;
mod harness;
mod roles;
mod scenario;
mod stalls;
