//! What the log needs from the machine: atomics, memory, parking, and the metadata swap.
//!
//! Every other file takes these from here, so that one and the same source is compiled three times: with
//! the standard library's types for users, with [loom]'s for the models (`loom-tests`, which sets
//! the cfg `streamcore_loom`), and with [shuttle]'s scheduler for larger scenarios (`loom-tests/shuttle`,
//! `streamcore_shuttle`). The child `modelled` is the only one that names loom, `scheduled` the only one
//! that names shuttle.
//!
//! The production half is transparent: each item is the standard type itself or an `#[inline]`
//! wrapper that compiles to nothing. The modelled half (`sync/modelled.rs`) adds what loom needs in
//! order to see: links between the accesses of each atomic, a life for each block of memory, and a
//! quarantine for what was freed.
//!
//! [loom]: https://docs.rs/loom
//! [shuttle]: https://docs.rs/shuttle

#[cfg(not(target_has_atomic = "64"))]
compile_error!("streamcore needs 64-bit atomics: the log's positions do not fit anything smaller");

#[cfg(streamcore_loom)]
pub mod modelled;
#[cfg(streamcore_loom)]
pub(crate) use modelled::*;

#[cfg(streamcore_shuttle)]
pub mod scheduled;
#[cfg(streamcore_shuttle)]
pub(crate) use scheduled::*;

#[cfg(not(any(streamcore_loom, streamcore_shuttle)))]
mod native;
#[cfg(not(any(streamcore_loom, streamcore_shuttle)))]
pub(crate) use native::*;

/// Whether segments, rows and the rest are small, so that a short test meets all of their borders.
pub(crate) const SMALL: bool = cfg!(any(streamcore_loom, streamcore_shuttle));

/// A type whose value may be made of zero bytes.
///
/// # Safety
///
/// Memory that holds only zero bytes must be a valid value of the type, the same that
/// [`Zeroable::zeroed`] returns. (The models call `zeroed`, because loom's types have no such
/// representation; production trusts the allocator's zeroed pages.)
pub(crate) unsafe trait Zeroable: Sized {
    /// The value that zero bytes stand for.
    #[cfg_attr(not(streamcore_loom), allow(dead_code, reason = "only the models build values"))]
    fn zeroed() -> Self;
}

// SAFETY: a null pointer is all zero bytes on every target that Rust supports.
unsafe impl<T> Zeroable for atomic::AtomicPtr<T> {
    fn zeroed() -> Self {
        Self::new(core::ptr::null_mut())
    }
}

// SAFETY: the integer 0 is all zero bytes.
unsafe impl Zeroable for atomic::AtomicU32 {
    fn zeroed() -> Self {
        Self::new(0)
    }
}

// SAFETY: the integer 0 is all zero bytes.
unsafe impl Zeroable for atomic::AtomicU64 {
    fn zeroed() -> Self {
        Self::new(0)
    }
}
