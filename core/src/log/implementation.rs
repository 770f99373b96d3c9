//! How the log works, and why that is right.
