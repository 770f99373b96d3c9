//! An item as JSON, kept, and where its attributes lie in it.
//!
//! The table of places is what makes a record cheap to put and to splice: an attribute of the key
//! is found without reading JSON, and costs less to find than the item that it is in costs to copy.
//! It serves any key schema, and an item that came as JSON before any schema is known.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::read::{self, Measured, Text, Value};
use super::{problem, write};
use crate::error::Error;
use crate::model::schema::same_name;
use crate::model::{AttributeValue, Attributes};

/// The JSON of an item, with a table of its attributes.
pub(crate) struct Encoding {
    json: Box<[u8]>,
    /// The attributes in the order of the text; except those that lie past 4 GiB, and those whose
    /// names stand there with escapes: they cannot be found by comparing bytes. Whoever asks for
    /// one of these takes it from the item's attributes.
    places: Box<[Place]>,
}

/// What JSON adds to the name and the text of an attribute, `"":{"S":""},` and a little more.
const PUNCTUATION: usize = 16;

/// Where `"name":value` lies, and the bytes that DynamoDB counts for the attribute.
struct Place {
    start: u32,
    name_len: u32,
    end: u32,
    size: u32,
}

impl Place {
    /// `None` where an offset does not fit.
    fn new(start: usize, name: &str, end: usize, value_size: u64) -> Option<Self> {
        Some(Self {
            start: u32::try_from(start).ok()?,
            name_len: u32::try_from(name.len()).ok()?,
            end: u32::try_from(end).ok()?,
            size: u32::try_from(name.len() as u64 + value_size).ok()?,
        })
    }
}

impl Encoding {
    /// Writes these attributes, of which there are about `count` with about `size` bytes in all.
    pub(crate) fn of<'a>(
        attributes: impl Iterator<Item = (&'a str, &'a AttributeValue)>,
        count: usize,
        size: u64,
    ) -> Self {
        let mut json = Vec::with_capacity(size as usize + PUNCTUATION * count + 2);
        let mut places = Vec::with_capacity(count);
        json.push(b'{');
        for (name, value) in attributes {
            if json.len() > 1 {
                json.push(b',');
            }
            let start = json.len();
            let is_plain = write::attribute(&mut json, name, value);
            places.extend(
                is_plain.then(|| Place::new(start, name, json.len(), value.size_bytes())).flatten(),
            );
        }
        json.push(b'}');
        Self { json: json.into(), places: places.into() }
    }

    /// Takes over an item's JSON; checks and measures it without keeping its attributes.
    pub(crate) fn read(json: Box<[u8]>) -> Result<(Self, u64), Error> {
        let text = str::from_utf8(&json)
            .map_err(|_| Error::InvalidItem { problem: "it is not UTF-8".into() })?;
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let survey = Survey { text }
            .deserialize(&mut deserializer)
            .and_then(|survey| deserializer.end().map(|()| survey));
        let (places, size) =
            survey.map_err(|error| Error::InvalidItem { problem: problem::words(&error) })?;
        Ok((Self { json, places: places.into() }, size))
    }

    /// The JSON of the item.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The bytes that this takes on the heap, itself included.
    pub(crate) fn heap_bytes(&self) -> u64 {
        (size_of_val(self) + self.json.len() + size_of_val(&*self.places)) as u64
    }

    /// The attributes of the item.
    pub(crate) fn attributes(&self) -> Attributes {
        read::attributes(&mut serde_json::Deserializer::from_slice(&self.json))
            .expect("it was written here, or checked by the same grammar")
    }

    /// The attribute of this name as `"name":value`, if the table has it. `hint` is where it may be in the
    /// table, and becomes where it is.
    #[inline]
    pub(crate) fn member(&self, name: &str, hint: &mut usize) -> Option<&[u8]> {
        if let Some(place) = self.places.get(*hint)
            && self.is_called(place, name)
        {
            return Some(self.text(place));
        }
        let at = self.places.iter().position(|place| self.is_called(place, name))?;
        *hint = at;
        Some(self.text(&self.places[at]))
    }

    /// The size of this attribute, name and value, if the table has it.
    pub(crate) fn size_of(&self, name: &str) -> Option<u64> {
        Some(u64::from(self.place(name)?.size))
    }

    /// The value of this attribute, if the table has it.
    pub(crate) fn value(&self, name: &str) -> Option<AttributeValue> {
        // Between the name's closing quote and the value there are a colon and perhaps blanks.
        let after_name = self.text(self.place(name)?).get(name.len() + 2..)?;
        let colon = after_name.iter().position(|&byte| byte == b':')?;
        serde_json::from_slice(&after_name[colon + 1..]).ok()
    }

    /// An item of these attributes alone, if the table has them all.
    pub(crate) fn project<'a>(&self, names: impl Iterator<Item = &'a str>) -> Option<Self> {
        let mut json = Vec::with_capacity(self.json.len().min(256));
        let mut places = Vec::with_capacity(2);
        json.push(b'{');
        for name in names {
            if json.len() > 1 {
                json.push(b',');
            }
            let start = json.len();
            let place = self.place(name)?;
            json.extend_from_slice(self.text(place));
            places.push(Place {
                start: u32::try_from(start).ok()?,
                end: u32::try_from(json.len()).ok()?,
                ..*place
            });
        }
        json.push(b'}');
        Some(Self { json: json.into(), places: places.into() })
    }

    fn place(&self, name: &str) -> Option<&Place> {
        self.places.iter().find(|place| self.is_called(place, name))
    }

    /// Whether the attribute that lies there has this name.
    #[inline]
    fn is_called(&self, place: &Place, name: &str) -> bool {
        let start = place.start as usize + 1;
        // Lengths first: they tell most names apart.
        place.name_len as usize == name.len()
            && same_name(&self.json[start..start + name.len()], name.as_bytes())
    }

    fn text(&self, place: &Place) -> &[u8] {
        &self.json[place.start as usize..place.end as usize]
    }
}

impl fmt::Debug for Encoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.json))
    }
}

/// Goes over an item's text once: where each attribute lies, and what all of them measure.
struct Survey<'de> {
    text: &'de str,
}

impl Survey<'_> {
    /// Where a part of the text starts in it.
    fn offset(&self, part: &str) -> usize {
        part.as_ptr().addr() - self.text.as_ptr().addr()
    }
}

impl<'de> DeserializeSeed<'de> for Survey<'de> {
    type Value = (Vec<Place>, u64);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Survey<'de> {
    type Value = (Vec<Place>, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item: a map of attribute values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut places = Vec::new();
        let mut names = BTreeSet::new();
        let mut total = 0;
        while let Some((Text(name), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            let value = value.get();
            let Measured(size) = Value::attribute()
                .deserialize(&mut serde_json::Deserializer::from_str(value))
                .map_err(|error| de::Error::custom(problem::words(&error)))?;
            total += name.len() as u64 + size;
            if let Cow::Borrowed(name) = name {
                let (start, end) = (self.offset(name) - 1, self.offset(value) + value.len());
                places.extend(Place::new(start, name, end, size));
            }
            if !names.insert(name) {
                return Err(de::Error::custom(problem::SAME_NAMES));
            }
        }
        Ok((places, total))
    }
}
