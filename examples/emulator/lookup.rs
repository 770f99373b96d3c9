//! Pages of one partition: of the table, in the order of its map; of a secondary index,
//! which has no storage of its own, in the order that sorting its items gives.

use std::ops::{Bound, RangeBounds};

use streamcore::model::{Attributes, Image};

use crate::error::ApiError;
use crate::key::{ItemKey, write_partition, write_sort};
use crate::key_condition::KeyCondition;
use crate::pages::Gathered;
use crate::schema::Index;
use crate::table::{SHARDS, Table};

/// The start key of the next page: the table's key, and the index's.
pub(crate) fn last_key(table: &Table, index: Option<&Index>, item: &Attributes) -> Attributes {
    let mut key = Attributes::new();
    table.schema.key.project(item, &mut key);
    if let Some(index) = index {
        index.key.project(item, &mut key);
    }
    key
}

/// Takes a start key apart: the bytes of the table's key in it. Checks that it names the
/// keys of table and index, and nothing else.
pub(crate) fn start_of(
    table: &Table,
    index: Option<&Index>,
    start: &Attributes,
) -> Result<ItemKey, ApiError> {
    let invalid = || ApiError::validation("The provided starting key is invalid");
    if last_key(table, index, start).len() != start.len()
        || index.is_some_and(|index| !index.key.indexes(start))
    {
        return Err(invalid());
    }
    let mut key = Attributes::new();
    table.schema.key.project(start, &mut key);
    table.schema.key.of_request(&key).map_err(|error| {
        ApiError::validation(format!("The provided starting key is invalid: {}", error.message()))
    })
}

/// Takes a page of one partition of the table.
pub(crate) fn query_table(
    table: &Table,
    condition: &KeyCondition<'_>,
    start: Option<&Attributes>,
    forward: bool,
    gathered: &mut Gathered,
) -> Result<(), ApiError> {
    let mut partition = Vec::new();
    write_partition(condition.hash, &mut partition)?;
    let (mut low, mut high) = condition.bounds_in(&partition)?;
    if let Some(start) = start {
        let start = start_of(table, None, start)?;
        if start.partition() != partition {
            return Err(ApiError::validation(
                "The provided starting key is outside query boundaries based on provided \
                 conditions",
            ));
        }
        let end = if forward { &mut low } else { &mut high };
        *end = Bound::Excluded(start.bytes.into_vec());
    }
    let shard = table
        .shard_of(&ItemKey { partition: partition.len(), bytes: partition.into_boxed_slice() });
    let bounds = (as_slice(&low), as_slice(&high));
    table.visit(shard, bounds, forward, |_, image| gathered.push(image));
    Ok(())
}

/// Where an item stands in an index: by its sort key there, then by the table's key.
type Place = (Vec<u8>, Box<[u8]>);

/// Sorts what the index holds of one partition, and takes a page of that.
pub(crate) fn query_index(
    table: &Table,
    index: &Index,
    condition: &KeyCondition<'_>,
    start: Option<&Attributes>,
    forward: bool,
    gathered: &mut Gathered,
) -> Result<(), ApiError> {
    let sort_key = |item: &Attributes| {
        let mut bytes = Vec::new();
        match index.key.range.as_ref().and_then(|range| item.get(&range.name)) {
            Some(value) => write_sort(value, &mut bytes).map(|()| bytes),
            None => Ok(bytes),
        }
    };
    let start = match start {
        None => None,
        Some(start) => Some((sort_key(start)?, start_of(table, Some(index), start)?.bytes)),
    };
    let bounds = condition.bounds_in(&[])?;
    let mut entries: Vec<(Place, Image)> = Vec::new();
    let mut failed = None;
    for shard in 0..SHARDS {
        table.visit(shard, (Bound::Unbounded, Bound::Unbounded), true, |key, image| {
            let item = image.attributes();
            let in_partition = index.key.indexes(item)
                && item.get(&index.key.hash.name).is_some_and(|hash| hash.same_as(condition.hash));
            if in_partition {
                match sort_key(item) {
                    Ok(sort) => entries.push(((sort, key.into()), image.clone())),
                    Err(error) => failed = Some(error),
                }
            }
            true
        });
    }
    if let Some(error) = failed {
        return Err(error);
    }
    entries.retain(|((sort, _), _)| bounds.contains(sort));
    entries.sort_by(|(a, _), (b, _)| if forward { a.cmp(b) } else { b.cmp(a) });
    let passed = |position: &Place| match &start {
        None => false,
        Some(start) if forward => position <= start,
        Some(start) => position >= start,
    };
    for (_, image) in entries.iter().skip_while(|(position, _)| passed(position)) {
        if !gathered.push(image) {
            break;
        }
    }
    Ok(())
}

fn as_slice(bound: &Bound<Vec<u8>>) -> Bound<&[u8]> {
    bound.as_ref().map(Vec::as_slice)
}
