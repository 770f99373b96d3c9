//! Those who work: they put items at a fixed rate, and expect to find them in the stream.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

const TABLE: &str = "besieged";

/// A request as it is sent.
pub(crate) fn request(operation: &str, body: &str) -> String {
    let streams = ["DescribeStream", "GetShardIterator", "GetRecords"].contains(&operation);
    let api = if streams { "DynamoDBStreams" } else { "DynamoDB" };
    format!(
        "POST / HTTP/1.1\r\nHost: besieged\r\nAuthorization: AWS4-HMAC-SHA256 Credential=x\r\n\
         X-Amz-Target: {api}_20120810.{operation}\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection that asks and gets its answer.
struct Client(BufReader<TcpStream>);

impl Client {
    async fn connect(address: &str) -> Result<Self, String> {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self(BufReader::with_capacity(64 << 10, stream)))
    }

    /// The answer to an operation, which must succeed.
    async fn ask(&mut self, operation: &str, body: &str) -> Result<Vec<u8>, String> {
        let fault = |error: std::io::Error| format!("{operation}: {error}");
        let request = request(operation, body);
        self.0.get_mut().write_all(request.as_bytes()).await.map_err(fault)?;
        let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
        loop {
            line.clear();
            self.0.read_line(&mut line).await.map_err(fault)?;
            let text = line.trim_end();
            if status.is_empty() {
                status = text.to_owned();
            } else if text.is_empty() {
                break;
            } else if let Some(value) = text.to_ascii_lowercase().strip_prefix("content-length: ") {
                length = value.parse().map_err(|_| format!("{operation}: {text}"))?;
            }
        }
        let mut answer = vec![0; length];
        self.0.read_exact(&mut answer).await.map_err(fault)?;
        if status == "HTTP/1.1 200 OK" {
            return Ok(answer);
        }
        Err(format!("{operation}: {status}: {}", String::from_utf8_lossy(&answer)))
    }

    async fn ask_json(&mut self, operation: &str, body: Value) -> Result<Value, String> {
        let answer = self.ask(operation, &body.to_string()).await?;
        serde_json::from_slice(&answer).map_err(|error| error.to_string())
    }
}

fn run<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

/// Makes the table, with items enough for a page of a megabyte.
pub(crate) fn create_table(address: &str) -> Result<(), String> {
    run(async {
        let mut client = Client::connect(address).await?;
        let table = json!({
            "TableName": TABLE,
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "N" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        client.ask_json("CreateTable", table).await?;
        for number in 1..=6 {
            let item =
                json!({ "id": { "N": format!("-{number}") }, "x": { "S": "x".repeat(200_000) } });
            client.ask_json("PutItem", json!({ "TableName": TABLE, "Item": item })).await?;
        }
        let stream = json!({ "StreamEnabled": true, "StreamViewType": "NEW_IMAGE" });
        client
            .ask_json("UpdateTable", json!({ "TableName": TABLE, "StreamSpecification": stream }))
            .await?;
        Ok(())
    })
}

/// Lets clients put items at a rate each, numbered from `first` on without a gap. Returns the latencies in
/// microseconds, from when a request was due, and how many puts there were; all were acknowledged.
pub(crate) fn work(
    address: &str,
    clients: usize,
    rate: u64,
    time: Duration,
    first: u64,
) -> Result<(Histogram<u64>, u64), String> {
    let each = rate * time.as_secs();
    let began = Instant::now();
    let client = |index: u64| {
        move || {
            // A thread of its own: tokio wakes tasks at whole milliseconds, which would hide what is shorter.
            let sleep_until = |due: Instant| {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
            };
            run(async {
                let mut client = Client::connect(address).await?;
                let mut latencies = histogram()?;
                for number in 0..each {
                    // Each client in its own part of the interval.
                    let place = number as f64 + index as f64 / clients as f64;
                    let due = began + Duration::from_secs_f64(place / rate as f64);
                    sleep_until(due);
                    let id = first + index * each + number;
                    let body = format!(
                        r#"{{"TableName":"{TABLE}","Item":{{"id":{{"N":"{id}"}},"x":{{"S":"{number:0>100}"}}}}}}"#
                    );
                    client.ask("PutItem", &body).await?;
                    latencies.saturating_record(due.elapsed().as_micros() as u64);
                }
                Ok(latencies)
            })
        }
    };
    let mut latencies = histogram()?;
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..clients as u64).map(|index| scope.spawn(client(index))).collect();
        for one in all {
            let one = one.join().map_err(|_| "a client panicked")??;
            latencies.add(one).map_err(|fault| fault.to_string())?;
        }
        Ok((latencies, each * clients as u64))
    })
}

fn histogram() -> Result<Histogram<u64>, String> {
    Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|error| error.to_string())
}

/// How many of the items from 0 to `expected` are in the stream, each counted once. A client had its answer for one
/// before it put the next, and put `each`; so they stand in that order.
pub(crate) fn count_records(address: &str, expected: u64, each: u64) -> Result<u64, String> {
    run(async {
        let mut client = Client::connect(address).await?;
        let table = client.ask_json("DescribeTable", json!({ "TableName": TABLE })).await?;
        let arn = &table["Table"]["LatestStreamArn"];
        let described = client.ask_json("DescribeStream", json!({ "StreamArn": arn })).await?;
        let shard = &described["StreamDescription"]["Shards"][0]["ShardId"];
        let from =
            json!({ "StreamArn": arn, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
        let mut iterator =
            client.ask_json("GetShardIterator", from).await?["ShardIterator"].clone();
        let mut seen = vec![false; usize::try_from(expected).map_err(|error| error.to_string())?];
        let mut last_of_client = HashMap::new();
        loop {
            let page = client.ask_json("GetRecords", json!({ "ShardIterator": iterator })).await?;
            let records = page["Records"].as_array().ok_or("no records")?;
            for record in records {
                let id =
                    record["dynamodb"]["Keys"]["id"]["N"].as_str().and_then(|id| id.parse().ok());
                let id: usize = id.ok_or_else(|| format!("no id: {record}"))?;
                let place = seen.get_mut(id).ok_or_else(|| format!("nobody put {id}"))?;
                if std::mem::replace(place, true) {
                    return Err(format!("{id} is in the stream twice"));
                }
                if let Some(before) = last_of_client.insert(id as u64 / each.max(1), id)
                    && before > id
                {
                    return Err(format!("{id} stands behind {before}, which was put later"));
                }
            }
            if records.is_empty() {
                return Ok(seen.into_iter().filter(|seen| *seen).count() as u64);
            }
            iterator = page["NextShardIterator"].clone();
        }
    })
}
