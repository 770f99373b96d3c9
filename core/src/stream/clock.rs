//! Time, as a store sees it.
//!
//! DynamoDB shows whole seconds, so the system clock is read coarsely where the system offers that (some
//! milliseconds of resolution, a tenth of the price). A test brings a clock that it turns itself.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a store gets the time from.
pub trait Clock: Send + Sync {
    /// Milliseconds since the Unix epoch. Called once per record, so it must be quick; it may stand
    /// still, but should not go back.
    fn now_ms(&self) -> u64;
}

/// The system's clock, read coarsely: on Linux as of the kernel's last tick, 1 to 10 milliseconds ago.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[inline]
    fn now_ms(&self) -> u64 {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Ok(now) = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME_COARSE) {
            // A clock that stands before the epoch stands at the epoch.
            let seconds = u64::try_from(now.tv_sec()).unwrap_or(0);
            return seconds * 1000 + now.tv_nsec() as u64 / 1_000_000;
        }
        let since_epoch = std::time::SystemTime::UNIX_EPOCH.elapsed();
        since_epoch.map_or(0, |since_epoch| since_epoch.as_millis() as u64)
    }
}

/// A clock that stands still until somebody turns it.
pub struct ManualClock {
    now_ms: AtomicU64,
}

impl ManualClock {
    /// A clock that shows the given time, in milliseconds since the Unix epoch.
    pub fn at_ms(now_ms: u64) -> Self {
        Self { now_ms: AtomicU64::new(now_ms) }
    }

    /// Turns the clock on by so many milliseconds.
    pub fn advance_ms(&self, by: u64) {
        // Relaxed: the clock orders nothing but itself.
        self.now_ms.fetch_add(by, Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> u64 {
        // Relaxed: the clock orders nothing but itself.
        self.now_ms.load(Ordering::Relaxed)
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ManualClock").field(&self.now_ms()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_agrees_with_the_standard_library() {
        let exact = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64;
        let coarse = SystemClock.now_ms();
        assert!(coarse.abs_diff(exact) < 1_000, "{coarse} against {exact}");
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = ManualClock::at_ms(5);
        assert_eq!(clock.now_ms(), 5);
        clock.advance_ms(10);
        assert_eq!(clock.now_ms(), 15);
    }
}
