//! The answers of the operations that are not about records, as JSON.

use serde::Serialize;

use crate::model::KeySchemaElement;
use crate::store::StreamList;
use crate::stream::{ShardInfo, Stream, StreamDescription};

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListStreams<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_stream_arn: Option<&'a str>,
    streams: Vec<ListedStream<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct ListedStream<'a> {
    stream_arn: &'a str,
    stream_label: &'a str,
    table_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribeStream<'a> {
    stream_description: DescribedStream<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedStream<'a> {
    /// Seconds since the epoch.
    creation_request_date_time: f64,
    key_schema: Vec<DescribedKey<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_evaluated_shard_id: Option<&'a str>,
    shards: Vec<DescribedShard<'a>>,
    stream_arn: &'a str,
    stream_label: &'a str,
    stream_status: &'a str,
    stream_view_type: &'a str,
    table_name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedKey<'a> {
    attribute_name: &'a str,
    key_type: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct DescribedShard<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_shard_id: Option<&'a str>,
    sequence_number_range: SequenceNumberRange,
    shard_id: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct SequenceNumberRange {
    #[serde(skip_serializing_if = "Option::is_none")]
    ending_sequence_number: Option<String>,
    starting_sequence_number: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct GetShardIterator<'a> {
    shard_iterator: &'a str,
}

/// A page of streams; `limit` is what was asked for.
pub(super) fn list_streams(list: &StreamList, limit: usize) -> Vec<u8> {
    // A page that is full names its last stream, even if it happens to be the last of all.
    let full = list.streams.len() == limit;
    let last = list.streams.last().filter(|_| full).map(Stream::info);
    json(&ListStreams {
        last_evaluated_stream_arn: last.map(|info| info.arn().as_str()),
        streams: list.streams.iter().map(listed_stream).collect(),
    })
}

fn listed_stream(stream: &Stream) -> ListedStream<'_> {
    let info = stream.info();
    ListedStream {
        stream_arn: info.arn().as_str(),
        stream_label: info.label(),
        table_name: info.table_name(),
    }
}

/// A stream and a page of its shards.
pub(super) fn describe_stream(description: &StreamDescription, more: bool) -> Vec<u8> {
    let info = description.stream.info();
    let last = description.shards.last().filter(|_| more);
    json(&DescribeStream {
        stream_description: DescribedStream {
            creation_request_date_time: info.created_ms() as f64 / 1000.0,
            key_schema: info.key_schema().elements().iter().map(described_key).collect(),
            last_evaluated_shard_id: last.map(|shard| shard.shard_id.as_str()),
            shards: description.shards.iter().map(described_shard).collect(),
            stream_arn: info.arn().as_str(),
            stream_label: info.label(),
            stream_status: description.status.as_str(),
            stream_view_type: info.view_type().as_str(),
            table_name: info.table_name(),
        },
    })
}

fn described_key(element: &KeySchemaElement) -> DescribedKey<'_> {
    DescribedKey { attribute_name: &element.attribute_name, key_type: element.key_type.as_str() }
}

fn described_shard(shard: &ShardInfo) -> DescribedShard<'_> {
    DescribedShard {
        parent_shard_id: shard.parent_shard_id.as_ref().map(|parent| parent.as_str()),
        sequence_number_range: SequenceNumberRange {
            ending_sequence_number: shard.ending_sequence_number.map(|end| end.to_string()),
            starting_sequence_number: shard.starting_sequence_number.to_string(),
        },
        shard_id: shard.shard_id.as_str(),
    }
}

/// A shard iterator.
pub(super) fn get_shard_iterator(iterator: &str) -> Vec<u8> {
    json(&GetShardIterator { shard_iterator: iterator })
}

fn json(response: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(response).expect("memory takes what it is given, and keys are strings")
}
