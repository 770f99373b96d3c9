//! Follow a shard and wait for records without polling, while another thread writes them.

use std::thread;

use streamcore::log::{Position, WaitOutcome};
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::NextRecord;
use streamcore::{Error, Store, StreamConfig};

fn main() -> Result<(), Error> {
    let schema = KeySchema::new("sensor", None)?;
    let config = StreamConfig::new("Readings", schema, StreamViewType::NewImage);
    let stream = Store::new().register_stream(config)?;
    let shard = stream.describe().shards[0].shard_id.to_string();
    let mut cursor = stream.cursor(&shard, Position::ZERO)?;

    let mut writer = stream.writer();
    let writing = thread::spawn(move || {
        for reading in 0..5 {
            let item = Attributes::from([
                ("sensor".to_owned(), AttributeValue::S("attic".to_owned())),
                ("celsius".to_owned(), AttributeValue::N((20 + reading).to_string())),
            ]);
            writer.put(Change::insert(Image::new(item)))?;
        }
        // Closes the shard, which ends the reader's loop.
        writer.stream().disable();
        Ok::<(), Error>(())
    });

    // The thread sleeps until an append or the end of the shard wakes it.
    while cursor.wait(None) != WaitOutcome::Closed {
        while let NextRecord::Record(record) = cursor.next()? {
            let image = record.new_image().map(|image| image.attributes());
            println!("{} {image:?}", record.sequence_number());
        }
    }
    println!("the shard is closed");
    writing.join().expect("the writer does not panic")
}
