//! Many writers, many consumers, and shards that come and go under them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use streamcore::Stream;
use streamcore::log::{Ready, WaitOutcome};
use streamcore::model::{Change, SequenceNumber};
use streamcore::stream::{Consumer, NextChange};

use crate::host::{from_horizon, id_of, item, open, stream};

const WRITERS: usize = 8;
const ITEMS: usize = 64;
const RECORDS: usize = 2_000_000;
const CLOSINGS: usize = 100;
const CONSUMERS: usize = 4;

/// Sequence numbers by item, in 8 bytes each.
type Ledger = Vec<Vec<u64>>;

fn packed(number: SequenceNumber) -> u64 {
    let position = number.position().unwrap().get();
    assert!(position < 1 << 40);
    u64::from(number.ordinal().unwrap()) << 40 | position
}

/// Puts the changes of every eighth item, one after the other.
fn write(stream: &Stream, which: usize, written: &AtomicUsize) -> Ledger {
    let mut writer = stream.writer();
    let images: Vec<_> = (which..ITEMS).step_by(WRITERS).map(item).collect();
    let mut ledger = vec![Vec::new(); ITEMS];
    for round in 0..RECORDS / WRITERS {
        let at = round % images.len();
        let number = writer.put(Change::insert(images[at].clone())).unwrap();
        ledger[which + at * WRITERS].push(packed(number));
        written.fetch_add(1, Ordering::Relaxed);
    }
    ledger
}

/// Splits and rolls whichever shards are open, evenly over all that is written.
fn close_shards(stream: &Stream, written: &AtomicUsize) {
    for closing in 0..CLOSINGS {
        while written.load(Ordering::Relaxed) < RECORDS / CLOSINGS * closing {
            thread::yield_now();
        }
        let open = open(stream);
        let target = open[closing * 7 % open.len()].as_str();
        if closing % 2 == 0 { stream.split(target) } else { stream.roll(target) }.unwrap();
    }
}

fn take(consumer: &mut Consumer, ledger: &mut Ledger) {
    loop {
        match consumer.next().unwrap() {
            NextChange::Record { record, .. } => {
                ledger[id_of(&record)].push(packed(record.sequence_number()));
            }
            NextChange::Pending | NextChange::Closed => return,
        }
    }
}

fn consume_blocking(mut consumer: Consumer) -> Ledger {
    let mut ledger = vec![Vec::new(); ITEMS];
    while consumer.wait(None) != WaitOutcome::Closed {
        take(&mut consumer, &mut ledger);
    }
    ledger
}

async fn consume_async(mut consumer: Consumer) -> Ledger {
    let mut ledger = vec![Vec::new(); ITEMS];
    while consumer.ready().await != Ready::Closed {
        take(&mut consumer, &mut ledger);
    }
    ledger
}

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Runs a future; polls when, and only when, it was woken. A wake that gets lost hangs it for good.
fn block_on<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&unpark));
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return output;
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

fn assert_same(expected: &Ledger, seen: &Ledger, who: usize) {
    for (id, (expected, seen)) in expected.iter().zip(seen).enumerate() {
        let differ = expected.iter().zip(seen).position(|(expected, seen)| expected != seen);
        assert_eq!(differ, None, "consumer {who}, item {id}: another record came");
        assert_eq!(expected.len(), seen.len(), "consumer {who}, item {id}");
    }
}

#[test]
fn every_consumer_reads_every_record_once_and_each_items_in_order() {
    let stream = stream(2);
    let written = AtomicUsize::new(0);
    thread::scope(|scope| {
        let consuming: Vec<_> = (0..CONSUMERS)
            .map(|which| {
                let consumer = from_horizon(&stream);
                scope.spawn(move || match which % 2 {
                    0 => consume_blocking(consumer),
                    _ => block_on(consume_async(consumer)),
                })
            })
            .collect();
        let closing = scope.spawn(|| close_shards(&stream, &written));
        let (stream, written) = (&stream, &written);
        let writing: Vec<_> =
            (0..WRITERS).map(|which| scope.spawn(move || write(stream, which, written))).collect();
        let mut expected = vec![Vec::new(); ITEMS];
        for writer in writing {
            let ledger = writer.join().unwrap();
            for (all, of_writer) in expected.iter_mut().zip(ledger) {
                all.extend(of_writer);
            }
        }
        closing.join().unwrap();
        stream.disable();
        assert_eq!(expected.iter().map(Vec::len).sum::<usize>(), RECORDS);
        assert_eq!(stream.describe().shards.len(), 2 + CLOSINGS + CLOSINGS / 2);
        for (who, consumer) in consuming.into_iter().enumerate() {
            assert_same(&expected, &consumer.join().unwrap(), who);
        }
    });
}
