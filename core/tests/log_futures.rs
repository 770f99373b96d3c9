//! A cursor as a `futures_core::Stream` (feature `futures`).
#![cfg(feature = "futures")]

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures_core::Stream;
use streamcore::log::{Cursor, Log, Position, Trimmed};

struct Count(AtomicU64);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Item = Result<(Position, u64), Trimmed>;

fn poll<S: Stream<Item = Item> + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Option<Item>> {
    Pin::new(stream).poll_next(&mut Context::from_waker(waker))
}

#[test]
fn a_stream_yields_records_sleeps_says_what_was_trimmed_and_ends() {
    let log = Arc::new(Log::<u64>::new());
    let mut stream = Cursor::new(Arc::clone(&log), Position::ZERO);
    let count = Arc::new(Count(AtomicU64::new(0)));
    let waker = Waker::from(Arc::clone(&count));
    assert_eq!(poll(&mut stream, &waker), Poll::Pending);
    log.append(10).unwrap();
    assert_eq!(count.0.load(Ordering::Relaxed), 1, "the append has woken the task");
    assert_eq!(poll(&mut stream, &waker), Poll::Ready(Some(Ok((Position::ZERO, 10)))));
    assert_eq!(poll(&mut stream, &waker), Poll::Pending);

    for value in 0..5_100 {
        log.append(value).unwrap();
    }
    let earliest = log.trim(Position::new(5_001));
    assert_eq!(earliest, Position::new(5_001));
    let trimmed = Some(Err(Trimmed { earliest }));
    let mut next = loop {
        match poll(&mut stream, &waker) {
            // What the cursor's own segment still holds.
            Poll::Ready(Some(Ok((position, value)))) => assert_eq!(position.get(), value + 1),
            other => break other,
        }
    };
    assert_eq!(next, Poll::Ready(trimmed));
    for value in 5_000..5_100 {
        next = poll(&mut stream, &waker);
        assert_eq!(next, Poll::Ready(Some(Ok((Position::new(value + 1), value)))));
    }
    assert_eq!(poll(&mut stream, &waker), Poll::Pending);
    log.seal(());
    assert_eq!(count.0.load(Ordering::Relaxed), 3, "each sleep was ended by one wake");
    assert_eq!(poll(&mut stream, &waker), Poll::Ready(None));
    assert_eq!(poll(&mut stream, &waker), Poll::Ready(None));
}
