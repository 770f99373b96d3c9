//! Records as a shard stores them: what differs from record to record, and nothing that the stream
//! or the place in the log tells.

use std::borrow::Cow;

use super::change::Change;
use super::image::Image;
use super::info::StreamInfo;
use super::kinds::{OperationType, StreamViewType};
use super::value::AttributeValue;
use crate::error::Error;

/// One change as a shard stores it. [`RecordRef`](super::RecordRef) shows it whole.
#[derive(Debug, Clone)]
pub struct Record {
    created_ms: u64,
    new: Option<Image>,
    old: Option<Image>,
    /// The key attributes alone: kept if the host gave them, made if neither image is kept.
    keys: Option<Image>,
    /// The size of the key attributes and the images, so that who reads sizes reads no images.
    size: u32,
    operation: OperationType,
    by_ttl: bool,
}

/// What a record takes, as DynamoDB counts it: it was looked whether the key is there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordSize(u32);

// A slot of a shard's log is a record and a word; there are millions of them.
const _: () = assert!(size_of::<Record>() <= 56);

impl Record {
    /// The record of a change made at `created_ms`, with the images that the view type asks for.
    ///
    /// Allocates nothing unless it has to make a key image, see [`Change::with_keys`].
    ///
    /// # Errors
    ///
    /// [`Error::MissingKey`] if an attribute of the key is neither in the key image, if there is
    /// one, nor else in the new image, nor else in the old one. [`Error::InvalidItem`] if the record
    /// takes over 4 GiB.
    pub(crate) fn new(change: Change, stream: &StreamInfo, created_ms: u64) -> Result<Self, Error> {
        let key_size = size_of_keys(&change, stream)?;
        let mut record = Self::whole(change, RecordSize(0), created_ms);
        if stream.view_type() != StreamViewType::NewAndOldImages {
            record.keep(stream, key_size);
        }
        record.measure_with(key_size)?;
        Ok(record)
    }

    /// The size of the record of a change, for a stream that keeps both images.
    ///
    /// # Errors
    ///
    /// As [`Record::new`].
    #[inline(always)]
    pub(crate) fn measure(change: &Change, stream: &StreamInfo) -> Result<RecordSize, Error> {
        size_of_all(size_of_keys(change, stream)?, [&change.new, &change.old])
    }

    /// The record of a change that was measured, for a stream that keeps both images. So nothing that can fail is
    /// between making a record and storing it, and it goes from registers to where it stays.
    #[inline(always)]
    pub(crate) fn whole(change: Change, RecordSize(size): RecordSize, created_ms: u64) -> Self {
        Self {
            created_ms,
            size,
            operation: change.operation,
            by_ttl: change.is_ttl_delete(),
            new: change.new,
            old: change.old,
            keys: change.keys,
        }
    }

    /// Lets go of the images that the view type does not ask for. If it asks for none of those that are
    /// there, makes an image of the key attributes, unless the host gave one.
    fn keep(&mut self, stream: &StreamInfo, key_size: u64) {
        let view = stream.view_type();
        let keeps_new = view == StreamViewType::NewImage && self.new.is_some();
        let keeps_old = view == StreamViewType::OldImage && self.old.is_some();
        if self.keys.is_none() && !keeps_new && !keeps_old {
            self.keys = self.key_source().map(|source| source.keys(stream.key_schema(), key_size));
        }
        if !keeps_new {
            self.new = None;
        }
        if !keeps_old {
            self.old = None;
        }
    }

    /// The record that an archive holds in these parts; `None` if they are not those of a record of such a stream.
    pub(crate) fn restored(
        created_ms: u64,
        (operation, by_ttl): (OperationType, bool),
        [new, old, keys]: [Option<Image>; 3],
        stream: &StreamInfo,
    ) -> Option<Self> {
        let view = stream.view_type();
        use StreamViewType::{NewAndOldImages, NewImage, OldImage};
        let has_new =
            operation != OperationType::Remove && matches!(view, NewImage | NewAndOldImages);
        let has_old =
            operation != OperationType::Insert && matches!(view, OldImage | NewAndOldImages);
        if new.is_some() != has_new
            || old.is_some() != has_old
            || by_ttl && operation != OperationType::Remove
        {
            return None;
        }
        let mut record = Self { created_ms, size: 0, operation, by_ttl, new, old, keys };
        let key_size = record.key_source()?.size_of_keys(stream).ok()?;
        record.measure_with(key_size).ok()?;
        Some(record)
    }

    /// The bytes that its images took on the heap when they were made. An image that several
    /// records share counts in each. Constant for the life of the record; a few loads.
    pub(crate) fn heap_estimate(&self) -> u64 {
        let images = [&self.new, &self.old, &self.keys];
        images.into_iter().flatten().map(Image::first_bytes).sum()
    }

    /// What the record counts against a bound on memory: its slot, its images, and the encodings that
    /// readers may make of them later. Constant, like the estimate.
    pub(crate) fn charge(&self) -> u64 {
        let images = [&self.new, &self.old, &self.keys];
        let images: u64 = images.into_iter().flatten().map(Image::charge).sum();
        (size_of::<Self>() + size_of::<u64>()) as u64 + images
    }

    pub(crate) fn created_ms(&self) -> u64 {
        self.created_ms
    }

    pub(crate) fn operation(&self) -> OperationType {
        self.operation
    }

    pub(crate) fn is_ttl_delete(&self) -> bool {
        self.by_ttl
    }

    pub(crate) fn new_image(&self) -> Option<&Image> {
        self.new.as_ref()
    }

    pub(crate) fn old_image(&self) -> Option<&Image> {
        self.old.as_ref()
    }

    /// The image of the key attributes alone, if there is one.
    pub(crate) fn key_image(&self) -> Option<&Image> {
        self.keys.as_ref()
    }

    /// The image to take the key attributes from.
    pub(crate) fn key_source(&self) -> Option<&Image> {
        self.keys.as_ref().or(self.new.as_ref()).or(self.old.as_ref())
    }

    /// An attribute of the item's key.
    pub(crate) fn key_attribute(&self, name: &str) -> Option<Cow<'_, AttributeValue>> {
        self.key_source()?.attribute(name)
    }

    pub(crate) fn size_bytes(&self) -> u64 {
        u64::from(self.size)
    }

    /// Sets the size: that of keys of such a size, and of the images that it holds.
    fn measure_with(&mut self, key_size: u64) -> Result<(), Error> {
        let RecordSize(size) = size_of_all(key_size, [&self.new, &self.old])?;
        self.size = size;
        Ok(())
    }
}

/// The size of the key attributes of a change.
#[inline(always)]
fn size_of_keys(change: &Change, stream: &StreamInfo) -> Result<u64, Error> {
    match change.key_source() {
        Some(image) => image.size_of_keys(stream),
        None => Err(Error::MissingKey { attribute: stream.key_schema().hash().into() }),
    }
}

/// The size of a record with keys of such a size, and these images.
#[inline(always)]
fn size_of_all(key_size: u64, images: [&Option<Image>; 2]) -> Result<RecordSize, Error> {
    let size = images
        .into_iter()
        .flatten()
        .fold(key_size, |sum, image| sum.saturating_add(image.size_bytes()));
    u32::try_from(size).map(RecordSize).map_err(|_| too_large())
}

#[cold]
fn too_large() -> Error {
    Error::InvalidItem { problem: "its images take over 4 GiB".into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeValue, Attributes, KeySchema};

    fn image(names: &[&str]) -> Image {
        let attribute = |name: &&str| ((*name).to_owned(), AttributeValue::S("value".into()));
        Image::new(names.iter().map(attribute).collect::<Attributes>())
    }

    fn stream(view: StreamViewType) -> StreamInfo {
        let schema = KeySchema::new("pk", Some("sk")).unwrap();
        StreamInfo::builder("Orders", schema, view).build().unwrap()
    }

    #[test]
    fn each_view_keeps_its_images() {
        use StreamViewType::{KeysOnly, NewAndOldImages, NewImage, OldImage};
        let (new, old) = (image(&["pk", "sk", "a"]), image(&["pk", "sk", "b", "c"]));
        let insert = || Change::insert(new.clone());
        let modify = || Change::modify(old.clone(), new.clone());
        let remove = || Change::remove(old.clone());
        for (change, view, has_new, has_old, has_keys) in [
            (insert(), KeysOnly, false, false, true),
            (modify(), KeysOnly, false, false, true),
            (remove(), KeysOnly, false, false, true),
            (insert(), NewImage, true, false, false),
            (modify(), NewImage, true, false, false),
            (remove(), NewImage, false, false, true),
            (insert(), OldImage, false, false, true),
            (modify(), OldImage, false, true, false),
            (remove(), OldImage, false, true, false),
            (insert(), NewAndOldImages, true, false, false),
            (modify(), NewAndOldImages, true, true, false),
            (remove(), NewAndOldImages, false, true, false),
        ] {
            let what = format!("{} in {view}", change.operation());
            let record = Record::new(change, &stream(view), 7).unwrap();
            let is = |kept: Option<&Image>, of: &Image| kept.map(|image| image.ptr_eq(of));
            assert_eq!(is(record.new_image(), &new), has_new.then_some(true), "{what}");
            assert_eq!(is(record.old_image(), &old), has_old.then_some(true), "{what}");
            assert_eq!(record.keys.is_some(), has_keys, "{what}");
            let keys = record.keys.as_ref().map(Image::attributes);
            assert!(keys.is_none_or(|keys| keys.keys().eq(["pk", "sk"])), "{what}");
            let size = 14 + u64::from(has_new) * 20 + u64::from(has_old) * 26;
            assert_eq!(record.size_bytes(), size, "{what}");
        }
    }

    #[test]
    fn a_given_key_image_is_kept_and_checked() {
        let keys = image(&["pk", "sk"]);
        let change = || Change::remove(image(&["pk", "sk", "a"]));
        let given = change().with_keys(keys.clone());
        let record = Record::new(given, &stream(StreamViewType::NewImage), 0).unwrap();
        assert!(record.keys.as_ref().is_some_and(|kept| kept.ptr_eq(&keys)));
        let given = change().with_keys(image(&["pk"]));
        assert_eq!(
            Record::new(given, &stream(StreamViewType::NewImage), 0).unwrap_err(),
            Error::MissingKey { attribute: "sk".into() }
        );
    }

    #[test]
    fn an_item_without_its_key_is_refused() {
        let change = Change::insert(image(&["sk", "a"]));
        assert_eq!(
            Record::new(change, &stream(StreamViewType::NewAndOldImages), 0).unwrap_err(),
            Error::MissingKey { attribute: "pk".into() }
        );
    }
}
