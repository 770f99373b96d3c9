//! What `CreateTable` asks for, checked: the key, the attribute types, the
//! secondary indexes.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::ApiError;
use crate::key::{Key, KeyPart, ScalarType};

/// A `CreateTable` request, as far as this emulator reads it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct CreateTable {
    pub(crate) table_name: Option<String>,
    attribute_definitions: Option<Vec<AttributeDefinition>>,
    key_schema: Option<Vec<KeyElement>>,
    #[serde(default)]
    local_secondary_indexes: Vec<IndexRequest>,
    #[serde(default)]
    global_secondary_indexes: Vec<IndexRequest>,
    pub(crate) billing_mode: Option<String>,
    pub(crate) provisioned_throughput: Option<Throughput>,
    pub(crate) stream_specification: Option<StreamSpecification>,
    #[serde(default)]
    pub(crate) tags: Vec<Tag>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct AttributeDefinition {
    attribute_name: String,
    attribute_type: String,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct KeyElement {
    attribute_name: String,
    key_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IndexRequest {
    index_name: String,
    key_schema: Vec<KeyElement>,
    projection: ProjectionRequest,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct ProjectionRequest {
    projection_type: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    non_key_attributes: Vec<String>,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Throughput {
    pub(crate) read_capacity_units: u64,
    pub(crate) write_capacity_units: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct StreamSpecification {
    pub(crate) stream_enabled: bool,
    pub(crate) stream_view_type: Option<String>,
}

#[derive(Clone, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Tag {
    pub(crate) key: String,
    pub(crate) value: String,
}

/// The part of a table that never changes.
pub(crate) struct Schema {
    pub(crate) key: Key,
    pub(crate) definitions: Vec<AttributeDefinition>,
    pub(crate) indexes: Vec<Index>,
}

/// A secondary index. Its entries are not stored: reading one sorts the items it would hold.
pub(crate) struct Index {
    pub(crate) name: String,
    pub(crate) key: Key,
    /// Of one partition of the table, or of the whole table.
    pub(crate) local: bool,
    pub(crate) projection: ProjectionRequest,
}

impl Index {
    /// The attributes beside the keys that the index projects; `None`: all.
    pub(crate) fn projected(&self) -> Option<&[String]> {
        match self.projection.projection_type.as_deref() {
            Some("KEYS_ONLY") => Some(&[]),
            Some("INCLUDE") => Some(&self.projection.non_key_attributes),
            _ => None,
        }
    }
}

/// A key as `DescribeTable` shows it.
pub(crate) fn key_elements(key: &Key) -> Vec<KeyElement> {
    let element = |part: &KeyPart, key_type: &str| KeyElement {
        attribute_name: part.name.clone(),
        key_type: key_type.to_owned(),
    };
    let range = key.range.as_ref().map(|part| element(part, "RANGE"));
    std::iter::once(element(&key.hash, "HASH")).chain(range).collect()
}

impl CreateTable {
    /// Checks what there is to check of the keys and the indexes.
    pub(crate) fn schema(&mut self) -> Result<Schema, ApiError> {
        let definitions = self
            .attribute_definitions
            .take()
            .ok_or_else(|| ApiError::required("attributeDefinitions"))?;
        let elements = self.key_schema.take().ok_or_else(|| ApiError::required("keySchema"))?;
        let key = read_key(&elements, &definitions)?;
        let mut indexes = Vec::new();
        let locals = self.local_secondary_indexes.drain(..).map(|request| (request, true));
        let globals = self.global_secondary_indexes.drain(..).map(|request| (request, false));
        for (request, local) in locals.chain(globals) {
            indexes.push(read_index(request, local, &key, &definitions, &indexes)?);
        }
        check_all_used(&definitions, &key, &indexes)?;
        Ok(Schema { key, definitions, indexes })
    }
}

fn read_key(elements: &[KeyElement], definitions: &[AttributeDefinition]) -> Result<Key, ApiError> {
    let part = |element: &KeyElement| {
        let name = &element.attribute_name;
        let Some(definition) = definitions.iter().find(|d| d.attribute_name == *name) else {
            let names = |all: Vec<&str>| format!("[{}]", all.join(", "));
            return Err(ApiError::invalid(format_args!(
                "Some index key attributes are not defined in AttributeDefinitions. Keys: {}, \
                 AttributeDefinitions: {}",
                names(elements.iter().map(|e| e.attribute_name.as_str()).collect()),
                names(definitions.iter().map(|d| d.attribute_name.as_str()).collect()),
            )));
        };
        let kind = ScalarType::parse(&definition.attribute_type).ok_or_else(|| {
            ApiError::constraint(
                &format!("'{}'", definition.attribute_type),
                "attributeDefinitions.1.member.attributeType",
                "Member must satisfy enum value set: [B, N, S]",
            )
        })?;
        Ok(KeyPart { name: name.clone(), kind })
    };
    let (hash, range) = match elements {
        [hash] => (hash, None),
        [hash, range] => (hash, Some(range)),
        _ => {
            return Err(ApiError::constraint(
                &format!("'{} elements'", elements.len()),
                "keySchema",
                "Member must have length between 1 and 2",
            ));
        }
    };
    if hash.key_type != "HASH" {
        return Err(ApiError::validation(
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type",
        ));
    }
    if range.is_some_and(|range| range.key_type != "RANGE") {
        return Err(ApiError::validation(
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type",
        ));
    }
    if range.is_some_and(|range| range.attribute_name == hash.attribute_name) {
        return Err(ApiError::validation(
            "Both the Hash Key and the Range Key element in the KeySchema have the same name",
        ));
    }
    Ok(Key { hash: part(hash)?, range: range.map(part).transpose()? })
}

fn read_index(
    request: IndexRequest,
    local: bool,
    table: &Key,
    definitions: &[AttributeDefinition],
    others: &[Index],
) -> Result<Index, ApiError> {
    let name = request.index_name;
    if others.iter().any(|other| other.name == name) {
        return Err(ApiError::invalid(format_args!("Duplicate index name: {name}")));
    }
    let key = read_key(&request.key_schema, definitions)?;
    if local {
        if table.range.is_none() {
            return Err(ApiError::invalid(
                "Table KeySchema does not have a range key, which is required when specifying a \
                 LocalSecondaryIndex",
            ));
        }
        if key.range.is_none() {
            return Err(ApiError::invalid(format_args!(
                "Index KeySchema does not have a range key for index: {name}"
            )));
        }
        if key.hash.name != table.hash.name {
            return Err(ApiError::invalid(format_args!(
                "Index KeySchema does not have the same leading hash key as table KeySchema for \
                 index: {name}. index hash key: {}, table hash key: {}",
                key.hash.name, table.hash.name
            )));
        }
    }
    let projection = request.projection;
    match (projection.projection_type.as_deref(), projection.non_key_attributes.is_empty()) {
        (Some("ALL" | "KEYS_ONLY"), true) | (Some("INCLUDE"), false) => {}
        (Some("INCLUDE"), true) => {
            return Err(ApiError::invalid(
                "ProjectionType is INCLUDE, but NonKeyAttributes is not specified",
            ));
        }
        (Some(kind @ ("ALL" | "KEYS_ONLY")), false) => {
            return Err(ApiError::invalid(format_args!(
                "ProjectionType is {kind}, but NonKeyAttributes is specified"
            )));
        }
        (kind, _) => {
            return Err(ApiError::invalid(format_args!(
                "Unknown ProjectionType: {}",
                kind.unwrap_or("null")
            )));
        }
    }
    Ok(Index { name, key, local, projection })
}

fn check_all_used(
    definitions: &[AttributeDefinition],
    key: &Key,
    indexes: &[Index],
) -> Result<(), ApiError> {
    let used: BTreeSet<&str> = std::iter::once(key)
        .chain(indexes.iter().map(|index| &index.key))
        .flat_map(|key| key.parts().map(|part| part.name.as_str()))
        .collect();
    let defined: BTreeSet<&str> = definitions.iter().map(|d| d.attribute_name.as_str()).collect();
    if defined.len() != definitions.len() {
        return Err(ApiError::validation(
            "Cannot have two attributes with the same name in AttributeDefinitions",
        ));
    }
    if defined == used {
        return Ok(());
    }
    if indexes.is_empty() {
        return Err(ApiError::invalid(
            "Number of attributes in KeySchema does not exactly match number of attributes \
             defined in AttributeDefinitions",
        ));
    }
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    Err(ApiError::invalid(format_args!(
        "Some AttributeDefinitions are not used. AttributeDefinitions: [{}], keys used: [{}]",
        list(&defined),
        list(&used)
    )))
}
