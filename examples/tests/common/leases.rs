//! What the workers of one consumer share, as with the Kinesis Client Library: a lease per shard, with its
//! checkpoint, and what the consumer has been told by now.
//!
//! A worker takes and steals leases; each taking raises the lease's counter. Records are delivered and the
//! checkpoint is moved in one step, and only by the worker whose counter is the lease's: one that was
//! robbed in between drops its page. So a record that arrives twice, or in a wrong order, is the stream's
//! doing.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodbstreams::types::{Record, Shard};

/// How far a shard was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checkpoint {
    /// Not at all.
    Start,
    /// To the record of this sequence number.
    Behind(String),
    /// To its end.
    ShardEnd,
}

/// The right to read a shard.
#[derive(Debug)]
struct Lease {
    parent: Option<String>,
    owner: Option<usize>,
    counter: u64,
    checkpoint: Checkpoint,
}

/// A lease that a worker holds, as it was when the worker looked.
#[derive(Clone, Debug)]
pub struct Held {
    pub shard: String,
    pub counter: u64,
    pub checkpoint: Checkpoint,
}

/// One consumer: its leases, and what it was told.
#[derive(Debug, Default)]
pub struct Leases {
    leases: BTreeMap<String, Lease>,
    /// Per item, what happened to it, in the order of delivery: `<event> <version>`.
    pub told: HashMap<String, Vec<String>>,
    /// Per item, the last sequence number.
    numbers: HashMap<String, u128>,
    /// Leases that one worker took from another.
    pub stolen: usize,
    /// Pages that a robbed worker had to drop.
    pub dropped: usize,
}

impl Leases {
    /// Makes leases for the shards that have none.
    pub fn learn(&mut self, shards: &[Shard]) {
        for shard in shards {
            let id = shard.shard_id.clone().expect("an id");
            self.leases.entry(id).or_insert_with(|| Lease {
                parent: shard.parent_shard_id.clone(),
                owner: None,
                counter: 0,
                checkpoint: Checkpoint::Start,
            });
        }
    }

    /// Whether every shard was read to its end.
    pub fn all_ended(&self) -> bool {
        !self.leases.is_empty()
            && self.leases.values().all(|lease| lease.checkpoint == Checkpoint::ShardEnd)
    }

    /// How many shards were seen.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Takes the leases that nobody has, and steals one if `greedy`; only of shards that may be read: not
    /// read to the end, and their parent read to the end. Returns all that the worker holds then.
    pub fn take(&mut self, worker: usize, greedy: bool) -> Vec<Held> {
        let ended = |id: &String| {
            self.leases.get(id).is_none_or(|parent| parent.checkpoint == Checkpoint::ShardEnd)
        };
        let readable: Vec<String> = self
            .leases
            .iter()
            .filter(|(_, lease)| lease.checkpoint != Checkpoint::ShardEnd)
            .filter(|(_, lease)| lease.parent.as_ref().is_none_or(ended))
            .map(|(id, _)| id.clone())
            .collect();
        let mut may_steal = greedy;
        let mut held = Vec::new();
        for id in readable {
            let lease = self.leases.get_mut(&id).expect("listed just now");
            if lease.owner != Some(worker) {
                if lease.owner.is_some() {
                    if !std::mem::take(&mut may_steal) {
                        continue;
                    }
                    self.stolen += 1;
                }
                lease.owner = Some(worker);
                lease.counter += 1;
            }
            let checkpoint = lease.checkpoint.clone();
            held.push(Held { shard: id, counter: lease.counter, checkpoint });
        }
        held
    }

    /// Delivers a page and moves the checkpoint behind it, if the lease is still the worker's; whether it
    /// is.
    pub fn deliver(&mut self, held: &Held, records: &[Record], is_end: bool) -> bool {
        let lease = self.leases.get_mut(&held.shard).expect("leases stay");
        if lease.counter != held.counter {
            self.dropped += 1;
            return false;
        }
        assert_ne!(lease.checkpoint, Checkpoint::ShardEnd, "{held:?}");
        for record in records {
            let data = record.dynamodb.as_ref().expect("its data");
            let number = data.sequence_number.clone().expect("a number");
            let keys = data.keys.as_ref().expect("its keys");
            let item = keys["pk"].as_s().expect("a string").clone();
            let image = data.new_image.as_ref().or(data.old_image.as_ref()).expect("an image");
            let version = image["version"].as_n().expect("a number");
            let event = record.event_name.as_ref().expect("an event").as_str();
            let this = number.parse::<u128>().expect("digits");
            let before = self.numbers.insert(item.clone(), this).unwrap_or(0);
            assert!(before < this, "{item}: {this} after {before}");
            self.told.entry(item).or_default().push(format!("{event} {version}"));
            lease.checkpoint = Checkpoint::Behind(number);
        }
        if is_end {
            lease.checkpoint = Checkpoint::ShardEnd;
        }
        true
    }
}
