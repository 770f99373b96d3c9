//! Transactions that meet: nobody waits for ever, no reader sees half of one, and neither does a snapshot
//! of a shard.

mod common;
#[path = "common/sdk.rs"]
mod sdk;

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Get, Put, ReturnValuesOnConditionCheckFailure, StreamViewType,
    TransactGetItem, TransactWriteItem,
};
use common::process::Process;
use common::{Client, table};
use serde_json::{Value, json};
use streamcore::Stream;
use streamcore::model::AttributeValue as Attribute;
use streamcore::stream::ReadLimits;

const WRITERS: usize = 4;
const TRANSACTIONS: usize = 400;
const TABLES: [&str; 3] = ["left", "right", "third"];
const ACCOUNTS: usize = 4;
const START: i64 = 100;

/// A plain pseudo-random sequence: the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides
    }
}

fn key(account: usize) -> Value {
    json!({ "pk": { "S": format!("account-{account}") } })
}

fn n(number: i64) -> Value {
    json!({ "N": number.to_string() })
}

fn call(client: &Client, operation: &str, request: &Value) -> Result<Value, Value> {
    let target = format!("DynamoDB_20120810.{operation}");
    let read = |body: Vec<u8>| serde_json::from_slice(&body).expect("JSON");
    let answer = client.0.call(&target, request.to_string().as_bytes(), "host");
    answer.map(read).map_err(|failure| read(failure.body))
}

/// One writer less is busy once this is dropped, by a panic too: then nobody waits for it.
struct Busy<'b>(&'b AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Moves money between two accounts of any tables, if there is enough. Returns how many items of the first
/// two tables that changed.
fn transfer(client: &Client, dice: &mut Dice) -> usize {
    let (from, mut to) = (dice.roll(TABLES.len() * ACCOUNTS), dice.roll(TABLES.len() * ACCOUNTS));
    if from == to {
        to = (to + 1) % (TABLES.len() * ACCOUNTS);
    }
    let amount = 1 + dice.roll(60) as i64;
    let update = |place: usize, by: i64, least: i64| {
        json!({ "Update": {
            "TableName": TABLES[place / ACCOUNTS],
            "Key": key(place % ACCOUNTS),
            "UpdateExpression": "ADD v :by",
            "ConditionExpression": "v >= :least",
            "ExpressionAttributeValues": { ":by": n(by), ":least": n(least) },
        } })
    };
    let request =
        json!({ "TransactItems": [update(from, -amount, amount), update(to, amount, 0)] });
    match call(client, "TransactWriteItems", &request) {
        Ok(answer) => {
            assert_eq!(answer, json!({}));
            [from, to].iter().filter(|place| **place < 2 * ACCOUNTS).count()
        }
        Err(refused) => {
            let codes: Vec<&Value> = refused["CancellationReasons"]
                .as_array()
                .expect("reasons")
                .iter()
                .map(|reason| &reason["Code"])
                .collect();
            assert_eq!(codes, ["ConditionalCheckFailed", "None"], "{refused}");
            0
        }
    }
}

/// All that lies on the accounts, read in one transaction.
fn total(client: &Client) -> i64 {
    let get = |(table, account): (&&str, usize)| json!({ "Get": { "TableName": table, "Key": key(account) } });
    let places = TABLES.iter().flat_map(|table| (0..ACCOUNTS).map(move |account| (table, account)));
    let request = json!({ "TransactItems": places.map(get).collect::<Vec<_>>() });
    let answer = call(client, "TransactGetItems", &request).expect("all of them");
    let amount = |item: &Value| -> i64 {
        let text = item["Item"]["v"]["N"].as_str().expect("a number");
        let amount = text.parse().expect("digits");
        assert!(amount >= 0, "{answer}");
        amount
    };
    answer["Responses"].as_array().expect("items").iter().map(amount).sum()
}

#[test]
fn transactions_over_tables_keep_the_total_at_every_moment() {
    let client = Client::new();
    for name in TABLES {
        client.ok("CreateTable", table(name, &[("pk", "S", "HASH")], Some("NEW_IMAGE")));
        for account in 0..ACCOUNTS {
            let mut item = key(account);
            item["v"] = n(START);
            client.ok("PutItem", json!({ "TableName": name, "Item": item }));
        }
    }
    let all = START * (TABLES.len() * ACCOUNTS) as i64;
    let (busy, moved) = (AtomicUsize::new(WRITERS), AtomicUsize::new(0));
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (client, busy, moved) = (&client, &busy, &moved);
            scope.spawn(move || {
                let _busy = Busy(busy);
                let mut dice = Dice(writer as u64);
                let count = (0..TRANSACTIONS).map(|_| transfer(client, &mut dice)).sum();
                moved.fetch_add(count, Ordering::Relaxed);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while busy.load(Ordering::Relaxed) > 0 {
                    assert_eq!(total(&client), all);
                }
            });
        }
        // Takes all locks of one table, again and again.
        scope.spawn(|| {
            let mut on = true;
            while busy.load(Ordering::Relaxed) > 0 {
                on = !on;
                let mut stream = json!({ "StreamEnabled": on });
                if on {
                    stream["StreamViewType"] = json!("NEW_IMAGE");
                }
                let request = json!({ "TableName": "third", "StreamSpecification": stream });
                client.ok("UpdateTable", request);
            }
        });
    });
    assert_eq!(total(&client), all);
    // One record per change; the third table's streams did not see all of theirs.
    let records: usize = ["left", "right"]
        .iter()
        .map(|name| client.records(&client.stream_arn(name)).len() - ACCOUNTS)
        .sum();
    let moved = moved.into_inner();
    assert_eq!(records, moved);
    assert!(moved > TRANSACTIONS, "{moved} changes by {} transfers", WRITERS * TRANSACTIONS);
}

/// Reads a snapshot of each shard: only whole transactions of `size` records. Returns how many.
fn whole_transactions(stream: &Stream, size: usize) -> usize {
    let mut count = 0;
    for shard in stream.describe().shards {
        let shard = shard.shard_id.as_str();
        let snapshot = stream.snapshot(shard).expect("a shard");
        assert_eq!(snapshot.len() as usize % size, 0, "half a transaction in {snapshot:?}");
        let mut of: Vec<Attribute> = Vec::new();
        let mut from = snapshot.start();
        while from < snapshot.end() {
            let page = stream.get_records(shard, from, ReadLimits::records(1000)).expect("a page");
            let image = |record: streamcore::model::RecordRef<'_>| {
                record.new_image().expect("an image").attributes()["tx"].clone()
            };
            of.extend(page.iter().map(image));
            from = page.next_position();
        }
        // A later page may hold more than the snapshot.
        of.truncate(snapshot.len() as usize);
        for records in of.chunks(size) {
            assert!(records.iter().all(|tx| *tx == records[0]), "{records:?} are not one");
        }
        count += of.len() / size;
    }
    count
}

#[test]
fn a_snapshot_of_a_shard_holds_whole_transactions() {
    /// As many as a transaction takes: so that it takes its time.
    const SIZE: usize = 100;
    const EACH: usize = 50;
    let client = Client::with_table();
    let stream = client.0.store().stream(&client.stream_arn("things")).expect("a stream");
    let busy = AtomicUsize::new(WRITERS);
    let open = || stream.describe().shards.pop().expect("a shard").shard_id;
    let (mut rolls, mut looks) = (0, 0);
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (client, busy) = (&client, &busy);
            scope.spawn(move || {
                let _busy = Busy(busy);
                for number in 0..EACH {
                    let tx = format!("{writer}-{number}");
                    let put = |item: usize| {
                        // The same items for all writers.
                        let item = json!({ "pk": { "S": item.to_string() }, "tx": { "S": tx } });
                        json!({ "Put": { "TableName": "things", "Item": item } })
                    };
                    let puts: Vec<Value> = (0..SIZE).map(put).collect();
                    client.ok("TransactWriteItems", json!({ "TransactItems": puts }));
                }
            });
        }
        scope.spawn(|| {
            while busy.load(Ordering::Relaxed) > 0 && rolls < 1000 {
                stream.roll(open().as_str()).expect("children");
                rolls += 1;
            }
        });
        scope.spawn(|| {
            while busy.load(Ordering::Relaxed) > 0 {
                let snapshot = stream.snapshot(open().as_str()).expect("a shard");
                assert_eq!(snapshot.len() as usize % SIZE, 0, "half a transaction in {snapshot:?}");
                looks += 1;
            }
        });
    });
    assert_eq!(whole_transactions(&stream, SIZE), WRITERS * EACH);
    assert!(rolls > 10 && looks > 10, "{rolls} rolls, {looks} looks");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sdk_reads_what_is_told_of_transactions() {
    let server = Process::start();
    let client = sdk::tables(&server.address);
    let arn = sdk::create_table(&client, "things", StreamViewType::NewImage).await;
    let key = |pk: &str| AttributeValue::S(pk.to_owned());
    let put = |pk: &str| {
        let put = Put::builder().table_name("things").item("pk", key(pk)).build();
        TransactWriteItem::builder().put(put.expect("complete")).build()
    };
    let send = || client.transact_write_items();
    send().transact_items(put("a")).transact_items(put("b")).send().await.expect("written");

    let check = ConditionCheck::builder()
        .table_name("things")
        .key("pk", key("a"))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    let check = TransactWriteItem::builder().condition_check(check.build().expect("complete"));
    let failed = send().transact_items(put("c")).transact_items(check.build()).send().await;
    let error = failed.expect_err("cancelled").into_service_error();
    assert_eq!(
        error.meta().message(),
        Some(
            "Transaction cancelled, please refer cancellation reasons for specific reasons [None, \
             ConditionalCheckFailed]"
        )
    );
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        error,
    ) = error
    else {
        panic!("{error:?}")
    };
    let codes: Vec<_> = error.cancellation_reasons().iter().map(|reason| reason.code()).collect();
    assert_eq!(codes, [Some("None"), Some("ConditionalCheckFailed")]);
    let reason = &error.cancellation_reasons()[1];
    assert_eq!(reason.message(), Some("The conditional request failed"));
    assert_eq!(reason.item().and_then(|item| item.get("pk")), Some(&key("a")));

    send().client_request_token("t").transact_items(put("d")).send().await.expect("written");
    send().client_request_token("t").transact_items(put("d")).send().await.expect("written before");
    let other = send().client_request_token("t").transact_items(put("e")).send().await;
    let error = other.expect_err("another one").into_service_error();
    assert!(error.is_idempotent_parameter_mismatch_exception(), "{error:?}");

    let mut request = client.transact_get_items();
    for pk in ["a", "c", "d", "e"] {
        let get = Get::builder().table_name("things").key("pk", key(pk)).build();
        let get = TransactGetItem::builder().get(get.expect("complete")).build();
        request = request.transact_items(get);
    }
    let answer = request.send().await.expect("read");
    let there: Vec<bool> = answer.responses().iter().map(|found| found.item().is_some()).collect();
    assert_eq!(there, [true, false, true, false]);

    let streams = sdk::streams(&server.address);
    let horizon = aws_sdk_dynamodbstreams::types::ShardIteratorType::TrimHorizon;
    let iterator = sdk::iterators(&streams, &arn, horizon).await.remove(0);
    let page = streams.get_records().shard_iterator(iterator).send().await.expect("a page");
    let keys: HashSet<String> = page
        .records()
        .iter()
        .filter_map(|record| record.dynamodb.as_ref()?.keys.as_ref()?["pk"].as_s().ok().cloned())
        .collect();
    assert_eq!((page.records().len(), keys), (3, ["a", "b", "d"].map(str::to_owned).into()));
}
