//! Stream labels: a moment in UTC, to the millisecond, as `2015-05-20T20:51:10.252`.

/// The label of a moment, given in milliseconds since the epoch.
///
/// Years past 9999 take more digits than a label has; no clock of today shows them.
pub(crate) fn from_epoch_ms(ms: u64) -> String {
    match written(ms) {
        Some(text) => String::from_utf8(text.into()).unwrap_or_default(),
        None => with_a_long_year(ms),
    }
}

#[cold]
fn with_a_long_year(ms: u64) -> String {
    let (days, time) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date_of(days);
    let (hour, minute) = (time / 3_600_000, time / 60_000 % 60);
    let (second, milli) = (time / 1000 % 60, time % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}")
}

/// The moment that a label names, if it is one, in milliseconds since the epoch.
pub(crate) fn to_epoch_ms(label: &str) -> Option<u64> {
    let text = label.as_bytes();
    let number = |range: std::ops::Range<usize>| {
        text.get(range)?.iter().try_fold(0, |number, digit| {
            Some(number * 10 + u64::from(char::from(*digit).to_digit(10)?))
        })
    };
    let days = days_before(number(0..4)?, number(5..7)?, number(8..10)?)?;
    let minutes = number(11..13)? * 60 + number(14..16)?;
    let ms = days * 86_400_000 + minutes * 60_000 + number(17..19)? * 1000 + number(20..23)?;
    // Writing it again settles the separators and the ranges all at once.
    written(ms).is_some_and(|written| written == text).then_some(ms)
}

/// The text of a moment; `None` if its year has more than four digits. By hand: every stream that is
/// registered has one, and formatting it takes five times as long.
pub(crate) fn written(ms: u64) -> Option<[u8; 23]> {
    let (days, time) = (ms / 86_400_000, ms % 86_400_000);
    let (year, month, day) = date_of(days);
    if year > 9999 {
        return None;
    }
    let mut text = *b"0000-00-00T00:00:00.000";
    let mut put = |at: std::ops::Range<usize>, mut number: u64| {
        for place in text[at].iter_mut().rev() {
            *place = b'0' + (number % 10) as u8;
            number /= 10;
        }
    };
    put(0..4, year);
    put(5..7, month);
    put(8..10, day);
    put(11..13, time / 3_600_000);
    put(14..16, time / 60_000 % 60);
    put(17..19, time / 1000 % 60);
    put(20..23, time % 1000);
    Some(text)
}

/// Year, month and day, `days` after 1970-01-01, in the Gregorian calendar.
fn date_of(days: u64) -> (u64, u64, u64) {
    // Counted from 0000-03-01, so that the leap day comes last in its year.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// The days from 1970-01-01 to a date; `None` before that day or for a month that is none.
fn days_before(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || day == 0 {
        return None;
    }
    let year = if month <= 2 { year.checked_sub(1)? } else { year };
    let march_month = if month <= 2 { month + 9 } else { month - 3 };
    let leap_days = year / 4 - year / 100 + year / 400;
    (year * 365 + leap_days + (153 * march_month + 2) / 5 + day - 1).checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_moments() {
        for (ms, label) in [
            (0, "1970-01-01T00:00:00.000"),
            (951_782_399_999, "2000-02-28T23:59:59.999"),
            (951_782_400_000, "2000-02-29T00:00:00.000"),
            (1_432_155_070_252, "2015-05-20T20:51:10.252"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999"),
        ] {
            assert_eq!(from_epoch_ms(ms), label);
            assert_eq!(to_epoch_ms(label), Some(ms));
        }
    }

    #[test]
    fn a_year_may_be_too_long_for_a_label() {
        assert_eq!(from_epoch_ms(253_402_300_800_000), "10000-01-01T00:00:00.000");
        assert_eq!(to_epoch_ms("10000-01-01T00:00:00.000"), None);
    }

    #[test]
    fn what_is_no_label() {
        for text in [
            "",
            "2015-05-20",
            "2015-05-20 20:51:10.252",
            "2015-05-20T20:51:10.252Z",
            "2015-13-20T20:51:10.252",
            "2015-00-20T20:51:10.252",
            "2015-02-30T20:51:10.252",
            "2015-05-20T24:00:00.000",
            "2015-05-20T20:60:00.000",
            "+015-05-20T20:51:10.252",
            "1969-12-31T23:59:59.999",
            "\u{662}015-05-20T20:51:10.25",
        ] {
            assert_eq!(to_epoch_ms(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_moment_reads_back(ms in 0..253_402_300_800_000_u64) {
            prop_assert_eq!(to_epoch_ms(&from_epoch_ms(ms)), Some(ms));
        }
    }
}
