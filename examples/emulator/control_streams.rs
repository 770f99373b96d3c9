//! Streams as the control API shows them, and closing them by hand.

use std::collections::HashMap;

use serde_json::{Value, json};
use streamcore::Stream;
use streamcore::model::StreamStatus;
use streamcore::stream::{ShardId, ShardInfo};

use crate::calls::Emulator;
use crate::control::Refusal;
use crate::table::Table;

/// Everything there is: tables by name, streams by table and age, shards in the order of creation.
pub(crate) fn list(emulator: &Emulator) -> Value {
    let tables: Vec<Value> = emulator.tables.all().iter().map(|table| show_table(table)).collect();
    let streams: Vec<Value> = emulator.streams().iter().map(show_stream).collect();
    json!({ "tables": tables, "streams": streams })
}

pub(crate) fn show_table(table: &Table) -> Value {
    let (count, size) = table.totals();
    let settings = table.settings.lock();
    json!({
        "tableName": table.name,
        "tableArn": table.arn,
        "itemCount": count,
        "sizeBytes": size,
        "latestStreamArn": settings.latest_stream.as_ref().map(|stream| &stream.arn),
        "streamEnabled": table.stream.load().is_some(),
        "timeToLiveAttribute": settings.time_to_live,
    })
}

fn show_stream(stream: &Stream) -> Value {
    // Described first: whatever is listed as a child here has figures later on.
    let described = stream.describe();
    let figures: HashMap<_, _> = stream.stats().shards.into_iter().collect();
    let children = children_of(&described.shards);
    let shards: Vec<Value> = described
        .shards
        .iter()
        .filter_map(|shard| {
            let figures = figures.get(&shard.shard_id)?;
            let mut shown = show_shard(shard, children.get(&shard.shard_id));
            shown["trimmed"] = json!(figures.trimmed);
            shown["published"] = json!(figures.published);
            shown["tail"] = json!(figures.appended);
            Some(shown)
        })
        .collect();
    let info = stream.info();
    json!({
        "streamArn": info.arn().as_str(),
        "streamLabel": info.label(),
        "tableName": info.table_name(),
        "streamViewType": info.view_type().as_str(),
        "streamStatus": described.status.as_str(),
        "createdMs": info.created_ms(),
        "shards": shards,
    })
}

/// The children of each shard that has some.
pub(crate) fn children_of(shards: &[ShardInfo]) -> HashMap<&ShardId, Vec<&str>> {
    let mut children: HashMap<&ShardId, Vec<&str>> = HashMap::new();
    for shard in shards {
        if let Some(parent) = &shard.parent_shard_id {
            children.entry(parent).or_default().push(shard.shard_id.as_str());
        }
    }
    children
}

/// A shard, without its figures.
pub(crate) fn show_shard(shard: &ShardInfo, children: Option<&Vec<&str>>) -> Value {
    json!({
        "shardId": shard.shard_id.as_str(),
        "parentShardId": shard.parent_shard_id.as_ref().map(|parent| parent.as_str()),
        "childShardIds": children.map_or(&[][..], Vec::as_slice),
        "open": shard.ending_sequence_number.is_none(),
        "startingSequenceNumber": shard.starting_sequence_number.to_string(),
        "endingSequenceNumber": shard.ending_sequence_number.map(|number| number.to_string()),
        // As texts: the numbers of JavaScript do not reach so far.
        "firstHash": shard.hash_range.first.to_string(),
        "lastHash": shard.hash_range.last.to_string(),
        "createdMs": shard.created_ms,
    })
}

/// Closes all shards of a stream. If a table writes to it, the table has no stream from then on, as after
/// `UpdateTable`.
pub(crate) fn disable(emulator: &Emulator, arn: &str) -> Result<StreamStatus, Refusal> {
    let stream = emulator.store.stream(arn)?;
    let writer = emulator.tables.all().into_iter().find(|table| table.writes_to(&stream));
    match writer {
        Some(table) => {
            let _settings = table.settings.lock();
            // Asked again, now that nobody else turns streams on and off.
            if table.writes_to(&stream) {
                table.end_stream();
            }
        }
        None => stream.disable(),
    }
    Ok(stream.status())
}
