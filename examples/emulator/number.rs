//! Numbers as DynamoDB keeps them: decimals of at most 38 significant digits,
//! stored in one canonical spelling, added exactly, and sortable as bytes.
//!
//! Rules: AWS developer guide, "Supported data types and naming rules", Number.

use std::str::FromStr;

use bigdecimal::BigDecimal;

use crate::error::ApiError;

const MAX_DIGITS: usize = 38;
/// As a power of ten behind `0.d1d2...`: values stay below 1e126 ...
const MAX_EXPONENT: i64 = 126;
/// ... and at or above 1e-130.
const MIN_EXPONENT: i64 = -129;

/// A validated number: `0.DIGITS * 10^exponent`, no zeros at either end of the digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    /// Reads what a client sent, with DynamoDB's words for what it refuses.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let bad = || {
            ApiError::validation(if text.is_empty() {
                "The parameter cannot be converted to a numeric value".to_owned()
            } else {
                format!("The parameter cannot be converted to a numeric value: {text}")
            })
        };
        let (negative, unsigned) = match text.as_bytes().first() {
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            _ => (false, text),
        };
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], unsigned[at + 1..].parse::<i64>().map_err(|_| bad())?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        if whole.len() + fraction.len() == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(bad());
        }
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let leading = digits.iter().take_while(|d| **d == b'0').count();
        digits.drain(..leading);
        while digits.last() == Some(&b'0') {
            digits.pop();
        }
        if digits.is_empty() {
            return Ok(Self { negative: false, digits, exponent: 0 });
        }
        let exponent = power.saturating_add(whole.len() as i64).saturating_sub(leading as i64);
        if digits.len() > MAX_DIGITS {
            return Err(ApiError::validation(
                "Attempting to store more than 38 significant digits in a Number",
            ));
        }
        if exponent > MAX_EXPONENT {
            return Err(ApiError::validation(
                "Number overflow. Attempting to store a number with magnitude larger than \
                 supported range",
            ));
        }
        if exponent < MIN_EXPONENT {
            return Err(ApiError::validation(
                "Number underflow. Attempting to store a number with magnitude smaller than \
                 supported range",
            ));
        }
        Ok(Self { negative, digits, exponent })
    }

    /// The canonical spelling: plain notation, no superfluous zero.
    pub(crate) fn to_plain(&self) -> String {
        if self.digits.is_empty() {
            return "0".to_owned();
        }
        let mut out = String::with_capacity(self.digits.len() + 8);
        if self.negative {
            out.push('-');
        }
        let point = usize::try_from(self.exponent).unwrap_or(0);
        if point == 0 {
            out.push_str("0.");
            out.extend(std::iter::repeat_n('0', self.exponent.unsigned_abs() as usize));
            out.extend(self.digits.iter().map(|d| char::from(*d)));
            return out;
        }
        for (index, digit) in self.digits.iter().enumerate() {
            if index == point {
                out.push('.');
            }
            out.push(char::from(*digit));
        }
        out.extend(std::iter::repeat_n('0', point.saturating_sub(self.digits.len())));
        out
    }

    /// Appends bytes that compare as the numbers do.
    pub(crate) fn write_sort_key(&self, out: &mut Vec<u8>) {
        if self.digits.is_empty() {
            out.push(1);
            return;
        }
        out.push(if self.negative { 0 } else { 2 });
        let from = out.len();
        let shifted = (self.exponent - MIN_EXPONENT) as u16;
        out.extend_from_slice(&shifted.to_be_bytes());
        out.extend_from_slice(&self.digits);
        if self.negative {
            // Inverted, and closed with the largest byte: -0.123 lies below -0.12.
            for byte in &mut out[from..] {
                *byte = !*byte;
            }
            out.push(0xff);
        }
    }
}

/// The canonical spelling of `text`, or `None` if it has that already. Integers
/// that need no work, nearly all there are, cost one scan.
pub(crate) fn canonical(text: &str) -> Result<Option<String>, ApiError> {
    let digits = text.strip_prefix('-').unwrap_or(text).as_bytes();
    let plain_integer = (1..=MAX_DIGITS).contains(&digits.len())
        && digits[0] != b'0'
        && digits.iter().all(u8::is_ascii_digit);
    if plain_integer || text == "0" {
        return Ok(None);
    }
    let plain = Decimal::parse(text)?.to_plain();
    Ok((plain != text).then_some(plain))
}

/// The order of two canonical numbers.
pub(crate) fn compare(left: &str, right: &str) -> std::cmp::Ordering {
    let key = |text: &str| {
        let mut out = Vec::with_capacity(48);
        if let Ok(number) = Decimal::parse(text) {
            number.write_sort_key(&mut out);
        }
        out
    };
    key(left).cmp(&key(right))
}

/// `left + right`, or `left - right`, exact; canonical.
pub(crate) fn add(left: &str, right: &str, subtract: bool) -> Result<String, ApiError> {
    let exact = |text: &str| {
        BigDecimal::from_str(text).map_err(|_| {
            ApiError::new(crate::error::ErrorKind::Internal, format!("not a number: {text}"))
        })
    };
    let (left, right) = (exact(left)?, exact(right)?);
    let sum = if subtract { left - right } else { left + right };
    Ok(Decimal::parse(&sum.to_plain_string())?.to_plain())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        Decimal::parse(text).expect(text).to_plain()
    }

    fn refused(text: &str) -> String {
        Decimal::parse(text).expect_err(text).message().to_owned()
    }

    #[test]
    fn every_spelling_of_a_number_becomes_one() {
        for (given, kept) in [
            ("1.0", "1"),
            ("+1", "1"),
            ("-0", "0"),
            ("0e500", "0"),
            ("00012.3400", "12.34"),
            ("1e3", "1000"),
            ("12E-4", "0.0012"),
            ("-.5", "-0.5"),
            ("5.", "5"),
            ("0.1", "0.1"),
        ] {
            assert_eq!(plain(given), kept, "{given}");
            assert_eq!(canonical(given).expect(given).as_deref().unwrap_or(given), kept);
        }
        assert_eq!(plain("1e125").len(), 126);
    }

    #[test]
    fn out_of_range_and_junk_are_refused_in_awss_words() {
        assert!(refused("1e126").starts_with("Number overflow."));
        assert!(refused("-9.9e999999999999").starts_with("Number overflow."));
        assert!(refused("1e-131").starts_with("Number underflow."));
        assert!(refused(&"1".repeat(39)).starts_with("Attempting to store more than 38"));
        for junk in ["", "abc", "1_000", "--1", "1e", "0x10", "1.2.3", ".", "NaN", "é"] {
            assert!(
                refused(junk).starts_with("The parameter cannot be converted to a numeric value"),
                "{junk}"
            );
        }
    }

    #[test]
    fn sort_keys_order_as_the_numbers_do() {
        let ascending = [
            "-1e125", "-123", "-12.3", "-12", "-1.21", "-1.2", "-1e-130", "0", "1e-130", "0.5",
            "1", "1.2", "1.21", "9", "10", "123", "1e125",
        ];
        for pair in ascending.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), std::cmp::Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), std::cmp::Ordering::Greater, "{pair:?}");
            assert_eq!(compare(pair[0], pair[0]), std::cmp::Ordering::Equal, "{pair:?}");
        }
    }

    #[test]
    fn sums_are_exact_or_refused() {
        assert_eq!(add("0.1", "0.2", false).expect("sum"), "0.3");
        assert_eq!(add("1", "1", true).expect("difference"), "0");
        assert_eq!(add("99999999999999999999", "1", false).expect("sum"), "100000000000000000000");
        let big = plain("1e125");
        assert!(add(&big, "1", false).is_err(), "126 significant digits");
    }
}
