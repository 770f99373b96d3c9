//! Items before they are stored: numbers are brought to the one spelling in which
//! DynamoDB keeps them, and size and depth are bounded.
//!
//! The other rules for values (sets, nulls, numbers that are none) are checked where
//! `streamcore` reads them from JSON.

use streamcore::model::{AttributeValue, Attributes, Image};

use crate::error::ApiError;
use crate::number;

/// AWS developer guide, "Quotas": 400 KB, names included.
const MAX_ITEM_BYTES: u64 = 400 * 1024;
/// AWS developer guide, "Quotas": nested attribute depth. Reading bounds what is sent at
/// once; updates could still nest deeper and deeper.
const MAX_DEPTH: usize = 32;

/// What a put says of an item above 400 KB.
pub(crate) const PUT_TOO_LARGE: &str = "Item size has exceeded the maximum allowed size";
/// What an update says of it.
pub(crate) const UPDATE_TOO_LARGE: &str =
    "Item size to update has exceeded the maximum allowed size";

/// Brings all numbers of an item, a key, or the values of an expression to their spelling.
pub(crate) fn normalize(attributes: &mut Attributes) -> Result<(), ApiError> {
    attributes.values_mut().try_for_each(normalize_value)
}

/// Brings all numbers of a value to their spelling.
pub(crate) fn normalize_value(value: &mut AttributeValue) -> Result<(), ApiError> {
    match value {
        AttributeValue::N(text) => normalize_number(text),
        AttributeValue::Ns(set) => set.iter_mut().try_for_each(normalize_number),
        AttributeValue::M(map) => normalize(map),
        AttributeValue::L(list) => list.iter_mut().try_for_each(normalize_value),
        _ => Ok(()),
    }
}

fn normalize_number(text: &mut String) -> Result<(), ApiError> {
    if let Some(plain) = number::canonical(text)? {
        *text = plain;
    }
    Ok(())
}

/// The shared image of an item that is about to be stored.
pub(crate) fn image(item: Attributes, too_large: &'static str) -> Result<Image, ApiError> {
    if !item.values().all(|value| fits(value, MAX_DEPTH)) {
        return Err(ApiError::validation("Nesting Levels have exceeded supported limits"));
    }
    let image = Image::new(item);
    if image.size_bytes() > MAX_ITEM_BYTES {
        return Err(ApiError::validation(too_large));
    }
    Ok(image)
}

/// Whether a value nests no deeper than `levels`, its own included.
fn fits(value: &AttributeValue, levels: usize) -> bool {
    match value {
        _ if levels == 0 => false,
        AttributeValue::M(map) => map.values().all(|value| fits(value, levels - 1)),
        AttributeValue::L(list) => list.iter().all(|value| fits(value, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(value: AttributeValue) -> Attributes {
        Attributes::from([("a".to_owned(), value)])
    }

    #[test]
    fn numbers_are_stored_in_one_spelling_at_every_depth() {
        let mut nested = AttributeValue::L(vec![
            AttributeValue::N("1.50".into()),
            AttributeValue::M(item(AttributeValue::Ns(vec!["10".into(), "1e0".into()]))),
        ]);
        normalize_value(&mut nested).expect("numbers");
        assert_eq!(
            nested,
            AttributeValue::L(vec![
                AttributeValue::N("1.5".into()),
                AttributeValue::M(item(AttributeValue::Ns(vec!["10".into(), "1".into()]))),
            ])
        );
    }

    #[test]
    fn depth_and_size_are_bounded() {
        let nest = |levels: usize| {
            (0..levels).fold(AttributeValue::Bool(true), |inner, _| AttributeValue::L(vec![inner]))
        };
        assert!(image(item(nest(31)), PUT_TOO_LARGE).is_ok());
        let error = image(item(nest(32)), PUT_TOO_LARGE).expect_err("33 levels");
        assert_eq!(error.message(), "Nesting Levels have exceeded supported limits");

        let text = |bytes: usize| AttributeValue::S("x".repeat(bytes));
        assert!(image(item(text(400 * 1024 - 1)), PUT_TOO_LARGE).is_ok());
        let error = image(item(text(400 * 1024)), PUT_TOO_LARGE).expect_err("too large");
        assert_eq!(error.message(), PUT_TOO_LARGE);
    }
}
