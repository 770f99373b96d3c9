//! Query and Scan, on a table and on its secondary indexes.

use std::collections::BTreeMap;
use std::ops::Bound;

use serde::Deserialize;
use serde::de::IgnoredAny;
use streamcore::model::Attributes;

use crate::calls::Emulator;
use crate::error::ApiError;
use crate::expr::{Bindings, Path, Projection};
use crate::key::Key;
use crate::key_condition::KeyCondition;
use crate::lookup::{last_key, query_index, query_table, start_of};
use crate::pages::{Gathered, View, answer};
use crate::read::read_projection;
use crate::schema::Index;
use crate::table::{SHARDS, Table};
use crate::{item, request};

/// The parameters of both operations.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Read {
    table_name: Option<String>,
    index_name: Option<String>,
    key_condition_expression: Option<String>,
    filter_expression: Option<String>,
    projection_expression: Option<String>,
    attributes_to_get: Option<Vec<String>>,
    expression_attribute_names: Option<BTreeMap<String, String>>,
    expression_attribute_values: Option<Attributes>,
    exclusive_start_key: Option<Attributes>,
    limit: Option<i64>,
    scan_index_forward: Option<bool>,
    select: Option<String>,
    segment: Option<usize>,
    total_segments: Option<usize>,
    key_conditions: Option<IgnoredAny>,
    query_filter: Option<IgnoredAny>,
    scan_filter: Option<IgnoredAny>,
    conditional_operator: Option<IgnoredAny>,
}

impl Read {
    fn parse(body: &[u8]) -> Result<Self, ApiError> {
        let request: Self = request::parse(body)?;
        request::refuse_legacy(&[
            ("KeyConditions", request.key_conditions.is_some()),
            ("QueryFilter", request.query_filter.is_some()),
            ("ScanFilter", request.scan_filter.is_some()),
            ("ConditionalOperator", request.conditional_operator.is_some()),
        ])?;
        Ok(request)
    }

    fn bindings(&mut self) -> Result<Bindings, ApiError> {
        let expressions = self.key_condition_expression.is_some()
            || self.filter_expression.is_some()
            || self.projection_expression.is_some();
        let names = self.expression_attribute_names.take();
        Bindings::new(names, self.expression_attribute_values.take(), expressions)
    }

    fn index<'t>(&self, table: &'t Table) -> Result<Option<&'t Index>, ApiError> {
        let Some(name) = &self.index_name else {
            return Ok(None);
        };
        let index = table.schema.indexes.iter().find(|index| index.name == *name);
        index.map(Some).ok_or_else(|| {
            ApiError::validation(format!("The table does not have the specified index: {name}"))
        })
    }

    fn view<'v>(
        &self,
        bindings: &'v Bindings,
        table: &Table,
        index: Option<&Index>,
    ) -> Result<View<'v>, ApiError> {
        let words = ["ALL_ATTRIBUTES", "ALL_PROJECTED_ATTRIBUTES", "COUNT", "SPECIFIC_ATTRIBUTES"];
        let select =
            self.select.as_deref().map(|word| request::one_of(Some(word), "select", &words));
        let select = select.transpose()?;
        let read = |text: &String| bindings.condition(text, "FilterExpression");
        let filter = self.filter_expression.as_ref().map(read).transpose()?;
        let mut projection = read_projection(
            bindings,
            self.projection_expression.as_deref(),
            self.attributes_to_get.as_deref(),
        )?;
        match (select, &projection) {
            (Some("SPECIFIC_ATTRIBUTES"), None) => {
                return Err(ApiError::invalid(
                    "Must specify the AttributesToGet or ProjectionExpression when choosing to \
                     get SPECIFIC_ATTRIBUTES",
                ));
            }
            (Some(word), Some(_)) if word != "SPECIFIC_ATTRIBUTES" => {
                return Err(ApiError::validation(format!(
                    "Cannot specify the ProjectionExpression when choosing to get {word}"
                )));
            }
            _ => {}
        }
        if projection.is_none()
            && select != Some("ALL_ATTRIBUTES")
            && let Some(index) = index
        {
            projection = projected(table, index);
        }
        Ok(View { filter, projection, count_only: select == Some("COUNT") })
    }

    fn start_key(&mut self) -> Result<Option<Attributes>, ApiError> {
        self.exclusive_start_key
            .take()
            .map(|mut key| item::normalize(&mut key).map(|()| key))
            .transpose()
    }
}

/// What an index projects; `None`: everything.
fn projected(table: &Table, index: &Index) -> Option<Projection> {
    let keys = table.schema.key.parts().chain(index.key.parts()).map(|part| &part.name);
    let paths: Vec<Path> = keys.chain(index.projected()?).map(Path::of).collect();
    Some(Projection::new(&paths))
}

impl Emulator {
    pub(crate) fn query(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let mut request = Read::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let limit = request::limit(request.limit, None)?;
        let start = request.start_key()?;
        let bindings = request.bindings()?;
        let index = request.index(&table)?;
        let text = request.key_condition_expression.as_deref().ok_or_else(|| {
            ApiError::validation(
                "Either the KeyConditions or KeyConditionExpression parameter must be specified \
                 in the request.",
            )
        })?;
        let condition = bindings.condition(text, "KeyConditionExpression")?;
        let view = request.view(&bindings, &table, index)?;
        bindings.check_all_used()?;
        let key = index.map_or(&table.schema.key, |index| &index.key);
        let condition = KeyCondition::new(&condition, key)?;
        check_filter(&view, key)?;

        let mut gathered = Gathered::new(limit);
        let forward = request.scan_index_forward.unwrap_or(true);
        match index {
            None => query_table(&table, &condition, start.as_ref(), forward, &mut gathered)?,
            Some(index) => {
                query_index(&table, index, &condition, start.as_ref(), forward, &mut gathered)?;
            }
        }
        Ok(answer(&gathered, &view, |last| last_key(&table, index, last)))
    }

    pub(crate) fn scan(&self, body: &[u8]) -> Result<Vec<u8>, ApiError> {
        let mut request = Read::parse(body)?;
        let table = self.tables.of_items(request.table_name.as_deref())?;
        let limit = request::limit(request.limit, None)?;
        let (segment, segments) = segments(request.segment, request.total_segments)?;
        let start = request.start_key()?;
        let bindings = request.bindings()?;
        let index = request.index(&table)?;
        let view = request.view(&bindings, &table, index)?;
        bindings.check_all_used()?;
        let start = start.as_ref().map(|start| start_of(&table, index, start)).transpose()?;

        let mut gathered = Gathered::new(limit);
        let first = start.as_ref().map_or(0, |start| table.shard_of(start));
        for shard in (first..SHARDS).filter(|shard| shard % segments == segment) {
            let low = match &start {
                Some(start) if shard == first => Bound::Excluded(&*start.bytes),
                _ => Bound::Unbounded,
            };
            table.visit(shard, (low, Bound::Unbounded), true, |_, image| {
                let listed = index.is_none_or(|index| index.key.indexes(image.attributes()));
                !listed || gathered.push(image)
            });
            if gathered.is_full() {
                break;
            }
        }
        Ok(answer(&gathered, &view, |last| last_key(&table, index, last)))
    }
}

fn segments(segment: Option<usize>, total: Option<usize>) -> Result<(usize, usize), ApiError> {
    match (segment, total) {
        (None, None) => Ok((0, 1)),
        (Some(segment), Some(total)) if segment < total => Ok((segment, total)),
        (Some(segment), Some(total)) => Err(ApiError::validation(format!(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: \
             Segment: {segment} is not less than TotalSegments: {total}"
        ))),
        (Some(_), None) => Err(ApiError::validation(
            "The TotalSegments parameter is required but was not present in the request when \
             Segment parameter is present",
        )),
        (None, Some(_)) => Err(ApiError::validation(
            "The Segment parameter is required but was not present in the request when parameter \
             TotalSegments is present",
        )),
    }
}

/// A query's filter must leave the keys to the key condition.
fn check_filter(view: &View<'_>, key: &Key) -> Result<(), ApiError> {
    let mut found = None;
    if let Some(filter) = &view.filter {
        filter.attributes(&mut |name| {
            if found.is_none() && key.contains(name) {
                found = Some(name.to_owned());
            }
        });
    }
    match found {
        None => Ok(()),
        Some(name) => Err(ApiError::validation(format!(
            "Filter Expression can only contain non-primary key attributes: Primary key \
             attribute: {name}"
        ))),
    }
}
