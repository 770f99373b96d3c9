//! Writers: PutItem one by one, or BatchWriteItem, over several connections.
//!
//! Closed loop: each connection sends its next request when the one before is answered. Open loop
//! (`--rate`): requests are due at times that do not depend on the answers, and the latency of one counts
//! from when it was due. So a server that pauses is charged for everybody who waits meanwhile.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::client::{Answer, Broken, Connection, Endpoint, Target};
use super::items::{Bodies, Key, Put, Turns};
use super::ledger::Ledger;
use super::measure::{Recorder, Shared};
use super::table::Table;

/// How the requests look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    Single,
    /// So many items each.
    Batch(u32),
}

/// When requests are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// When the one before is answered.
    Closed,
    /// So many in a second, all connections together.
    Open(f64),
}

/// What shall be written.
#[derive(Clone, Debug)]
pub struct Work {
    pub shape: Shape,
    pub pace: Pace,
    pub puts: u64,
    /// Ends earlier then.
    pub at_most: Option<Duration>,
    pub connections: u32,
    pub keys: Key,
    pub item_bytes: usize,
}

impl Work {
    /// How many puts a request makes.
    fn each(&self) -> u64 {
        match self.shape {
            Shape::Single => 1,
            Shape::Batch(items) => u64::from(items),
        }
    }
}

/// One connection's part in the work.
struct Writer {
    work: Work,
    connection: Connection,
    bodies: Arc<Bodies>,
    turns: Turns,
    shared: Arc<Shared>,
    /// How many requests have been given to the connections.
    taken: Arc<AtomicU64>,
    recorder: Recorder,
    ledger: Ledger,
}

/// Writes, and returns what was measured and what was acknowledged.
///
/// # Errors
///
/// A connection broke.
pub async fn run(
    endpoint: &Endpoint,
    table: &Table,
    work: &Work,
    shared: &Arc<Shared>,
) -> Result<(Recorder, Ledger), Broken> {
    let bodies = Arc::new(Bodies::new(&table.name, work.item_bytes));
    let taken = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for number in 0..work.connections {
        let writer = Writer {
            work: work.clone(),
            connection: Connection::open(endpoint).await?,
            bodies: Arc::clone(&bodies),
            turns: Turns::new(number, work.connections, work.keys),
            shared: Arc::clone(shared),
            taken: Arc::clone(&taken),
            recorder: Recorder::new(),
            ledger: Ledger::default(),
        };
        tasks.spawn(writer.run());
    }
    let (mut recorder, mut ledger) = (Recorder::new(), Ledger::default());
    while let Some(ended) = tasks.join_next().await {
        let writer = ended.map_err(|error| Broken(format!("a writer failed: {error}")))??;
        recorder.merge(writer.recorder);
        ledger.merge(writer.ledger);
    }
    Ok((recorder, ledger))
}

impl Writer {
    async fn run(mut self) -> Result<Self, Broken> {
        let target = Target::tables(match self.work.shape {
            Shape::Single => "PutItem",
            Shape::Batch(_) => "BatchWriteItem",
        });
        while let Some((due, puts)) = self.next().await {
            let at_us = self.shared.us_at(due);
            let body = match self.work.shape {
                Shape::Single => self.bodies.put(puts[0], at_us),
                Shape::Batch(_) => self.bodies.batch(&puts, at_us),
            };
            match self.connection.call(&target, body).await? {
                Answer::Done(answer) if self.is_complete(&answer) => {
                    self.recorder.bytes += answer.len() as u64;
                    self.recorder.answered(&self.shared, due, puts.len() as u64);
                    puts.into_iter().for_each(|put| self.ledger.acknowledged(put));
                }
                Answer::Done(answer) => {
                    let text = String::from_utf8_lossy(&answer);
                    self.recorder.refused(format!("a part was not processed: {text}"));
                    puts.into_iter().for_each(|put| self.ledger.refused(put));
                }
                Answer::Refused(why) => {
                    self.recorder.refused(why);
                    puts.into_iter().for_each(|put| self.ledger.refused(put));
                }
            }
        }
        Ok(self)
    }

    /// Whether all of a request was carried out.
    fn is_complete(&self, answer: &[u8]) -> bool {
        match self.work.shape {
            Shape::Single => true,
            // Nothing is left when no table is named.
            Shape::Batch(_) => !answer.windows(10).any(|part| part == b"PutRequest"),
        }
    }

    /// The puts of the next request, and when it is due; waits until then.
    async fn next(&mut self) -> Option<(Instant, Vec<Put>)> {
        // Relaxed: a ticket, that orders nothing.
        let taken = self.taken.fetch_add(1, Ordering::Relaxed);
        let begin = taken * self.work.each();
        if begin >= self.work.puts {
            return None;
        }
        let due = match self.work.pace {
            Pace::Closed => Instant::now(),
            Pace::Open(rate) => {
                let due = self.shared.began() + Duration::from_secs_f64(taken as f64 / rate);
                if due > Instant::now() {
                    sleep_until(due.into()).await;
                    // A timer that is late is not the server's fault.
                    Instant::now()
                } else {
                    due
                }
            }
        };
        if self.work.at_most.is_some_and(|end| self.shared.elapsed() >= end) {
            return None;
        }
        let count = self.work.each().min(self.work.puts - begin);
        Some((due, self.turns.by_ref().take(count as usize).collect()))
    }
}
