//! The prefix: one's own record is visible, whoever trusts the watermark may read below it, and an
//! old scan neither drags it down nor looks into what is gone. (`log/prefix.rs`, `log/cursor.rs`)

use std::sync::Mutex;

use streamcore_modelled::log::{Cursor, Next, Position, Trimmed};
use streamcore_modelled::modelled::Arc;
use streamcore_modelled::modelled::atomic::{AtomicU64, Ordering};

use crate::harness::{Model, Probe};
use crate::steps::{
    Noted, WatchedLog, append, assert_all_freed, dropped_here, filled, position, snapshot,
};

#[test]
fn read_own_write() {
    let write = |log: &WatchedLog, probe: &Probe| {
        let own = append(log);
        let end = snapshot(log).end();
        if own == Position::ZERO {
            assert!(end > own, "its append has returned, and nothing comes before it");
            probe.reach("first");
        } else {
            assert!(end == Position::ZERO || end == position(2), "{end}: a hole");
            probe.reach_if(end == Position::ZERO, "second, and hidden");
            probe.reach_if(end > own, "second, and visible");
        }
    };
    Model::new("read_own_write", WatchedLog::new)
        .reaches(&["first", "second, and hidden", "second, and visible"])
        .role("writer", write)
        .role("writer", write)
        .after(|log, _| assert_eq!(snapshot(&log).end(), position(2)))
        .check();
}

/// A log of one record, and a cursor that has read it: it holds the segment, into whose second slot
/// the next record goes. So the cursor reads that one without a pin of its own, which would order more
/// than the watermark does.
struct Tailed {
    log: Arc<WatchedLog>,
    cursor: Mutex<Option<Cursor<Arc<WatchedLog>>>>,
}

impl Tailed {
    fn new() -> Self {
        let log = Arc::new(filled(1));
        let mut cursor = Cursor::new(log.clone(), Position::ZERO);
        assert!(matches!(cursor.next(), Ok(Next::Record(_, value)) if value.read() == 0));
        Self { log, cursor: Mutex::new(Some(cursor)) }
    }
}

#[test]
fn share() {
    Model::new("share", Tailed::new)
        .bound(2)
        .reaches(&["read", "not yet"])
        .role("appender", |tailed, _| {
            append(&tailed.log);
        })
        .role("scanner", |tailed, _| {
            snapshot(&tailed.log);
        })
        .role("reader", |tailed, probe| {
            let mut cursor = tailed.cursor.lock().unwrap().take().unwrap();
            match cursor.next().expect("nobody trims") {
                Next::Record(at, value) => {
                    assert_eq!((at, value.read()), (position(1), 7));
                    probe.reach("read");
                }
                Next::Pending => probe.reach("not yet"),
                Next::Closed => unreachable!("nobody seals the log"),
            }
        })
        .check();
}

/// Appends the second record of a log, and gives both up.
fn fill_and_trim(log: &WatchedLog) {
    append(log);
    assert_eq!(log.trim(position(2)), position(2));
}

fn scan(log: &WatchedLog, probe: &Probe) {
    let end = snapshot(log).end();
    assert!(end == position(1) || end == position(2));
    probe.reach(if end == position(1) { "old scan" } else { "new scan" });
    probe.reach_if(dropped_here() > 0, "freed by a scanner");
}

#[test]
fn regress() {
    Model::new("regress", || filled(1))
        .reaches(&["old scan", "new scan", "freed by a scanner"])
        .role("owner", |log, _| {
            fill_and_trim(log);
            assert_eq!(snapshot(log).end(), position(2), "the watermark has fallen");
        })
        .role("scanner", scan)
        .after(|log, _| {
            assert_eq!(snapshot(&log).end(), position(2));
            assert_all_freed(&log);
        })
        .check();
}

/// A read of what is not known to be published yet scans, too.
#[test]
fn stale_scan() {
    Model::new("stale_scan", || filled(1))
        .reaches(&["not yet", "read", "too late", "freed by the reader"])
        .role("owner", |log, _| fill_and_trim(log))
        .role("reader", |log, probe| {
            match log.read(position(1), 1) {
                Ok(chunk) => match chunk.iter().next() {
                    Some((_, value)) => {
                        assert_eq!(value.read(), 7);
                        probe.reach("read");
                    }
                    None => probe.reach("not yet"),
                },
                Err(Trimmed { earliest }) => {
                    assert_eq!(earliest, position(2));
                    probe.reach("too late");
                }
            }
            probe.reach_if(dropped_here() > 0, "freed by the reader");
        })
        .after(|log, _| assert_all_freed(&log))
        .check();
}

/// A scan that is overtaken in the midst of its way looks again, and misses nothing that was there before it.
#[test]
fn overtaken_scan() {
    struct Scene {
        log: WatchedLog,
        is_first_done: AtomicU64,
    }
    let scene = || Scene { log: filled(0), is_first_done: AtomicU64::new(0) };
    Model::new("overtaken_scan", scene)
        .reaches(&["all were there", "given up meanwhile"])
        .role("first writer, and trimmer", |scene, _| {
            if append(&scene.log) == Position::ZERO {
                scene.is_first_done.store(1, Ordering::Release);
                scene.log.trim(position(4));
            }
        })
        .role("second writer, and reader", |scene, probe| {
            let three = (0..3).map(|_| Noted::new(7));
            let behind = scene.log.append_all(three).expect("nobody seals the log").start;
            if behind == Position::ZERO {
                return;
            }
            // The first record hid these from the border work of their writer, and its own has none.
            while scene.is_first_done.load(Ordering::Acquire) == 0 {
                loom::thread::yield_now();
            }
            probe.reach("all were there");
            assert_eq!(snapshot(&scene.log).end(), position(4), "a record is missed");
            probe.reach_if(scene.log.earliest() == position(4), "given up meanwhile");
        })
        .check();
}
