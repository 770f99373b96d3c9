//! Waiting: an idle consumer sleeps until somebody puts, whichever shard it is.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use streamcore::Stream;
use streamcore::log::{Ready, WaitOutcome};
use streamcore::stream::{Consumer, ConsumerStart, ShardId};

use crate::host::{Stop, from_horizon, item_of, numbers, open, pending, put, read, step, stream};

/// Counts how often a task is woken.
#[derive(Default)]
struct Wakes(AtomicU64);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A task that is polled by hand.
struct Task {
    wakes: Arc<Wakes>,
    waker: Waker,
}

impl Task {
    fn new() -> Self {
        let wakes = Arc::new(Wakes::default());
        Self { waker: Waker::from(Arc::clone(&wakes)), wakes }
    }

    fn poll(&self, consumer: &mut Consumer) -> Poll<Ready> {
        pin!(consumer.ready()).as_mut().poll(&mut Context::from_waker(&self.waker))
    }

    fn wakes(&self) -> u64 {
        self.wakes.0.load(Ordering::Relaxed)
    }
}

/// Returns when somebody sleeps at each of the shards.
fn await_sleepers(stream: &Stream, shards: &[ShardId]) {
    let sleeps = |shard: &ShardId| {
        let stats = stream.stats().shards;
        stats.iter().any(|(id, stats)| id == shard && stats.has_waiters)
    };
    while !shards.iter().all(sleeps) {
        thread::yield_now();
    }
}

#[test]
fn a_task_is_woken_by_a_put_into_any_shard_and_by_nothing_else() {
    let stream = stream(4);
    let open = open(&stream);
    let items: Vec<usize> = open.iter().map(|shard| item_of(&stream, shard)).collect();
    let mut consumer = stream.consume(ConsumerStart::Latest).unwrap();
    let task = Task::new();
    for (round, item) in items.iter().cycle().take(40).enumerate() {
        // The future is dropped after each poll, as by a `select` that another branch won.
        assert_eq!(task.poll(&mut consumer), Poll::Pending);
        assert_eq!(task.poll(&mut consumer), Poll::Pending);
        assert_eq!(task.wakes(), round as u64, "polling wakes nobody");
        let number = put(&stream, *item);
        assert_eq!(task.wakes(), round as u64 + 1);
        assert_eq!(task.poll(&mut consumer), Poll::Ready(Ready::Readable));
        assert_eq!(numbers(&pending(&mut consumer)), [number]);
    }
}

#[test]
fn what_is_there_is_ready_without_a_waker() {
    let stream = stream(2);
    let mut consumer = from_horizon(&stream);
    let task = Task::new();
    put(&stream, 1);
    put(&stream, 1);
    assert_eq!(task.poll(&mut consumer), Poll::Ready(Ready::Readable));
    step(&mut consumer).unwrap().unwrap();
    assert_eq!(task.poll(&mut consumer), Poll::Ready(Ready::Readable), "in the midst of a turn");
    assert_eq!(consumer.wait(None), WaitOutcome::Readable);
    assert!(stream.stats().shards.iter().all(|(_, stats)| !stats.has_waiters));
}

#[test]
fn a_task_sleeps_through_a_split_and_hears_of_both_children() {
    let stream = stream(1);
    let mut consumer = from_horizon(&stream);
    let task = Task::new();
    assert_eq!(task.poll(&mut consumer), Poll::Pending);
    stream.split(open(&stream)[0].as_str()).unwrap();
    assert_eq!(task.wakes(), 1, "the parent's end");
    assert_eq!(task.poll(&mut consumer), Poll::Pending, "the children are empty");
    let children = open(&stream);
    assert!(consumer.shards().all(|shard| children.contains(shard)));
    // A stream that began with two shards has the same halves.
    let twin = crate::host::stream(2);
    for (round, half) in open(&twin).iter().enumerate() {
        let number = put(&stream, item_of(&twin, half));
        assert_eq!(task.wakes(), round as u64 + 2);
        assert_eq!(task.poll(&mut consumer), Poll::Ready(Ready::Readable));
        let seen = pending(&mut consumer);
        assert_eq!((&seen[0].shard, numbers(&seen)), (&children[round], vec![number]));
        assert_eq!(task.poll(&mut consumer), Poll::Pending);
    }
    stream.disable();
    assert_eq!(task.poll(&mut consumer), Poll::Ready(Ready::Closed));
    assert_eq!(consumer.wait(None), WaitOutcome::Closed);
    assert_eq!(read(&mut consumer), (vec![], Stop::Closed));
}

#[test]
fn a_thread_sleeps_through_rolls_and_is_woken_by_puts() {
    let stream = stream(1);
    thread::scope(|scope| {
        let consuming = scope.spawn(|| {
            let mut consumer = from_horizon(&stream);
            let mut seen = Vec::new();
            while consumer.wait(None) != WaitOutcome::Closed {
                seen.extend(numbers(&read(&mut consumer).0));
            }
            seen
        });
        let mut expected = Vec::new();
        for round in 0..50 {
            await_sleepers(&stream, &open(&stream));
            expected.push(put(&stream, round));
            await_sleepers(&stream, &open(&stream));
            stream.roll(open(&stream)[0].as_str()).unwrap();
        }
        await_sleepers(&stream, &open(&stream));
        stream.disable();
        assert_eq!(consuming.join().unwrap(), expected);
    });
}

/// What the calling thread has used of the processor, and how often it has gone to sleep.
#[cfg(target_os = "linux")]
fn usage() -> (Duration, u64) {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/thread-self/{file}")).unwrap();
    let schedstat = read("schedstat");
    let ran = schedstat.split(' ').next().unwrap().parse().unwrap();
    let status = read("status");
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    (Duration::from_nanos(ran), sleeps.unwrap().trim().parse().unwrap())
}

#[cfg(target_os = "linux")]
#[test]
fn an_idle_consumer_uses_no_processor_until_a_put_wakes_it() {
    const IDLE: Duration = Duration::from_millis(300);
    let stream = stream(8);
    let open = open(&stream);
    let (looked, used, waited) = thread::scope(|scope| {
        let consuming = scope.spawn(|| {
            let mut consumer = from_horizon(&stream);
            let before = usage();
            assert_eq!(consumer.wait(None), WaitOutcome::Readable);
            let after = usage();
            let number = step(&mut consumer).unwrap().unwrap().number;
            (after.1 - before.1, after.0 - before.0, number)
        });
        await_sleepers(&stream, &open);
        // Another one is idle for a while, meanwhile and likewise.
        let mut consumer = from_horizon(&stream);
        let (began, before) = (Instant::now(), usage());
        assert_eq!(consumer.wait(Some(IDLE)), WaitOutcome::TimedOut);
        let (after, waited) = (usage(), began.elapsed());
        let expected = put(&stream, 7);
        let (sleeps, used, number) = consuming.join().unwrap();
        assert_eq!(number, expected);
        ([sleeps, after.1 - before.1], used, waited)
    });
    assert!(waited >= IDLE);
    assert!(looked.iter().all(|times| *times < 5), "they looked {looked:?} times");
    assert!(used < Duration::from_millis(20), "{used:?} of {IDLE:?}");
}

#[test]
fn a_wait_with_a_limit_ends() {
    let stream = stream(2);
    let mut consumer = from_horizon(&stream);
    assert_eq!(consumer.wait(Some(Duration::ZERO)), WaitOutcome::TimedOut);
    assert_eq!(consumer.wait(Some(Duration::from_millis(1))), WaitOutcome::TimedOut);
    put(&stream, 1);
    assert_eq!(consumer.wait(Some(Duration::MAX)), WaitOutcome::Readable);
}
