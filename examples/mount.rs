//! How the author of a server with tables of their own mounts DynamoDB's HTTP layer beside their routes.
//!
//! The host is a shelf of notes behind a lock: one table, two operations. The layer brings the Streams API, what
//! SDKs look for in answers, limits on bodies, and a 500 for a handler that panics; the routing is axum's.
//!
//!     cargo run --example mount
//!     aws dynamodb put-item --endpoint-url http://127.0.0.1:8001 --table-name Notes --item '{"id": {"S": "1"}}'
//!     aws dynamodbstreams list-streams --endpoint-url http://127.0.0.1:8001

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::routing::get;
use serde::Deserialize;
use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
use streamcore::wire::StreamsApi;
use streamcore::{Error, Store, Stream, StreamConfig};
use streamcore_emulator::service::{Call, DynamoDb, Failure, Gate, Limits, TableHost};

/// The table `Notes`, whose key is the string `id`.
struct Shelf {
    notes: Mutex<HashMap<String, Image>>,
    stream: Stream,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ItemRequest {
    table_name: String,
    #[serde(alias = "Key")]
    item: Attributes,
}

impl TableHost for Shelf {
    async fn call(&self, call: Call<'_>) -> Result<Vec<u8>, Failure> {
        match call.operation {
            "PutItem" => self.put(call.body),
            "GetItem" => self.get(call.body),
            other => Err(Failure::unknown_operation(other)),
        }
    }
}

impl Shelf {
    fn new(store: &Store) -> Result<Self, Error> {
        let schema = KeySchema::new("id", None)?;
        let config = StreamConfig::new("Notes", schema, StreamViewType::NewAndOldImages);
        Ok(Self { notes: Mutex::default(), stream: store.register_stream(config)? })
    }

    fn put(&self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let (id, item) = read(body)?;
        let new = Image::new(item);
        let number = {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            let change = match notes.get(&id) {
                None => Change::insert(new.clone()),
                Some(old) => Change::modify(old.clone(), new.clone()),
            };
            // The record first: what the stream refuses does not happen.
            let number = self.stream.put(change).map_err(fault)?;
            notes.insert(id, new);
            number
        };
        // Outside of the lock: the client is answered when readers of the stream see the record.
        self.stream.wait_visible(number).map_err(fault)?;
        Ok(b"{}".to_vec())
    }

    fn get(&self, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let (id, _) = read(body)?;
        let notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let json = |note: &Image| [br#"{"Item":"#, note.json(), b"}"].concat();
        Ok(notes.get(&id).map_or_else(|| b"{}".to_vec(), json))
    }
}

fn read(body: &[u8]) -> Result<(String, Attributes), Failure> {
    let invalid =
        |message: &str| Failure::new(400, "com.amazon.coral.validate#ValidationException", message);
    let ItemRequest { table_name, item } =
        serde_json::from_slice(body).map_err(|error| invalid(&error.to_string()))?;
    match item.get("id") {
        _ if table_name != "Notes" => Err(invalid("there is one table: Notes")),
        Some(AttributeValue::S(id)) => Ok((id.clone(), item)),
        _ => Err(invalid("the key is the string `id`")),
    }
}

fn fault(error: Error) -> Failure {
    Failure::new(500, "com.amazonaws.dynamodb.v20120810#InternalServerError", &error.to_string())
}

/// DynamoDB, mounted behind a route of the server's own.
pub fn router() -> Result<Router, Error> {
    let store = Store::new();
    let shelf = Arc::new(Shelf::new(&store)?);
    let dynamodb = DynamoDb::new(shelf, StreamsApi::new(store), Gate::new(Limits::default()));
    Ok(Router::new()
        .route("/hello", get(async || "a server with notes"))
        .fallback_service(dynamodb))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8001").await?;
    println!("notes are on http://{}", listener.local_addr()?);
    Ok(axum::serve(listener, router()?).await?)
}
