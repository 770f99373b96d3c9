//! Keys of items: which attributes a table or an index is keyed by, and the
//! bytes under which an item lies in its map, in DynamoDB's order.

use std::fmt;

use streamcore::model::{AttributeValue, Attributes};

use crate::error::{ApiError, ErrorKind};
use crate::number::Decimal;

/// The types that a key attribute can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ScalarType {
    S,
    N,
    B,
}

impl ScalarType {
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "S" => Some(Self::S),
            "N" => Some(Self::N),
            "B" => Some(Self::B),
            _ => None,
        }
    }

    pub(crate) fn matches(self, value: &AttributeValue) -> bool {
        matches!(
            (self, value),
            (Self::S, AttributeValue::S(_))
                | (Self::N, AttributeValue::N(_))
                | (Self::B, AttributeValue::B(_))
        )
    }
}

impl fmt::Display for ScalarType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// One attribute of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPart {
    pub(crate) name: String,
    pub(crate) kind: ScalarType,
}

/// The key of a table or an index.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) hash: KeyPart,
    pub(crate) range: Option<KeyPart>,
}

/// Where an item lies: its partition, then its sort key, compared as bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ItemKey {
    pub(crate) bytes: Box<[u8]>,
    /// How many of the bytes name the partition.
    pub(crate) partition: usize,
}

impl ItemKey {
    pub(crate) fn partition(&self) -> &[u8] {
        &self.bytes[..self.partition]
    }
}

const MAX_HASH_BYTES: u64 = 2048;
const MAX_RANGE_BYTES: usize = 1024;

impl Key {
    pub(crate) fn parts(&self) -> impl Iterator<Item = &KeyPart> {
        std::iter::once(&self.hash).chain(self.range.as_ref())
    }

    pub(crate) fn contains(&self, attribute: &str) -> bool {
        self.parts().any(|part| part.name == attribute)
    }

    /// The key of a whole item, or why it has none.
    pub(crate) fn of_item(&self, item: &Attributes) -> Result<ItemKey, ApiError> {
        for part in self.parts() {
            match item.get(&part.name) {
                None => {
                    return Err(ApiError::invalid(format_args!(
                        "Missing the key {} in the item",
                        part.name
                    )));
                }
                Some(value) if !part.kind.matches(value) => {
                    return Err(ApiError::invalid(format_args!(
                        "Type mismatch for key {} expected: {} actual: {}",
                        part.name,
                        part.kind,
                        type_name(value)
                    )));
                }
                Some(value) => check_content(part, value)?,
            }
        }
        self.encode(item)
    }

    /// The key that a `Key` parameter names: these attributes and no others.
    pub(crate) fn of_request(&self, key: &Attributes) -> Result<ItemKey, ApiError> {
        let fits = key.len() == self.parts().count()
            && self.parts().all(|p| key.get(&p.name).is_some_and(|value| p.kind.matches(value)));
        if !fits {
            return Err(ApiError::validation("The provided key element does not match the schema"));
        }
        for part in self.parts() {
            check_content(part, &key[&part.name])?;
        }
        self.encode(key)
    }

    fn encode(&self, item: &Attributes) -> Result<ItemKey, ApiError> {
        let hash = &item[&self.hash.name];
        if hash.size_bytes() > MAX_HASH_BYTES {
            return Err(ApiError::invalid(
                "Size of hashkey has exceeded the maximum size limit of2048 bytes",
            ));
        }
        let mut out = Vec::with_capacity(32);
        write_partition(hash, &mut out)?;
        let hash_end = out.len();
        if let Some(range) = &self.range {
            write_sort(&item[&range.name], &mut out)?;
        }
        if out.len() - hash_end > MAX_RANGE_BYTES {
            return Err(ApiError::invalid(
                "Aggregated size of all range keys has exceeded the size limit of 1024 bytes",
            ));
        }
        Ok(ItemKey { bytes: out.into_boxed_slice(), partition: hash_end })
    }

    /// The key attributes of an item, for `LastEvaluatedKey`.
    pub(crate) fn project(&self, item: &Attributes, into: &mut Attributes) {
        for part in self.parts() {
            if let Some(value) = item.get(&part.name) {
                into.insert(part.name.clone(), value.clone());
            }
        }
    }

    /// Whether an item has what an index needs to list it.
    pub(crate) fn indexes(&self, item: &Attributes) -> bool {
        self.parts().all(|p| item.get(&p.name).is_some_and(|value| p.kind.matches(value)))
    }
}

/// A key holds something, and not too much of it.
fn check_content(part: &KeyPart, value: &AttributeValue) -> Result<(), ApiError> {
    let (bytes, what) = match value {
        AttributeValue::S(text) => (text.len(), "string"),
        AttributeValue::B(bytes) => (bytes.len(), "binary"),
        _ => return Ok(()),
    };
    if bytes == 0 {
        return Err(ApiError::new(
            ErrorKind::EmptyKey,
            format!(
                "One or more parameter values are not valid. The AttributeValue for a key attribute \
                 cannot contain an empty {what} value. Key: {}",
                part.name
            ),
        ));
    }
    Ok(())
}

/// Appends a partition key: self-delimiting, so that one partition's items lie together.
pub(crate) fn write_partition(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), ApiError> {
    let mut raw = Vec::new();
    write_sort(value, &mut raw)?;
    for byte in raw {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 1]);
    Ok(())
}

/// Appends a sort key: bytes in DynamoDB's order (UTF-8, numeric, unsigned bytes).
pub(crate) fn write_sort(value: &AttributeValue, out: &mut Vec<u8>) -> Result<(), ApiError> {
    match value {
        AttributeValue::S(text) => out.extend_from_slice(text.as_bytes()),
        AttributeValue::B(bytes) => out.extend_from_slice(bytes),
        AttributeValue::N(number) => Decimal::parse(number)?.write_sort_key(out),
        _ => {
            return Err(ApiError::validation("The provided key element does not match the schema"));
        }
    }
    Ok(())
}

/// A type's name on the wire.
pub(crate) fn type_name(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::S(_) => "S",
        AttributeValue::N(_) => "N",
        AttributeValue::B(_) => "B",
        AttributeValue::Ss(_) => "SS",
        AttributeValue::Ns(_) => "NS",
        AttributeValue::Bs(_) => "BS",
        AttributeValue::M(_) => "M",
        AttributeValue::L(_) => "L",
        AttributeValue::Null(_) => "NULL",
        AttributeValue::Bool(_) => "BOOL",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> Key {
        Key {
            hash: KeyPart { name: "pk".into(), kind: ScalarType::S },
            range: Some(KeyPart { name: "sk".into(), kind: ScalarType::N }),
        }
    }

    fn item(pk: &str, sk: &str) -> Attributes {
        Attributes::from([
            ("pk".into(), AttributeValue::S(pk.into())),
            ("sk".into(), AttributeValue::N(sk.into())),
        ])
    }

    #[test]
    fn a_partition_lies_together_in_the_order_of_its_sort_keys() {
        let key = key();
        let at = |pk: &str, sk: &str| key.of_item(&item(pk, sk)).expect("a key");
        assert!(at("a", "-5") < at("a", "3"));
        assert!(at("a", "3") < at("a", "20"));
        // A partition that begins with another one's name, a zero byte included, is not inside it.
        assert!(at("a", "20") < at("a\0", "-100"));
        assert!(at("a\0", "20") < at("a\0\0", "-100"));
        assert!(at("a\0\0", "9") < at("ab", "-100"));
    }

    #[test]
    fn a_wrong_key_is_refused_in_awss_words() {
        let key = key();
        let mut wrong = item("a", "1");
        wrong.insert("sk".into(), AttributeValue::S("1".into()));
        let said = key.of_item(&wrong).expect_err("a type").message().to_owned();
        assert!(said.ends_with("Type mismatch for key sk expected: N actual: S"), "{said}");
        wrong.remove("sk");
        let said = key.of_item(&wrong).expect_err("missing").message().to_owned();
        assert!(said.ends_with("Missing the key sk in the item"), "{said}");
        let said = key.of_request(&wrong).expect_err("short").message().to_owned();
        assert_eq!(said, "The provided key element does not match the schema");
        let said = key.of_item(&item("", "1")).expect_err("empty").message().to_owned();
        assert!(said.ends_with("cannot contain an empty string value. Key: pk"), "{said}");
    }
}
