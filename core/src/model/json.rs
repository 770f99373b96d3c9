//! DynamoDB JSON: `{"S":"text"}`, `{"N":"1"}`, `{"L":[...]}`, and whole items.
//!
//! Writing an [`AttributeValue`] gives what DynamoDB sends, byte for byte. Reading is as strict as
//! DynamoDB: one type per value, numbers it could store, sets it could hold, at most 32 levels.

mod encoding;
mod problem;
mod read;
mod write;

pub(crate) use encoding::Encoding;
pub(crate) use write::attribute as write_attribute;

#[cfg(test)]
pub(super) mod tests;
