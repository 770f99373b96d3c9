//! What one page has been told, and what it has to be told next: the difference.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use streamcore::Stream;
use streamcore::log::Position;
use streamcore::stream::{ShardCursor, ShardId, StreamDescription};

use super::tree::Tree;
use crate::calls::Emulator;
use crate::control_streams::show_table;
use crate::table::Table;

/// So many tables, and so many streams, are shown: the newest.
const MOST_LISTED: usize = 256;

/// A shard whose records are counted.
#[derive(Clone)]
pub(super) struct Counted {
    arn: Arc<str>,
    shard: ShardId,
}

/// A stream in the list.
struct Followed {
    stream: Stream,
    /// The records that its shards have taken, trimmed ones included.
    records: u64,
    /// The same, but with shards that are not listed any more: it never falls while the page is open.
    counted: u64,
    shards: HashMap<ShardId, Seen>,
    open: usize,
    status: &'static str,
    /// What the page was told.
    told: Value,
}

/// A shard, as it was seen last.
struct Seen {
    published: u64,
    attended: Attended,
}

/// Whether a cursor waits at the end of a shard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attended {
    Yes,
    No,
    /// It is closed, and all of its records were seen.
    Done,
}

/// A page's view of an emulator.
pub(super) struct View {
    emulator: Arc<Emulator>,
    /// The stream whose tree is drawn.
    shown: Option<Arc<str>>,
    tree: Tree,
    streams: BTreeMap<Arc<str>, Followed>,
    /// What the page was told.
    tables: BTreeMap<String, Value>,
    clock: Value,
    counts: Value,
    /// What may differ from what the page was told.
    stale: Stale,
    began: bool,
    dropped: bool,
}

#[derive(Default)]
struct Stale {
    lists: bool,
    streams: BTreeSet<Arc<str>>,
}

impl View {
    pub(super) fn new(emulator: Arc<Emulator>, shown: Option<String>) -> Self {
        Self {
            emulator,
            shown: shown.map(Arc::from),
            tree: Tree::default(),
            streams: BTreeMap::new(),
            tables: BTreeMap::new(),
            clock: Value::Null,
            counts: Value::Null,
            stale: Stale::default(),
            began: false,
            dropped: false,
        }
    }

    /// Looks at all that is listed.
    pub(super) fn look_at_everything(&mut self) {
        self.stale.lists = true;
        let (listed, count) = newest_streams(&self.emulator, self.shown.as_deref());
        self.counts = json!({ "streams": count });
        let before = self.streams.len();
        let mut kept = 0;
        let mut streams = BTreeMap::new();
        for stream in listed {
            let arn: Arc<str> = stream.info().arn().as_str().into();
            let followed = self.streams.remove(&arn);
            kept += usize::from(followed.is_some());
            let followed = followed.unwrap_or_else(|| Followed::new(stream));
            streams.insert(Arc::clone(&arn), followed);
        }
        self.dropped |= kept < before;
        self.stale.streams.extend(std::mem::take(&mut self.streams).into_keys());
        self.streams = streams;
        for (arn, followed) in &mut self.streams {
            let described = followed.look();
            if self.shown.as_ref() == Some(arn) {
                self.tree.look(&described);
            }
            self.stale.streams.insert(Arc::clone(arn));
        }
        if self.shown.as_ref().is_some_and(|arn| !self.streams.contains_key(arn)) {
            self.tree.clear();
        }
    }

    /// Looks at the stream of a shard that was closed.
    pub(super) fn look_at_stream(&mut self, of: &Counted) {
        if let Some(followed) = self.streams.get_mut(&of.arn) {
            if let Some(seen) = followed.shards.get_mut(&of.shard) {
                seen.attended = Attended::Done;
            }
            let described = followed.look();
            if self.shown.as_ref() == Some(&of.arn) {
                self.tree.look(&described);
            }
            self.stale.streams.insert(Arc::clone(&of.arn));
        }
    }

    /// Counts the records of a shard that there are more of; says where to wait for the next. `None` if the
    /// shard is not listed any more.
    pub(super) fn count(&mut self, of: &Counted) -> Option<Position> {
        let followed = self.streams.get_mut(&of.arn)?;
        let end = followed.count(&of.shard)?;
        if self.shown.as_ref() == Some(&of.arn) {
            self.tree.count(&followed.stream, &of.shard);
        }
        self.stale.streams.insert(Arc::clone(&of.arn));
        Some(end)
    }

    /// Whether streams have left the list, with cursors that may still wait in them. From then on none does.
    pub(super) fn take_dropped(&mut self) -> bool {
        if !std::mem::take(&mut self.dropped) {
            return false;
        }
        for seen in self.streams.values_mut().flat_map(|followed| followed.shards.values_mut()) {
            if seen.attended == Attended::Yes {
                seen.attended = Attended::No;
            }
        }
        true
    }

    /// A cursor for each shard that nobody waits for, at the end of what was seen of it.
    pub(super) fn unattended(&mut self) -> Vec<(Counted, ShardCursor)> {
        let mut cursors = Vec::new();
        for arn in &self.stale.streams {
            let Some(followed) = self.streams.get_mut(arn) else {
                continue;
            };
            followed.attend(|shard, cursor| {
                cursors.push((Counted { arn: Arc::clone(arn), shard: shard.clone() }, cursor));
            });
        }
        cursors
    }

    /// What the page has to be told: `state` is all there is, `change` what is new since.
    pub(super) fn take_changes(&mut self) -> Option<(&'static str, Value)> {
        let stale = std::mem::take(&mut self.stale);
        let mut told = Map::new();
        if stale.lists {
            self.tell_lists(&mut told);
        }
        let (mut changed, mut gone) = (Vec::new(), Vec::new());
        for arn in &stale.streams {
            match self.streams.get_mut(arn) {
                Some(followed) => {
                    changed.extend(followed.tell());
                    if !stale.lists {
                        let name = followed.stream.info().table_name();
                        if let Ok(table) = self.emulator.tables.of_items(Some(name))
                            && let Some(value) = tell_table(&mut self.tables, &table)
                        {
                            push(&mut told, "tables", value);
                        }
                    }
                }
                None => gone.push(json!(&**arn)),
            }
        }
        changed.into_iter().for_each(|value| push(&mut told, "streams", value));
        gone.into_iter().for_each(|value| push(&mut told, "streamsGone", value));
        if let Some(tree) = self.tree.tell() {
            told.insert("tree".to_owned(), tree);
        }
        if !std::mem::replace(&mut self.began, true) {
            return Some(("state", Value::Object(told)));
        }
        (!told.is_empty()).then_some(("change", Value::Object(told)))
    }

    /// What is there besides streams and their records: the clock, the tables, and how many are left out.
    fn tell_lists(&mut self, told: &mut Map<String, Value>) {
        let clock = self.emulator.show_clock();
        // The system's clock goes on by itself; the page knows by how much.
        if self.clock.is_null() || (clock["manual"] == true && clock != self.clock) {
            self.clock = clock.clone();
            told.insert("clock".to_owned(), clock);
        }
        let (tables, count) = newest_tables(&self.emulator);
        let mut counts = self.counts.take();
        counts["tables"] = json!(count);
        told.insert("counts".to_owned(), counts);
        let names: BTreeSet<&str> = tables.iter().map(|table| &*table.name).collect();
        let is_gone = |name: &&String| !names.contains(name.as_str());
        let gone: Vec<String> = self.tables.keys().filter(is_gone).cloned().collect();
        for name in gone {
            self.tables.remove(&name);
            push(told, "tablesGone", json!(name));
        }
        for table in &tables {
            if let Some(value) = tell_table(&mut self.tables, table) {
                push(told, "tables", value);
            }
        }
    }
}

impl Followed {
    fn new(stream: Stream) -> Self {
        let (shards, told) = (HashMap::new(), Value::Null);
        Self { stream, records: 0, counted: 0, shards, open: 0, status: "", told }
    }

    /// Looks at the tree of shards, and counts the records of each.
    fn look(&mut self) -> StreamDescription {
        let described = self.stream.describe();
        self.status = described.status.as_str();
        (self.open, self.records) = (0, 0);
        let mut shards = HashMap::with_capacity(described.shards.len());
        for shard in &described.shards {
            let is_open = shard.ending_sequence_number.is_none();
            self.open += usize::from(is_open);
            let nothing = Seen { published: 0, attended: Attended::No };
            let mut seen = self.shards.remove(&shard.shard_id).unwrap_or(nothing);
            let id = shard.shard_id.as_str();
            let published = self.stream.snapshot(id).map_or(0, |all| all.end().get());
            let end = self.stream.record_count(id).unwrap_or(0);
            if !is_open && published >= end && seen.attended == Attended::No {
                seen.attended = Attended::Done;
            }
            self.counted += published.saturating_sub(seen.published);
            seen.published = seen.published.max(published);
            self.records += seen.published;
            shards.insert(shard.shard_id.clone(), seen);
        }
        // What is left was forgotten.
        self.shards = shards;
        described
    }

    fn count(&mut self, shard: &ShardId) -> Option<Position> {
        let seen = self.shards.get_mut(shard)?;
        let end = self.stream.snapshot(shard.as_str()).ok()?.end();
        let more = end.get().saturating_sub(seen.published);
        self.records += more;
        self.counted += more;
        seen.published = seen.published.max(end.get());
        Some(end)
    }

    fn attend(&mut self, mut wait: impl FnMut(&ShardId, ShardCursor)) {
        for (shard, seen) in &mut self.shards {
            if seen.attended != Attended::No {
                continue;
            }
            // Not found: it was forgotten since, which the next look shows.
            if let Ok(cursor) = self.stream.cursor(shard.as_str(), Position::new(seen.published)) {
                seen.attended = Attended::Yes;
                wait(shard, cursor);
            }
        }
    }

    /// What the page does not know yet.
    fn tell(&mut self) -> Option<Value> {
        let info = self.stream.info();
        let value = json!({
            "streamArn": info.arn().as_str(),
            "streamLabel": info.label(),
            "tableName": info.table_name(),
            "streamViewType": info.view_type().as_str(),
            "streamStatus": self.status,
            "createdMs": info.created_ms(),
            "records": self.records,
            "counted": self.counted,
            "openShards": self.open,
            "shardCount": self.shards.len(),
        });
        news(&mut self.told, value)
    }
}

/// The value, if it is not what was told before.
pub(super) fn news(told: &mut Value, value: Value) -> Option<Value> {
    if *told == value {
        return None;
    }
    told.clone_from(&value);
    Some(value)
}

fn tell_table(told: &mut BTreeMap<String, Value>, table: &Table) -> Option<Value> {
    news(told.entry(table.name.clone()).or_default(), show_table(table))
}

fn push(told: &mut Map<String, Value>, list: &str, value: Value) {
    match told.entry(list).or_insert_with(|| json!([])) {
        Value::Array(list) => list.push(value),
        _ => unreachable!("only lists are pushed to"),
    }
}

/// The tables that are shown, and how many there are.
fn newest_tables(emulator: &Emulator) -> (Vec<Arc<Table>>, usize) {
    let mut tables = emulator.tables.all();
    let count = tables.len();
    tables.sort_by_key(|table| std::cmp::Reverse(table.created_ms));
    tables.truncate(MOST_LISTED);
    (tables, count)
}

/// The streams that are shown, and how many there are. The one with the tree is always among them.
fn newest_streams(emulator: &Emulator, shown: Option<&str>) -> (Vec<Stream>, usize) {
    let mut streams = emulator.streams();
    let count = streams.len();
    let is_shown = |stream: &Stream| shown == Some(stream.info().arn().as_str());
    streams
        .sort_by_key(|stream| (!is_shown(stream), std::cmp::Reverse(stream.info().created_ms())));
    streams.truncate(MOST_LISTED);
    (streams, count)
}
