//! Sequence numbers: a shard's ordinal and a position in it, as one decimal number.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use smallvec::SmallVec;

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
    /// They go from registers to where they stay. Collected on the stack, they would be loaded in larger
    /// pieces than they were stored in; for that a processor first finishes all stores before, and those
    /// of the images in front of them are a third of the time of a page.
    #[cfg(feature = "serde")]
    pub(crate) fn write(self, out: &mut Vec<u8>) {
        self.pieces(|digits| out.extend_from_slice(digits));
    }

    /// Hands out the digits from left to right.
    #[inline]
    fn pieces(self, mut piece: impl FnMut(&[u8])) {
        // Sixteen digits in front of sixteen, as far as there are.
        let (first, rest) = (self.low / SIXTEEN_DIGITS, self.low % SIXTEEN_DIGITS);
        if self.high > 0 || self.middle >= SIXTEEN_DIGITS / 100 {
            return piece(self.many_digits().as_bytes());
        }
        let front = self.middle * 100 + first;
        let (upper, lower) = (front / EIGHT_DIGITS, front % EIGHT_DIGITS);
        let lower = eight_digits(lower);
        if upper == 0 {
            // All zeros but those of the last five digits: 21 are the fewest there may be.
            piece(&lower.to_le_bytes()[zeros_in_front(lower).min(3)..]);
        } else {
            // The ten thousandth shard, and whatever goes on after a restore.
            let upper = eight_digits(upper);
            piece(&upper.to_le_bytes()[zeros_in_front(upper)..]);
            piece(&lower.to_le_bytes());
        }
        piece(&eight_digits(rest / EIGHT_DIGITS).to_le_bytes());
        piece(&eight_digits(rest % EIGHT_DIGITS).to_le_bytes());
    }

    /// The digits where there are more than 32: not of this library's numbers.
    #[cold]
    fn many_digits(self) -> String {
        match self {
            Self { high: 0, middle, low } => format!("{middle}{low:018}"),
            Self { high, middle, low } => format!("{high}{middle:018}{low:018}"),
        }
    }
}

const EIGHT_DIGITS: u64 = 100_000_000;
const SIXTEEN_DIGITS: u64 = EIGHT_DIGITS * EIGHT_DIGITS;
/// Eight times the digit 0.
const ZEROS: u64 = u64::from_le_bytes([b'0'; 8]);

/// The last eight decimal digits of a number below 10^8, the first one in the lowest byte. The number is
/// split in two halves, these in two, and these again, all that are there at once.
#[inline]
fn eight_digits(number: u64) -> u64 {
    let halves = (number / 10_000) | ((number % 10_000) << 32);
    // 10,486 / 2^20 is a hundredth, as far as four digits go; 103 / 2^10 a tenth, as far as two go.
    let hundreds = (halves * 10_486) >> 20 & 0x7f_0000_007f;
    let quarters = hundreds | (halves - 100 * hundreds) << 16;
    let tens = (quarters * 103) >> 10 & 0x000f_000f_000f_000f;
    (tens | (quarters - 10 * tens) << 8) + ZEROS
}

/// How many of eight digits are zeros that stand in front.
#[inline]
fn zeros_in_front(digits: u64) -> usize {
    ((digits ^ ZEROS).trailing_zeros() / 8) as usize
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = SmallVec::<[u8; 40]>::new();
        self.pieces(|digits| text.extend_from_slice(digits));
        f.pad(str::from_utf8(&text).unwrap_or_default())
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

    #[test]
    fn eight_digits_are_those_of_the_standard_library() {
        // Each half, alone and beside others.
        let numbers = (0..10_000).flat_map(|n| [n, n * 10_000, n * 10_001, 99_999_999 - n]);
        for number in numbers {
            assert_eq!(&eight_digits(number).to_le_bytes()[..], format!("{number:08}").as_bytes());
        }
    }

    #[cfg(feature = "serde")]
    #[test]
    fn written_and_shown_are_the_same() {
        for ordinal in [0, 8, 98, 998, 9_998, 9_999, 1 << 20, 99_999_999, u32::MAX] {
            for position in [0, 8, 99_999_998, 99_999_999, GROUP - 2, GROUP - 1, u64::MAX - 1] {
                let number = SequenceNumber::new(ordinal, Position::new(position));
                let mut out = b"x".to_vec();
                number.write(&mut out);
                let integer =
                    (u128::from(ordinal) + 1) * 10_u128.pow(20) + u128::from(position) + 1;
                assert_eq!(String::from_utf8(out).unwrap(), format!("x{integer}"));
                assert_eq!(number.to_string(), integer.to_string());
            }
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
