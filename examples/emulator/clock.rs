//! Time: it comes from the store's clock everywhere. That is the system's, or one that stands still until
//! it is turned on by hand.

use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use crate::calls::Emulator;

/// The last moment that a clock can be turned to, in milliseconds since the Unix epoch: the end of the
/// year 9999, the last that ISO 8601 writes with four digits, as stream labels do.
pub const LAST_MS: u64 = 253_402_300_799_999;

/// Why the clock was not turned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The emulator runs on the system's clock.
    SystemClock,
    /// The clock would pass [`LAST_MS`].
    TooFar {
        /// By how many milliseconds it should have been turned.
        given: u64,
        /// By how many it can be turned at the most.
        allowed: u64,
    },
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SystemClock => f.write_str(
                "the emulator runs on the system's clock; start it with --manual-clock to turn \
                 the clock by hand",
            ),
            Self::TooFar { given, allowed } => write!(
                f,
                "the clock cannot be turned on by {given} ms: at most {allowed} ms are left until \
                 the end of the year 9999"
            ),
        }
    }
}

impl std::error::Error for Refused {}

impl Emulator {
    /// Does what is due in streams that nobody comes to ([`streamcore::Store::maintain`]), and shows it to the
    /// pages that are open. A host that does not use [`serve`](crate::serve) calls this now and then.
    pub fn maintain(&self) {
        self.store.maintain();
        self.watch.say();
    }

    /// Turns a manual clock on, and does what is due in all streams then. The items whose time has come expire
    /// with the next [`Emulator::expire`].
    ///
    /// # Errors
    ///
    /// [`Refused`]; then nothing has changed.
    pub fn advance_clock(&self, by_ms: u64) -> Result<(), Refused> {
        let clock = self.config.manual_clock.as_ref().ok_or(Refused::SystemClock)?;
        // One at a time: nobody turns the clock between the look and the turn.
        let _turning = self.turning.lock();
        let allowed = LAST_MS.saturating_sub(self.store.now_ms());
        if by_ms > allowed {
            return Err(Refused::TooFar { given: by_ms, allowed });
        }
        clock.advance_ms(by_ms);
        self.maintain();
        Ok(())
    }
}

/// A time as ISO 8601 writes it, in UTC.
pub(crate) fn rfc3339(ms: u64) -> String {
    humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_millis(ms.min(LAST_MS)))
        .to_string()
}

/// Reads a time: ISO 8601 in UTC, such as `2026-11-22T12:00:00Z`, or milliseconds since the Unix epoch.
///
/// # Errors
///
/// What is wrong, and what is allowed.
pub fn read_time(text: &str) -> Result<u64, String> {
    let ms = match text.parse::<u64>() {
        Ok(ms) => Some(ms),
        Err(_) => humantime::parse_rfc3339_weak(text)
            .ok()
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .and_then(|since| u64::try_from(since.as_millis()).ok()),
    };
    ms.filter(|ms| *ms <= LAST_MS).ok_or_else(|| {
        format!(
            "`{text}` is no time from 1970 to 9999: allowed are ISO 8601 in UTC, such as \
             2026-11-22T12:00:00Z, and milliseconds since the Unix epoch"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_both_spellings() {
        for (text, ms) in [
            ("0", 0),
            ("1795348800123", 1_795_348_800_123),
            ("1970-01-01T00:00:00Z", 0),
            ("2026-11-22T12:00:00Z", 1_795_348_800_000),
            ("2026-11-22T12:00:00.123Z", 1_795_348_800_123),
            ("9999-12-31T23:59:59.999Z", LAST_MS),
        ] {
            assert_eq!(read_time(text), Ok(ms), "{text}");
        }
        for junk in ["", "now", "-1", "1969-12-31T23:59:59Z", "253402300800000", "2026-13-01"] {
            let said = read_time(junk).expect_err(junk);
            assert!(said.starts_with(&format!("`{junk}` is no time from 1970 to 9999")), "{said}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read() {
        for ms in [0, 1_795_348_800_123, LAST_MS] {
            assert_eq!(read_time(&rfc3339(ms)), Ok(ms));
        }
    }
}
