//! The official SDK against the emulator: what is written to tables arrives in their streams, once,
//! in order, whole, and at once.

mod common;
#[path = "common/sdk.rs"]
mod sdk;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb as dynamodb;
use aws_sdk_dynamodb::types::StreamViewType;
use aws_sdk_dynamodbstreams as streams;
use aws_sdk_dynamodbstreams::types::{Record, ShardIteratorType};
use common::process::Process;
use streamcore::model::{AttributeValue, Attributes, Image};
use tokio::sync::watch;

const CLIENTS: usize = 8;
const ITEMS: usize = 100;
/// Where the stream shows everything; a quarter of that where it shows less.
const MUTATIONS: usize = 10_000;

/// One change that a record must tell of.
#[derive(Debug)]
struct Expected {
    event: &'static str,
    new: Option<Attributes>,
    old: Option<Attributes>,
}

/// A plain pseudo-random sequence: the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

fn s(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

fn n(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// Drives the items of one client, and keeps what the stream must say of each.
struct Writer {
    client: dynamodb::Client,
    table: String,
    items: BTreeMap<String, Option<Attributes>>,
    expected: HashMap<String, Vec<Expected>>,
    dice: Dice,
}

impl Writer {
    /// One mutation of an item of this client's: a put, an update or a delete.
    async fn mutate(&mut self, number: u64) {
        let index = self.dice.roll(self.items.len() as u64) as usize;
        let (pk, old) = self.items.iter().nth(index).expect("there are so many");
        let (pk, old) = (pk.clone(), old.clone());
        let new = match self.dice.roll(10) {
            0..=3 => Some(self.put(&pk, number).await),
            4..=7 => Some(self.update(&pk, old.clone(), number).await),
            _ => {
                let key = dynamodb::types::AttributeValue::S(pk.clone());
                let request = self.client.delete_item().table_name(&self.table).key("pk", key);
                request.send().await.expect("deleted");
                None
            }
        };
        let event = match (&old, &new) {
            (None, None) => return,
            (None, Some(_)) => "INSERT",
            (Some(_), Some(_)) => "MODIFY",
            (Some(_), None) => "REMOVE",
        };
        self.items.insert(pk.clone(), new.clone());
        self.expected.entry(pk).or_default().push(Expected { event, new, old });
    }

    async fn put(&mut self, pk: &str, number: u64) -> Attributes {
        let item = Attributes::from([
            ("pk".to_owned(), s(pk)),
            ("number".to_owned(), n(number)),
            ("text".to_owned(), s("é \u{1f980} \"\\\n").clone()),
            ("bytes".to_owned(), AttributeValue::B(number.to_be_bytes().to_vec())),
            (
                "deep".to_owned(),
                AttributeValue::M(Attributes::from([(
                    "list".to_owned(),
                    AttributeValue::L(vec![AttributeValue::Bool(true), n(number)]),
                )])),
            ),
        ]);
        let request = self.client.put_item().table_name(&self.table);
        let request = request.set_item(Some(sdk::to_sdk(&item)));
        request.clone().send().await.expect("put");
        if self.dice.roll(4) == 0 {
            // The same again changes nothing and must leave no record.
            request.send().await.expect("put again");
        }
        item
    }

    async fn update(&mut self, pk: &str, old: Option<Attributes>, number: u64) -> Attributes {
        let mut item = old.unwrap_or_else(|| Attributes::from([("pk".to_owned(), s(pk))]));
        let count = match item.get("count") {
            Some(AttributeValue::N(count)) => count.parse::<u64>().expect("a count"),
            _ => 0,
        };
        item.insert("number".to_owned(), n(number));
        item.insert("count".to_owned(), n(count + 1));
        item.remove("bytes");
        let mut tags = match item.remove("tags") {
            Some(AttributeValue::Ss(tags)) => tags,
            _ => Vec::new(),
        };
        let tag = format!("tag-{}", number % 5);
        if !tags.contains(&tag) {
            tags.push(tag.clone());
        }
        item.insert("tags".to_owned(), AttributeValue::Ss(tags));
        use dynamodb::types::AttributeValue as Theirs;
        self.client
            .update_item()
            .table_name(&self.table)
            .key("pk", Theirs::S(pk.to_owned()))
            .update_expression(
                "SET #number = :number, #count = if_not_exists(#count, :zero) + :one \
                 REMOVE bytes ADD tags :tags",
            )
            .expression_attribute_names("#number", "number")
            .expression_attribute_names("#count", "count")
            .expression_attribute_values(":number", Theirs::N(number.to_string()))
            .expression_attribute_values(":zero", Theirs::N("0".to_owned()))
            .expression_attribute_values(":one", Theirs::N("1".to_owned()))
            .expression_attribute_values(":tags", Theirs::Ss(vec![tag]))
            .send()
            .await
            .expect("updated");
        item
    }
}

/// Reads a stream while it is written to, until nothing comes after the writers have finished.
async fn read_all(
    client: streams::Client,
    mut iterators: Vec<String>,
    mut written: watch::Receiver<usize>,
) -> Vec<Record> {
    let mut records = Vec::new();
    loop {
        // Before the look, so that an empty look after the last write is the end.
        let finished = written.changed().await.is_err();
        let mut found = false;
        for iterator in &mut iterators {
            let request = client.get_records().shard_iterator(iterator.as_str());
            let page = request.send().await.expect("a page");
            found |= !page.records().is_empty();
            records.extend(page.records.expect("records"));
            *iterator = page.next_shard_iterator.expect("the shard is open");
        }
        if finished && !found {
            return records;
        }
    }
}

fn same(left: &Attributes, right: &Attributes) -> bool {
    Image::new(left.clone()).same_as(&Image::new(right.clone()))
}

/// Compares a stream with what was written, record by record.
fn compare(view: &StreamViewType, records: &[Record], expected: &HashMap<String, Vec<Expected>>) {
    let mut of_item: HashMap<String, Vec<&Record>> = HashMap::new();
    let mut numbers = Vec::with_capacity(records.len());
    for record in records {
        let data = record.dynamodb.as_ref().expect("its data");
        let keys = sdk::streamed(data.keys.as_ref().expect("its keys"));
        let Some(AttributeValue::S(pk)) = keys.get("pk").filter(|_| keys.len() == 1) else {
            panic!("no key: {keys:?}")
        };
        of_item.entry(pk.clone()).or_default().push(record);
        let number = data.sequence_number.as_ref().expect("a number");
        assert!((21..=40).contains(&number.len()), "{number}");
        numbers.push(number.parse::<u128>().expect("digits"));
    }
    assert!(numbers.is_sorted_by(|a, b| a < b), "one shard's numbers rise");
    assert_eq!(records.len(), expected.values().map(Vec::len).sum::<usize>(), "{view:?}");
    for (pk, expected) in expected {
        let records = &of_item[pk];
        assert_eq!(records.len(), expected.len(), "{view:?} {pk}");
        for (record, expected) in records.iter().zip(expected) {
            let data = record.dynamodb.as_ref().expect("its data");
            let event = record.event_name.as_ref().expect("an event");
            assert_eq!(event.as_str(), expected.event, "{view:?} {pk}");
            let (shows_new, shows_old) = match view {
                StreamViewType::NewImage => (true, false),
                StreamViewType::OldImage => (false, true),
                StreamViewType::NewAndOldImages => (true, true),
                _ => (false, false),
            };
            for (image, wanted) in [
                (&data.new_image, expected.new.as_ref().filter(|_| shows_new)),
                (&data.old_image, expected.old.as_ref().filter(|_| shows_old)),
            ] {
                match (image.as_ref().map(sdk::streamed), wanted) {
                    (None, None) => {}
                    (Some(image), Some(wanted)) if same(&image, wanted) => {}
                    (image, wanted) => panic!("{view:?} {pk}: {image:?} instead of {wanted:?}"),
                }
            }
        }
    }
}

/// Mutations of a hundred items by eight clients, read by another one meanwhile.
async fn drive(address: &str, view: StreamViewType, mutations: usize) {
    let table = format!("table-{}", view.as_str());
    let arn = sdk::create_table(&sdk::tables(address), &table, view.clone()).await;
    let reader = sdk::streams(address);
    let iterators = sdk::iterators(&reader, &arn, ShardIteratorType::TrimHorizon).await;
    let (progress, watched) = watch::channel(0);
    let reading = tokio::spawn(read_all(reader, iterators, watched));
    let mut writing = Vec::new();
    for client in 0..CLIENTS {
        let progress = progress.clone();
        let pks = (client..ITEMS).step_by(CLIENTS).map(|item| (format!("item-{item}"), None));
        let mut writer = Writer {
            client: sdk::tables(address),
            table: table.clone(),
            items: pks.collect(),
            expected: HashMap::new(),
            dice: Dice(client as u64),
        };
        writing.push(tokio::spawn(async move {
            for number in (client..mutations).step_by(CLIENTS) {
                writer.mutate(number as u64).await;
                // The reader looks now and then: a look at every write would starve the writers.
                if number % 32 == 0 {
                    progress.send_modify(|written| *written += 1);
                }
            }
            writer.expected
        }));
    }
    drop(progress);
    let mut expected = HashMap::new();
    for writer in writing {
        expected.extend(writer.await.expect("a writer"));
    }
    let records = reading.await.expect("the reader");
    compare(&view, &records, &expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_only_streams_tell_every_change_once_in_order() {
    let server = Process::start();
    drive(&server.address, StreamViewType::KeysOnly, MUTATIONS / 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_image_streams_tell_every_change_once_in_order() {
    let server = Process::start();
    drive(&server.address, StreamViewType::NewImage, MUTATIONS / 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_image_streams_tell_every_change_once_in_order() {
    let server = Process::start();
    drive(&server.address, StreamViewType::OldImage, MUTATIONS / 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_both_images_tell_every_change_once_in_order() {
    let server = Process::start();
    drive(&server.address, StreamViewType::NewAndOldImages, MUTATIONS).await;
}

/// All clients on one item: whatever order the writes take, the stream tells the same one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_of_one_item_leave_one_unbroken_chain() {
    use dynamodb::types::{AttributeValue as Theirs, ReturnValue};
    const EACH: usize = 100;
    let server = Process::start();
    let address = &server.address;
    let both = StreamViewType::NewAndOldImages;
    let arn = sdk::create_table(&sdk::tables(address), "things", both).await;
    let mut writing = Vec::new();
    for client in 0..CLIENTS {
        let tables = sdk::tables(address);
        writing.push(tokio::spawn(async move {
            let mut told = Vec::new();
            for index in 0..EACH {
                let id = (client * EACH + index).to_string();
                let answer = tables
                    .put_item()
                    .table_name("things")
                    .item("pk", Theirs::S("one".to_owned()))
                    .item("id", Theirs::N(id.clone()))
                    .return_values(ReturnValue::AllOld)
                    .send()
                    .await
                    .expect("put");
                let old = answer.attributes.map(|old| old["id"].as_n().expect("a number").clone());
                told.push((old, id));
            }
            told
        }));
    }
    let mut told = HashMap::new();
    for writer in writing {
        told.extend(writer.await.expect("a writer"));
    }
    assert_eq!(told.len(), CLIENTS * EACH, "no two writers replaced the same item");
    let reader = sdk::streams(address);
    let iterators = sdk::iterators(&reader, &arn, ShardIteratorType::TrimHorizon).await;
    let (_, finished) = watch::channel(0);
    let records = read_all(reader, iterators, finished).await;
    assert_eq!(records.len(), told.len());
    let mut before = None;
    for record in &records {
        let data = record.dynamodb.as_ref().expect("its data");
        let id = |image: &Option<HashMap<String, streams::types::AttributeValue>>| {
            image.as_ref().map(|image| image["id"].as_n().expect("a number").clone())
        };
        assert_eq!(id(&data.old_image), before, "the chain is broken");
        let after = id(&data.new_image);
        assert_eq!(told.get(&before), after.as_ref(), "not what the writer was told");
        before = after;
    }
}

/// A thousand times: put, then read by another client at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_acknowledged_is_there_for_everybody() {
    let server = Process::start();
    let (writer, reader) = (sdk::tables(&server.address), sdk::streams(&server.address));
    let arn = sdk::create_table(&writer, "things", StreamViewType::NewImage).await;
    let mut iterators = sdk::iterators(&reader, &arn, ShardIteratorType::Latest).await;
    assert_eq!(iterators.len(), 1);
    let mut iterator = iterators.remove(0);
    for number in 0..1000 {
        let item = Attributes::from([
            ("pk".to_owned(), s(format!("item-{}", number % 10))),
            ("number".to_owned(), n(number)),
        ]);
        let put = writer.put_item().table_name("things").set_item(Some(sdk::to_sdk(&item)));
        put.send().await.expect("put");
        let page = reader.get_records().shard_iterator(iterator).send().await.expect("a page");
        let [record] = page.records() else {
            panic!("{number}: {} records instead of the one", page.records().len())
        };
        let data = record.dynamodb.as_ref().expect("its data");
        let image = sdk::streamed(data.new_image.as_ref().expect("an image"));
        assert!(same(&image, &item), "{number}: {image:?}");
        iterator = page.next_shard_iterator.expect("the shard is open");
    }
}
