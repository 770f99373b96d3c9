//! Suspended threads, and what they cost.
