//! Numbers as people read them.

use super::statistics::Estimate;

/// Nanoseconds, in the unit that suits them.
pub fn time(ns: f64) -> String {
    match ns {
        ns if ns < 9.95 => format!("{ns:.1} ns"),
        ns if ns < 9_999.5 => format!("{} ns", thousands(ns.round() as u64)),
        ns if ns < 99_950.0 => format!("{:.1} µs", ns / 1e3),
        ns if ns < 9_999_500.0 => format!("{} µs", thousands((ns / 1e3).round() as u64)),
        ns => format!("{:.0} ms", ns / 1e6),
    }
}

/// A ratio.
pub fn times(ratio: f64) -> String {
    match ratio {
        ratio if ratio < 0.0095 => format!("{ratio:.4}x"),
        ratio if ratio < 0.095 => format!("{ratio:.3}x"),
        ratio if ratio < 9.95 => format!("{ratio:.2}x"),
        ratio if ratio < 99.5 => format!("{ratio:.1}x"),
        ratio => format!("{}x", thousands(ratio.round() as u64)),
    }
}

/// A ratio with its interval.
pub fn times_within(estimate: &Estimate) -> String {
    let mark = if estimate.is_certain { "" } else { "?" };
    let (low, high) = (times(estimate.low), times(estimate.high));
    format!("{} ({} to {high}){mark}", times(estimate.median), low.trim_end_matches('x'))
}

/// A count that may be small.
pub fn count(value: f64) -> String {
    match value {
        value if value < 0.005 => "0".into(),
        value if value < 9.95 => format!("{value:.1}"),
        value => thousands(value.round() as u64),
    }
}

/// Bytes of memory.
pub fn bytes(value: f64) -> String {
    match value {
        value if value < 1024.0 * 10.0 => format!("{} B", thousands(value.round() as u64)),
        value if value < 10.0 * (1 << 20) as f64 => format!("{:.0} KiB", value / 1024.0),
        value => format!("{} MiB", thousands((value / (1 << 20) as f64).round() as u64)),
    }
}

fn thousands(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A moment, in UTC, to the minute; from seconds since the Unix epoch.
pub fn moment(seconds: u64) -> String {
    let (days, minutes) = (seconds / 86_400, seconds % 86_400 / 60);
    // Days are counted from 1 March 0000, so that a leap day is a year's last day.
    let days = days + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02} {:02}:{:02} UTC", minutes / 60, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let times_of = [0.51, 7.26, 23.4, 2597.6, 88_000.0, 1_234_567.0, 2.5e9].map(time);
        assert_eq!(
            times_of,
            ["0.5 ns", "7.3 ns", "23 ns", "2,598 ns", "88.0 µs", "1,235 µs", "2500 ms"]
        );
        assert_eq!([1.0, 12.34, 1234.4].map(times), ["1.00x", "12.3x", "1,234x"]);
        assert_eq!([0.0, 0.3, 25_000.4].map(count), ["0", "0.3", "25,000"]);
        assert_eq!([48.0, 65_536.0, 2e8].map(bytes), ["48 B", "64 KiB", "191 MiB"]);
    }

    #[test]
    fn moments_are_those_of_the_calendar() {
        assert_eq!(moment(0), "1970-01-01 00:00 UTC");
        assert_eq!(moment(951_827_696), "2000-02-29 12:34 UTC");
        assert_eq!(moment(1_795_351_980), "2026-11-22 12:53 UTC");
    }
}
