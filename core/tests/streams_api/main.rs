//! The Streams API: what goes in as JSON and what comes out.
//!
//! Each sentence of the contract has a test whose comment says it: `Contract, <part>: ...`. What only a host
//! of tables does (writes, table lifecycle, time to live) is tested with the emulator.

#![cfg(feature = "serde")]

mod cache;
mod describing;
mod formats;
mod host;
mod iterators;
mod lifecycle;
mod listing;
mod rates;
mod reading;
mod records;
mod requests;
mod restart;
mod streams;
