//! What a host puts into a stream: one change of one item.

use super::image::Image;
use super::kinds::OperationType;

/// One change of one item: what kind it is, and the item before and after it.
///
/// Give both images whenever there are two: the stream keeps what its view type asks for.
#[derive(Debug, Clone)]
#[must_use = "a change does nothing until it is put into a stream"]
pub struct Change {
    pub(super) operation: OperationType,
    pub(super) by_ttl: bool,
    pub(super) keys: Option<Image>,
    pub(super) new: Option<Image>,
    pub(super) old: Option<Image>,
}

impl Change {
    /// An item was created.
    pub fn insert(new: Image) -> Self {
        Self::of(OperationType::Insert, None, Some(new))
    }

    /// An item changed.
    pub fn modify(old: Image, new: Image) -> Self {
        Self::of(OperationType::Modify, Some(old), Some(new))
    }

    /// An item was deleted.
    pub fn remove(old: Image) -> Self {
        Self::of(OperationType::Remove, Some(old), None)
    }

    fn of(operation: OperationType, old: Option<Image>, new: Option<Image>) -> Self {
        Self { operation, by_ttl: false, keys: None, new, old }
    }

    /// Gives an image of the key attributes alone.
    ///
    /// It spares the stream making one where the view type keeps neither image: always for
    /// `KEYS_ONLY`, for deletions in `NEW_IMAGE`, for insertions in `OLD_IMAGE`. A host that keeps
    /// one such image per item makes these puts free of allocation too.
    pub fn with_keys(mut self, keys: Image) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Says that time to live deleted the item. Means something for deletions only.
    pub fn by_ttl(mut self) -> Self {
        self.by_ttl = true;
        self
    }

    /// Whether the item is the same after the change as it was before: DynamoDB writes no record
    /// of such a change. Compares the images, at once if they are one image.
    #[must_use]
    pub fn is_no_op(&self) -> bool {
        matches!((&self.old, &self.new), (Some(old), Some(new)) if old.same_as(new))
    }

    /// What happened to the item.
    #[must_use]
    pub fn operation(&self) -> OperationType {
        self.operation
    }

    /// The image of the key attributes, if the host gave one.
    #[must_use]
    pub fn keys(&self) -> Option<&Image> {
        self.keys.as_ref()
    }

    /// The item after the change.
    #[must_use]
    pub fn new_image(&self) -> Option<&Image> {
        self.new.as_ref()
    }

    /// The item before the change.
    #[must_use]
    pub fn old_image(&self) -> Option<&Image> {
        self.old.as_ref()
    }

    /// Whether time to live deleted the item.
    #[must_use]
    pub fn is_ttl_delete(&self) -> bool {
        self.by_ttl && self.operation == OperationType::Remove
    }

    /// An image that has the key attributes: the smallest at hand.
    pub(super) fn key_source(&self) -> Option<&Image> {
        self.keys.as_ref().or(self.new.as_ref()).or(self.old.as_ref())
    }
}

/// Who made a change, where DynamoDB says so: itself, when time to live deletes an item.
///
/// Source: Amazon DynamoDB Developer Guide, "DynamoDB Streams and Time to Live".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserIdentity {
    /// `dynamodb.amazonaws.com`.
    pub principal_id: &'static str,
    /// `Service`.
    pub identity_type: &'static str,
}

impl UserIdentity {
    /// The only one that DynamoDB writes.
    pub const TIME_TO_LIVE: Self =
        Self { principal_id: "dynamodb.amazonaws.com", identity_type: "Service" };
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{AttributeValue, Attributes};

    fn image(n: &str) -> Image {
        Image::new(Attributes::from([("n".to_owned(), AttributeValue::N(n.to_owned()))]))
    }

    #[test]
    fn a_change_that_changes_nothing() {
        let one = image("1");
        assert!(Change::modify(one.clone(), one.clone()).is_no_op());
        assert!(Change::modify(one.clone(), image("1.0")).is_no_op());
        assert!(!Change::modify(one.clone(), image("2")).is_no_op());
        assert!(!Change::insert(one.clone()).is_no_op());
        assert!(!Change::remove(one).is_no_op());
    }

    #[test]
    fn time_to_live_only_deletes() {
        assert!(Change::remove(image("1")).by_ttl().is_ttl_delete());
        assert!(!Change::insert(image("1")).by_ttl().is_ttl_delete());
    }
}
