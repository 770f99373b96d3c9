//! Register a stream, put changes, look at a snapshot, read, trim.

use streamcore::log::Position;
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::ReadLimits;
use streamcore::{Error, Store, StreamConfig};

fn order(id: u64, state: &str) -> Image {
    Image::new(Attributes::from([
        ("id".to_owned(), AttributeValue::N(id.to_string())),
        ("state".to_owned(), AttributeValue::S(state.to_owned())),
    ]))
}

fn main() -> Result<(), Error> {
    let store = Store::new();
    let schema = KeySchema::new("id", None)?;
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    let stream = store.register_stream(config)?;
    println!("registered {}", stream.info().arn());

    // Images are shared: the new one of this change is the old one of the next.
    let (placed, paid) = (order(1, "placed"), order(1, "paid"));
    stream.put(Change::insert(placed.clone()))?;
    stream.put(Change::modify(placed, paid.clone()))?;
    stream.put(Change::remove(paid))?;

    let shard = stream.describe().shards[0].shard_id.to_string();
    let snapshot = stream.snapshot(&shard)?;
    println!("a snapshot of {} records, for ever consistent", snapshot.len());

    let page = stream.get_records(&shard, snapshot.start(), ReadLimits::records(100))?;
    for record in page.iter() {
        println!("{} {} {:?}", record.sequence_number(), record.event_name(), record.keys());
    }

    let earliest = stream.trim(&shard, Position::new(2))?;
    let gone = stream.get_records(&shard, Position::new(0), ReadLimits::records(1));
    println!("trimmed up to {earliest}; reading position 0 now says: {}", gone.unwrap_err());
    Ok(())
}
