//! DynamoDB over HTTP for any host of tables: a [`tower_service::Service`] that answers what AWS SDKs send,
//! and the socket in front of it, which hostile clients do not bring down.
//!
//! Nothing here knows how tables are kept. A host implements [`TableHost`]; the Streams API comes from
//! [`StreamsApi`]. These files depend on `streamcore` and on hyper, tokio and tower, and on nothing else in
//! this crate: take them along, or depend on the crate.
//!
//! | file | holds |
//! |---|---|
//! | `host.rs` | the trait, what a host is asked, how it refuses |
//! | `limits.rs` | what one server takes upon itself, and the gate that keeps to it |
//! | `intake.rs` | reading a request's body, within limits |
//! | `answer.rs` | responses and their headers |
//! | `body.rs` | bodies in parts, sent from where they lie |
//! | `refusal.rs` | what this layer refuses by itself |
//! | `patience.rs` | how long a client may take to fetch its answer |
//! | `server.rs` | connections, and an end that lets requests finish |
//!
//! # What one client can cost
//!
//! | of a client | at most | otherwise |
//! |---|---|---|
//! | connections, of all clients | [`Limits::connections`] | 503, and the connection is closed |
//! | a request's head | [`Limits::head_bytes`], 100 headers | 431 |
//! | time until a head is there, idle or slow | [`Limits::head_time`] | closed |
//! | a body | [`Limits::body_bytes`] | 413 |
//! | time without [`LEAST_BYTES`] of a body, or of an answer taken | [`Limits::patience`] | 408; closed |
//! | bodies and answers above 64 KiB, all together | [`Limits::bytes_in_flight`] | 503 |
//!
//! A client that closes its sending half still gets its answer. A panic in a host answers 500, and the
//! server lives; what the host had changed by then stays.

mod answer;
mod body;
mod host;
mod intake;
mod limits;
mod patience;
mod refusal;
mod server;

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use hyper::header::{self, HeaderMap};
use hyper::{Method, Request, Response};
use streamcore::wire::{Body, StreamsApi};
use tokio::task::coop::consume_budget;

pub use answer::{plain, random, stream};
pub use body::AnswerBody;
pub use host::{Call, Failure, TableHost};
pub use intake::Intake;
pub use limits::{Gate, LEAST_BYTES, Limits};
pub use refusal::Refusal;
pub use server::{Ended, serve};

/// What a client gets.
pub type Answer = Response<AnswerBody>;

/// An answer on its way: what the services here return.
pub type Answering = Pin<Box<dyn Future<Output = Result<Answer, Infallible>> + Send>>;

const TABLES: &str = "DynamoDB_20120810.";
const STREAMS: &str = "DynamoDBStreams_20120810.";

/// A DynamoDB endpoint: operations on tables go to a host, those on streams to the store.
///
/// A handle: clones share the host. `POST` carries an operation in `X-Amz-Target`; `GET` gets a word of welcome,
/// `OPTIONS` what a browser wants to know. Credentials must be there, and any will do.
pub struct DynamoDb<H>(Arc<Endpoint<H>>);

struct Endpoint<H> {
    host: Arc<H>,
    streams: StreamsApi,
    gate: Arc<Gate>,
}

impl<H> Clone for DynamoDb<H> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<H: TableHost> DynamoDb<H> {
    /// An endpoint of these tables and streams, which takes upon itself what `gate` lets through.
    pub fn new(host: Arc<H>, streams: StreamsApi, gate: Arc<Gate>) -> Self {
        Self(Arc::new(Endpoint { host, streams, gate }))
    }
}

impl<H, B> tower_service::Service<Request<B>> for DynamoDb<H>
where
    H: TableHost,
    B: hyper::body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Answer;
    type Error = Infallible;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let endpoint = Arc::clone(&self.0);
        Box::pin(caught(async move { endpoint.answer(request).await }))
    }
}

/// The answer of a handler, also of one that panics.
pub async fn caught(handler: impl Future<Output = Answer>) -> Result<Answer, Infallible> {
    let answer = AssertUnwindSafe(handler).catch_unwind().await;
    Ok(answer.unwrap_or_else(|_| answer::failure(Refusal::Panicked)))
}

impl<H: TableHost> Endpoint<H> {
    async fn answer<B>(&self, request: Request<B>) -> Answer
    where
        B: hyper::body::Body,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match *request.method() {
            Method::POST => {}
            Method::GET | Method::HEAD => return answer::welcome(&authority(request.headers())),
            Method::OPTIONS => return answer::preflight(request.headers()),
            _ => return answer::failure(Refusal::WrongMethod(request.method().clone())),
        }
        take_turns().await;
        let (parts, body) = request.into_parts();
        let target = text(&parts.headers, "x-amz-target").unwrap_or_default();
        // Any credentials will do, as with DynamoDB Local; none at all is a client's mistake that
        // would surface only in front of the real service.
        let signed = parts.headers.contains_key(header::AUTHORIZATION)
            || parts.uri.query().is_some_and(|query| query.contains("X-Amz-Credential="));
        if !target.is_empty() && !signed {
            return answer::failure(Refusal::Unsigned);
        }
        // Kept until the answer is there: what is made of a request counts with it.
        let body = match self.gate.read(body).await {
            Ok(body) => body,
            Err(refusal) => return answer::failure(refusal),
        };
        let answered = if let Some(operation) = target.strip_prefix(STREAMS) {
            self.streams.answer(operation, body.bytes()).map_err(Failure::from)
        } else if let Some(operation) = target.strip_prefix(TABLES) {
            let authority = &*authority(&parts.headers);
            self.host.call(Call { operation, body: body.bytes(), authority }).await.map(Body::from)
        } else {
            Err(Refusal::NoOperation(target.to_owned()).into())
        };
        match answered.map(|body| self.gate.answer(body)) {
            Ok(Ok(body)) => answer::json(body),
            Ok(Err(busy)) => answer::failure(busy),
            Err(failure) => answer::failure(failure),
        }
    }
}

/// How many reads of a socket an operation weighs, when connections take turns on a thread. Without a weight, a
/// client that sends a hundred requests at once would have them all carried out in one turn.
const WEIGHT: usize = 16;

/// Lets other connections of this thread have their turn, when this one has had its share.
async fn take_turns() {
    for _ in 0..WEIGHT {
        consume_budget().await;
    }
}

/// A header's value, if it is a text.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// What a client calls this server.
fn authority(headers: &HeaderMap) -> std::borrow::Cow<'_, str> {
    text(headers, "host").unwrap_or("127.0.0.1:8000").into()
}
