//! Attribute values from DynamoDB JSON, checked on the way.
//!
//! One grammar, two products: the value itself, or only the size that DynamoDB counts for it, for
//! an item that is to be checked now and perhaps never taken apart.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::problem;
use crate::model::number::Decimal;
use crate::model::value::container_size;
use crate::model::{AttributeValue, Attributes};

/// The levels that DynamoDB nests values: that of an attribute is the first.
///
/// Source: Amazon DynamoDB Developer Guide, "Quotas", "Nested attribute depth". It bounds the
/// recursion here, too.
const MAX_LEVELS: u8 = 32;

/// What reading makes of a value.
pub(super) trait Product: Sized {
    fn string(text: Cow<'_, str>) -> Self;
    fn number(text: Cow<'_, str>, decimal: &Decimal) -> Self;
    /// Any other value that is no container.
    fn leaf(value: AttributeValue) -> Self;
    fn list(elements: Vec<Self>) -> Self;
    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self;
}

impl Product for AttributeValue {
    fn string(text: Cow<'_, str>) -> Self {
        Self::S(text.into_owned())
    }

    fn number(text: Cow<'_, str>, _: &Decimal) -> Self {
        Self::N(text.into_owned())
    }

    fn leaf(value: AttributeValue) -> Self {
        value
    }

    fn list(elements: Vec<Self>) -> Self {
        Self::L(elements)
    }

    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self {
        Self::M(entries.into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
    }
}

/// The size of a value, see [`AttributeValue::size_bytes`].
pub(super) struct Measured(pub(super) u64);

impl Product for Measured {
    fn string(text: Cow<'_, str>) -> Self {
        Self(text.len() as u64)
    }

    fn number(_: Cow<'_, str>, decimal: &Decimal) -> Self {
        Self(decimal.size_bytes())
    }

    fn leaf(value: AttributeValue) -> Self {
        Self(value.size_bytes())
    }

    fn list(elements: Vec<Self>) -> Self {
        let contents: u64 = elements.iter().map(|size| size.0).sum();
        Self(container_size(elements.len()) + contents)
    }

    fn map(entries: Vec<(Cow<'_, str>, Self)>) -> Self {
        let contents: u64 = entries.iter().map(|(name, size)| name.len() as u64 + size.0).sum();
        Self(container_size(entries.len()) + contents)
    }
}

impl<'de> Deserialize<'de> for AttributeValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::attribute().deserialize(deserializer)
    }
}

/// Reads the attributes of an item.
pub(super) fn attributes<'de, D: Deserializer<'de>>(json: D) -> Result<Attributes, D::Error> {
    let entries = Entries { level: 1, product: PhantomData }.deserialize(json)?;
    Ok(entries.into_iter().map(|(name, value)| (name.into_owned(), value)).collect())
}

/// Reads one value: an object with one member, that the value's type names.
pub(super) struct Value<P> {
    level: u8,
    product: PhantomData<P>,
}

impl<P> Value<P> {
    /// Reads the value of an attribute of an item.
    pub(super) fn attribute() -> Self {
        Self { level: 1, product: PhantomData }
    }
}

impl<'de, P: Product> DeserializeSeed<'de> for Value<P> {
    type Value = P;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<P, D::Error> {
        if self.level > MAX_LEVELS {
            return Err(de::Error::custom(problem::TOO_DEEP));
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de, P: Product> Visitor<'de> for Value<P> {
    type Value = P;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an attribute value such as {\"S\":\"text\"}")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<P, A::Error> {
        let Some(Text(tag)) = map.next_key()? else {
            return Err(de::Error::custom(problem::EMPTY));
        };
        let inside = self.level + 1;
        let product = match &*tag {
            "S" => P::string(map.next_value::<Text<'de>>()?.0),
            "N" => {
                let Text(text) = map.next_value()?;
                let decimal = checked_number(&text)?;
                P::number(text, &decimal)
            }
            "B" => P::leaf(AttributeValue::B(bytes(&map.next_value::<Text<'de>>()?.0)?)),
            "SS" => P::leaf(AttributeValue::Ss(string_set(map.next_value()?)?)),
            "NS" => P::leaf(AttributeValue::Ns(number_set(map.next_value()?)?)),
            "BS" => P::leaf(AttributeValue::Bs(binary_set(&map.next_value::<Vec<_>>()?)?)),
            "M" => P::map(map.next_value_seed(Entries { level: inside, product: PhantomData })?),
            "L" => P::list(map.next_value_seed(Elements { level: inside, product: PhantomData })?),
            "NULL" => match map.next_value()? {
                true => P::leaf(AttributeValue::Null(true)),
                false => return Err(de::Error::custom(problem::NULL_FALSE)),
            },
            "BOOL" => P::leaf(AttributeValue::Bool(map.next_value()?)),
            _ => return Err(de::Error::custom(problem::EMPTY)),
        };
        match map.next_key::<Text<'de>>()? {
            None => Ok(product),
            Some(_) => Err(de::Error::custom(problem::SEVERAL)),
        }
    }
}

/// Reads the entries of a map, sorted by name.
struct Entries<P> {
    /// The level of the entries' values.
    level: u8,
    product: PhantomData<P>,
}

impl<'de, P: Product> DeserializeSeed<'de> for Entries<P> {
    type Value = Vec<(Cow<'de, str>, P)>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, P: Product> Visitor<'de> for Entries<P> {
    type Value = Vec<(Cow<'de, str>, P)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map of attribute values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(Text(name)) = map.next_key()? {
            let value = Value { level: self.level, product: self.product };
            entries.push((name, map.next_value_seed(value)?));
        }
        entries.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        if entries.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(de::Error::custom(problem::SAME_NAMES));
        }
        Ok(entries)
    }
}

/// Reads the elements of a list.
struct Elements<P> {
    /// The level of the elements.
    level: u8,
    product: PhantomData<P>,
}

impl<'de, P: Product> DeserializeSeed<'de> for Elements<P> {
    type Value = Vec<P>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<P>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, P: Product> Visitor<'de> for Elements<P> {
    type Value = Vec<P>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of attribute values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<P>, A::Error> {
        let mut elements = Vec::new();
        let element = || Value { level: self.level, product: self.product };
        while let Some(value) = list.next_element_seed(element())? {
            elements.push(value);
        }
        Ok(elements)
    }
}

/// A string, borrowed from the text that it stands in when no escape forbids it.
pub(super) struct Text<'de>(pub(super) Cow<'de, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

fn checked_number<E: de::Error>(text: &str) -> Result<Decimal, E> {
    Decimal::parse(text).map_err(|what| E::custom(problem::number(text, what)))
}

fn bytes<E: de::Error>(base64: &str) -> Result<Vec<u8>, E> {
    STANDARD.decode(base64).map_err(|_| E::custom(problem::NO_BASE64))
}

fn string_set<E: de::Error>(texts: Vec<String>) -> Result<Vec<String>, E> {
    if texts.is_empty() {
        return Err(E::custom(problem::NO_STRINGS));
    }
    if repeats(&texts) {
        return Err(E::custom(problem::same_strings(&texts)));
    }
    Ok(texts)
}

fn number_set<E: de::Error>(texts: Vec<String>) -> Result<Vec<String>, E> {
    if texts.is_empty() {
        return Err(E::custom(problem::NO_NUMBERS));
    }
    let numbers = texts.iter().map(|text| checked_number(text)).collect::<Result<Vec<_>, E>>()?;
    if repeats(&numbers) {
        return Err(E::custom(problem::SAME_NUMBERS));
    }
    Ok(texts)
}

fn binary_set<E: de::Error>(texts: &[String]) -> Result<Vec<Vec<u8>>, E> {
    if texts.is_empty() {
        return Err(E::custom(problem::NO_BINARIES));
    }
    let all = texts.iter().map(|text| bytes(text)).collect::<Result<Vec<_>, E>>()?;
    if repeats(&all) {
        return Err(E::custom(problem::same_binaries(texts)));
    }
    Ok(all)
}

fn repeats<T: Ord>(elements: &[T]) -> bool {
    let mut seen = BTreeSet::new();
    !elements.iter().all(|element| seen.insert(element))
}
