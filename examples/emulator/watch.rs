//! Pages that are open in browsers, and what they are told: server-sent events, fed by the logs' own waiting.
//!
//! # How it waits
//!
//! Each page has a cursor at the end of each open shard that it counts, and sleeps until an append or a seal
//! wakes one of them. Tables, streams and settings are no log: whoever changes them says so
//! ([`Watch::say`]). Nothing is looked at in intervals.
//!
//! # How it keeps up
//!
//! It is the connection that asks for the next event, when the one before has gone out. So a page that is
//! slow or asleep costs no memory: it is told the newest state when it asks, and nothing of what lay between.
//! After an event nobody is woken for a tenth of a second: a writer that is quicker pays for one wake in
//! that time, whatever it puts.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt, unfold};
use http_body_util::StreamBody;
use hyper::body::{Bytes, Frame};
use serde_json::Value;
use streamcore::log::Ready;
use streamcore::stream::ShardCursor;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use crate::calls::Emulator;
use crate::service::{Answer, stream};

mod tree;
mod view;

use view::{Counted, View};

/// So many pages are served at a time.
pub(crate) const MOST_PAGES: usize = 64;
/// After an event the next one comes no sooner.
const PACE: Duration = Duration::from_millis(100);
/// A page that is told nothing is sent a comment, so that one that is gone is noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// What all pages of an emulator share.
pub(crate) struct Watch {
    news: watch::Sender<()>,
    places: Arc<Semaphore>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self { news: watch::Sender::new(()), places: Arc::new(Semaphore::new(MOST_PAGES)) }
    }

    /// Tells all pages to look at what no log shows: tables, streams, settings, the clock, and what was
    /// trimmed.
    pub(crate) fn say(&self) {
        self.news.send_replace(());
    }
}

/// The events for one page. `shown` is the stream whose tree of shards it draws.
pub(crate) fn events(
    emulator: &Arc<Emulator>,
    shown: Option<String>,
) -> Result<Answer, TooManyPages> {
    let place = Arc::clone(&emulator.watch.places).try_acquire_owned().map_err(|_| TooManyPages)?;
    let page = Page::new(Arc::clone(emulator), shown, place);
    let events = unfold(page, |mut page| async move {
        let event = page.next().await?;
        Some((Ok(Frame::data(event)), page))
    });
    Ok(stream("text/event-stream", StreamBody::new(events)))
}

/// [`MOST_PAGES`] are open already.
#[derive(Debug)]
pub(crate) struct TooManyPages;

/// An open shard, with the cursor that waits at its end.
struct Waiting {
    of: Counted,
    cursor: ShardCursor,
}

impl Waiting {
    async fn ended(mut self) -> (Self, Ready) {
        let ready = self.cursor.ready().await;
        (self, ready)
    }
}

/// One page, at the server's end.
struct Page {
    view: View,
    shards: FuturesUnordered<BoxFuture<'static, (Waiting, Ready)>>,
    /// Shards that were woken and have not been looked at since.
    woken: Vec<(Waiting, Ready)>,
    news: watch::Receiver<()>,
    /// Whether there were news since the last look.
    heard: bool,
    stopped: BoxFuture<'static, ()>,
    not_before: Instant,
    heartbeat: Instant,
    _place: OwnedSemaphorePermit,
}

/// What ended a wait.
enum Woken {
    News,
    Shard(Box<(Waiting, Ready)>),
    Heartbeat,
    Over,
}

impl Page {
    fn new(emulator: Arc<Emulator>, shown: Option<String>, place: OwnedSemaphorePermit) -> Self {
        let now = Instant::now();
        Self {
            news: emulator.watch.news.subscribe(),
            stopped: emulator.stopped().boxed(),
            view: View::new(emulator, shown),
            shards: FuturesUnordered::new(),
            woken: Vec::new(),
            heard: true,
            not_before: now,
            heartbeat: now + HEARTBEAT,
            _place: place,
        }
    }

    /// The next thing to send; `None` when the server ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            while !self.heard && self.woken.is_empty() {
                match self.wait().await {
                    Woken::News => self.heard = true,
                    Woken::Shard(shard) => self.woken.push(*shard),
                    Woken::Heartbeat => {
                        self.heartbeat = Instant::now() + HEARTBEAT;
                        return Some(Bytes::from_static(b": still here\n\n"));
                    }
                    Woken::Over => return None,
                }
            }
            tokio::select! {
                () = sleep_until(self.not_before) => {}
                () = &mut self.stopped => return None,
            }
            self.gather();
            if let Some(event) = self.look() {
                let now = Instant::now();
                (self.not_before, self.heartbeat) = (now + PACE, now + HEARTBEAT);
                return Some(event);
            }
        }
    }

    async fn wait(&mut self) -> Woken {
        let shards = &mut self.shards;
        tokio::select! {
            () = &mut self.stopped => Woken::Over,
            // The sender is the emulator's, which this page holds.
            _ = self.news.changed() => Woken::News,
            shard = poll_fn(|context| match shards.poll_next_unpin(context) {
                // None are open; one that opens makes news, or ends a wait.
                Poll::Ready(None) => Poll::Pending,
                other => other,
            }) => shard.map_or(Woken::News, |shard| Woken::Shard(Box::new(shard))),
            () = sleep_until(self.heartbeat) => Woken::Heartbeat,
        }
    }

    /// Takes in what else has happened until now.
    fn gather(&mut self) {
        while let Some(Some(shard)) = self.shards.next().now_or_never() {
            self.woken.push(shard);
        }
        self.heard |= self.news.has_changed().unwrap_or(false);
    }

    /// Looks at whatever has changed, and waits for more of it. `None` if the page knows it all.
    fn look(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.heard) {
            // Before the look: what is said during it is looked at again.
            self.news.mark_unchanged();
            self.view.look_at_everything();
        }
        for (shard, ready) in std::mem::take(&mut self.woken) {
            self.look_at(shard, ready);
        }
        if self.view.take_dropped() {
            // Cursors would keep streams alive that nobody lists any more.
            self.shards.clear();
        }
        for (of, cursor) in self.view.unattended() {
            self.shards.push(Waiting { of, cursor }.ended().boxed());
        }
        self.view.take_changes().map(|(name, data)| event(name, &data))
    }

    /// Looks at a shard that was woken.
    fn look_at(&mut self, mut shard: Waiting, ready: Ready) {
        if ready == Ready::Readable {
            let Some(end) = self.view.count(&shard.of) else {
                return;
            };
            shard.cursor.seek(end);
            // Its last records and its end are one piece of news.
            if shard.cursor.ready().now_or_never() != Some(Ready::Closed) {
                self.shards.push(shard.ended().boxed());
                return;
            }
        }
        // Has the children listed.
        shard.cursor.children();
        self.view.look_at_stream(&shard.of);
    }
}

/// One server-sent event.
fn event(name: &str, data: &Value) -> Bytes {
    // JSON has no line breaks outside of texts, and escapes them there.
    Bytes::from(format!("retry: 1000\nevent: {name}\ndata: {data}\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calls::Config;
    use serde_json::json;
    use streamcore::model::{AttributeValue, Attributes, Change, Image, KeySchema, StreamViewType};
    use streamcore::{Stream, StreamConfig};

    fn emulator() -> Arc<Emulator> {
        let emulator = Emulator::new(Config::default());
        let table = json!({
            "TableName": "things",
            "AttributeDefinitions": [{ "AttributeName": "pk", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": { "StreamEnabled": true, "StreamViewType": "KEYS_ONLY" },
        });
        let body = table.to_string();
        emulator.call("DynamoDB_20120810.CreateTable", body.as_bytes(), "here").expect("a table");
        Arc::new(emulator)
    }

    fn stream_of(emulator: &Emulator) -> Stream {
        emulator.store.list_streams(None, None, 1).expect("streams").streams.remove(0)
    }

    fn page(emulator: &Arc<Emulator>) -> Page {
        let shown = stream_of(emulator).info().arn().to_string();
        let place = Arc::clone(&emulator.watch.places).try_acquire_owned().expect("a place");
        Page::new(Arc::clone(emulator), Some(shown), place)
    }

    fn put(stream: &Stream, count: usize) {
        for _ in 0..count {
            let pk = AttributeValue::S("a".to_owned());
            let image = Image::new(Attributes::from([("pk".to_owned(), pk)]));
            stream.put(Change::insert(image)).expect("put");
        }
    }

    /// The next event: its name and what it says. A comment has no name.
    async fn next(page: &mut Page) -> (String, Value) {
        let event = page.next().await.expect("the server goes on");
        let text = std::str::from_utf8(&event).expect("UTF-8");
        let line = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
        let data = line("data: ").map_or(Value::Null, |data| data.parse().expect("JSON"));
        (line("event: ").unwrap_or_default().to_owned(), data)
    }

    fn is_idle(page: &mut Page) -> bool {
        page.next().now_or_never().is_none()
    }

    #[tokio::test(start_paused = true)]
    async fn who_asks_late_is_told_the_newest_state_once() {
        let emulator = emulator();
        let stream = stream_of(&emulator);
        let mut page = page(&emulator);
        let (name, state) = next(&mut page).await;
        assert_eq!((&*name, &state["streams"][0]["records"]), ("state", &json!(0)));
        assert!(is_idle(&mut page));
        put(&stream, 5000);
        let first = stream.describe().shards.remove(0).shard_id;
        stream.split(first.as_str()).expect("children");
        put(&stream, 70);
        let (name, change) = next(&mut page).await;
        assert_eq!(name, "change");
        let [told] = &change["streams"].as_array().expect("streams")[..] else {
            panic!("one stream: {change}");
        };
        assert_eq!((&told["records"], &told["openShards"]), (&json!(5070), &json!(2)));
        let tails = |change: &Value| -> Vec<u64> {
            let shards = change["tree"]["shards"].as_array().cloned().unwrap_or_default();
            shards.iter().map(|shard| shard["published"].as_u64().expect("a count")).collect()
        };
        let (all, parent) = (tails(&change), tails(&change)[0]);
        assert_eq!((all.len(), parent, all.iter().sum::<u64>()), (3, 5000, 5070));
        assert!(is_idle(&mut page), "all is told");
        // The children are waited for by now.
        put(&stream, 1);
        let (_, change) = next(&mut page).await;
        assert_eq!((tails(&change).len(), &change["streams"][0]["records"]), (1, &json!(5071)));
        assert_eq!(page.shards.len(), 2, "one cursor for each open shard");
    }

    #[tokio::test(start_paused = true)]
    async fn events_keep_their_distance_and_silence_is_broken() {
        let emulator = emulator();
        let stream = stream_of(&emulator);
        let mut page = page(&emulator);
        next(&mut page).await;
        let (began, pace) = (Instant::now(), Duration::from_millis(100));
        for count in 1..=20 {
            put(&stream, 1);
            let (_, change) = next(&mut page).await;
            assert_eq!(change["streams"][0]["records"], json!(count));
            assert!(began.elapsed() >= pace * count, "{:?}", began.elapsed());
        }
        assert!(began.elapsed() < pace * 21, "{:?}", began.elapsed());
        let silent = Instant::now();
        for beat in [15, 30, 45].map(Duration::from_secs) {
            assert_eq!(next(&mut page).await, (String::new(), Value::Null));
            let waited = silent.elapsed();
            assert!(waited >= beat && waited < beat + pace, "{waited:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_leaves_the_list_is_let_go() {
        let emulator = emulator();
        let stream = stream_of(&emulator);
        let mut page = page(&emulator);
        page.view = View::new(Arc::clone(&emulator), None);
        next(&mut page).await;
        assert_eq!(page.shards.len(), 1);
        let at_ms = stream.info().created_ms() + 1;
        for number in 0..256 {
            let key = KeySchema::new("pk", None).expect("a key");
            let table = format!("newer-{number}");
            let config = StreamConfig::new(&table, key, StreamViewType::KeysOnly);
            emulator.store.register_stream(config.created_ms(at_ms)).expect("a stream");
        }
        emulator.watch.say();
        let (_, change) = next(&mut page).await;
        let told = change["streams"].as_array().map(Vec::len);
        assert_eq!((told, &change["counts"]["streams"]), (Some(256), &json!(257)));
        assert_eq!(change["streamsGone"], json!([stream.info().arn().as_str()]));
        assert_eq!(page.shards.len(), 256, "no cursor stays in what is not shown");
        put(&stream, 1);
        assert!(is_idle(&mut page));
    }

    #[tokio::test(start_paused = true)]
    async fn a_place_is_for_one_page_and_all_end_with_the_server() {
        let emulator = emulator();
        let mut pages: Vec<Page> = (0..MOST_PAGES).map(|_| page(&emulator)).collect();
        assert!(events(&emulator, None).is_err());
        drop(pages.pop());
        assert!(events(&emulator, None).is_ok());
        let last = pages.last_mut().expect("a page");
        next(last).await;
        emulator.stop();
        assert!(last.next().await.is_none());
    }
}
