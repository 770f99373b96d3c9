//! Operations that read items by their keys: GetItem, BatchGetItem.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};
use streamcore::model::{Attributes, Image};

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::expr::{Bindings, Path, Projection};
use crate::request;
use crate::write::item_key;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct GetItem {
    table_name: Option<String>,
    key: Option<Attributes>,
    projection_expression: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BatchGet {
    request_items: Option<BTreeMap<String, KeysOfTable>>,
}

/// What a batch wants of one table; and what is left of that in `UnprocessedKeys`.
#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct KeysOfTable {
    keys: Vec<Attributes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    projection_expression: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attributes_to_get: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression_attribute_names: Option<BTreeMap<String, String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consistent_read: Option<bool>,
}

/// AWS API reference, BatchGetItem.
const MAX_BATCH: usize = 100;
/// AWS API reference, BatchGetItem: what is over comes back unprocessed.
const MAX_ANSWER_BYTES: usize = 16 << 20;

/// The projection of a request that binds no values.
pub(crate) fn projection(
    expression: Option<&str>,
    attributes: Option<&[String]>,
    names: Option<BTreeMap<String, String>>,
) -> Result<Option<Projection>, ApiError> {
    let bindings = Bindings::new(names, None, expression.is_some())?;
    let projection = read_projection(&bindings, expression, attributes)?;
    bindings.check_all_used()?;
    Ok(projection)
}

/// `ProjectionExpression`, or its forerunner `AttributesToGet`.
pub(crate) fn read_projection(
    bindings: &Bindings,
    expression: Option<&str>,
    attributes: Option<&[String]>,
) -> Result<Option<Projection>, ApiError> {
    match (expression, attributes) {
        (Some(_), Some(_)) => Err(ApiError::validation(
            "Can not use both expression and non-expression parameters in the same request: \
             Non-expression parameters: {AttributesToGet} Expression parameters: \
             {ProjectionExpression}",
        )),
        (Some(text), None) => bindings.projection(text).map(Some),
        (None, Some(names)) => {
            let paths: Vec<Path> = names.iter().map(Path::of).collect();
            Ok(Some(Projection::new(&paths)))
        }
        (None, None) => Ok(None),
    }
}

/// Appends an item, or what `projection` leaves of it.
pub(crate) fn write_item(image: &Image, projection: Option<&Projection>, out: &mut Vec<u8>) {
    match projection {
        // The encoding is kept with the image: the stream's readers use the same one.
        None => out.extend_from_slice(image.json()),
        Some(projection) => {
            out.extend_from_slice(Image::new(projection.apply(image.attributes())).json());
        }
    }
}

impl Emulator {
    pub(crate) fn get_item(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: GetItem = request::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let projection = projection(
            request.projection_expression.as_deref(),
            request.attributes_to_get.as_deref(),
            request.expression_attribute_names,
        )?;
        let key = table.schema.key.of_request(&item_key(request.key)?)?;
        let Some(image) = table.get(&key) else {
            return Ok(b"{}".to_vec());
        };
        let mut out = br#"{"Item":"#.to_vec();
        write_item(&image, projection.as_ref(), &mut out);
        out.push(b'}');
        Ok(out)
    }

    pub(crate) fn batch_get_item(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let request: BatchGet = request::parse(body)?;
        let tables = request.request_items.ok_or_else(|| ApiError::required("requestItems"))?;
        let count: usize = tables.values().map(|wanted| wanted.keys.len()).sum();
        if count == 0 {
            return Err(ApiError::constraint(
                "'{}'",
                "requestItems",
                "Member must have length greater than or equal to 1",
            ));
        }
        if count > MAX_BATCH {
            return Err(ApiError::validation("Too many items requested for the BatchGetItem call"));
        }
        let mut unprocessed = BTreeMap::new();
        let mut out = br#"{"Responses":{"#.to_vec();
        for (index, (name, wanted)) in tables.into_iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            write_string(&name, &mut out);
            out.extend_from_slice(b":[");
            let left = self.get_all(&name, &wanted, &mut out)?;
            out.push(b']');
            if !left.is_empty() {
                unprocessed.insert(name, KeysOfTable { keys: left, ..wanted });
            }
        }
        out.extend_from_slice(br#"},"UnprocessedKeys":"#);
        out.extend_from_slice(&serde_json::to_vec(&unprocessed).map_err(|error| {
            ApiError::new(crate::error::ErrorKind::Internal, error.to_string())
        })?);
        out.push(b'}');
        Ok(out)
    }

    /// Appends the items of one table; gives back the keys for which there was no room.
    fn get_all(
        &self,
        name: &str,
        wanted: &KeysOfTable,
        out: &mut Vec<u8>,
    ) -> Result<Vec<Attributes>, ApiError> {
        let table = self.tables.of_items(Some(name))?;
        let projection = projection(
            wanted.projection_expression.as_deref(),
            wanted.attributes_to_get.as_deref(),
            wanted.expression_attribute_names.clone(),
        )?;
        let mut seen = HashSet::with_capacity(wanted.keys.len());
        let mut left = Vec::new();
        let mut first = true;
        for given in &wanted.keys {
            let key = table.schema.key.of_request(&item_key(Some(given.clone()))?)?;
            if !seen.insert(key.bytes.clone()) {
                return Err(ApiError::validation("Provided list of item keys contains duplicates"));
            }
            let Some(image) = table.get(&key) else {
                continue;
            };
            if out.len() + image.json().len() > MAX_ANSWER_BYTES {
                left.push(given.clone());
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write_item(&image, projection.as_ref(), out);
        }
        Ok(left)
    }
}

/// Appends a JSON string.
fn write_string(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory does not fail.
    let _ = serde_json::to_writer(out, text);
}
