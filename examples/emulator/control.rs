//! The control API: what AWS does to streams and clocks by itself, done by hand. For tests of consumers, and
//! for tools that watch an emulator. What it takes and answers stands at [`Emulator::control`].

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::calls::Emulator;
use crate::clock::{Refused, rfc3339};
use crate::control_records as records;
use crate::control_streams as streams;
use crate::error::ApiError;
use crate::service::Failure;
use crate::snapshot::SnapshotFault;
use crate::visible::Receipts;
use crate::watch::{MOST_PAGES, TooManyPages};

/// Where the control API lies.
pub const CONTROL_PATH: &str = "/_streams/api/";

/// Why the control API refuses a request.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The body is no JSON, or not what this request takes.
    BadRequest(String),
    /// A page of another origin asks.
    ForeignPage(String),
    /// Nothing lies at this path.
    NoSuchPath(String),
    /// Something lies there, but not for this method.
    WrongMethod(&'static str),
    /// The body is too large, or could not be read.
    Unread(crate::service::Refusal),
    /// It is answered by a server only, because the answer does not end.
    NeedsServer(&'static str),
    /// So many pages watch already that no more are let in.
    Pages(TooManyPages),
    /// The clock is the system's, or cannot be turned so far.
    Clock(Refused),
    /// The store refuses.
    Core(streamcore::Error),
    /// No snapshot was written.
    Snapshot(SnapshotFault),
    /// A fault of the emulator itself.
    Fault(ApiError),
}

impl From<streamcore::Error> for Refusal {
    fn from(error: streamcore::Error) -> Self {
        Self::Core(error)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        use streamcore::Error as Core;
        let (status, code, message) = match refusal {
            Refusal::BadRequest(problem) => (400, "BadRequest", problem),
            Refusal::NoSuchPath(path) => (
                404,
                "NoSuchPath",
                format!(
                    "nothing lies at {path}: {CONTROL_PATH} has clock, streams, records, events, \
                     roll, split, disable and snapshot"
                ),
            ),
            Refusal::ForeignPage(origin) => (
                403,
                "ForeignPage",
                format!("pages of this server may ask here, and programs; not those of {origin}"),
            ),
            Refusal::WrongMethod(allowed) => {
                (405, "WrongMethod", format!("this path takes {allowed}"))
            }
            Refusal::Unread(refusal) => (refusal.status(), "Unread", refusal.to_string()),
            Refusal::NeedsServer(path) => (
                400,
                "NeedsServer",
                format!("{CONTROL_PATH}{path} never ends: only a server answers it"),
            ),
            Refusal::Pages(TooManyPages) => (
                503,
                "TooManyPages",
                format!(
                    "{MOST_PAGES} pages are open already, which is all there may be: close one"
                ),
            ),
            Refusal::Clock(refused @ Refused::SystemClock) => {
                (409, "SystemClock", refused.to_string())
            }
            Refusal::Clock(refused @ Refused::TooFar { .. }) => {
                (400, "TooFar", refused.to_string())
            }
            Refusal::Snapshot(fault @ SnapshotFault::NotConfigured) => {
                (409, "NoSnapshot", fault.to_string())
            }
            Refusal::Snapshot(fault) => (500, "SnapshotFailed", fault.to_string()),
            Refusal::Fault(fault) => (500, "Internal", fault.message().to_owned()),
            Refusal::Core(error) => {
                let (status, code) = match error {
                    Core::StreamNotFound { .. } => (404, "StreamNotFound"),
                    Core::ShardNotFound { .. } => (404, "ShardNotFound"),
                    Core::StreamClosed { .. } => (409, "StreamClosed"),
                    Core::Trimmed { .. } => (410, "Trimmed"),
                    _ => (500, "Internal"),
                };
                (status, code, error.to_string())
            }
        };
        let body = json!({ "code": code, "message": message }).to_string().into_bytes();
        Self { status, body }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Advance {
    advance_ms: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfShard {
    stream_arn: String,
    shard_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct OfStream {
    stream_arn: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Refusal> {
    // serde would read an array as a struct's fields in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::BadRequest("the body of a request is a JSON object".to_owned()));
    }
    serde_json::from_slice(body).map_err(|error| Refusal::BadRequest(error.to_string()))
}

impl Emulator {
    /// Carries out one request of the control API. `path` is what follows [`CONTROL_PATH`], with the query if
    /// there is one; JSON goes in and comes out:
    ///
    /// | request | does | answers |
    /// |---|---|---|
    /// | `GET clock` | | `{"nowMs", "now", "manual"}` |
    /// | `POST clock {"advanceMs"}` | turns the clock on (0: not at all); items expire, streams give up what is too old | the same, and how many items `"expired"` |
    /// | `GET streams` | | `{"tables": [...], "streams": [...]}`, shards with their lineage and positions |
    /// | `GET records?stream=ARN&shard=ID` | reads the last records of a shard: `limit` of them (1 to 1000; 50), `before` a position (the end) | `{"streamArn", "shardId", "from", "end", "trimmed", "records": [...]}`, as GetRecords shows them |
    /// | `GET events`, `events?stream=ARN` | | server-sent events, from a server only: what there is, then whatever changes, with the shards of one stream |
    /// | `POST roll {"streamArn", "shardId"}` | closes a shard; one child goes on | `{"streamArn", "shardId", "children"}` |
    /// | `POST split {"streamArn", "shardId"}` | closes a shard; two children go on | the same |
    /// | `POST disable {"streamArn"}` | closes all shards of a stream | `{"streamArn", "status"}` |
    /// | `POST snapshot` | writes a snapshot, while writes go on | `{"file", "bytes", "records", "items", "ms", "pauseUs"}` |
    ///
    /// Times are milliseconds since the Unix epoch. A shard's `trimmed` and `tail` are the positions of the
    /// first record that is retained and of the next one that will be put; readers see those below
    /// `published`. A shard that is closed already keeps its children, and they are the answer. An answer of
    /// `records` takes a megabyte at the most, with one record at the least; `from` is the position of its
    /// first, `end` that behind its last.
    ///
    /// # Errors
    ///
    /// A status, and a JSON body `{"code", "message"}`: 400 `BadRequest` or `TooFar`, 403 `ForeignPage` (a browser
    /// asks for a page of another origin), 404 `NoSuchPath`,
    /// `StreamNotFound` or `ShardNotFound`, 405 `WrongMethod`, 409 `SystemClock`, `StreamClosed` or `NoSnapshot`
    /// (the emulator was started without a file for it), 410 `Trimmed`, 500 `SnapshotFailed`, 503 `TooManyPages`.
    ///
    /// # Progress
    ///
    /// Blocks until readers see the records of the items that expired.
    pub fn control(&self, method: &str, path: &str, body: &[u8]) -> Result<Vec<u8>, Failure> {
        let mut receipts = Receipts::default();
        let answer = self.carry_out_control(method, path, body, &mut receipts);
        receipts.wait();
        answer
    }

    /// As [`Emulator::control`]; the answer is to be sent when the records are visible.
    pub(crate) fn carry_out_control(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Vec<u8>, Failure> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if (method, path) == ("GET", "records") {
            return Ok(records::last(self, query)?);
        }
        let answer = self.control_answer(method, path, body, receipts)?;
        if method == "POST" {
            self.watch.say();
        }
        Ok(answer.to_string().into_bytes())
    }

    fn control_answer(
        &self,
        method: &str,
        path: &str,
        body: &[u8],
        receipts: &mut Receipts,
    ) -> Result<Value, Refusal> {
        match (method, path) {
            ("GET", "clock") => Ok(self.show_clock()),
            ("POST", "clock") => {
                let Advance { advance_ms } = parse(body)?;
                self.advance_clock(advance_ms).map_err(Refusal::Clock)?;
                let expired = self.expire_items(receipts).map_err(Refusal::Fault)?;
                self.maintain();
                let mut answer = self.show_clock();
                answer["expired"] = json!(expired);
                Ok(answer)
            }
            ("GET", "streams") => Ok(streams::list(self)),
            ("POST", "roll" | "split") => {
                let OfShard { stream_arn, shard_id } = parse(body)?;
                let stream = self.store.stream(&stream_arn)?;
                let children = match path {
                    "roll" => stream.roll(&shard_id)?,
                    _ => stream.split(&shard_id)?,
                };
                let children: Vec<&str> = children.iter().map(|child| child.as_str()).collect();
                Ok(json!({ "streamArn": stream_arn, "shardId": shard_id, "children": children }))
            }
            ("POST", "disable") => {
                let OfStream { stream_arn } = parse(body)?;
                let status = streams::disable(self, &stream_arn)?;
                Ok(json!({ "streamArn": stream_arn, "status": status.as_str() }))
            }
            ("POST", "snapshot") => {
                if !body.trim_ascii().is_empty() {
                    let Nothing {} = parse(body)?;
                }
                let report =
                    off_the_runtime(|| self.write_snapshot()).map_err(Refusal::Snapshot)?;
                Ok(json!({
                    "file": self.config.snapshot,
                    "bytes": report.bytes,
                    "records": report.records,
                    "items": report.items,
                    "ms": report.ms,
                    "pauseUs": report.pause_us,
                }))
            }
            (_, "clock") => Err(Refusal::WrongMethod("GET and POST")),
            ("GET", "events") => Err(Refusal::NeedsServer("events")),
            (_, "streams" | "records" | "events") => Err(Refusal::WrongMethod("GET")),
            (_, "roll" | "split" | "disable" | "snapshot") => Err(Refusal::WrongMethod("POST")),
            (_, unknown) => Err(Refusal::NoSuchPath(format!("{CONTROL_PATH}{unknown}"))),
        }
    }

    pub(crate) fn show_clock(&self) -> Value {
        let now_ms = self.store.now_ms();
        json!({
            "nowMs": now_ms,
            "now": rfc3339(now_ms),
            "manual": self.config.manual_clock.is_some(),
        })
    }
}

/// Runs what takes long without holding up the tasks of the thread, if there are any.
pub(crate) fn off_the_runtime<T>(work: impl FnOnce() -> T) -> T {
    match Handle::try_current().map(|runtime| runtime.runtime_flavor()) {
        Ok(RuntimeFlavor::MultiThread) => block_in_place(work),
        _ => work(),
    }
}
