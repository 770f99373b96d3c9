//! Operations that change items: PutItem, UpdateItem, DeleteItem, BatchWriteItem.

use std::collections::{BTreeMap, HashSet};

use serde::Deserialize;
use serde::de::IgnoredAny;
use streamcore::model::{Attributes, Image};

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::expr::{Bindings, Condition, LegacyUpdate, Projection, Update, from_legacy};
use crate::key::ItemKey;
use crate::table::{Next, Table};
use crate::visible::Receipts;
use crate::{item, request};

/// The parameters of the three operations on one item, and of the actions of transactions.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Write {
    pub(crate) table_name: Option<String>,
    pub(crate) item: Option<Attributes>,
    pub(crate) key: Option<Attributes>,
    pub(crate) update_expression: Option<String>,
    attribute_updates: Option<BTreeMap<String, LegacyUpdate>>,
    pub(crate) condition_expression: Option<String>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Attributes>,
    return_values: Option<String>,
    return_values_on_condition_check_failure: Option<String>,
    expected: Option<IgnoredAny>,
    conditional_operator: Option<IgnoredAny>,
}

impl Write {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = request::parse(body)?;
        request::refuse_legacy(&[
            ("Expected", request.expected.is_some()),
            ("ConditionalOperator", request.conditional_operator.is_some()),
        ])?;
        Ok(request)
    }

    pub(crate) fn bindings(&mut self) -> Result<Bindings, ApiError> {
        let expressions = self.condition_expression.is_some() || self.update_expression.is_some();
        let names = self.expression_attribute_names.take();
        Bindings::new(names, self.expression_attribute_values.take(), expressions)
    }

    /// What the answer shows; `allowed` is what this operation can show.
    fn shown(&self, allowed: &[&str]) -> Result<Shown, ApiError> {
        let words = ["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"];
        let word = request::one_of(self.return_values.as_deref(), "returnValues", &words)?;
        if !allowed.contains(&word) {
            return Err(ApiError::validation("Return values set to invalid value"));
        }
        Ok(match word {
            "ALL_OLD" => Shown::AllOld,
            "UPDATED_OLD" => Shown::UpdatedOld,
            "ALL_NEW" => Shown::AllNew,
            "UPDATED_NEW" => Shown::UpdatedNew,
            _ => Shown::Nothing,
        })
    }

    pub(crate) fn guard<'v>(&self, bindings: &'v Bindings) -> Result<Guard<'v>, ApiError> {
        let read = |text: &String| bindings.condition(text, "ConditionExpression");
        let at = "returnValuesOnConditionCheckFailure";
        let word = self.return_values_on_condition_check_failure.as_deref();
        Ok(Guard {
            condition: self.condition_expression.as_ref().map(read).transpose()?,
            show_old: request::one_of(word, at, &["NONE", "ALL_OLD"])? == "ALL_OLD",
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shown {
    Nothing,
    AllOld,
    UpdatedOld,
    AllNew,
    UpdatedNew,
}

/// A condition, and what to tell when it fails.
pub(crate) struct Guard<'v> {
    condition: Option<Condition<'v>>,
    show_old: bool,
}

impl Guard<'_> {
    pub(crate) fn check(&self, old: Option<&Image>) -> Result<(), ApiError> {
        let Some(condition) = &self.condition else {
            return Ok(());
        };
        if old.map_or_else(
            || condition.holds(&Attributes::new()),
            |image| condition.holds(image.attributes()),
        ) {
            return Ok(());
        }
        Err(ApiError::condition_failed(old.filter(|_| self.show_old).cloned()))
    }
}

impl Emulator {
    pub(crate) fn put_item(
        &self,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, ApiError> {
        let mut request = Write::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let item = request.item.take().ok_or_else(|| ApiError::required("item"))?;
        let shown = request.shown(&["NONE", "ALL_OLD"])?;
        let bindings = request.bindings()?;
        let guard = request.guard(&bindings)?;
        bindings.check_all_used()?;
        let (key, image) = prepare(&table, item)?;
        let written = table.change(key, receipts, |old| {
            guard.check(old)?;
            Ok(Next::Put(image))
        })?;
        Ok(with_attributes(written.old.as_ref().filter(|_| shown == Shown::AllOld)))
    }

    pub(crate) fn delete_item(
        &self,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, ApiError> {
        let mut request = Write::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let shown = request.shown(&["NONE", "ALL_OLD"])?;
        let bindings = request.bindings()?;
        let guard = request.guard(&bindings)?;
        bindings.check_all_used()?;
        let key = table.schema.key.of_request(&item_key(request.key.take())?)?;
        let written = table.change(key, receipts, |old| {
            guard.check(old)?;
            Ok(Next::Delete)
        })?;
        Ok(with_attributes(written.old.as_ref().filter(|_| shown == Shown::AllOld)))
    }

    pub(crate) fn update_item(
        &self,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, ApiError> {
        let mut request = Write::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let shown = request.shown(&["NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW"])?;
        let mut legacy = request.attribute_updates.take();
        let bindings = request.bindings()?;
        let guard = request.guard(&bindings)?;
        let update = match (&request.update_expression, &mut legacy) {
            (Some(_), Some(_)) => {
                return Err(ApiError::validation(
                    "Can not use both expression and non-expression parameters in the same \
                     request: Non-expression parameters: {AttributeUpdates} Expression \
                     parameters: {UpdateExpression}",
                ));
            }
            (Some(text), None) => bindings.update(text)?,
            (None, Some(updates)) => from_legacy(updates)?,
            (None, None) => Update::default(),
        };
        bindings.check_all_used()?;
        check_targets(&table, &update)?;
        let key_attributes = item_key(request.key.take())?;
        let key = table.schema.key.of_request(&key_attributes)?;
        let written = table.change(key, receipts, |old| {
            guard.check(old)?;
            updated(&table, &update, old, &key_attributes).map(Next::Put)
        })?;
        let touched = |image: Option<&Image>| {
            let projection = Projection::new(update.targets());
            let part = projection.apply(image?.attributes());
            (!part.is_empty()).then(|| Image::new(part))
        };
        Ok(with_attributes(
            match shown {
                Shown::Nothing => None,
                Shown::AllOld => written.old,
                Shown::AllNew => written.new,
                Shown::UpdatedOld => touched(written.old.as_ref()),
                Shown::UpdatedNew => touched(written.new.as_ref()),
            }
            .as_ref(),
        ))
    }

    pub(crate) fn batch_write_item(
        &self,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, ApiError> {
        let request: BatchWrite = request::parse(body)?;
        let tables = request.request_items.ok_or_else(|| ApiError::required("requestItems"))?;
        let count: usize = tables.values().map(Vec::len).sum();
        if count == 0 {
            return Err(ApiError::constraint(
                "'{}'",
                "requestItems",
                "Member must have length greater than or equal to 1",
            ));
        }
        if count > MAX_BATCH {
            return Err(ApiError::validation(
                "Too many items requested for the BatchWriteItem call",
            ));
        }
        // Everything is checked before anything is written.
        let mut changes = Vec::with_capacity(count);
        for (name, requests) in tables {
            let table = self.tables.of_items(Some(&name))?;
            let mut seen = HashSet::with_capacity(requests.len());
            for request in requests {
                let (key, next) = match (request.put_request, request.delete_request) {
                    (Some(put), None) => {
                        let (key, image) = prepare(&table, put.item)?;
                        (key, Next::Put(image))
                    }
                    (None, Some(delete)) => {
                        let key = item_key(Some(delete.key))?;
                        (table.schema.key.of_request(&key)?, Next::Delete)
                    }
                    _ => {
                        return Err(ApiError::validation(
                            "Supplied WriteRequest must contain exactly one of PutRequest and DeleteRequest",
                        ));
                    }
                };
                if !seen.insert(key.bytes.clone()) {
                    return Err(ApiError::validation(
                        "Provided list of item keys contains duplicates",
                    ));
                }
                changes.push((table.clone(), key, next));
            }
        }
        for (table, key, next) in changes {
            table.change(key, receipts, |_| Ok(next))?;
        }
        Ok(br#"{"UnprocessedItems":{}}"#.to_vec())
    }
}

/// AWS API reference, BatchWriteItem.
const MAX_BATCH: usize = 25;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchWrite {
    request_items: Option<BTreeMap<String, Vec<WriteRequest>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WriteRequest {
    put_request: Option<PutRequest>,
    delete_request: Option<DeleteRequest>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PutRequest {
    item: Attributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DeleteRequest {
    key: Attributes,
}

/// Refuses an update of the key.
pub(crate) fn check_targets(table: &Table, update: &Update<'_>) -> Result<(), ApiError> {
    match update.targets().find(|path| table.schema.key.contains(path.attribute())) {
        None => Ok(()),
        Some(path) => Err(ApiError::invalid(format_args!(
            "Cannot update attribute {}. This attribute is part of the key",
            path.attribute()
        ))),
    }
}

/// The item that an update makes of what is there, or of its key alone.
pub(crate) fn updated(
    table: &Table,
    update: &Update<'_>,
    old: Option<&Image>,
    key: &Attributes,
) -> Result<Image, ApiError> {
    let new = update.apply(old.map_or(key, Image::attributes))?;
    table.check_index_keys(&new)?;
    item::image(new, item::UPDATE_TOO_LARGE)
}

/// Checks an item that shall be put, and makes its image.
pub(crate) fn prepare(table: &Table, mut item: Attributes) -> Result<(ItemKey, Image), ApiError> {
    item::normalize(&mut item)?;
    checked(table, item)
}

/// The key and the image of an item that is normal already.
pub(crate) fn checked(table: &Table, item: Attributes) -> Result<(ItemKey, Image), ApiError> {
    let key = table.schema.key.of_item(&item)?;
    table.check_index_keys(&item)?;
    Ok((key, item::image(item, item::PUT_TOO_LARGE)?))
}

/// Reads a `Key` parameter.
pub(crate) fn item_key(given: Option<Attributes>) -> Result<Attributes, ApiError> {
    let mut key = given.ok_or_else(|| ApiError::required("key"))?;
    item::normalize(&mut key)?;
    Ok(key)
}

/// `{"Attributes": image}`, or `{}`.
fn with_attributes(image: Option<&Image>) -> Vec<u8> {
    match image {
        None => b"{}".to_vec(),
        Some(image) => [br#"{"Attributes":"#, image.json(), b"}"].concat(),
    }
}
