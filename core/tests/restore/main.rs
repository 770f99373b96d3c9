//! Streams that are archived in one store and restored in another.

mod consuming;
mod faults;
mod host;
mod iterators;
mod keeping;
mod whole;
