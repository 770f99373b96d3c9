//! Records of a GetRecords answer, spliced from the kept encodings of their images.
//!
//! Nothing is encoded that was encoded before: a record is some forty bytes of names around slices
//! that are copied, and what all records of a stream have in common is put together once. The order of
//! the members is that of AWS's own answers.

use std::fmt;

use smallvec::SmallVec;

use crate::model::{Image, OperationType, RecordRef, StreamInfo, StreamViewType, UserIdentity};

/// The most bytes that a record takes beside its images and its key attributes.
const FRAME: usize = 640;

/// What a record takes as a rule beside its images.
const TYPICAL_FRAME: usize = 416;

/// Appends a record as GetRecords shows it. For the records of a page, see [`Splicer`].
pub fn write(record: &RecordRef<'_>, out: &mut Vec<u8>) {
    Splicer::new().write(record, out);
}

/// Writes records as GetRecords shows them, one after the other.
///
/// It remembers what the record before had in common with the next one, so use one for a page. Records of
/// several streams may be mixed; that is only slower.
///
/// ```
/// # use streamcore::stream::Page;
/// use streamcore::wire::record::Splicer;
///
/// fn lines(page: &Page) -> Vec<u8> {
///     let (mut splicer, mut out) = (Splicer::new(), Vec::new());
///     for record in page.iter() {
///         splicer.write(&record, &mut out);
///         out.push(b'\n');
///     }
///     out
/// }
/// ```
pub struct Splicer<'a> {
    stream: Option<&'a StreamInfo>,
    /// What comes before the key attributes: up to `before_seconds` the same for the whole stream, then the
    /// time of the record before.
    head: SmallVec<[u8; 128]>,
    before_seconds: usize,
    seconds: u64,
    /// Where the key attributes lay in the record before.
    hints: [usize; 2],
}

const BEFORE_KEYS: &[u8] = b",\"Keys\":{";

impl<'a> Splicer<'a> {
    /// Remembers nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self { stream: None, head: SmallVec::new(), before_seconds: 0, seconds: 0, hints: [0; 2] }
    }

    /// Appends a record. Allocates nothing but what `out` grows by, once its images have been encoded
    /// (and room for the name of a region that is longer than any of AWS's).
    ///
    /// Source: Amazon DynamoDB Streams API Reference, `Record` and `StreamRecord`.
    pub fn write(&mut self, record: &RecordRef<'a>, out: &mut Vec<u8>) {
        if !self.stream.is_some_and(|stream| std::ptr::eq(stream, record.stream())) {
            self.turn_to(record.stream());
        }
        if self.seconds != record.created_seconds() {
            self.set_seconds(record.created_seconds());
        }

        let new = record.new_image().map(Image::json);
        let old = record.old_image().map(Image::json);
        let images = new.map_or(0, <[u8]>::len) + old.map_or(0, <[u8]>::len);
        out.reserve(FRAME + images);

        out.extend_from_slice(&self.head);
        if let Some(source) = record.key_source() {
            source.write_keys(record.stream().key_schema(), &mut self.hints, out);
        }
        out.push(b'}');
        if let Some(json) = new {
            out.extend_from_slice(b",\"NewImage\":");
            out.extend_from_slice(json);
        }
        if let Some(json) = old {
            out.extend_from_slice(b",\"OldImage\":");
            out.extend_from_slice(json);
        }
        out.extend_from_slice(b",\"SequenceNumber\":\"");
        record.sequence_number().write(out);
        out.extend_from_slice(b"\",\"SizeBytes\":");
        write_integer(record.size_bytes(), out);
        out.extend_from_slice(view(record.stream_view_type()));
        out.extend_from_slice(&record.event_id().digits());
        out.extend_from_slice(event(record.event_name()));
        if let Some(user) = record.user_identity() {
            write_user(user, out);
        }
        out.push(b'}');
    }

    /// Appends records with commas between them, and tells for each where it starts.
    pub(super) fn write_all(
        &mut self,
        records: impl Iterator<Item = RecordRef<'a>> + Clone,
        out: &mut Vec<u8>,
        mut starts_at: impl FnMut(usize),
    ) {
        // Room for all: to make more means to copy what is there. Asking each image for its length also has
        // the processor fetch it, many at once, ahead of the copying.
        let bytes: usize = records.clone().map(|record| Self::bytes_of(&record)).sum();
        out.reserve(bytes + FRAME);
        for (number, record) in records.enumerate() {
            if number > 0 {
                out.push(b',');
            }
            starts_at(out.len());
            self.write(&record, out);
        }
    }

    /// About how many bytes a record takes, and a comma.
    fn bytes_of(record: &RecordRef<'_>) -> usize {
        let bytes_of = |image: &Image| image.json().len();
        TYPICAL_FRAME
            + record.new_image().map_or(0, bytes_of)
            + record.old_image().map_or(0, bytes_of)
    }

    /// Puts together what the records of a stream have in common.
    #[cold]
    fn turn_to(&mut self, stream: &'a StreamInfo) {
        self.stream = Some(stream);
        self.head.clear();
        self.head.extend_from_slice(b"{\"awsRegion\":\"");
        self.head.extend_from_slice(stream.region().as_bytes());
        self.head.extend_from_slice(b"\",\"dynamodb\":{\"ApproximateCreationDateTime\":");
        self.before_seconds = self.head.len();
        self.set_seconds(0);
    }

    #[cold]
    fn set_seconds(&mut self, seconds: u64) {
        self.seconds = seconds;
        self.head.truncate(self.before_seconds);
        self.head.extend_from_slice(itoa::Buffer::new().format(seconds).as_bytes());
        self.head.extend_from_slice(BEFORE_KEYS);
    }
}

impl Default for Splicer<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Splicer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arn = self.stream.map(|stream| stream.arn().as_str());
        f.debug_struct("Splicer").field("stream", &arn).finish_non_exhaustive()
    }
}

/// What comes between the size and the event's id.
fn view(view: StreamViewType) -> &'static [u8] {
    match view {
        StreamViewType::KeysOnly => b",\"StreamViewType\":\"KEYS_ONLY\"},\"eventID\":\"",
        StreamViewType::NewImage => b",\"StreamViewType\":\"NEW_IMAGE\"},\"eventID\":\"",
        StreamViewType::OldImage => b",\"StreamViewType\":\"OLD_IMAGE\"},\"eventID\":\"",
        StreamViewType::NewAndOldImages => {
            b",\"StreamViewType\":\"NEW_AND_OLD_IMAGES\"},\"eventID\":\""
        }
    }
}

/// What comes behind the event's id, but for who made the change.
fn event(name: OperationType) -> &'static [u8] {
    /// Texts of one length are copied without a call.
    const BEHIND: usize = 72;
    let text: &[u8; BEHIND] = match name {
        OperationType::Insert => {
            b"\",\"eventName\":\"INSERT\",\"eventSource\":\"aws:dynamodb\",\"eventVersion\":\"1.1\""
        }
        OperationType::Modify => {
            b"\",\"eventName\":\"MODIFY\",\"eventSource\":\"aws:dynamodb\",\"eventVersion\":\"1.1\""
        }
        OperationType::Remove => {
            b"\",\"eventName\":\"REMOVE\",\"eventSource\":\"aws:dynamodb\",\"eventVersion\":\"1.1\""
        }
    };
    text
}

#[cold]
fn write_user(user: UserIdentity, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"userIdentity\":{\"PrincipalId\":\"");
    out.extend_from_slice(user.principal_id.as_bytes());
    out.extend_from_slice(b"\",\"Type\":\"");
    out.extend_from_slice(user.identity_type.as_bytes());
    out.extend_from_slice(b"\"}");
}

fn write_integer(integer: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::log::Position;
    use crate::model::{AttributeValue, Attributes, Change, KeySchema, Record, SequenceNumber};

    fn item(n: &str) -> Image {
        Image::new(Attributes::from([
            ("pk".to_owned(), AttributeValue::S("a\"b".to_owned())),
            ("s\u{e9}\n".to_owned(), AttributeValue::N("7".to_owned())),
            ("n".to_owned(), AttributeValue::N(n.to_owned())),
        ]))
    }

    fn written(change: Change, view: StreamViewType) -> (Value, StreamInfo, Record) {
        let schema = KeySchema::new("pk", Some("s\u{e9}\n")).unwrap();
        let info = StreamInfo::builder("Orders", schema, view).build().unwrap();
        let record = Record::new(change, &info, 1_432_155_070_999).unwrap();
        let number = SequenceNumber::new(2, Position::new(41));
        let mut out = b"[".to_vec();
        write(&RecordRef::new(&info, &record, number), &mut out);
        assert!(out.len() < FRAME + 200, "{}", out.len());
        out.push(b']');
        let mut list: Vec<Value> = serde_json::from_slice(&out).unwrap();
        (list.remove(0), info, record)
    }

    #[test]
    fn a_change_with_both_images() {
        let change = Change::modify(item("1"), item("-12"));
        let (json, info, record) = written(change, StreamViewType::NewAndOldImages);
        let number = SequenceNumber::new(2, Position::new(41));
        let id = RecordRef::new(&info, &record, number).event_id().to_string();
        let keys = json!({ "pk": { "S": "a\"b" }, "s\u{e9}\n": { "N": "7" } });
        let with = |n: &str| {
            let mut item = keys.clone();
            item["n"] = json!({ "N": n });
            item
        };
        let expected = json!({
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": 1_432_155_070,
                "Keys": keys,
                "NewImage": with("-12"),
                "OldImage": with("1"),
                "SequenceNumber": "300000000000000000042",
                "SizeBytes": (5 + 6) + (5 + 6 + 4) + (5 + 6 + 3),
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
            "eventID": id,
            "eventName": "MODIFY",
            "eventSource": "aws:dynamodb",
            "eventVersion": "1.1",
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn absent_images_are_absent() {
        let view = StreamViewType::KeysOnly;
        let (json, ..) = written(Change::remove(item("1")).by_ttl(), view);
        let members: Vec<_> = json["dynamodb"].as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            [
                "ApproximateCreationDateTime",
                "Keys",
                "SequenceNumber",
                "SizeBytes",
                "StreamViewType"
            ]
        );
        let user = json!({ "PrincipalId": "dynamodb.amazonaws.com", "Type": "Service" });
        assert_eq!(json["userIdentity"], user);
        assert_eq!(json["dynamodb"]["SizeBytes"], 11);
    }

    #[test]
    fn what_is_remembered_of_one_record_does_not_show_in_the_next() {
        let view = StreamViewType::NewAndOldImages;
        let streams = ["eu-west-1", "us-east-1"].map(|region| {
            let schema = KeySchema::new("pk", Some("n")).unwrap();
            StreamInfo::builder("Orders", schema, view).region(region).build().unwrap()
        });
        let smaller = Image::new(Attributes::from([
            ("n".to_owned(), AttributeValue::N("1".to_owned())),
            ("pk".to_owned(), AttributeValue::S("b".to_owned())),
        ]));
        let changes = [
            (0, 1_000, Change::insert(item("1"))),
            (1, 1_999, Change::modify(item("1"), smaller.clone())),
            (1, 2_000, Change::remove(smaller).by_ttl()),
            (0, 0, Change::insert(item("3"))),
        ];
        let records = changes.map(|(stream, ms, change)| {
            let info = &streams[stream];
            (info, Record::new(change, info, ms).unwrap())
        });
        let (mut splicer, mut all, mut each) = (Splicer::new(), Vec::new(), Vec::new());
        for (position, (info, record)) in (0..).zip(&records) {
            let number = SequenceNumber::new(0, Position::new(position));
            let record = RecordRef::new(info, record, number);
            splicer.write(&record, &mut all);
            write(&record, &mut each);
        }
        assert_eq!(String::from_utf8(all), String::from_utf8(each));
    }

    #[test]
    fn keys_come_from_the_schema_whatever_the_key_image_holds() {
        let (json, ..) =
            written(Change::insert(item("1")).with_keys(item("1")), StreamViewType::KeysOnly);
        assert_eq!(
            json["dynamodb"]["Keys"],
            json!({ "pk": { "S": "a\"b" }, "s\u{e9}\n": { "N": "7" } })
        );
    }
}
