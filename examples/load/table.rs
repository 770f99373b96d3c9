//! The run's own tables: made at its start, deleted at its end, however it ends.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::client::{Broken, Connection, Endpoint, Target};

/// How long a new table may take until it can be used.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at it.
const REST: Duration = Duration::from_millis(50);

/// A table, and its stream if it has one.
#[derive(Clone)]
pub struct Table {
    pub name: String,
    pub stream: Option<String>,
}

/// Whether a table has a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    On,
    Off,
}

/// The tables of this run that are there.
#[derive(Clone)]
pub struct Tables {
    endpoint: Endpoint,
    names: Arc<Mutex<Vec<String>>>,
}

impl Tables {
    /// None yet.
    pub fn new(endpoint: Endpoint) -> Self {
        Self { endpoint, names: Arc::default() }
    }

    /// Creates a table with a name of its own, and waits until it can be used.
    pub async fn create(&self, purpose: &str, stream: Stream) -> Result<Table, Broken> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("load-{purpose}-{}-{}", std::process::id(), since.as_micros());
        let mut request = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
        });
        if stream == Stream::On {
            request["StreamSpecification"] =
                json!({ "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" });
        }
        let mut connection = Connection::open(&self.endpoint).await?;
        self.names.lock().push(name.clone());
        connection.must(&Target::tables("CreateTable"), &request).await?;

        let began = Instant::now();
        loop {
            let asked = json!({ "TableName": name });
            let described = connection.must(&Target::tables("DescribeTable"), &asked).await?;
            let table = &described["Table"];
            let arn = table["LatestStreamArn"].as_str().map(str::to_owned);
            if table["TableStatus"] == "ACTIVE" && (arn.is_some() || stream == Stream::Off) {
                return Ok(Table { name, stream: arn });
            }
            if began.elapsed() > PATIENCE {
                return Err(Broken(format!("{name} is not ready after {PATIENCE:?}")));
            }
            sleep(REST).await;
        }
    }

    /// Deletes what was created. Tries all of them, and says what the first failure was.
    pub async fn delete_all(&self) -> Result<(), Broken> {
        let names = std::mem::take(&mut *self.names.lock());
        if names.is_empty() {
            return Ok(());
        }
        let mut connection = Connection::open(&self.endpoint).await?;
        let mut outcome = Ok(());
        for name in names {
            let asked = json!({ "TableName": name });
            let deleted = connection.must(&Target::tables("DeleteTable"), &asked).await;
            outcome = outcome.and(deleted.map(drop));
        }
        outcome
    }
}

/// The ids of all shards of a stream, parents before children.
pub async fn shards(connection: &mut Connection, stream: &str) -> Result<Vec<String>, Broken> {
    let mut request = json!({ "StreamArn": stream });
    let mut ids = Vec::new();
    loop {
        let answer = connection.must(&Target::streams("DescribeStream"), &request).await?;
        let description = &answer["StreamDescription"];
        let page = description["Shards"].as_array().map_or(&[][..], Vec::as_slice);
        ids.extend(page.iter().filter_map(|shard| shard["ShardId"].as_str()).map(str::to_owned));
        // Ids begin with the time of creation, so they list parents first.
        match &description["LastEvaluatedShardId"] {
            Value::String(last) => request["ExclusiveStartShardId"] = json!(last),
            _ => return Ok(ids),
        }
    }
}

/// An iterator at the beginning of a shard.
pub async fn from_the_beginning(
    connection: &mut Connection,
    stream: &str,
    shard: &str,
) -> Result<String, Broken> {
    let asked =
        json!({ "StreamArn": stream, "ShardId": shard, "ShardIteratorType": "TRIM_HORIZON" });
    let answer = connection.must(&Target::streams("GetShardIterator"), &asked).await?;
    answer["ShardIterator"].as_str().map(str::to_owned).ok_or("no ShardIterator was given".into())
}
