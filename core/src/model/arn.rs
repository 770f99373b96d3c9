//! Stream ARNs: `arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;

use super::label;
use crate::error::Error;

/// The lengths of a stream ARN.
///
/// Source: Amazon DynamoDB Streams API Reference, `DescribeStream`, `StreamArn`.
pub(crate) const ARN_LENGTH: RangeInclusive<usize> = 37..=1024;

/// The lengths of a table name.
///
/// Source: Amazon DynamoDB API Reference, `CreateTable`, `TableName`.
pub(crate) const TABLE_NAME_LENGTH: RangeInclusive<usize> = 3..=255;

/// The ARN of a stream, known to be well formed. A clone shares the text.
#[derive(Clone)]
pub struct StreamArn {
    text: Arc<str>,
    /// Where the region, the account and the table's name end in the text, and where the first
    /// starts. The rest follows: one byte between the first three, `/stream/` before the label.
    region_start: u16,
    region_end: u16,
    account_end: u16,
    table_end: u16,
    /// The moment that the label names.
    label_ms: u64,
}

/// What comes before the region of an ARN that is made here.
const SERVICE: &str = "arn:aws:dynamodb:";
const BEFORE_TABLE: &str = ":table/";
const BEFORE_LABEL: &str = "/stream/";

impl StreamArn {
    /// The ARN of the stream that was enabled on a table at a moment, given in milliseconds since
    /// the epoch.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidTableName`] and [`Error::InvalidArn`] name the part that is malformed.
    pub fn new(region: &str, account: &str, table: &str, created_ms: u64) -> Result<Self, Error> {
        check_table_name(table)?;
        if let Some(arn) = Self::of_parts(region, account, table, created_ms) {
            return Ok(arn);
        }
        let label = label::from_epoch_ms(created_ms);
        Self::parse(
            &[SERVICE, region, ":", account, BEFORE_TABLE, table, BEFORE_LABEL, &label].concat(),
        )
    }

    /// Puts together parts that are well formed, of which the table's name is known to be so. Taking the text
    /// apart again would cost as much as all the rest of registering a stream.
    fn of_parts(region: &str, account: &str, table: &str, label_ms: u64) -> Option<Self> {
        let label = label::written(label_ms)?;
        let label = str::from_utf8(&label).ok()?;
        let parts = [SERVICE, region, ":", account, BEFORE_TABLE, table, BEFORE_LABEL, label];
        let length = parts.iter().map(|part| part.len()).sum();
        if !(ARN_LENGTH.contains(&length) && is_region(region) && is_account(account)) {
            return None;
        }
        let mut text = String::with_capacity(length);
        parts.iter().for_each(|part| text.push_str(part));
        let region_end = SERVICE.len() + region.len();
        let account_end = region_end + 1 + account.len();
        let table_end = account_end + BEFORE_TABLE.len() + table.len();
        // Offsets fit: the text has at most 1024 bytes.
        Some(Self {
            text: text.into(),
            region_start: SERVICE.len() as u16,
            region_end: region_end as u16,
            account_end: account_end as u16,
            table_end: table_end as u16,
            label_ms,
        })
    }

    /// Reads an ARN. Every partition of AWS is taken (`aws`, `aws-cn`, ...).
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArn`] names the first part that is malformed.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::take_apart(text)
            .map_err(|problem| Error::InvalidArn { given: excerpt(text), problem })
    }

    fn take_apart(text: &str) -> Result<Self, &'static str> {
        if !ARN_LENGTH.contains(&text.len()) {
            return Err("it has not 37 to 1024 characters");
        }
        let rest = text.strip_prefix("arn:").ok_or("it does not start with `arn:`")?;
        let (partition, rest) = rest.split_once(':').ok_or("it has no partition")?;
        if !partition.starts_with("aws") || !is_made_of(partition, "-") {
            return Err("its partition is none of AWS");
        }
        let rest = rest.strip_prefix("dynamodb:").ok_or("its service is not `dynamodb`")?;
        let (region, rest) = rest.split_once(':').ok_or("it has no region")?;
        if !is_region(region) {
            return Err("its region is not made of a-z, 0-9 and `-`");
        }
        let (account, rest) = split_at(rest, BEFORE_TABLE).ok_or("it has no table")?;
        if !is_account(account) {
            return Err("its account has not 12 digits");
        }
        let (table, label) = split_at(rest, BEFORE_LABEL).ok_or("it has no stream label")?;
        check_table_name(table).map_err(|_| "its table's name is malformed")?;
        let label_ms = label::to_epoch_ms(label)
            .ok_or("its label is no moment like 2015-05-20T20:51:10.252")?;

        // Offsets fit: the text has at most 1024 bytes.
        let end_of = |rest: &str| (text.len() - rest.len()) as u16;
        let table_end = end_of(label) - BEFORE_LABEL.len() as u16;
        let account_end = end_of(rest) - BEFORE_TABLE.len() as u16;
        let region_end = account_end - account.len() as u16 - 1;
        Ok(Self {
            text: text.into(),
            region_start: region_end - region.len() as u16,
            region_end,
            account_end,
            table_end,
            label_ms,
        })
    }

    /// The whole ARN.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The whole ARN, shared.
    #[must_use]
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The region, as in `us-east-1`.
    #[must_use]
    pub fn region(&self) -> &str {
        self.part(self.region_start, self.region_end)
    }

    /// The account: twelve digits.
    #[must_use]
    pub fn account(&self) -> &str {
        self.part(self.region_end + 1, self.account_end)
    }

    /// The name of the table.
    #[must_use]
    pub fn table_name(&self) -> &str {
        self.part(self.account_end + BEFORE_TABLE.len() as u16, self.table_end)
    }

    /// The stream's label: when it was enabled, as in `2015-05-20T20:51:10.252`, in UTC.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.text[usize::from(self.table_end) + BEFORE_LABEL.len()..]
    }

    /// The moment that the label names, in milliseconds since the epoch.
    pub(crate) fn label_ms(&self) -> u64 {
        self.label_ms
    }

    fn part(&self, start: u16, end: u16) -> &str {
        &self.text[usize::from(start)..usize::from(end)]
    }
}

/// Refuses what cannot name a table.
pub(crate) fn check_table_name(name: &str) -> Result<(), Error> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if TABLE_NAME_LENGTH.contains(&name.len()) && name.bytes().all(allowed) {
        Ok(())
    } else {
        Err(Error::InvalidTableName { given: excerpt(name) })
    }
}

/// What comes before and behind the first `mark` in a text. The mark's first character is seldom found
/// elsewhere, so looking for that is quicker than preparing a search for the whole mark.
fn split_at<'a>(text: &'a str, mark: &str) -> Option<(&'a str, &'a str)> {
    let first = mark.as_bytes().first()?;
    let starts = text.bytes().enumerate().filter(|(_, byte)| byte == first);
    starts.filter_map(|(at, _)| Some((&text[..at], text[at..].strip_prefix(mark)?))).next()
}

fn is_region(text: &str) -> bool {
    !text.is_empty() && is_made_of(text, "-")
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_made_of(text: &str, also: &str) -> bool {
    text.bytes().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || also.as_bytes().contains(&byte)
    })
}

/// So much of a hostile text as an error should carry.
pub(crate) fn excerpt(text: &str) -> Box<str> {
    text[..text.floor_char_boundary(1024)].into()
}

impl PartialEq for StreamArn {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StreamArn {}

impl Hash for StreamArn {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl fmt::Display for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for StreamArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StreamArn").field(&self.text).finish()
    }
}

impl FromStr for StreamArn {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ARN: &str =
        "arn:aws:dynamodb:us-east-1:123456789012:table/T.a_b-1/stream/2015-05-20T20:51:10.252";

    #[test]
    fn parts_of_an_arn() {
        let arn = StreamArn::parse(ARN).unwrap();
        assert_eq!(arn.region(), "us-east-1");
        assert_eq!(arn.account(), "123456789012");
        assert_eq!(arn.table_name(), "T.a_b-1");
        assert_eq!(arn.label(), "2015-05-20T20:51:10.252");
        assert_eq!(arn.label_ms(), 1_432_155_070_252);
        assert_eq!(arn.to_string(), ARN);
        assert!(StreamArn::parse(&ARN.replace("arn:aws:", "arn:aws-cn:")).is_ok());
    }

    #[test]
    fn the_malformed_part_is_named() {
        for (from, to, named) in [
            ("arn:aws", "urn:aws", "`arn:`"),
            (":aws:", ":gcp:", "partition"),
            ("dynamodb", "kinesis", "service"),
            ("us-east-1", "", "region"),
            ("us-east-1", "US EAST", "region"),
            ("123456789012", "12345678901", "account"),
            ("table/", "index/", "table"),
            ("T.a_b-1", "T", "table"),
            ("T.a_b-1", "T/a", "table"),
            ("/stream/", "/streams/", "stream label"),
            ("T20:51", " 20:51", "label"),
        ] {
            let text = ARN.replace(from, to);
            match StreamArn::parse(&text) {
                Err(Error::InvalidArn { given, problem }) => {
                    assert_eq!(*given, *text);
                    assert!(problem.contains(named), "{text}: {problem}");
                }
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(StreamArn::parse("arn:aws:dynamodb").is_err());
        assert!(StreamArn::parse(&ARN.replace("T.a", &"t".repeat(1024))).is_err());
    }

    #[test]
    fn a_bad_table_name_is_named() {
        let long = "t".repeat(256);
        for name in ["ab", "a b", "caf\u{e9}", &*long] {
            assert!(
                matches!(
                    StreamArn::new("us-east-1", "000000000000", name, 0),
                    Err(Error::InvalidTableName { .. })
                ),
                "{name}"
            );
        }
    }

    proptest! {
        #[test]
        fn what_was_put_together_comes_apart(
            region in "[a-z]{2,12}(-[a-z0-9]{1,9}){0,3}",
            account in "[0-9]{12}",
            table in "[a-zA-Z0-9_.-]{3,255}",
            ms in 0..253_402_300_800_000_u64,
        ) {
            let arn = StreamArn::new(&region, &account, &table, ms).unwrap();
            prop_assert_eq!(arn.region(), region);
            prop_assert_eq!(arn.account(), account);
            prop_assert_eq!(arn.table_name(), table);
            prop_assert_eq!(arn.label_ms(), ms);
            let parsed = StreamArn::parse(arn.as_str()).unwrap();
            prop_assert_eq!(&parsed, &arn);
            prop_assert_eq!((parsed.region(), parsed.label()), (arn.region(), arn.label()));
        }

        #[test]
        fn no_text_panics(text in "(arn|aws|dynamodb|table|stream|[:/.-]|\\PC){0,40}") {
            let _ = StreamArn::parse(&text);
        }
    }
}
