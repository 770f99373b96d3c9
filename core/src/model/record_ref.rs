//! Records as readers see them: a stored record, with what its stream and its place add to it.

use std::fmt;
use std::time::{Duration, SystemTime};

use siphasher::sip128::SipHasher13;

use super::change::UserIdentity;
use super::image::Image;
use super::info::StreamInfo;
use super::kinds::{OperationType, StreamViewType};
use super::record::Record;
use super::sequence::SequenceNumber;
use super::value::Attributes;

/// A record of a stream. It borrows; nothing is copied until somebody asks for a copy.
///
/// Source of the fields: Amazon DynamoDB Streams API Reference, `Record` and `StreamRecord`.
#[derive(Debug, Clone, Copy)]
pub struct RecordRef<'a> {
    info: &'a StreamInfo,
    record: &'a Record,
    sequence: SequenceNumber,
}

impl<'a> RecordRef<'a> {
    pub(crate) fn new(info: &'a StreamInfo, record: &'a Record, sequence: SequenceNumber) -> Self {
        Self { info, record, sequence }
    }

    /// The event's id. It is derived from the stream's ARN and the sequence number, so that each
    /// reading of a record shows the same.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        EventId::new(self.info, self.sequence)
    }

    /// What happened to the item.
    #[must_use]
    pub fn event_name(&self) -> OperationType {
        self.record.operation()
    }

    /// The version of the record's format: `1.1`.
    #[must_use]
    pub fn event_version(&self) -> &'static str {
        "1.1"
    }

    /// The service that the record comes from: `aws:dynamodb`.
    #[must_use]
    pub fn event_source(&self) -> &'static str {
        "aws:dynamodb"
    }

    /// The region of the stream, as in `us-east-1`.
    #[must_use]
    pub fn aws_region(&self) -> &'a str {
        self.info.region()
    }

    /// Which images the records of the stream hold.
    #[must_use]
    pub fn stream_view_type(&self) -> StreamViewType {
        self.info.view_type()
    }

    /// The name of the table.
    #[must_use]
    pub fn table_name(&self) -> &'a str {
        self.info.table_name()
    }

    /// The ARN of the stream.
    #[must_use]
    pub fn stream_arn(&self) -> &'a str {
        self.info.arn().as_str()
    }

    /// What is the same for all records of the stream.
    #[must_use]
    pub fn stream(&self) -> &'a StreamInfo {
        self.info
    }

    /// The item's key attributes: a copy.
    #[must_use]
    pub fn keys(&self) -> Attributes {
        let key = |name: &str| {
            let value = self.record.key_source()?.attribute(name)?.into_owned();
            Some((name.to_owned(), value))
        };
        self.info.key_schema().names().filter_map(key).collect()
    }

    /// The item after the change, if the view type has it and the item was not deleted.
    #[must_use]
    pub fn new_image(&self) -> Option<&'a Image> {
        self.record.new_image()
    }

    /// The item before the change, if the view type has it and the item was not created.
    #[must_use]
    pub fn old_image(&self) -> Option<&'a Image> {
        self.record.old_image()
    }

    /// The place of the record in its stream.
    #[must_use]
    pub fn sequence_number(&self) -> SequenceNumber {
        self.sequence
    }

    /// When the record was put, to the millisecond.
    #[must_use]
    pub fn created_at(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.record.created_ms())
    }

    /// When the record was put, in milliseconds since the epoch.
    #[must_use]
    pub fn created_ms(&self) -> u64 {
        self.record.created_ms()
    }

    /// `ApproximateCreationDateTime`: when the record was put, in whole seconds since the epoch,
    /// rounded down.
    #[must_use]
    pub fn created_seconds(&self) -> u64 {
        self.record.created_ms() / 1000
    }

    /// The bytes that DynamoDB counts for the record: its keys and its images.
    ///
    /// Source: Amazon DynamoDB Streams API Reference, `StreamRecord`, `SizeBytes`.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.record.size_bytes()
    }

    /// The bytes that the record's images took on the heap when they were made, roughly; an image that
    /// several records share counts in each. Constant, and cheap to ask: for bounds on memory.
    #[must_use]
    pub fn heap_estimate(&self) -> u64 {
        self.record.heap_estimate()
    }

    /// Who made the change; `None` unless time to live deleted the item.
    #[must_use]
    pub fn user_identity(&self) -> Option<UserIdentity> {
        self.record.is_ttl_delete().then_some(UserIdentity::TIME_TO_LIVE)
    }

    /// The image to take the key attributes from.
    #[cfg(feature = "serde")]
    pub(crate) fn key_source(&self) -> Option<&'a Image> {
        self.record.key_source()
    }
}

/// The id of an event: 32 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(u128);

impl EventId {
    /// The id of the event with this number.
    fn new(info: &StreamInfo, sequence: SequenceNumber) -> Self {
        let (key0, key1) = info.event_key();
        let (high, low) = sequence.halves();
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&high.to_le_bytes());
        bytes[8..].copy_from_slice(&low.to_le_bytes());
        Self(SipHasher13::new_with_keys(key0, key1).hash(&bytes).as_u128())
    }

    /// The digits, on the stack.
    pub(crate) fn digits(self) -> [u8; 32] {
        let mut digits = [[0; 8]; 4];
        for (number, eight) in digits.iter_mut().enumerate() {
            *eight = hexadecimal((self.0 >> (96 - 32 * number)) as u32);
        }
        *digits.as_flattened().first_chunk().expect("four times eight digits")
    }
}

/// Eight digits at once, each in a byte of one word: lower-case hexadecimal.
pub(crate) fn hexadecimal(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let spread = u64::from(number);
    let spread = (spread | spread << 16) & 0x0000_ffff_0000_ffff;
    let spread = (spread | spread << 8) & 0x00ff_00ff_00ff_00ff;
    let digits = (spread | spread << 4) & (15 * EACH);
    let is_letter = (digits + 6 * EACH) >> 4 & EACH;
    let ascii = digits + u64::from(b'0') * EACH + is_letter * u64::from(b'a' - b'0' - 10);
    ascii.to_be_bytes()
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::Position;
    use crate::model::{AttributeValue, Change, KeySchema};

    #[test]
    fn a_record_shows_every_field() {
        let schema = KeySchema::new("pk", None).unwrap();
        let view = StreamViewType::OldImage;
        let info = StreamInfo::builder("Orders", schema, view).created_ms(5).build().unwrap();
        let key = ("pk".to_owned(), AttributeValue::S("a".into()));
        let old = Image::new([key.clone(), ("n".into(), AttributeValue::N("1".into()))].into());
        let change = Change::remove(old.clone()).by_ttl();
        let stored = Record::new(change, &info, 1999).unwrap();
        let record = RecordRef::new(&info, &stored, SequenceNumber::new(0, Position::new(0)));

        assert_eq!(record.event_name(), OperationType::Remove);
        assert_eq!((record.event_version(), record.event_source()), ("1.1", "aws:dynamodb"));
        assert_eq!((record.aws_region(), record.table_name()), ("us-east-1", "Orders"));
        assert_eq!(record.stream_arn(), info.arn().as_str());
        assert_eq!(record.stream_view_type(), view);
        assert_eq!(record.keys(), Attributes::from([key]));
        assert!(record.new_image().is_none());
        assert!(record.old_image().is_some_and(|image| image.ptr_eq(&old)));
        assert_eq!(record.sequence_number().to_string(), "100000000000000000001");
        assert_eq!((record.created_ms(), record.created_seconds()), (1999, 1));
        assert_eq!(record.created_at(), SystemTime::UNIX_EPOCH + Duration::from_millis(1999));
        assert_eq!(record.size_bytes(), 3 + 3 + 3);
        assert_eq!(record.user_identity(), Some(UserIdentity::TIME_TO_LIVE));
    }

    #[test]
    fn digits_are_those_of_the_standard_library() {
        for id in [0, 1, u128::MAX, 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210, 0x9a << 60] {
            assert_eq!(EventId(id).to_string(), format!("{id:032x}"));
        }
    }

    #[test]
    fn event_ids_tell_records_and_streams_apart() {
        let schema = KeySchema::new("pk", None).unwrap();
        let view = StreamViewType::NewImage;
        let image = Image::new([("pk".to_owned(), AttributeValue::S("a".into()))].into());
        let any = StreamInfo::builder("Orders", schema.clone(), view).build().unwrap();
        let stored = Record::new(Change::insert(image), &any, 0).unwrap();
        let mut ids = std::collections::BTreeSet::new();
        for created_ms in 0..10 {
            let builder = StreamInfo::builder("Orders", schema.clone(), view);
            let info = builder.created_ms(created_ms).build().unwrap();
            for (ordinal, position) in (0..10).flat_map(|a| (0..10).map(move |b| (a, b))) {
                let number = SequenceNumber::new(ordinal, Position::new(position));
                let id = RecordRef::new(&info, &stored, number).event_id();
                assert_eq!(id, RecordRef::new(&info.clone(), &stored, number).event_id());
                assert_eq!(id.to_string().len(), 32);
                assert!(ids.insert(id.to_string()));
            }
        }
    }
}
