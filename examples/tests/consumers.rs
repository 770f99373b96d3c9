//! Consumers as the Kinesis Client Library makes them, while shards are rolled and split under them: each
//! sees all changes of an item once and in order.

mod common;
#[path = "common/control.rs"]
mod control;
#[path = "common/leases.rs"]
mod leases;
#[path = "common/sdk.rs"]
mod sdk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::types::{AttributeValue, StreamViewType};
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType};
use common::process::Process;
use leases::{Checkpoint, Held, Leases};
use serde_json::{Value, json};
use tokio::sync::watch;

const WRITERS: usize = 8;
const WRITES: usize = 250;
const ITEMS: usize = 12;
const CONSUMERS: usize = 4;
const WORKERS: usize = 2;
/// Rolls and splits, one after so many writes.
const CLOSINGS: usize = 100;
const WRITES_BETWEEN: usize = WRITERS * WRITES / CLOSINGS;

/// A plain pseudo-random sequence: the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

/// Per item, what the stream must tell: `<event> <version>`.
type Told = HashMap<String, Vec<String>>;

/// Changes items of its own; returns what happened to each.
async fn write(address: String, writer: usize, progress: watch::Sender<usize>) -> Told {
    let tables = sdk::tables(&address);
    let mut dice = Dice(writer as u64);
    let mut versions: Vec<Option<usize>> = vec![None; ITEMS];
    let mut told = Told::new();
    for version in 0..WRITES {
        let item = dice.roll(ITEMS);
        let pk = format!("item-{writer}-{item}");
        let key = AttributeValue::S(pk.clone());
        let change = match versions[item] {
            Some(old) if dice.roll(5) == 0 => {
                let request = tables.delete_item().table_name("things").key("pk", key);
                request.send().await.expect("deleted");
                versions[item] = None;
                format!("REMOVE {old}")
            }
            old => {
                let request = tables.put_item().table_name("things").item("pk", key);
                let request = request.item("version", AttributeValue::N(version.to_string()));
                request.send().await.expect("put");
                versions[item] = Some(version);
                format!("{} {version}", if old.is_some() { "MODIFY" } else { "INSERT" })
            }
        };
        told.entry(pk).or_default().push(change);
        progress.send_modify(|written| *written += 1);
    }
    told
}

/// Rolls and splits open shards while there are writes; returns how often it did which.
async fn close_shards(
    address: String,
    arn: String,
    mut written: watch::Receiver<usize>,
) -> (usize, usize) {
    let mut dice = Dice(99);
    let (mut rolls, mut splits) = (0, 0);
    for closing in 0..CLOSINGS {
        let enough = |written: &usize| *written >= closing * WRITES_BETWEEN;
        written.wait_for(enough).await.expect("this many writes");
        tokio::task::block_in_place(|| {
            let open = open_shards(&control::get(&address, "streams"));
            let shard = &open[dice.roll(open.len())];
            let request = json!({ "streamArn": arn, "shardId": shard });
            let (path, wanted, count) = match closing % 3 {
                0 => ("split", 2, &mut splits),
                _ => ("roll", 1, &mut rolls),
            };
            let answer = control::post(&address, path, &request);
            assert_eq!(answer["children"].as_array().map(Vec::len), Some(wanted), "{answer}");
            *count += 1;
        });
    }
    (rolls, splits)
}

/// The open shards of the only stream. No shard is closed without a child, none open with one.
fn open_shards(shown: &Value) -> Vec<Value> {
    let mut open = Vec::new();
    for shard in shown["streams"][0]["shards"].as_array().expect("shards") {
        let is_open = shard["open"].as_bool().expect("yes or no");
        assert_eq!(shard["childShardIds"] == json!([]), is_open, "{shard}");
        if is_open {
            open.push(shard["shardId"].clone());
        }
    }
    open
}

/// One worker of a consumer.
struct Worker {
    number: usize,
    streams: aws_sdk_dynamodbstreams::Client,
    arn: String,
    leases: Arc<Mutex<Leases>>,
    /// Iterators at hand: by shard, with the counter of the lease that they are for.
    iterators: HashMap<String, (u64, String)>,
    dice: Dice,
}

impl Worker {
    /// Reads until every shard is read to its end and the stream takes no more records.
    async fn run(mut self, mut written: watch::Receiver<usize>) {
        loop {
            // Before the look, so that what is listed after the end is all there will be.
            let is_over = written.changed().await.is_err();
            self.learn().await;
            let greedy = self.dice.roll(4) == 0;
            let held = self.leases().take(self.number, greedy);
            for lease in held {
                self.read(lease).await;
            }
            if is_over && self.leases().all_ended() {
                return;
            }
        }
    }

    fn leases(&self) -> std::sync::MutexGuard<'_, Leases> {
        // Poisoned by a worker that failed: its panic is the one to see.
        self.leases.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lists all shards, page by page.
    async fn learn(&mut self) {
        let mut after: Option<String> = None;
        loop {
            let request = self.streams.describe_stream().stream_arn(&self.arn).limit(40);
            let request = request.set_exclusive_start_shard_id(after);
            let answer = request.send().await.expect("a stream");
            let description = answer.stream_description.expect("a description");
            let shards: Vec<Shard> = description.shards.expect("shards");
            self.leases().learn(&shards);
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                return;
            }
        }
    }

    /// Reads one page of a shard, from its checkpoint on.
    async fn read(&mut self, held: Held) {
        let at_hand = self.iterators.remove(&held.shard);
        let iterator = match at_hand.filter(|(counter, _)| *counter == held.counter) {
            Some((_, iterator)) => iterator,
            None => self.iterator(&held).await,
        };
        let request = self.streams.get_records().shard_iterator(iterator).limit(50);
        let page = request.send().await.expect("a page");
        let is_end = page.next_shard_iterator.is_none();
        let delivered = self.leases().deliver(&held, page.records(), is_end);
        if let Some(next) = page.next_shard_iterator.filter(|_| delivered) {
            self.iterators.insert(held.shard, (held.counter, next));
        }
    }

    async fn iterator(&self, held: &Held) -> String {
        let request = self.streams.get_shard_iterator().stream_arn(&self.arn);
        let request = request.shard_id(&held.shard);
        let request = match &held.checkpoint {
            Checkpoint::Behind(number) => request
                .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                .sequence_number(number),
            _ => request.shard_iterator_type(ShardIteratorType::TrimHorizon),
        };
        let answer = request.send().await.expect("an iterator");
        answer.shard_iterator.expect("an iterator")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn consumers_see_every_change_once_in_order_while_shards_roll_and_split() {
    let server = Process::start();
    let address = server.address.clone();
    let both = StreamViewType::NewAndOldImages;
    let arn = sdk::create_table(&sdk::tables(&address), "things", both).await;
    let (progress, watched) = watch::channel(0);

    let mut consumers = Vec::new();
    let mut workers = Vec::new();
    for consumer in 0..CONSUMERS {
        let leases = Arc::new(Mutex::new(Leases::default()));
        consumers.push(Arc::clone(&leases));
        for number in 0..WORKERS {
            let worker = Worker {
                number,
                streams: sdk::streams(&address),
                arn: arn.clone(),
                leases: Arc::clone(&leases),
                iterators: HashMap::new(),
                dice: Dice((consumer * WORKERS + number) as u64),
            };
            workers.push(tokio::spawn(worker.run(watched.clone())));
        }
    }
    let closing = tokio::spawn(close_shards(address.clone(), arn.clone(), watched));
    let writing: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(address.clone(), writer, progress.clone())))
        .collect();

    let mut expected = Told::new();
    for writer in writing {
        expected.extend(writer.await.expect("a writer"));
    }
    let (rolls, splits) = closing.await.expect("rolls and splits");
    assert_eq!((rolls, splits), (66, 34));
    // The end for readers: every shard closes.
    let disable = json!({ "streamArn": arn });
    tokio::task::block_in_place(|| control::post(&address, "disable", &disable));
    drop(progress);
    for worker in workers {
        worker.await.expect("a worker");
    }
    for consumer in &consumers {
        let leases = consumer.lock().expect("no worker failed");
        // One shard at first; a roll makes one more, a split two.
        assert_eq!(leases.len(), 1 + rolls + 2 * splits);
        assert!(leases.stolen > 0, "leases were stolen");
        for (item, expected) in &expected {
            assert_eq!(leases.told.get(item), Some(expected), "{item}");
        }
        assert_eq!(leases.told.len(), expected.len());
    }
}
