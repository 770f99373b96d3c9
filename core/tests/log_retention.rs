//! Retention by count: what is kept, that everything else goes, and that no single append pays for it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use streamcore::log::{Log, LogOptions, MAX_BATCH, Position};

fn keeping<T>(count: u64) -> Log<T> {
    let count = NonZeroU64::new(count).expect("at least one");
    Log::with_options(LogOptions::new().retain_last(count))
}

/// Values of this type fill a full segment with 1024 of them.
type Record = [u64; 7];

#[test]
fn retention_passes_a_batch_that_is_longer_than_its_step() {
    for before in [0, 1, 5_000] {
        let log = keeping::<Record>(100);
        for value in 0..before {
            log.append([value; 7]).unwrap();
        }
        log.append_all((0..MAX_BATCH as u64).map(|value| [value; 7])).unwrap();
        for value in 0..10_000 {
            log.append([value; 7]).unwrap();
        }
        let stats = log.stats();
        assert!(stats.blocks <= 6 && log.snapshot().len() <= 3_000, "{before} before: {stats:?}");
    }
}

#[test]
fn retention_keeps_up_when_all_is_appended_in_batches() {
    for length in [2, 33, 100, 1_024, 1_100, 2_048, 3_000, MAX_BATCH as u64] {
        let log = keeping::<Record>(100);
        for _ in 0..100_000 / length {
            log.append_all((0..length).map(|value| [value; 7])).unwrap();
        }
        let stats = log.stats();
        let kept = stats.published - stats.trimmed;
        assert!((100..=length + 3_000).contains(&kept), "batches of {length}: {stats:?}");
    }
}

#[test]
fn retention_keeps_up_when_a_segment_holds_no_more_than_eight() {
    let log = keeping::<[u64; 1_100]>(50);
    let mut most = 0;
    for value in 0..5_000 {
        log.append([value; 1_100]).unwrap();
        most = most.max(log.stats().blocks);
    }
    assert!(most <= 40, "{most} blocks of eight for 50 records");
}

#[test]
fn a_batch_that_must_be_kept_in_part_is_kept_whole() {
    let log = keeping::<u64>(100);
    log.append_all(0..3_000).unwrap();
    for value in 3_000..3_090 {
        log.append(value).unwrap();
        assert_eq!(log.snapshot().start(), Position::ZERO);
    }
    for value in 3_090..3_300 {
        log.append(value).unwrap();
    }
    let kept = log.snapshot();
    assert!(kept.start() >= Position::new(3_000) && kept.len() >= 100, "{kept:?}");
}

/// Counts how many of its kind have died.
struct Mortal {
    dead: Arc<AtomicU64>,
    _padding: [u64; 5],
}

impl Drop for Mortal {
    fn drop(&mut self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn values_die_a_few_per_append() {
    let log = keeping::<Mortal>(2_000);
    let dead = Arc::new(AtomicU64::new(0));
    let (mut before, mut most) = (0, 0);
    for appended in 1..=200_000 {
        log.append(Mortal { dead: Arc::clone(&dead), _padding: [0; 5] }).unwrap();
        let now = dead.load(Ordering::Relaxed);
        most = most.max(now - before);
        before = now;
        assert!(
            appended - now <= 2_000 + 6 * 1_024,
            "{} are alive after {appended}",
            appended - now
        );
    }
    assert!((1..=64).contains(&most), "one append dropped {most} values");
    drop(log);
    assert_eq!(dead.load(Ordering::Relaxed), 200_000);
}

#[test]
fn a_sealed_log_keeps_no_values_of_dead_segments() {
    let log = keeping::<Mortal>(2_000);
    let dead = Arc::new(AtomicU64::new(0));
    let mut appended = 0;
    while log.stats().dying == 0 {
        log.append(Mortal { dead: Arc::clone(&dead), _padding: [0; 5] }).unwrap();
        appended += 1;
    }
    log.seal(());
    let stats = log.stats();
    assert_eq!((stats.dying, stats.spares), (0, 0));
    let alive = appended - dead.load(Ordering::Relaxed);
    let retained = stats.published - stats.trimmed;
    assert!((retained..retained + 1_024).contains(&alive), "{alive} alive: {stats:?}");
}
