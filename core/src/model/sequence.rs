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

/// One digit group of a [`SequenceNumber`].
const GROUP: u64 = 1_000_000_000_000_000_000;
const GROUP_DIGITS: usize = 18;

/// The place of a record among all records of its stream.
///
/// In decimal it is (ordinal of the shard + 1) * 10^20 + n. A shard's starting number has n = 0; the
/// record at position p has n = p + 1. So numbers rise in a shard and from a shard to its children,
/// and have 21 to 30 digits.
///
/// Whatever else has 21 to 40 digits can be read too, and compares as the integer that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SequenceNumber {
    /// Groups of eighteen digits, so that one group more than a `u128` holds is at hand; the derived
    /// order is the integers'.
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
        // 10^20 is a hundred groups.
        let middle = (u64::from(ordinal) + 1) * 100 + n / GROUP;
        Self { high: 0, middle, low: n % GROUP }
    }

    /// The ordinal of the shard; `None` if the number is none that a stream of this library gives.
    #[must_use]
    pub fn ordinal(self) -> Option<u32> {
        let plus_one = (self.high == 0).then_some(self.middle / 100)?;
        u32::try_from(plus_one.checked_sub(1)?).ok()
    }

    /// The position of the record; `None` for a shard's starting number.
    ///
    /// A number too great for any position gives the greatest one.
    #[must_use]
    pub fn position(self) -> Option<Position> {
        let n = u128::from(self.middle % 100) * u128::from(GROUP) + u128::from(self.low);
        Some(Position::new(u64::try_from(n.checked_sub(1)?).unwrap_or(u64::MAX)))
    }

    /// Two words that tell the numbers of one stream apart.
    pub(super) fn halves(self) -> (u64, u64) {
        (self.middle, self.low)
    }

    /// Appends the decimal digits.
    ///
    /// They are written where they stay. Taken from a buffer on the stack, they would be loaded in larger
    /// pieces than they were stored in, for which a processor first finishes all stores before: those of
    /// the images in front of them, too, a third of the time of a page.
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.length(), b'0');
        self.fill(&mut out[start..]);
    }

    /// How many digits there are: at least 21, for those that were read from a text with zeros in front.
    fn length(self) -> usize {
        let count = |number: u64| number.checked_ilog10().map_or(0, |log| log as usize + 1);
        let length = match self.high {
            0 => GROUP_DIGITS + count(self.middle),
            high => 2 * GROUP_DIGITS + count(high),
        };
        length.max(*SEQUENCE_NUMBER_LENGTH.start())
    }

    /// Writes the digits over as many zeros.
    fn fill(self, text: &mut [u8]) {
        let end = text.len();
        put(text, end, self.low);
        put(text, end - GROUP_DIGITS, self.middle);
        if self.high > 0 {
            put(text, end - 2 * GROUP_DIGITS, self.high);
        }
    }
}

/// Writes a number such that its last digit stands before `end`.
fn put(text: &mut [u8], end: usize, mut number: u64) {
    let mut at = end;
    // By two: the divisions wait for one another.
    while number >= 10 {
        let pair = (number % 100) as u8;
        number /= 100;
        text[at - 2] = b'0' + pair / 10;
        text[at - 1] = b'0' + pair % 10;
        at -= 2;
    }
    if number > 0 {
        text[at - 1] = b'0' + number as u8;
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'0'; *SEQUENCE_NUMBER_LENGTH.end()];
        let text = &mut text[..self.length()];
        self.fill(text);
        f.pad(str::from_utf8(text).unwrap_or_default())
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
