//! What DynamoDB Streams is about: attribute values and items, changes of items, the records that
//! streams keep of them, and how streams, shards and records are named.

mod arn;
mod change;
mod image;
mod info;
#[cfg(feature = "serde")]
mod json;
mod key_size;
mod kinds;
mod label;
mod number;
mod record;
mod record_ref;
mod schema;
mod sequence;
mod serial;
mod value;

pub use arn::StreamArn;
#[cfg(feature = "serde")]
pub(crate) use arn::TABLE_NAME_LENGTH;
pub use change::{Change, UserIdentity};
pub use image::Image;
pub use info::{StreamInfo, StreamInfoBuilder};
pub use kinds::{KeyType, OperationType, StreamStatus, StreamViewType};
pub(crate) use number::canonical_bytes as canonical_number;
pub use record::Record;
pub(crate) use record_ref::hexadecimal;
pub use record_ref::{EventId, RecordRef};
pub use schema::{KeySchema, KeySchemaElement};
#[cfg(feature = "serde")]
pub(crate) use sequence::SEQUENCE_NUMBER_LENGTH;
pub use sequence::SequenceNumber;
pub(crate) use serial::Serial;
pub use value::{AttributeValue, Attributes};
