//! DynamoDB's numbers: decimal text of at most 38 significant digits, read only to validate it, to
//! measure it and to compare two of them. The text itself is kept as it came.

use smallvec::SmallVec;

/// The most significant digits that DynamoDB stores.
const MAX_DIGITS: usize = 38;
/// The power of ten of the first digit lies between these (1E-130 to 9.99...E+125).
const EXPONENTS: std::ops::RangeInclusive<i64> = -130..=125;

/// What is wrong with the text of a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NumberProblem {
    NotANumber,
    TooManyDigits,
    TooLarge,
    TooSmall,
}

/// A number taken apart, such that equal values are equal structs: no zeros at either end of the
/// digits, and zero itself has none.
///
/// The derived order is arbitrary; it exists for sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Decimal {
    negative: bool,
    /// The power of ten of the first digit.
    exponent: i16,
    length: u8,
    /// The digits' values; those past `length` are 0.
    digits: [u8; MAX_DIGITS],
}

impl Decimal {
    /// Reads `[+-]digits[.digits][e[+-]digits]`, with a digit at least on one side of the point.
    pub(crate) fn parse(text: &str) -> Result<Self, NumberProblem> {
        let (negative, unsigned) = split_sign(text);
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], parse_power(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };

        let mut digits = [0; MAX_DIGITS];
        let mut length = 0; // up to the last digit that is not 0
        let mut seen = 0; // from the first digit that is not 0
        let mut leading = 0_i64; // zeros right of the point and left of the first digit
        let mut whole = None; // digits left of the point, from the first that is not 0
        let mut any = false;
        for byte in mantissa.bytes() {
            match byte {
                b'.' if whole.is_none() => whole = Some(seen),
                b'0'..=b'9' => {
                    any = true;
                    if byte != b'0' {
                        *digits.get_mut(seen).ok_or(NumberProblem::TooManyDigits)? = byte - b'0';
                        length = seen + 1;
                    }
                    if seen > 0 || byte != b'0' {
                        seen += 1;
                    } else if whole.is_some() {
                        leading += 1;
                    }
                }
                _ => return Err(NumberProblem::NotANumber),
            }
        }
        if !any {
            return Err(NumberProblem::NotANumber);
        }
        if length == 0 {
            return Ok(Self { negative: false, exponent: 0, length: 0, digits });
        }

        let whole = i64::try_from(whole.unwrap_or(seen)).unwrap_or(i64::MAX);
        let exponent = power.saturating_add(whole).saturating_sub(leading).saturating_sub(1);
        if exponent > *EXPONENTS.end() {
            return Err(NumberProblem::TooLarge);
        }
        if exponent < *EXPONENTS.start() {
            return Err(NumberProblem::TooSmall);
        }
        // Both fit: they were just compared with far smaller bounds.
        Ok(Self { negative, exponent: exponent as i16, length: length as u8, digits })
    }

    /// The bytes that DynamoDB counts for the number: one, one per two significant digits, and one
    /// for a minus sign.
    ///
    /// Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    pub(crate) fn size_bytes(&self) -> u64 {
        size(usize::from(self.length), self.negative)
    }
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The power behind an `e`; one too long for an `i64` counts as the greatest or the least.
fn parse_power(text: &str) -> Result<i64, NumberProblem> {
    let (negative, digits) = split_sign(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(NumberProblem::NotANumber);
    }
    let power = digits.parse().unwrap_or(i64::MAX);
    Ok(if negative { -power } else { power })
}

fn size(significant_digits: usize, negative: bool) -> u64 {
    1 + significant_digits.div_ceil(2) as u64 + u64::from(negative)
}

/// The bytes that DynamoDB counts for `text`; text that is no number counts as what it is.
pub(crate) fn size_bytes(text: &str) -> u64 {
    match significant_of_integer(text) {
        Some((significant, negative)) => size(significant, negative && significant > 0),
        None => Decimal::parse(text).map_or(text.len() as u64, |decimal| decimal.size_bytes()),
    }
}

/// The significant digits of an integer of up to 38 digits, and whether it has a minus sign. Nearly every
/// number is one, and each put measures its keys: so in one pass.
#[inline]
fn significant_of_integer(text: &str) -> Option<(usize, bool)> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    // From the first digit that is not 0 to behind the last one.
    let (mut start, mut end) = (0, 0);
    for (at, byte) in digits.iter().enumerate() {
        match byte {
            b'0' => {}
            b'1'..=b'9' => {
                if end == 0 {
                    start = at;
                }
                end = at + 1;
            }
            _ => return None,
        }
    }
    Some((end - start, digits.len() < text.len()))
}

/// The bytes of a number's value, the same for all texts of it: its sign, the power of ten of its first
/// digit as two bytes (little-endian), and its digits. A text that is no number stands for itself.
pub(crate) fn canonical_bytes(text: &str) -> SmallVec<[u8; 48]> {
    let Ok(decimal) = Decimal::parse(text) else {
        return text.as_bytes().into();
    };
    let mut bytes = SmallVec::new();
    bytes.push(u8::from(decimal.negative));
    bytes.extend(decimal.exponent.to_le_bytes());
    bytes.extend_from_slice(&decimal.digits[..usize::from(decimal.length)]);
    bytes
}

/// Whether two texts are one number; texts that are no numbers are compared as texts.
pub(crate) fn same(one: &str, other: &str) -> bool {
    one == other || matches!((Decimal::parse(one), Decimal::parse(other)), (Ok(a), Ok(b)) if a == b)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn one_value_has_one_form() {
        for (one, other) in [
            ("0", "-0.000e99999999999999999999"),
            ("1", "+1.0"),
            ("1200", "1.2e3"),
            ("0.00012", "12E-5"),
            (".5", "5e-1"),
            ("7.", "0007"),
        ] {
            assert!(same(one, other), "{one} and {other}");
            assert_eq!(size_bytes(one), size_bytes(other));
        }
        for (one, other) in [("1", "-1"), ("1", "10"), ("12", "1.2"), ("a", "b")] {
            assert!(!same(one, other), "{one} and {other}");
        }
    }

    #[test]
    fn sizes_follow_the_guide() {
        for (text, size) in [("0", 1), ("1", 2), ("-1", 3), ("12", 2), ("123", 3), ("1000", 2)] {
            assert_eq!(size_bytes(text), size, "{text}");
        }
        assert_eq!(size_bytes(&"9".repeat(38)), 20);
    }

    #[test]
    fn the_limits_are_dynamodbs() {
        let nines = "9".repeat(38);
        for text in [&*nines, "1e-130", "9.99e125", "-9.99e125", &format!("{nines}e88")] {
            assert!(Decimal::parse(text).is_ok(), "{text}");
        }
        for (text, problem) in [
            ("", NumberProblem::NotANumber),
            ("-", NumberProblem::NotANumber),
            (".", NumberProblem::NotANumber),
            ("1.2.3", NumberProblem::NotANumber),
            ("1e", NumberProblem::NotANumber),
            ("1e+", NumberProblem::NotANumber),
            ("1e1.5", NumberProblem::NotANumber),
            ("0x10", NumberProblem::NotANumber),
            ("NaN", NumberProblem::NotANumber),
            (" 1", NumberProblem::NotANumber),
            (&*format!("{nines}1"), NumberProblem::TooManyDigits),
            ("1e126", NumberProblem::TooLarge),
            ("1e99999999999999999999", NumberProblem::TooLarge),
            ("1e-131", NumberProblem::TooSmall),
            ("-1e-99999999999999999999", NumberProblem::TooSmall),
        ] {
            assert_eq!(Decimal::parse(text), Err(problem), "{text}");
        }
    }

    proptest! {
        #[test]
        fn zeros_and_powers_do_not_change_a_number(
            number in any::<i64>(), zeros in 0_usize..20, power in 0_usize..20,
        ) {
            let plain = number.to_string();
            let (sign, digits) = plain.strip_prefix('-').map_or(("", &*plain), |rest| ("-", rest));
            let (zeros, moved) = ("0".repeat(zeros), "0".repeat(power));
            let scaled = format!("{sign}{zeros}{digits}{moved}.{zeros}e-{power}");
            prop_assert!(same(&plain, &scaled), "{} and {}", plain, scaled);
            prop_assert_eq!(size_bytes(&plain), size_bytes(&scaled));
            let tenfold = format!("{plain}0");
            prop_assert_eq!(same(&plain, &tenfold), number == 0);
        }

        #[test]
        fn no_text_panics(text in "[-+0-9.eE\\PC]{0,60}") {
            let _ = (Decimal::parse(&text), size_bytes(&text));
        }
    }
}
