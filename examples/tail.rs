//! Follow a stream and wait for records without polling, while another thread writes them and splits
//! the stream's shard.

use std::thread;

use streamcore::log::WaitOutcome;
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::stream::{ConsumerStart, NextChange};
use streamcore::{Error, Store, StreamConfig};

fn main() -> Result<(), Error> {
    let schema = KeySchema::new("sensor", None)?;
    let config = StreamConfig::new("Readings", schema, StreamViewType::NewImage);
    let stream = Store::new().register_stream(config)?;
    let shard = stream.describe().shards[0].shard_id.to_string();
    let mut consumer = stream.consume(ConsumerStart::TrimHorizon)?;

    let mut writer = stream.writer();
    let writing = thread::spawn(move || {
        for reading in 0..5 {
            if reading == 3 {
                // The consumer goes on in the children when it has read their parent.
                writer.stream().split(&shard)?;
            }
            let item = Attributes::from([
                ("sensor".to_owned(), AttributeValue::S("attic".to_owned())),
                ("celsius".to_owned(), AttributeValue::N((20 + reading).to_string())),
            ]);
            writer.put(Change::insert(Image::new(item)))?;
        }
        // Closes all shards, which ends the reader's loop.
        writer.stream().disable();
        Ok::<(), Error>(())
    });

    // The thread sleeps until an append, or the end of a shard, wakes it.
    while consumer.wait(None) != WaitOutcome::Closed {
        while let NextChange::Record { shard, record } = consumer.next()? {
            let image = record.new_image().map(|image| image.attributes());
            println!("{shard} {} {image:?}", record.sequence_number());
        }
    }
    println!("the stream is closed; a consumer would resume at {}", consumer.checkpoints());
    writing.join().expect("the writer does not panic")
}
