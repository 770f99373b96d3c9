//! One record of a GetRecords answer, spliced from the kept encodings of its images.
//!
//! Nothing is encoded that was encoded before: a record is some forty bytes of names around slices
//! that are copied. The order of the members is that of AWS's own answers.

use crate::model::{Image, RecordRef};

/// The most bytes that a record takes beside its images and its key attributes.
const FRAME: usize = 640;

/// Appends a record as GetRecords shows it. Allocates nothing but what `out` grows by, once its
/// images have been encoded.
///
/// Source: Amazon DynamoDB Streams API Reference, `Record` and `StreamRecord`.
pub fn write(record: &RecordRef<'_>, out: &mut Vec<u8>) {
    let new = record.new_image().map(Image::json);
    let old = record.old_image().map(Image::json);
    let images = new.map_or(0, <[u8]>::len) + old.map_or(0, <[u8]>::len);
    out.reserve(FRAME + images);

    out.extend_from_slice(b"{\"awsRegion\":\"");
    out.extend_from_slice(record.aws_region().as_bytes());
    out.extend_from_slice(b"\",\"dynamodb\":{\"ApproximateCreationDateTime\":");
    write_integer(record.created_seconds(), out);
    out.extend_from_slice(b",\"Keys\":");
    write_keys(record, out);
    if let Some(json) = new {
        out.extend_from_slice(b",\"NewImage\":");
        out.extend_from_slice(json);
    }
    if let Some(json) = old {
        out.extend_from_slice(b",\"OldImage\":");
        out.extend_from_slice(json);
    }
    out.extend_from_slice(b",\"SequenceNumber\":\"");
    out.extend_from_slice(record.sequence_number().digits().as_bytes());
    out.extend_from_slice(b"\",\"SizeBytes\":");
    write_integer(record.size_bytes(), out);
    out.extend_from_slice(b",\"StreamViewType\":\"");
    out.extend_from_slice(record.stream_view_type().as_str().as_bytes());
    out.extend_from_slice(b"\"},\"eventID\":\"");
    out.extend_from_slice(&record.event_id().digits());
    out.extend_from_slice(b"\",\"eventName\":\"");
    out.extend_from_slice(record.event_name().as_str().as_bytes());
    out.extend_from_slice(b"\",\"eventSource\":\"aws:dynamodb\",\"eventVersion\":\"1.1\"");
    if let Some(user) = record.user_identity() {
        out.extend_from_slice(b",\"userIdentity\":{\"PrincipalId\":\"");
        out.extend_from_slice(user.principal_id.as_bytes());
        out.extend_from_slice(b"\",\"Type\":\"");
        out.extend_from_slice(user.identity_type.as_bytes());
        out.extend_from_slice(b"\"}");
    }
    out.push(b'}');
}

fn write_keys(record: &RecordRef<'_>, out: &mut Vec<u8>) {
    out.push(b'{');
    if let Some(source) = record.key_source() {
        for (number, name) in record.stream().key_schema().names().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            source.write_attribute(name, out);
        }
    }
    out.push(b'}');
}

fn write_integer(integer: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(integer).as_bytes());
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::log::Position;
    use crate::model::{
        AttributeValue, Attributes, Change, KeySchema, Record, SequenceNumber, StreamInfo,
        StreamViewType,
    };

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
        let record = Record::new(change, view, info.key_schema(), 1_432_155_070_999).unwrap();
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
    fn keys_come_from_the_schema_whatever_the_key_image_holds() {
        let (json, ..) =
            written(Change::insert(item("1")).with_keys(item("1")), StreamViewType::KeysOnly);
        assert_eq!(
            json["dynamodb"]["Keys"],
            json!({ "pk": { "S": "a\"b" }, "s\u{e9}\n": { "N": "7" } })
        );
    }
}
