//! How the author of an emulator wires a table's writes to its stream, and the Streams API to clients.
//!
//! The table is a map behind a lock; the stream is put to under the same lock, so that the changes of
//! an item reach it in their order. A client is answered when the record is visible to every reader.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::wire::StreamsApi;
use streamcore::{Error, Store, Stream, StreamConfig};

struct Table {
    items: Mutex<HashMap<String, Image>>,
    stream: Stream,
}

impl Table {
    fn put_item(&self, id: &str, item: Image) -> Result<(), Error> {
        let number = {
            let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
            let change = match items.insert(id.to_owned(), item.clone()) {
                None => Change::insert(item),
                Some(old) => Change::modify(old, item),
            };
            // DynamoDB writes no record for a change that changes nothing.
            if change.is_no_op() {
                return Ok(());
            }
            self.stream.put(change)?
        };
        // Outside the lock: now the client may be told, and will find the record if it looks.
        self.stream.wait_visible(number)
    }
}

fn item(id: &str, text: &str) -> Image {
    Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::S(id.to_owned())),
        ("text".to_owned(), AttributeValue::S(text.to_owned())),
    ]))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = Store::new();
    let schema = KeySchema::new("id", None)?;
    let config = StreamConfig::new("Notes", schema, StreamViewType::NewAndOldImages);
    let stream = store.register_stream(config)?;
    let table = Table { items: Mutex::default(), stream };
    table.put_item("a", item("a", "first"))?;
    table.put_item("a", item("a", "second"))?;
    table.put_item("a", item("a", "second"))?;

    // What arrives over HTTP with `X-Amz-Target: DynamoDBStreams_20120810.<operation>`.
    let api = StreamsApi::new(store);
    let request = |operation: &str, body: serde_json::Value| {
        let answer = api.handle(operation, body.to_string().as_bytes());
        answer.map(|json| serde_json::from_slice::<serde_json::Value>(&json))
    };
    let arn = table.stream.info().arn().as_str();
    let described = request("DescribeStream", serde_json::json!({ "StreamArn": arn }))
        .map_err(|error| error.message)??;
    let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
    let body = serde_json::json!({
        "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON",
    });
    let iterator = request("GetShardIterator", body).map_err(|error| error.message)??;
    let records = request("GetRecords", iterator).map_err(|error| error.message)??;
    println!("{records:#}");
    Ok(())
}
