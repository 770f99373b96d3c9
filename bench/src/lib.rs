//! What the benchmarks have in common: the allocator, and records of typical size. And a
//! [checker](history) of what a log promises, over histories of real threads.

pub mod history;

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::{Store, Stream, StreamConfig};

/// The allocator of all benchmarks: they measure the log, not the system's `malloc`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// An item of two keys and eight attributes, about 450 bytes as JSON.
#[must_use]
pub fn item(id: u64) -> Image {
    let mut attributes = Attributes::from([
        ("customer".to_owned(), AttributeValue::S(format!("customer-{}", id % 100))),
        ("order".to_owned(), AttributeValue::N(id.to_string())),
    ]);
    for n in 0..8 {
        let text = format!("the value of attribute {n} of order {id}");
        attributes.insert(format!("attribute{n}"), AttributeValue::S(text));
    }
    Image::new(attributes)
}

/// A change between two shared images: putting it allocates nothing.
pub fn change(images: &[Image; 2]) -> Change {
    Change::modify(images[0].clone(), images[1].clone())
}

/// A stream with one shard in a store of its own.
///
/// # Panics
///
/// Never: the names are well formed.
#[must_use]
pub fn stream() -> Stream {
    let schema = KeySchema::new("customer", Some("order")).expect("two different names");
    let config = StreamConfig::new("Orders", schema, StreamViewType::NewAndOldImages);
    Store::new().register_stream(config).expect("a well-formed name")
}
