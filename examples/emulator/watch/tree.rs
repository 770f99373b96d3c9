//! The tree of shards of the one stream that a page draws.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use streamcore::Stream;
use streamcore::stream::{ShardId, ShardInfo, StreamDescription};

use super::view::news;
use crate::control_streams::{children_of, show_shard};

/// So many shards are drawn: the open ones, and the newest of those that are closed.
const MOST_DRAWN: usize = 240;

/// What a page knows of the tree, and what it does not know yet.
#[derive(Default)]
pub(super) struct Tree {
    /// The shards that are drawn, as the page was told.
    told: BTreeMap<ShardId, Value>,
    /// What it is to be told.
    stale: BTreeMap<ShardId, Value>,
    gone: BTreeSet<ShardId>,
    count: usize,
    told_count: Option<usize>,
}

impl Tree {
    /// Takes in the whole tree.
    pub(super) fn look(&mut self, described: &StreamDescription) {
        self.count = described.shards.len();
        let drawn = drawn(&described.shards);
        let children = children_of(&described.shards);
        let now: BTreeMap<ShardId, Value> = drawn
            .into_iter()
            .map(|shard| {
                let mut value = show_shard(shard, children.get(&shard.shard_id));
                figures(&described.stream, &shard.shard_id, &mut value);
                (shard.shard_id.clone(), value)
            })
            .collect();
        self.gone = self.told.keys().filter(|id| !now.contains_key(id)).cloned().collect();
        self.stale = now;
    }

    /// Takes in the figures of one shard.
    pub(super) fn count(&mut self, stream: &Stream, shard: &ShardId) {
        let known = self.stale.get(shard).or_else(|| self.told.get(shard));
        if let Some(mut value) = known.cloned() {
            figures(stream, shard, &mut value);
            self.stale.insert(shard.clone(), value);
        }
    }

    /// The stream is not there any more.
    pub(super) fn clear(&mut self) {
        self.stale.clear();
        self.count = 0;
        self.gone = self.told.keys().cloned().collect();
    }

    /// What is new to the page.
    pub(super) fn tell(&mut self) -> Option<Value> {
        let mut shards = Vec::new();
        for (id, value) in std::mem::take(&mut self.stale) {
            shards.extend(news(self.told.entry(id).or_default(), value));
        }
        let gone: Vec<String> = std::mem::take(&mut self.gone)
            .into_iter()
            .map(|id| {
                self.told.remove(&id);
                id.to_string()
            })
            .collect();
        let counted = self.told_count.replace(self.count) == Some(self.count);
        if shards.is_empty() && gone.is_empty() && counted {
            return None;
        }
        Some(json!({ "shards": shards, "shardsGone": gone, "shardCount": self.count }))
    }
}

/// Which shards are drawn, in the order of their creation.
fn drawn(shards: &[ShardInfo]) -> Vec<&ShardInfo> {
    let is_open = |shard: &&ShardInfo| shard.ending_sequence_number.is_none();
    let mut drawn: Vec<&ShardInfo> = shards.iter().rev().filter(is_open).collect();
    drawn.extend(shards.iter().rev().filter(|shard| !is_open(shard)));
    drawn.truncate(MOST_DRAWN);
    drawn.sort_by(|a, b| a.shard_id.cmp(&b.shard_id));
    drawn
}

/// Where a shard's records begin and end now.
fn figures(stream: &Stream, shard: &ShardId, value: &mut Value) {
    let id = shard.as_str();
    // Not found: it was forgotten since, which the next look shows.
    if let (Ok(all), Ok(tail)) = (stream.snapshot(id), stream.record_count(id)) {
        value["trimmed"] = json!(all.start().get());
        value["published"] = json!(all.end().get());
        value["tail"] = json!(tail);
    }
}
