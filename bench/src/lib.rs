//! A harness that [compares](compare) logs, streamcore's and those of [others](contender::Contender), and a
//! [checker](history) of what a log promises, over histories of real threads.
//!
//! | module | what it is |
//! |---|---|
//! | [`contender`] | what a log must offer to be compared |
//! | [`scenario`] | what is measured |
//! | [`measure`] | one measurement, in a process of its own |
//! | [`compare`] | many of them, interleaved; statistics, reports |
//! | [`scale`] | whether memory and costs stay flat |
//! | [`history`] | whether a log keeps what it promises |

pub mod allocator;
pub mod compare;
pub mod contender;
pub mod contenders;
pub mod history;
pub mod measure;
pub mod payload;
pub mod replaced;
pub mod scale;
pub mod scenario;

use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::{Store, Stream, StreamConfig};

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
