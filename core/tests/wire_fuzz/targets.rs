//! What is fed with junk, and what must hold of the answers. Also used by `core/fuzz`.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde_json::{Value, json};
use streamcore::model::{
    AttributeValue, Attributes, Change, Image, KeySchema, SequenceNumber, StreamArn, StreamViewType,
};
use streamcore::stream::{IteratorStart, ManualClock, ReadLimits};
use streamcore::wire::StreamsApi;
use streamcore::{Error, Store, StreamConfig};

const CREATED_MS: u64 = 1_432_155_070_252;
pub const OPERATIONS: [&str; 4] =
    ["ListStreams", "DescribeStream", "GetShardIterator", "GetRecords"];
const REFUSALS: [&str; 6] = [
    "ValidationException",
    "SerializationException",
    "ResourceNotFoundException",
    "TrimmedDataAccessException",
    "ExpiredIteratorException",
    "UnknownOperationException",
];

/// A store with a stream of some records, of which the first ones are trimmed.
pub struct Targets {
    store: Store,
    api: StreamsApi,
    arn: String,
    shard: String,
    token: String,
    records: u64,
}

impl Targets {
    pub fn new() -> Self {
        let clock = Arc::new(ManualClock::at_ms(CREATED_MS));
        // A key of our own, so that a token is the same each time.
        let store = Store::builder().clock(clock).iterator_key([7; 16]).build();
        let schema = KeySchema::new("pk", None).unwrap();
        let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages)
            .created_ms(CREATED_MS)
            .retain_last(NonZeroU64::new(20).unwrap());
        let stream = store.register_stream(config).unwrap();
        for n in 0..100 {
            let item = Attributes::from([("pk".to_owned(), AttributeValue::N(n.to_string()))]);
            stream.put(Change::insert(Image::new(item))).unwrap();
        }
        let shard = stream.describe().shards[0].shard_id.to_string();
        let token = stream.iterator(&shard, IteratorStart::TrimHorizon).unwrap();
        let arn = stream.info().arn().to_string();
        let records = store.shard_record_count(&arn, &shard).unwrap();
        Self { api: StreamsApi::new(store.clone()), store, arn, shard, token, records }
    }

    /// What the streams and shards of the store are called.
    #[allow(dead_code, reason = "core/fuzz has no use for them")]
    pub fn names(&self) -> Vec<String> {
        vec![self.arn.clone(), self.shard.clone(), self.token.clone()]
    }

    /// Good inputs: a byte that says what it is for, and what it is.
    pub fn seeds(&self) -> Vec<Vec<u8>> {
        let Self { arn, shard, token, .. } = self;
        let number = SequenceNumber::starting(0).to_string();
        let at = |kind: &str| {
            let request = json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": kind });
            (2, request.to_string())
        };
        let numbered = json!({
            "StreamArn": arn, "ShardId": shard, "SequenceNumber": number,
            "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
        });
        let filter = json!({ "Type": "CHILD_SHARDS", "ShardId": shard });
        let item = json!({
            "pk": { "N": "-1.5e3" }, "s": { "S": "a\"\u{e9}\n" }, "b": { "B": "+/8=" },
            "ss": { "SS": ["a", "b"] }, "ns": { "NS": ["1", "2"] }, "bs": { "BS": ["", "AQ=="] },
            "m": { "M": { "k": { "NULL": true } } }, "l": { "L": [{ "BOOL": false }, { "L": [] }] },
        });
        [
            (0, json!({ "TableName": "Orders", "Limit": 5 }).to_string()),
            (0, json!({ "ExclusiveStartStreamArn": arn }).to_string()),
            (1, json!({ "StreamArn": arn, "Limit": 10 }).to_string()),
            (1, json!({ "StreamArn": arn, "ExclusiveStartShardId": shard }).to_string()),
            (1, json!({ "StreamArn": arn, "ShardFilter": filter }).to_string()),
            at("TRIM_HORIZON"),
            at("LATEST"),
            (2, numbered.to_string()),
            (3, json!({ "ShardIterator": token, "Limit": 3 }).to_string()),
            (4, item.to_string()),
            (4, "[".repeat(100)),
            (5, token.clone()),
            (6, arn.clone()),
            (7, number),
        ]
        .into_iter()
        .map(|(kind, text)| [&[kind], text.as_bytes()].concat())
        .collect()
    }

    /// Feeds an input to what its first byte says. Whether it was taken for a good one.
    ///
    /// # Panics
    ///
    /// If something that must hold does not.
    pub fn feed(&self, input: &[u8]) -> bool {
        let Some((kind, input)) = input.split_first() else { return false };
        let is_accepted = match kind % 8 {
            4 => item(input),
            5 => self.iterator(input),
            6 => arn(input),
            7 => number(input),
            operation => self.request(OPERATIONS[usize::from(operation)], input),
        };
        let records = self.store.shard_record_count(&self.arn, &self.shard);
        assert_eq!(records, Ok(self.records), "reading has changed what is stored");
        is_accepted
    }

    fn request(&self, operation: &str, body: &[u8]) -> bool {
        let text = String::from_utf8_lossy(body);
        let unknown = self.api.handle(&text, body).expect_err("no operation is called so");
        assert_eq!(unknown.name, "UnknownOperationException");
        match self.api.handle(operation, body) {
            Ok(answer) => {
                let answer: Value = serde_json::from_slice(&answer).expect("an answer is JSON");
                assert!(answer.is_object());
                if operation == "GetRecords" {
                    let body: Value = serde_json::from_slice(body).expect("it was read before");
                    assert_eq!(body["ShardIterator"], self.token, "a forged iterator is taken");
                }
                true
            }
            Err(refusal) => {
                assert!(REFUSALS.contains(&refusal.name), "{refusal}");
                assert!(refusal.status == 400 && !refusal.message.is_empty(), "{refusal}");
                let body: Value = serde_json::from_slice(&refusal.body()).expect("JSON");
                assert_eq!(body["message"], refusal.message);
                false
            }
        }
    }

    /// Nobody but the store makes tokens: one that differs in a single bit is none.
    fn iterator(&self, token: &[u8]) -> bool {
        let Ok(token) = str::from_utf8(token) else { return false };
        match self.store.read_iterator(token, ReadLimits::records(5)) {
            Ok(page) => {
                assert_eq!(token, self.token, "a forged iterator is taken");
                assert!(!page.is_empty());
                true
            }
            Err(error) => {
                assert_ne!(token, self.token, "{error}");
                assert!(!matches!(error, Error::ExpiredIterator { .. }), "no clock runs here");
                false
            }
        }
    }
}

/// What is taken as an item is written as it came, and says the same when it is read again.
fn item(json: &[u8]) -> bool {
    let value = serde_json::from_slice::<AttributeValue>(json);
    if let Ok(value) = &value {
        let text = serde_json::to_string(value).expect("a value can be written");
        let again: AttributeValue = serde_json::from_str(&text).expect("and read again");
        assert!(again.same_as(value) && again.size_bytes() == value.size_bytes(), "{text}");
    }
    let Ok(image) = Image::from_json(json) else { return value.is_ok() };
    assert_eq!(image.json(), json, "the given encoding is kept");
    let decoded = Image::new(image.attributes().clone());
    assert_eq!(decoded.size_bytes(), image.size_bytes(), "measured as text and as a value");
    assert!(decoded.same_as(&image));
    let again = Image::from_json(decoded.json()).expect("what is written can be read");
    assert!(again.same_as(&image));
    true
}

fn arn(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let Ok(arn) = StreamArn::parse(text) else { return false };
    assert_eq!(arn.as_str(), text);
    assert!(!arn.table_name().is_empty() && text.contains(arn.label()));
    true
}

fn number(text: &[u8]) -> bool {
    let Ok(text) = str::from_utf8(text) else { return false };
    let Ok(number) = text.parse::<SequenceNumber>() else { return false };
    let again: SequenceNumber = number.to_string().parse().expect("what is written can be read");
    assert_eq!(again, number);
    // A number too great for any position gives the greatest one.
    if let (Some(ordinal), Some(position)) = (number.ordinal(), number.position())
        && position.get() < u64::MAX
    {
        assert_eq!(SequenceNumber::new(ordinal, position), number);
    }
    true
}
