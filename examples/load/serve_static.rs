//! The static server: what HTTP alone costs on this machine.
//!
//! It answers PutItem, BatchWriteItem and GetRecords with bytes that were made before it began to listen,
//! and reads requests only to their end. The bytes are those that the emulator answers to the same load,
//! with the same headers; the settings of the connections are the emulator's, too. All other operations
//! go to an emulator behind it, so that `load` drives it as it drives any endpoint.

use std::convert::Infallible;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, CONTENT_TYPE, HeaderMap,
    HeaderName, HeaderValue,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use streamcore_emulator::{Config, Emulator};
use tokio::net::TcpListener;
use tokio::task;

use super::items::{Bodies, Key, Turns};

/// A page has so many records at the most.
const PAGE: u64 = 1000;
const TABLE: &str = "captured";
const ID: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST";

/// An answer that is ready to be sent.
struct Fixed {
    body: Bytes,
    headers: HeaderMap,
}

impl Fixed {
    fn new(body: Vec<u8>) -> Self {
        let mut headers = HeaderMap::new();
        let crc32 = HeaderName::from_static("x-amz-crc32");
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
        headers.insert(crc32, HeaderValue::from(crc32fast::hash(&body)));
        let id = HeaderName::from_static("x-amzn-requestid");
        headers.insert(id, HeaderValue::from_static(ID));
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        let exposed = "x-amzn-requestid, x-amzn-errortype, x-amz-crc32, date";
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(exposed));
        Self { body: body.into(), headers }
    }

    fn response(&self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body.clone()));
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// The answers.
struct Answers {
    put: Fixed,
    batch: Fixed,
    records: Fixed,
    emulator: Emulator,
}

/// Which items the captured page shows.
#[derive(Clone, Copy, Debug)]
pub struct Captured {
    pub puts: u64,
    pub keys: Key,
    pub item_bytes: usize,
}

impl Answers {
    /// Asks the emulator what it would answer.
    fn capture(captured: Captured) -> Result<Self, String> {
        let emulator = Emulator::new(Config::default());
        let ask = |target: &str, body: &[u8]| {
            emulator
                .call(target, body, "localhost")
                .map_err(|refused| String::from_utf8_lossy(&refused.body).into_owned())
        };
        let read = |bytes: Vec<u8>| {
            serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string())
        };
        let table = json!({
            "TableName": TABLE,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "NEW_AND_OLD_IMAGES" },
        });
        let made = read(ask("DynamoDB_20120810.CreateTable", table.to_string().as_bytes())?)?;
        let arn = &made["TableDescription"]["LatestStreamArn"];

        // The share of puts that meet a key for the first time is that of the whole load.
        let bodies = Bodies::new(TABLE, captured.item_bytes);
        let puts = captured.puts.clamp(1, PAGE);
        let keys = u64::from(captured.keys) * puts / captured.puts.max(1);
        let turns = Turns::new(0, 1, Key::try_from(keys.max(1)).unwrap_or(Key::MAX));
        let mut put_answer = Vec::new();
        for (put, at_us) in turns.zip(1_000_000..).take(puts as usize) {
            put_answer = ask("DynamoDB_20120810.PutItem", &bodies.put(put, at_us))?;
        }
        let stream = |operation: &str| format!("DynamoDBStreams_20120810.{operation}");
        let asked = json!({ "StreamArn": arn });
        let described = read(ask(&stream("DescribeStream"), asked.to_string().as_bytes())?)?;
        let asked = json!({
            "StreamArn": arn,
            "ShardId": described["StreamDescription"]["Shards"][0]["ShardId"],
            "ShardIteratorType": "TRIM_HORIZON",
        });
        let iterator = read(ask(&stream("GetShardIterator"), asked.to_string().as_bytes())?)?;
        let records = ask(&stream("GetRecords"), iterator.to_string().as_bytes())?;
        ask("DynamoDB_20120810.DeleteTable", json!({ "TableName": TABLE }).to_string().as_bytes())?;
        Ok(Self {
            put: Fixed::new(put_answer),
            batch: Fixed::new(br#"{"UnprocessedItems":{}}"#.to_vec()),
            records: Fixed::new(records),
            emulator,
        })
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return refusal(b"the request was not sent to its end".to_vec());
        };
        let target = parts.headers.get("x-amz-target").map_or(&b""[..], HeaderValue::as_bytes);
        match target {
            b"DynamoDB_20120810.PutItem" => self.put.response(),
            b"DynamoDB_20120810.BatchWriteItem" => self.batch.response(),
            b"DynamoDBStreams_20120810.GetRecords" => self.records.response(),
            _ => {
                let target = String::from_utf8_lossy(target);
                match self.emulator.call(&target, &body.to_bytes(), "localhost") {
                    Ok(answer) => Fixed::new(answer).response(),
                    Err(refused) => refusal(refused.body),
                }
            }
        }
    }
}

fn refusal(body: Vec<u8>) -> Response<Full<Bytes>> {
    let mut response = Fixed::new(body).response();
    *response.status_mut() = StatusCode::BAD_REQUEST;
    response
}

/// Serves until the process ends.
///
/// # Errors
///
/// The port is taken, or the answers could not be captured.
pub async fn serve(port: u16, captured: Captured) -> Result<(), String> {
    let answers = Arc::new(Answers::capture(captured)?);
    let listener = TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| format!("cannot listen on port {port}: {error}"))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let bytes = answers.records.body.len();
    println!("static server is ready on http://{address}; a page of records has {bytes} bytes");
    let mut http = http1::Builder::new();
    http.writev(true);
    loop {
        let (stream, _) = listener.accept().await.map_err(|error| error.to_string())?;
        let _ = stream.set_nodelay(true);
        let answers = Arc::clone(&answers);
        let service = service_fn(move |request| {
            let answers = Arc::clone(&answers);
            async move { Ok::<_, Infallible>(answers.respond(request).await) }
        });
        task::spawn(http.serve_connection(TokioIo::new(stream), service));
    }
}
