//! A clock that all cores share. What comes before a look at it in the program comes before it in time, and what
//! comes behind it later, as the name of each look says.

/// When this is called, give or take what the processor does out of order.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn roughly_now() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_rdtsc() }
}

/// The time once all before this is done: loads and exchanges. (A plain store may still be on its way.)
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn now_behind() -> u64 {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { std::arch::x86_64::_mm_lfence() };
    roughly_now()
}

/// The time once all before this is done, and before anything behind it begins.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn now() -> u64 {
    let now = now_behind();
    // SAFETY: as above.
    unsafe { std::arch::x86_64::_mm_lfence() };
    now
}

/// Elsewhere, the system's monotonic clock, which is the same on all cores, and slower.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn now() -> u64 {
    use std::sync::OnceLock;
    use std::sync::atomic::{Ordering, fence};
    use std::time::Instant;
    static BEGAN: OnceLock<Instant> = OnceLock::new();
    // SeqCst: what is before it in the program is seen by all before the clock is read, and the other way round.
    fence(Ordering::SeqCst);
    let now = BEGAN.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1;
    fence(Ordering::SeqCst);
    now
}

#[cfg(not(target_arch = "x86_64"))]
pub(super) use {now as now_behind, now as roughly_now};
