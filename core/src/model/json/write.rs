//! Attribute values as DynamoDB JSON.

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::model::AttributeValue;

/// Appends `"name":value`; says whether the name stands there as it is, without escapes.
pub(crate) fn attribute(json: &mut Vec<u8>, name: &str, value: &AttributeValue) -> bool {
    let start = json.len();
    append(json, name);
    let is_plain = json.len() - start == name.len() + 2;
    json.push(b':');
    append(json, value);
    is_plain
}

fn append(json: &mut Vec<u8>, part: &(impl Serialize + ?Sized)) {
    serde_json::to_writer(json, part).expect("memory takes what it is given, and keys are strings");
}

impl Serialize for AttributeValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::S(text) => tagged(serializer, "S", text),
            Self::N(text) => tagged(serializer, "N", text),
            Self::B(bytes) => tagged(serializer, "B", &Base64(bytes)),
            Self::Ss(texts) => tagged(serializer, "SS", texts),
            Self::Ns(texts) => tagged(serializer, "NS", texts),
            Self::Bs(all) => tagged(serializer, "BS", &Base64s(all)),
            Self::M(map) => tagged(serializer, "M", map),
            Self::L(list) => tagged(serializer, "L", list),
            Self::Null(null) => tagged(serializer, "NULL", null),
            Self::Bool(boolean) => tagged(serializer, "BOOL", boolean),
        }
    }
}

fn tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &str,
    content: &T,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, content)?;
    map.end()
}

struct Base64<'a>(&'a [u8]);

impl Serialize for Base64<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&Base64Display::new(self.0, &STANDARD))
    }
}

struct Base64s<'a>(&'a [Vec<u8>]);

impl Serialize for Base64s<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|bytes| Base64(bytes)))
    }
}
