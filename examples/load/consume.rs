//! Consumers: each reads the whole stream, over a connection of its own.
//!
//! They look at what they read in one of two ways. A check takes every record apart and compares what came
//! with what was acknowledged. A measurement only counts the records of a page, since taking them apart
//! would cost more than serving them.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use memchr::memmem::{self, Finder};
use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::client::{Answer, Broken, Connection, Endpoint, Target};
use super::items::{Put, read_key};
use super::ledger::{Ledger, Seen, Verdict};
use super::measure::{Recorder, Shared};
use super::table::{from_the_beginning, shards};

/// The most records of a page.
const LIMIT: usize = 1000;
/// Between two looks at a stream that had nothing new.
const REST: Duration = Duration::from_millis(2);
/// What was acknowledged and has not come after so long without news is lost.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A page of records, as far as it is looked at.
#[derive(Deserialize)]
struct Page<'p> {
    #[serde(rename = "Records", borrow)]
    records: Vec<Record<'p>>,
}

#[derive(Deserialize)]
struct Record<'p> {
    #[serde(borrow)]
    dynamodb: Change<'p>,
}

#[derive(Deserialize)]
struct Change<'p> {
    #[serde(rename = "NewImage", borrow)]
    new_image: Option<Item<'p>>,
}

#[derive(Deserialize)]
struct Item<'p> {
    #[serde(borrow)]
    pk: Text<'p>,
    #[serde(borrow)]
    v: Number<'p>,
    #[serde(borrow)]
    at: Number<'p>,
}

#[derive(Deserialize)]
struct Text<'p> {
    #[serde(rename = "S", borrow)]
    text: Cow<'p, str>,
}

#[derive(Deserialize)]
struct Number<'p> {
    #[serde(rename = "N", borrow)]
    text: Cow<'p, str>,
}

/// Reads one shard's pages.
struct Reader {
    connection: Connection,
    get_records: Target,
}

impl Reader {
    async fn open(endpoint: &Endpoint) -> Result<Self, Broken> {
        let connection = Connection::open(endpoint).await?;
        Ok(Self { connection, get_records: Target::streams("GetRecords") })
    }

    /// The body of the page at an iterator.
    async fn page(&mut self, iterator: &str) -> Result<hyper::body::Bytes, Broken> {
        // An iterator is printable ASCII without quotes, or it comes with its escapes.
        let body = format!(r#"{{"ShardIterator":"{iterator}","Limit":{LIMIT}}}"#);
        match self.connection.call(&self.get_records, body).await? {
            Answer::Done(body) => Ok(body),
            Answer::Refused(why) => Err(Broken(format!("GetRecords was refused: {why}"))),
        }
    }
}

/// The iterator that follows a page, as it stands in the JSON, escapes and all.
fn next_iterator(page: &[u8]) -> Option<String> {
    const NAME: &[u8] = b"\"NextShardIterator\"";
    let behind = &page[memmem::rfind(page, NAME)? + NAME.len()..];
    let behind = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
    let text = behind.strip_prefix(b"\"")?;
    let end = memchr::memchr(b'"', text)?;
    String::from_utf8(text[..end].to_vec()).ok()
}

/// Reads over and over what is in a stream, with several consumers, and counts records.
///
/// # Errors
///
/// A connection broke, a call was refused, or a page has no records for ever.
pub async fn measure(
    endpoint: &Endpoint,
    stream: &str,
    consumers: u32,
    how_long: Duration,
    shared: &Arc<Shared>,
) -> Result<Recorder, Broken> {
    let mut tasks = JoinSet::new();
    for _ in 0..consumers {
        let (endpoint, stream) = (endpoint.clone(), stream.to_owned());
        let shared = Arc::clone(shared);
        tasks.spawn(async move {
            let mut reader = Reader::open(&endpoint).await?;
            let shards = shards(&mut reader.connection, &stream).await?;
            let mut starts = Vec::with_capacity(shards.len());
            for shard in &shards {
                starts.push(from_the_beginning(&mut reader.connection, &stream, shard).await?);
            }
            let mut recorder = Recorder::new();
            count(&mut reader, &starts, how_long, &shared, &mut recorder).await?;
            Ok::<_, Broken>(recorder)
        });
    }
    let mut recorder = Recorder::new();
    while let Some(ended) = tasks.join_next().await {
        recorder.merge(ended.map_err(|error| Broken(format!("a consumer failed: {error}")))??);
    }
    Ok(recorder)
}

async fn count(
    reader: &mut Reader,
    starts: &[String],
    how_long: Duration,
    shared: &Shared,
    recorder: &mut Recorder,
) -> Result<(), Broken> {
    let per_record = Finder::new(b"\"eventID\"");
    loop {
        let before = recorder.total();
        for start in starts {
            let mut iterator = Some(start.clone());
            while let Some(this) = iterator {
                if shared.elapsed() >= how_long {
                    return Ok(());
                }
                let asked = Instant::now();
                let page = reader.page(&this).await?;
                let records = per_record.find_iter(&page).count();
                if records == 0 {
                    break;
                }
                recorder.bytes += page.len() as u64;
                recorder.answered(shared, asked, records as u64);
                iterator = next_iterator(&page);
            }
        }
        if recorder.total() == before {
            return Err("the stream is empty: there is nothing to read".into());
        }
    }
}

/// What is known of the writers, to those who follow them.
#[derive(Clone)]
pub enum Written {
    /// They are at it.
    Going,
    /// This is what was acknowledged.
    All(Arc<Ledger>),
}

/// Follows a stream from its beginning with several consumers until each of them saw all that was
/// acknowledged, or nothing has come for as long as they have patience. The latencies are those from the put to the consumer.
///
/// # Errors
///
/// A connection broke, a call was refused, or an answer cannot be read.
pub async fn follow(
    endpoint: &Endpoint,
    stream: &str,
    (consumers, patience): (u32, Duration),
    written: watch::Receiver<Written>,
    shared: &Arc<Shared>,
) -> Result<(Recorder, Verdict), Broken> {
    let mut tasks = JoinSet::new();
    for _ in 0..consumers {
        let follower = Follower {
            reader: Reader::open(endpoint).await?,
            stream: stream.to_owned(),
            patience,
            shared: Arc::clone(shared),
            seen: Seen::default(),
            recorder: Recorder::new(),
        };
        tasks.spawn(follower.run(written.clone()));
    }
    let (mut recorder, mut verdict) = (Recorder::new(), Verdict::default());
    while let Some(ended) = tasks.join_next().await {
        let (own, saw) = ended.map_err(|error| Broken(format!("a consumer failed: {error}")))??;
        recorder.merge(own);
        verdict = verdict.and(saw);
    }
    Ok((recorder, verdict))
}

struct Follower {
    reader: Reader,
    stream: String,
    patience: Duration,
    shared: Arc<Shared>,
    seen: Seen,
    recorder: Recorder,
}

impl Follower {
    async fn run(
        mut self,
        written: watch::Receiver<Written>,
    ) -> Result<(Recorder, Verdict), Broken> {
        // By shard: where it is read next; `None` behind its end.
        let mut places: Vec<(String, Option<String>)> = Vec::new();
        let mut last_news = Instant::now();
        loop {
            let before = self.seen.len();
            // Parents come first in the list, so they are read to their end before their children.
            for (_, place) in &mut places {
                while let Some(iterator) = place.take() {
                    let page = self.reader.page(&iterator).await?;
                    let next = next_iterator(&page);
                    let records = self.take(&page)?;
                    *place = next;
                    if records == 0 {
                        break;
                    }
                }
            }
            if self.seen.len() > before {
                last_news = Instant::now();
                continue;
            }
            let ledger = match &*written.borrow() {
                Written::All(ledger) => Some(Arc::clone(ledger)),
                Written::Going => None,
            };
            if let Some(ledger) = ledger {
                // The verdict looks at every key, so it is asked for when all may have come.
                if self.seen.len() >= ledger.len() || last_news.elapsed() > self.patience {
                    let verdict = self.seen.against(&ledger);
                    if verdict.is_right() || last_news.elapsed() > self.patience {
                        return Ok((self.recorder, verdict));
                    }
                }
            }
            if places.is_empty() || places.iter().any(|(_, place)| place.is_none()) {
                self.find_shards(&mut places).await?;
            }
            sleep(REST).await;
        }
    }

    /// Shards that are new are read from their beginning.
    async fn find_shards(
        &mut self,
        places: &mut Vec<(String, Option<String>)>,
    ) -> Result<(), Broken> {
        for shard in shards(&mut self.reader.connection, &self.stream).await? {
            if places.iter().all(|(known, _)| *known != shard) {
                let start =
                    from_the_beginning(&mut self.reader.connection, &self.stream, &shard).await?;
                places.push((shard, Some(start)));
            }
        }
        Ok(())
    }

    /// Takes the records of a page; returns how many.
    fn take(&mut self, page: &[u8]) -> Result<usize, Broken> {
        let Page { records } = serde_json::from_slice(page)
            .map_err(|error| Broken(format!("the answer to GetRecords cannot be read: {error}")))?;
        let now_us = self.shared.elapsed_us();
        for Record { dynamodb } in &records {
            match dynamodb.new_image.as_ref().and_then(written_by) {
                Some((put, at_us)) => {
                    self.seen.record(put);
                    self.recorder.latency(Duration::from_micros(now_us.saturating_sub(at_us)));
                }
                None => self.seen.foreign(),
            }
        }
        self.recorder.requests += 1;
        self.recorder.bytes += page.len() as u64;
        self.recorder.work(&self.shared, records.len() as u64);
        Ok(records.len())
    }
}

/// The put that made an item, and when it was due.
fn written_by(item: &Item<'_>) -> Option<(Put, u64)> {
    let key = read_key(&item.pk.text)?;
    let version = item.v.text.parse().ok().filter(|version| *version > 0)?;
    Some((Put { key, version }, item.at.text.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_iterator_is_found_wherever_it_stands() {
        for (page, next) in [
            (r#"{"Records":[],"NextShardIterator":"a|b=="}"#, Some("a|b==")),
            (r#"{"NextShardIterator" : "x", "Records": []}"#, Some("x")),
            (r#"{"NextShardIterator":null,"Records":[]}"#, None),
            (r#"{"Records":[]}"#, None),
        ] {
            assert_eq!(next_iterator(page.as_bytes()).as_deref(), next, "{page}");
        }
    }
}
