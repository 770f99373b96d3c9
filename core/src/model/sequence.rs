//! Sequence numbers: a shard's ordinal and a position in it, as one decimal number.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use super::arn::excerpt;
use crate::error::Error;
use crate::log::Position;

/// The lengths of a sequence number, in digits.
///
/// Source: Amazon DynamoDB Streams API Reference, `GetShardIterator`, `SequenceNumber`.
pub(crate) const SEQUENCE_NUMBER_LENGTH: RangeInclusive<usize> = 21..=40;

/// A [`SequenceNumber`] is kept as groups of so many decimal digits.
pub(crate) const GROUP_DIGITS: usize = 16;
const GROUP: u64 = 10_u64.pow(GROUP_DIGITS as u32);
/// What a shard's ordinal counts for in the middle group: 10^20 in all.
const SHARD: u64 = 10_u64.pow(20 - GROUP_DIGITS as u32);

/// The place of a record among all records of its stream.
///
/// In decimal it is (ordinal of the shard + 1) * 10^20 + n. A shard's starting number has n = 0; the
/// record at position p has n = p + 1. So numbers rise in a shard and from a shard to its children,
/// and have 21 to 30 digits.
///
/// Whatever else has 21 to 40 digits can be read too, and compares as the integer that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    // Forty digits are more than a `u128` holds. The derived order is the integers'.
    high: u64,
    middle: u64,
    low: u64,
}

impl SequenceNumber {
    /// The number of the record at a position of a shard.
    #[must_use]
    pub fn new(ordinal: u32, position: Position) -> Self {
        Self::from_parts(ordinal, position.get().saturating_add(1))
    }

    /// The number that a shard starts with: less than that of each of its records.
    #[must_use]
    pub fn starting(ordinal: u32) -> Self {
        Self::from_parts(ordinal, 0)
    }

    fn from_parts(ordinal: u32, n: u64) -> Self {
        let middle = (u64::from(ordinal) + 1) * SHARD + n / GROUP;
        Self { high: 0, middle, low: n % GROUP }
    }

    /// The ordinal of the shard; `None` if the number is none that a stream of this library gives.
    #[must_use]
    pub fn ordinal(self) -> Option<u32> {
        let plus_one = (self.high == 0).then_some(self.middle / SHARD)?;
        u32::try_from(plus_one.checked_sub(1)?).ok()
    }

    /// The position of the record; `None` for a shard's starting number.
    ///
    /// A number too great for any position gives the greatest one.
    #[must_use]
    pub fn position(self) -> Option<Position> {
        let n = u128::from(self.middle % SHARD) * u128::from(GROUP) + u128::from(self.low);
        Some(Position::new(u64::try_from(n.checked_sub(1)?).unwrap_or(u64::MAX)))
    }

    /// The number's digits in groups of [`GROUP_DIGITS`], the highest first.
    pub(crate) fn groups(self) -> [u64; 3] {
        [self.high, self.middle, self.low]
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { high, middle, low } = self;
        match high {
            // At least 21 digits: a number that was read may have zeros in front.
            0 => write!(f, "{middle:05}{low:016}"),
            _ => write!(f, "{high}{middle:016}{low:016}"),
        }
    }
}

impl FromStr for SequenceNumber {
    type Err = Error;

    /// Reads 21 to 40 decimal digits.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidSequenceNumber`] for any other text.
    fn from_str(text: &str) -> Result<Self, Error> {
        let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits || !SEQUENCE_NUMBER_LENGTH.contains(&text.len()) {
            return Err(Error::InvalidSequenceNumber { given: excerpt(text) });
        }
        let group = |digits: &str| {
            digits.bytes().fold(0, |number, digit| number * 10 + u64::from(digit - b'0'))
        };
        let (rest, low) = text.split_at(text.len() - GROUP_DIGITS);
        let (high, middle) = rest.split_at(rest.len().saturating_sub(GROUP_DIGITS));
        Ok(Self { high: group(high), middle: group(middle), low: group(low) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_of_the_first_shard() {
        let starting = SequenceNumber::starting(0);
        assert_eq!(starting.to_string(), "100000000000000000000");
        assert_eq!(starting.position(), None);
        let first = SequenceNumber::new(0, Position::new(0));
        assert_eq!(first.to_string(), "100000000000000000001");
        assert!(starting < first && first < SequenceNumber::starting(1));
        assert_eq!(
            SequenceNumber::new(u32::MAX, Position::new(u64::MAX - 1)).to_string(),
            "429496729618446744073709551615"
        );
    }

    #[test]
    fn strangers_read_back_and_compare() {
        let ascending = [
            "000000000000000000000",
            "000000000000000000001",
            "099999999999999999999",
            "100000000000000000000",
            "199999999999999999999",
            "999999999999999999999999999999999999999",
            "9999999999999999999999999999999999999998",
            "9999999999999999999999999999999999999999",
        ];
        let numbers = ascending.map(|text| text.parse::<SequenceNumber>().unwrap());
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(numbers.map(|number| number.to_string()), ascending);
        assert_eq!(numbers[0].ordinal(), None);
        assert_eq!(numbers[7].ordinal(), None);
        assert_eq!(numbers[4].ordinal(), Some(0));
        assert_eq!(numbers[4].position(), Some(Position::new(u64::MAX)));
    }

    #[test]
    fn what_is_no_sequence_number() {
        let (short, long) = ("1".repeat(20), "1".repeat(41));
        for text in ["", "1", &*short, &*long, "10000000000000000000x", "+100000000000000000000"] {
            assert_eq!(
                text.parse::<SequenceNumber>(),
                Err(Error::InvalidSequenceNumber { given: text.into() })
            );
        }
    }

    proptest! {
        #[test]
        fn digits_and_order_are_the_integers(
            a in (any::<u32>(), 0..u64::MAX), b in (any::<u32>(), 0..u64::MAX),
        ) {
            let integer = |(ordinal, position): (u32, u64)| {
                (u128::from(ordinal) + 1) * 10_u128.pow(20) + u128::from(position) + 1
            };
            let number = |(ordinal, position)| SequenceNumber::new(ordinal, Position::new(position));
            prop_assert_eq!(number(a).to_string(), integer(a).to_string());
            prop_assert_eq!(number(a).cmp(&number(b)), integer(a).cmp(&integer(b)));
            prop_assert_eq!(number(a).to_string().parse::<SequenceNumber>(), Ok(number(a)));
            prop_assert_eq!(number(a).ordinal(), Some(a.0));
            prop_assert_eq!(number(a).position(), Some(Position::new(a.1)));
        }

        #[test]
        fn any_digits_read_as_their_integer(a in "[0-9]{21,38}", b in "[0-9]{21,38}") {
            let number = |text: &str| text.parse::<SequenceNumber>().unwrap();
            let integer = |text: &str| text.parse::<u128>().unwrap();
            prop_assert_eq!(number(&a).cmp(&number(&b)), integer(&a).cmp(&integer(&b)));
            prop_assert_eq!(number(&a).to_string(), format!("{:021}", integer(&a)));
        }
    }
}
