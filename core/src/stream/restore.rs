//! Restoring: a stream made again from what [`archive`](super::archive) has told of it.
//!
//! Shards come in the order of their ordinals, each followed by its records. Everything is checked when it comes,
//! what belongs together at the end; until then nobody sees the stream. Then it is closed and opened in one step:
//! every shard that was open ends where the archive does, and one child goes on from it, in a generation of its
//! own ([`heritage`](super::heritage)).
//!
//! The logs begin at the positions that their shards had, so records keep their sequence numbers, and with
//! those the ids of their events.

use std::collections::BTreeMap;
use std::sync::Arc as StdArc;

use super::archive::{Fate, Parent, RecordState, ShardState, StreamState};
use super::consume::created_ms_of;
use super::context::Context;
use super::handle::{Origin, Settings, Stream};
use super::heritage::{Generation, Heritage, Life};
use super::routing::HashRange;
use super::shard::{Children, Rolling, Shard, ShardId, Successor};
use super::topology::{Birth, End, Listed, Topology};
use crate::error::{ArchiveFault as Fault, Error};
use crate::log::{Batch, Log, LogOptions, MAX_BATCH, Position};
use crate::model::{Record, StreamStatus};
use crate::sync::{Arc, MetadataCell};

/// So many bytes of a restored shard are charged at once, and given up at once if there are too many.
const CHARGED_AT_ONCE: u64 = 64 * 1024;

/// The last time at which a restored stream's next shard may be created: no clock shows it, and shards' times
/// still rise from there.
const LAST_MS: u64 = i64::MAX as u64;

/// A stream that is being restored.
pub(crate) struct Rebuild {
    context: StdArc<Context>,
    state: StreamState,
    settings: Settings,
    parts: Vec<Part>,
}

/// One of its shards.
struct Part {
    state: ShardState,
    shard: Arc<Shard>,
    /// Where the next record comes.
    next: Position,
    /// The records of a batch whose end has not come.
    batch: Vec<Record>,
    /// What the records before a position take, behind the one before; if anybody counts.
    charges: Vec<(Position, u64)>,
}

impl Rebuild {
    pub(crate) fn new(state: StreamState, context: StdArc<Context>) -> Result<Self, Error> {
        let settings = Settings::from(state.settings);
        let rebuild = Self { context, settings, parts: Vec::new(), state };
        match rebuild.check_lives() {
            Ok(()) => Ok(rebuild),
            Err(fault) => Err(rebuild.refuse(fault)),
        }
    }

    /// The stream that is being restored.
    pub(crate) fn state(&self) -> &StreamState {
        &self.state
    }

    pub(crate) fn refuse(&self, fault: Fault) -> Error {
        Error::InvalidArchive { arn: self.state.info.arn().as_str().into(), fault }
    }

    fn check_lives(&self) -> Result<(), Fault> {
        let mut begins = 0;
        for life in &self.state.lives {
            if life.next_ordinal < begins || life.resumed_at < life.next_ordinal {
                return Err(Fault::InvalidLives);
            }
            begins = life.resumed_at;
        }
        let next_ms = self.state.next_created_ms;
        if next_ms > LAST_MS {
            return Err(Fault::InvalidTime { given: next_ms, allowed: LAST_MS });
        }
        if self.state.next_ordinal < begins { Err(Fault::InvalidLives) } else { Ok(()) }
    }

    /// Goes on with the next shard.
    pub(crate) fn shard(&mut self, state: ShardState) -> Result<(), Error> {
        self.begin(state).map_err(|fault| self.refuse(fault))
    }

    fn begin(&mut self, state: ShardState) -> Result<(), Fault> {
        let ordinal = state.ordinal;
        if let Some(last) = self.parts.last() {
            last.check_whole()?;
            if ordinal <= last.state.ordinal {
                return Err(Fault::OrdinalNotRising { before: last.state.ordinal, given: ordinal });
            }
            if state.created_ms <= last.state.created_ms {
                return Err(Fault::TimeNotRising { ordinal });
            }
        }
        let StreamState { next_ordinal, next_created_ms, .. } = self.state;
        if ordinal >= next_ordinal || state.created_ms >= next_created_ms {
            return Err(Fault::NotBorn { ordinal });
        }
        let ShardState { first, end, hash_range, .. } = state;
        let is_empty = first == end;
        let options = LogOptions::new().starting_at(first);
        // A shard without records is sealed too, and that takes place in its directory.
        let can_reach = first <= end && Log::<Record, Successor>::can_reach(end);
        let Some(options) = options.filter(|_| can_reach) else {
            return Err(Fault::InvalidPositions { ordinal, first, end });
        };
        if hash_range.first > hash_range.last {
            return Err(Fault::InvalidRange { ordinal });
        }
        if state.fate == Fate::Forgotten && !is_empty {
            return Err(Fault::ForgottenWithRecords { ordinal });
        }
        let parent = self.parent(&state)?;
        let log = Log::with_options(options);
        let birth = Birth { ordinal, created_ms: state.created_ms };
        // It takes no records any more, so it is never rolled.
        let rolling = Rolling { at_ms: u64::MAX, behind: u64::MAX };
        let shard = Shard::new(&self.state.info, birth, parent, hash_range, rolling, log);
        let (batch, charges) = (Vec::new(), Vec::new());
        self.parts.push(Part { state, shard: Arc::new(shard), next: first, batch, charges });
        Ok(())
    }

    /// The name of a shard's parent.
    fn parent(&self, state: &ShardState) -> Result<Option<ShardId>, Fault> {
        let ordinal = state.ordinal;
        match &state.parent {
            Parent::None => Ok(None),
            Parent::Held(parent) => {
                let place = self.parts.binary_search_by_key(parent, |part| part.state.ordinal);
                match place.map(|at| &self.parts[at]) {
                    Err(_) => Err(Fault::UnknownParent { ordinal, parent: *parent }),
                    Ok(held) if held.state.fate == Fate::Open => {
                        Err(Fault::OpenParent { ordinal, parent: *parent })
                    }
                    Ok(held) => Ok(Some(held.shard.id.clone())),
                }
            }
            Parent::Expired(name) => {
                let created_ms = created_ms_of(name).and_then(|ms| ms.parse::<u64>().ok());
                match created_ms {
                    Some(ms) if ms < state.created_ms => Ok(Some(ShardId::of_name(name))),
                    _ => Err(Fault::InvalidParent { ordinal, parent: name.clone() }),
                }
            }
        }
    }

    /// Takes the next record of the shard that was begun last.
    pub(crate) fn record(&mut self, position: Position, state: RecordState) -> Result<(), Error> {
        let is_charged = self.settings.is_charged(&self.context);
        self.put(position, state, is_charged).map_err(|fault| self.refuse(fault))
    }

    fn put(
        &mut self,
        position: Position,
        state: RecordState,
        is_charged: bool,
    ) -> Result<(), Fault> {
        let part = self.parts.last_mut().ok_or(Fault::NoShardYet)?;
        let (ordinal, expected) = (part.state.ordinal, part.next);
        if position != expected || position >= part.state.end {
            return Err(Fault::Hole { ordinal, expected, given: position });
        }
        let RecordState { created_ms, operation, by_ttl, new, old, keys, batch } = state;
        let info = &self.state.info;
        let record = Record::restored(created_ms, (operation, by_ttl), [new, old, keys], info);
        let record = record.ok_or(Fault::InvalidRecord { ordinal, position })?;
        part.next = position.plus(1);
        if is_charged {
            part.charge(record.charge());
        }
        part.take(record, batch)
    }

    /// Makes the stream; nobody else knows it yet.
    pub(crate) fn finish(self) -> Result<Stream, Error> {
        match self.check_whole() {
            Ok(generation) => Ok(self.into_stream(generation)),
            Err(fault) => Err(self.refuse(fault)),
        }
    }

    /// Checks what can be seen only of the whole; says in which generation the stream goes on.
    fn check_whole(&self) -> Result<Generation, Fault> {
        self.parts.last().ok_or(Fault::NoShards)?.check_whole()?;
        let open: Vec<&Part> = self.parts.iter().filter(|part| part.is_open()).collect();
        match self.state.status {
            StreamStatus::Enabling | StreamStatus::Enabled => {
                self.check_children()?;
                let mut ranges: Vec<HashRange> =
                    open.iter().map(|part| part.state.hash_range).collect();
                ranges.sort_unstable_by_key(|range| range.first);
                if !HashRange::are_all(&ranges) {
                    return Err(Fault::NotCovered);
                }
            }
            // In the midst of it some may be open: they are closed now.
            StreamStatus::Disabling => {}
            StreamStatus::Disabled => {
                if let Some(open) = open.first() {
                    return Err(Fault::OpenInDisabled { ordinal: open.state.ordinal });
                }
            }
        }
        let next_ordinal = self.state.next_ordinal;
        if open.len() >= Generation::ORDINALS as usize {
            return Err(Fault::OutOfGenerations { next_ordinal });
        }
        Generation::behind(next_ordinal).ok_or(Fault::OutOfGenerations { next_ordinal })
    }

    fn check_children(&self) -> Result<(), Fault> {
        let children = self.children();
        let childless =
            |part: &&Part| !part.is_open() && !children.contains_key(&part.state.ordinal);
        match self.parts.iter().find(childless) {
            Some(part) => Err(Fault::Childless { ordinal: part.state.ordinal }),
            None => Ok(()),
        }
    }

    /// The shards that go on from others, by the ordinals of those.
    fn children(&self) -> BTreeMap<u32, Children> {
        let mut children: BTreeMap<u32, Children> = BTreeMap::new();
        for part in &self.parts {
            if let Parent::Held(parent) = part.state.parent {
                children.entry(parent).or_default().push(Arc::clone(&part.shard));
            }
        }
        children
    }

    fn into_stream(self, generation: Generation) -> Stream {
        let now_ms = self.context.clock.now_ms();
        let is_enabled = self.state.status <= StreamStatus::Enabled;
        let mut topology = Topology::new(generation, self.state.next_created_ms);
        topology.status = if is_enabled { StreamStatus::Enabled } else { StreamStatus::Disabled };
        let mut children = self.children();
        let mut born = Children::new();
        for part in &self.parts {
            let shard = &part.shard;
            let closed_ms = match part.state.fate {
                Fate::Closed { closed_ms } => closed_ms,
                Fate::Forgotten => 0,
                Fate::Open => now_ms,
            };
            let mut successors = children.remove(&shard.ordinal).unwrap_or_default();
            if part.is_open() && is_enabled {
                let child = self.child(shard, &mut topology, now_ms);
                born.extend(child.clone());
                successors.extend(child);
            }
            let is_last = successors.is_empty();
            let successor =
                if is_last { Successor::Final } else { Successor::Children(successors) };
            let position = shard.log.seal(successor).end();
            if part.state.fate != Fate::Forgotten {
                let end = Some(End { position, closed_ms });
                topology.shards.push(Listed { shard: Arc::clone(shard), end });
            }
        }
        topology.list(born);
        let mut lives = self.state.lives;
        lives.push(Life {
            incarnation: self.state.incarnation,
            next_ordinal: self.state.next_ordinal,
            resumed_at: generation.first_ordinal(),
        });
        let (topology, origin) =
            (MetadataCell::new(topology), Origin::Restored(Box::new(Heritage(lives))));
        let stream =
            Stream::of_parts(self.state.info, topology, self.settings, self.context, origin);
        for part in self.parts {
            part.charges.into_iter().for_each(|(end, bytes)| {
                stream.charge_restored(&part.shard, end, bytes);
            });
        }
        match self.state.gone_ms {
            Some(gone_ms) => stream.go_at(gone_ms),
            None if is_enabled => {}
            None => stream.begin_to_go(now_ms),
        }
        stream
    }

    /// The shard that goes on from one that was open. A generation has room for one of each.
    fn child(&self, parent: &Shard, topology: &mut Topology, now_ms: u64) -> Option<Arc<Shard>> {
        let birth = topology.birth(now_ms)?;
        topology.born(birth);
        let log = Log::with_options(self.settings.log_options(&self.context));
        let (name, rolling) = (Some(parent.id.clone()), self.settings.rolling(now_ms));
        Some(Arc::new(Shard::new(&self.state.info, birth, name, parent.range, rolling, log)))
    }
}

impl Part {
    fn is_open(&self) -> bool {
        self.state.fate == Fate::Open
    }

    fn charge(&mut self, bytes: u64) {
        match self.charges.last_mut() {
            Some((end, charged)) if *charged < CHARGED_AT_ONCE => {
                (*end, *charged) = (self.next, *charged + bytes);
            }
            _ => self.charges.push((self.next, bytes)),
        }
    }

    /// Appends the record, once its batch is whole.
    fn take(&mut self, record: Record, batch: Batch) -> Result<(), Fault> {
        if batch == Batch::Ends && self.batch.is_empty() {
            // Nobody seals the log before the stream is whole.
            let _ = self.shard.log.append(record);
            return Ok(());
        }
        self.batch.push(record);
        if self.batch.len() > MAX_BATCH {
            return Err(self.broken_batch());
        }
        if batch == Batch::Ends {
            let _ = self.shard.log.append_all(self.batch.drain(..));
        }
        Ok(())
    }

    fn broken_batch(&self) -> Fault {
        let position = self.next.minus(self.batch.len() as u64);
        Fault::BrokenBatch { ordinal: self.state.ordinal, position }
    }

    /// Whether all of its records have come.
    fn check_whole(&self) -> Result<(), Fault> {
        let ShardState { ordinal, end, .. } = self.state;
        if self.next < end {
            return Err(Fault::Hole { ordinal, expected: self.next, given: end });
        }
        if self.batch.is_empty() { Ok(()) } else { Err(self.broken_batch()) }
    }
}
