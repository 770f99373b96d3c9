//! The expression language: conditions, filters, key conditions, updates and
//! projections, read into trees and evaluated over `streamcore`'s own values.
//!
//! Grammar and rules: AWS developer guide, "Using expressions in DynamoDB".

mod condition;
mod path;
mod read_condition;
mod read_update;
mod token;
mod update;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use streamcore::model::{AttributeValue, Attributes};

use crate::error::ApiError;
use crate::item;

pub(crate) use condition::{Comparison, Condition, Operand};
pub(crate) use path::{Path, Projection};
pub(crate) use update::{LegacyUpdate, Update, from_legacy};

/// AWS developer guide, "Quotas": maximum length of an expression string.
const MAX_EXPRESSION_BYTES: usize = 4096;

/// `ExpressionAttributeNames` and `ExpressionAttributeValues` of one request,
/// with a note of which of them its expressions used.
pub(crate) struct Bindings {
    names: BTreeMap<String, String>,
    values: Attributes,
    used_names: RefCell<BTreeSet<String>>,
    used_values: RefCell<BTreeSet<String>>,
}

impl Bindings {
    /// Checks what the request bound. `expressions` says whether it has any expression.
    pub(crate) fn new(
        names: Option<BTreeMap<String, String>>,
        values: Option<Attributes>,
        expressions: bool,
    ) -> Result<Self, ApiError> {
        for (given, what) in [
            (names.as_ref().map(BTreeMap::len), "ExpressionAttributeNames"),
            (values.as_ref().map(BTreeMap::len), "ExpressionAttributeValues"),
        ] {
            match given {
                Some(_) if !expressions => {
                    return Err(ApiError::validation(format!(
                        "{what} can only be specified when using expressions"
                    )));
                }
                Some(0) => {
                    return Err(ApiError::validation(format!("{what} must not be empty")));
                }
                _ => {}
            }
        }
        let names = names.unwrap_or_default();
        let mut values = values.unwrap_or_default();
        check_placeholders(names.keys(), b'#', "ExpressionAttributeNames")?;
        check_placeholders(values.keys(), b':', "ExpressionAttributeValues")?;
        item::normalize(&mut values)?;
        Ok(Self { names, values, used_names: RefCell::default(), used_values: RefCell::default() })
    }

    /// Reads a condition; `parameter` (`ConditionExpression`, ...) begins its errors.
    pub(crate) fn condition(&self, text: &str, parameter: &str) -> Result<Condition<'_>, ApiError> {
        check_length(text, parameter)
            .and_then(|()| read_condition::read(text, self))
            .map_err(|error| in_parameter(parameter, &error))
    }

    /// Reads an update.
    pub(crate) fn update(&self, text: &str) -> Result<Update<'_>, ApiError> {
        check_length(text, "UpdateExpression")
            .and_then(|()| read_update::read(text, self))
            .map_err(|error| in_parameter("UpdateExpression", &error))
    }

    /// Reads a projection.
    pub(crate) fn projection(&self, text: &str) -> Result<Projection, ApiError> {
        check_length(text, "ProjectionExpression")
            .and_then(|()| path::read_projection(text, self))
            .map_err(|error| in_parameter("ProjectionExpression", &error))
    }

    /// Call once all expressions are read: everything bound must have been used.
    pub(crate) fn check_all_used(&self) -> Result<(), ApiError> {
        fn unused<'k>(
            bound: impl Iterator<Item = &'k String>,
            used: &BTreeSet<String>,
        ) -> Vec<&'k str> {
            bound.filter(|key| !used.contains(*key)).map(String::as_str).collect()
        }
        for (unused, what) in [
            (unused(self.names.keys(), &self.used_names.borrow()), "ExpressionAttributeNames"),
            (unused(self.values.keys(), &self.used_values.borrow()), "ExpressionAttributeValues"),
        ] {
            if !unused.is_empty() {
                return Err(ApiError::validation(format!(
                    "Value provided in {what} unused in expressions: keys: {{{}}}",
                    unused.join(", ")
                )));
            }
        }
        Ok(())
    }

    /// The attribute that `name` means: itself, or what `#name` is bound to.
    fn name(&self, name: &str) -> Result<String, String> {
        if !name.starts_with('#') {
            return Ok(name.to_owned());
        }
        let bound = self.names.get(name).ok_or_else(|| {
            format!(
                "An expression attribute name used in the document path is not defined; \
                 attribute name: {name}"
            )
        })?;
        self.used_names.borrow_mut().insert(name.to_owned());
        Ok(bound.clone())
    }

    fn value(&self, name: &str) -> Result<&AttributeValue, String> {
        let value = self.values.get(name).ok_or_else(|| {
            format!(
                "An expression attribute value used in expression is not defined; \
                 attribute value: {name}"
            )
        })?;
        self.used_values.borrow_mut().insert(name.to_owned());
        Ok(value)
    }
}

fn check_placeholders<'k>(
    keys: impl Iterator<Item = &'k String>,
    sigil: u8,
    what: &str,
) -> Result<(), ApiError> {
    for key in keys {
        let rest = key.as_bytes().strip_prefix(&[sigil]);
        let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if !rest.is_some_and(|rest| !rest.is_empty() && rest.iter().all(plain)) {
            return Err(ApiError::validation(format!(
                "{what} contains invalid key: Syntax error; key: \"{key}\""
            )));
        }
    }
    Ok(())
}

fn check_length(text: &str, parameter: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("The expression can not be empty;".to_owned());
    }
    if text.len() > MAX_EXPRESSION_BYTES {
        return Err(format!(
            "Expression size has exceeded the maximum allowed size of {MAX_EXPRESSION_BYTES} \
             bytes; {parameter} size: {}",
            text.len()
        ));
    }
    Ok(())
}

fn in_parameter(parameter: &str, error: &str) -> ApiError {
    ApiError::validation(format!("Invalid {parameter}: {error}"))
}
