//! Images: an item as it was at a moment, immutable and shared.
//!
//! An image has up to two forms, its attributes and its JSON. It starts with one; the other is made
//! when somebody first asks for it, and then kept. So the new image of a change, which is the old
//! image of the next, is encoded once for both, and every reader copies the same bytes.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

#[cfg(feature = "serde")]
use once_cell::race::OnceBox;

use super::info::StreamInfo;
#[cfg(feature = "serde")]
use super::json::Encoding;
use super::key_size::KeySize;
use super::schema::KeySchema;
use super::value::{self, AttributeValue, Attributes};
use crate::error::Error;

/// An item as it was at a moment: immutable, shared, one word. A clone is one atomic increment.
#[derive(Clone)]
pub struct Image(Arc<Inner>);

struct Inner {
    size_bytes: u64,
    key_size: KeySize,
    first_form: FirstForm,
    #[cfg(feature = "serde")]
    attributes: OnceBox<Attributes>,
    /// At least one of the two forms is there from the start.
    #[cfg(feature = "serde")]
    encoding: OnceBox<Encoding>,
    #[cfg(not(feature = "serde"))]
    attributes: Attributes,
}

/// Which form the image started with, and what that takes on the heap.
#[derive(Clone, Copy)]
struct FirstForm(u64);

impl FirstForm {
    const ATTRIBUTES: u64 = 1 << 63;

    fn attributes(bytes: u64) -> Self {
        Self(bytes | Self::ATTRIBUTES)
    }

    #[cfg(feature = "serde")]
    fn json(bytes: u64) -> Self {
        Self(bytes)
    }

    fn bytes(self) -> u64 {
        self.0 & !Self::ATTRIBUTES
    }

    #[cfg(feature = "serde")]
    fn is_attributes(self) -> bool {
        self.0 & Self::ATTRIBUTES != 0
    }
}

impl Image {
    /// An image of these attributes. Walks them once, to know their size.
    ///
    /// They are taken as they are: it is the host that knows what DynamoDB would refuse.
    #[must_use]
    pub fn new(attributes: Attributes) -> Self {
        Self(Arc::new(Inner {
            size_bytes: value::size_of_attributes(&attributes),
            key_size: KeySize::unknown(),
            first_form: FirstForm::attributes(bytes_of(&attributes)),
            #[cfg(feature = "serde")]
            attributes: OnceBox::with_value(Box::new(attributes)),
            #[cfg(feature = "serde")]
            encoding: OnceBox::new(),
            #[cfg(not(feature = "serde"))]
            attributes,
        }))
    }

    /// An image of an item that the host has as DynamoDB JSON, `{"pk":{"S":"a"},...}`.
    ///
    /// The text is checked and measured now, and kept: readers of the wire get these very bytes.
    /// Attributes are decoded when [`attributes`](Self::attributes) asks for them.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidItem`] says, in DynamoDB's words where they are known, why DynamoDB would
    /// not take the item: a value without a type or with two, a number out of range, an empty set
    /// or one with duplicates, more than 32 levels, an attribute that is named twice, no JSON.
    #[cfg(feature = "serde")]
    pub fn from_json(json: impl Into<Box<[u8]>>) -> Result<Self, Error> {
        let (encoding, size_bytes) = Encoding::read(json.into())?;
        Ok(Self::encoded(encoding, size_bytes))
    }

    #[cfg(feature = "serde")]
    fn encoded(encoding: Encoding, size_bytes: u64) -> Self {
        Self(Arc::new(Inner {
            size_bytes,
            key_size: KeySize::unknown(),
            first_form: FirstForm::json(encoding.heap_bytes()),
            attributes: OnceBox::new(),
            encoding: OnceBox::with_value(Box::new(encoding)),
        }))
    }

    /// The item's attributes.
    ///
    /// An image that was made from JSON decodes them on the first call and keeps them. Callers that
    /// race may each decode; one result is kept, and nobody waits.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        self.0.attributes()
    }

    /// The item's attributes.
    #[cfg(not(feature = "serde"))]
    #[must_use]
    pub fn attributes(&self) -> &Attributes {
        &self.0.attributes
    }

    /// The item as DynamoDB JSON, `{"pk":{"S":"a"},...}`.
    ///
    /// Encoded on the first call and kept. Callers that race may each encode; one result is kept,
    /// and nobody waits.
    #[cfg(feature = "serde")]
    #[must_use]
    pub fn json(&self) -> &[u8] {
        self.0.encoding().json()
    }

    /// Appends the item as DynamoDB JSON. Unlike [`json`](Self::json) it keeps no encoding that was not there.
    #[cfg(feature = "serde")]
    pub fn write_json(&self, out: &mut Vec<u8>) {
        match self.0.encoding.get() {
            Some(encoding) => out.extend_from_slice(encoding.json()),
            None => out.extend_from_slice(self.0.encode().json()),
        }
    }

    /// The bytes that DynamoDB counts for the item: the sum of its names and values.
    ///
    /// Source: Amazon DynamoDB Developer Guide, "DynamoDB item sizes and formats".
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.0.size_bytes
    }

    /// The bytes of heap that the image holds now, kept encodings included. Attributes are counted
    /// roughly, by walking them: this is for statistics.
    #[must_use]
    pub fn kept_bytes(&self) -> u64 {
        self.forms_bytes() + Self::own_bytes()
    }

    /// How many share the image at the moment, the caller included: whether a stream has let go of it.
    #[must_use]
    pub fn owners(&self) -> usize {
        Arc::strong_count(&self.0)
    }

    /// What tells the image from all others that are alive at the same time: for who writes images that are
    /// shared only once.
    #[must_use]
    pub fn address(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }

    /// Whether both are one image.
    #[must_use]
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether DynamoDB would call the items equal: numbers by value, sets without order. At once
    /// for one and the same image.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        self.ptr_eq(other) || value::same_attributes(self.attributes(), other.attributes())
    }

    /// The bytes of heap that the image held when it was made; one load.
    pub(crate) fn first_bytes(&self) -> u64 {
        self.0.first_form.bytes() + Self::own_bytes()
    }

    /// The bytes of heap that the image may come to hold when it is read over the wire: an image that was
    /// made of attributes also keeps its JSON, which takes no more than base64 of their memory would.
    pub(crate) fn charge(&self) -> u64 {
        #[cfg(feature = "serde")]
        if self.0.first_form.is_attributes() {
            return Self::own_bytes() + self.0.first_form.bytes() / 3 * 7;
        }
        self.first_bytes()
    }

    fn own_bytes() -> u64 {
        // The two counts of an `Arc` lie in front of its content.
        (size_of::<Inner>() + 2 * size_of::<usize>()) as u64
    }
}

/// The forms, and what can be said without making one that is not there.
#[cfg(feature = "serde")]
impl Inner {
    fn attributes(&self) -> &Attributes {
        self.attributes.get_or_init(|| match self.encoding.get() {
            Some(encoding) => Box::new(encoding.attributes()),
            None => unreachable!("an image has a form from the start"),
        })
    }

    fn encoding(&self) -> &Encoding {
        self.encoding.get_or_init(|| Box::new(self.encode()))
    }

    fn encode(&self) -> Encoding {
        let attributes = self.attributes();
        let all = attributes.iter().map(|(name, value)| (&**name, value));
        Encoding::of(all, attributes.len(), self.size_bytes)
    }

    fn attribute(&self, name: &str) -> Option<Cow<'_, AttributeValue>> {
        if self.attributes.get().is_none()
            && let Some(value) = self.encoding().value(name)
        {
            return Some(Cow::Owned(value));
        }
        self.attributes().get(name).map(Cow::Borrowed)
    }

    /// The size of the key attributes, if they are all there.
    fn size_of_keys(&self, schema: &KeySchema) -> Option<u64> {
        if let Some(attributes) = self.attributes.get() {
            return value::size_of_keys(attributes, schema);
        }
        let encoding = self.encoding();
        let mut sizes = schema.names().map(|name| encoding.size_of(name));
        match sizes.try_fold(0, |sum, size| Some(sum + size?)) {
            Some(size) => Some(size),
            // Its table does not have every name.
            None => value::size_of_keys(self.attributes(), schema),
        }
    }
}

#[cfg(feature = "serde")]
impl Image {
    /// Appends the key attributes as `"name":value`, with commas between them. `hints` are the places where
    /// they were found in another image: items of a table are mostly alike.
    pub(crate) fn write_keys(&self, schema: &KeySchema, hints: &mut [usize; 2], out: &mut Vec<u8>) {
        let encoding = self.0.encoding();
        for ((number, name), hint) in schema.names().enumerate().zip(hints) {
            if number > 0 {
                out.push(b',');
            }
            if let Some(member) = encoding.member(name, hint) {
                out.extend_from_slice(member);
            } else if let Some(value) = self.attributes().get(name) {
                super::json::write_attribute(out, name, value);
            }
        }
    }

    /// An image of the key attributes alone, which the item is known to have; `size_bytes` is theirs.
    ///
    /// It is made as JSON: a tree of two attributes would take five times the memory, and whoever
    /// reads a record over the wire reads its keys.
    pub(crate) fn keys(&self, schema: &KeySchema, size_bytes: u64) -> Self {
        let copied = self.0.encoding.get().and_then(|encoding| encoding.project(schema.names()));
        let encoding = copied.unwrap_or_else(|| {
            let attributes = self.attributes();
            let keys = schema.names().filter_map(|name| Some((name, attributes.get(name)?)));
            Encoding::of(keys, schema.elements().len(), size_bytes)
        });
        Self::encoded(encoding, size_bytes)
    }

    fn forms_bytes(&self) -> u64 {
        let attributes = self.0.attributes.get().map_or(0, bytes_of);
        attributes + self.0.encoding.get().map_or(0, Encoding::heap_bytes)
    }
}

/// The same, when attributes are the only form.
#[cfg(not(feature = "serde"))]
impl Inner {
    fn attribute(&self, name: &str) -> Option<Cow<'_, AttributeValue>> {
        self.attributes.get(name).map(Cow::Borrowed)
    }

    fn size_of_keys(&self, schema: &KeySchema) -> Option<u64> {
        value::size_of_keys(&self.attributes, schema)
    }
}

#[cfg(not(feature = "serde"))]
impl Image {
    pub(crate) fn keys(&self, schema: &KeySchema, _size_bytes: u64) -> Self {
        let key = |name| self.attributes().get_key_value(name);
        Self::new(
            schema
                .names()
                .filter_map(key)
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        )
    }

    fn forms_bytes(&self) -> u64 {
        self.0.first_form.bytes()
    }
}

impl Image {
    /// An attribute of the item.
    pub(crate) fn attribute(&self, name: &str) -> Option<Cow<'_, AttributeValue>> {
        self.0.attribute(name)
    }

    /// The size of the key attributes of a stream, names and values.
    #[inline(always)]
    pub(crate) fn size_of_keys(&self, stream: &StreamInfo) -> Result<u64, Error> {
        // By what is shared, not by the handle: the change that the handle is part of stays in registers.
        match self.0.key_size.of(stream.serial()) {
            Some(known) => Ok(known),
            None => self.0.measure_keys(stream),
        }
    }
}

impl Inner {
    #[inline(never)]
    fn measure_keys(&self, stream: &StreamInfo) -> Result<u64, Error> {
        let schema = stream.key_schema();
        let size = self.size_of_keys(schema).ok_or_else(|| self.missing_key(schema))?;
        self.key_size.remember(stream.serial(), size);
        Ok(size)
    }

    /// Says which attribute of the key is not there: the first one.
    #[cold]
    fn missing_key(&self, schema: &KeySchema) -> Error {
        let missing = schema.names().find(|name| self.attribute(name).is_none());
        Error::MissingKey { attribute: missing.unwrap_or(schema.hash()).into() }
    }
}

fn bytes_of(attributes: &Attributes) -> u64 {
    size_of::<Attributes>() as u64 + value::heap_of_attributes(attributes)
}

impl From<Attributes> for Image {
    fn from(attributes: Attributes) -> Self {
        Self::new(attributes)
    }
}

impl fmt::Debug for Image {
    /// Shows the attributes, or the JSON if they have not been decoded.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "serde")]
        if let (None, Some(encoding)) = (self.0.attributes.get(), self.0.encoding.get()) {
            return f.debug_tuple("Image").field(encoding).finish();
        }
        f.debug_tuple("Image").field(self.attributes()).finish()
    }
}

#[cfg(all(test, feature = "serde"))]
mod tests;
