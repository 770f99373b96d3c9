//! Suspended threads, and what they cost the others: nothing but what `implementation.rs` says.
//!
//! A thread does one thing to a log, and is suspended before each of its atomic operations in turn. While
//! it stands still, everybody else goes on; then it goes on itself. Whoever waits for it makes the execution
//! hang, which shuttle reports.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use shuttle::scheduler::RandomScheduler;
use shuttle::thread;
use streamcore_scheduled::log::{LogOptions, LogStats, Position, SealOutcome, WaitOutcome};
use streamcore_scheduled::scheduled::stall;

use crate::harness::run;

/// The number of owners of a token shows how many values are alive.
type Token = Arc<()>;
type Log = streamcore_scheduled::log::Log<Token, u32>;

/// Slots of a full segment; the first two segments have two each.
const SLOTS: u64 = 4;
/// The most atomic operations that one append may take, whatever stands still: its own three, the chores
/// with their scan of four slots, and a segment to trim or two. The longest that was met took some 90.
const APPEND: u64 = 100;
/// So often is each point tried, with another schedule each time.
const TIMES: usize = 3;

/// A log, and one who is going to be suspended.
struct Scene {
    log: Log,
    token: Token,
}

impl Scene {
    fn new(options: LogOptions, records: u64) -> Self {
        let scene = Self { log: Log::with_options(options), token: Token::default() };
        scene.append(records);
        scene
    }

    /// Appends, none of them slowly.
    #[track_caller]
    fn append(&self, records: u64) {
        for _ in 0..records {
            let before = stall::operations();
            self.log.append(Arc::clone(&self.token)).expect("not sealed");
            let took = stall::operations() - before;
            assert!(took <= APPEND, "an append took {took} operations");
        }
    }

    fn end(&self) -> u64 {
        self.log.end().get()
    }

    fn visible(&self) -> u64 {
        self.log.snapshot().end().get()
    }

    fn alive(&self) -> u64 {
        Arc::strong_count(&self.token) as u64 - 1
    }

    fn is_readable(&self, position: u64) -> bool {
        let position = Position::new(position);
        self.log.read(position, 1).is_ok_and(|chunk| chunk.get(position).is_some())
    }

    /// The figures, without what is kept for later.
    fn figures(&self) -> LogStats {
        self.log.shrink();
        self.log.stats()
    }

    /// So many blocks do the retained records need at the most, with one that is installed ahead.
    fn blocks_needed(&self) -> u64 {
        let segment = |position| match position {
            0..2 => 0,
            2..4 => 1,
            _ => 1 + position / SLOTS,
        };
        segment(self.end()) - segment(self.log.earliest().get()) + 2
    }

    /// Everything is given up, so nothing is alive, not even what shares a segment with the end.
    #[track_caller]
    fn is_empty_again(&self) {
        self.log.trim(Position::new(u64::MAX));
        assert_eq!((self.visible(), self.log.stats().prefix_lag), (self.end(), 0));
        assert_eq!(self.alive(), 0);
        let figures = self.figures();
        assert!(figures.blocks <= self.blocks_needed(), "{figures:?}");
    }
}

/// Suspends `act` before its first operation, its second, and so on, until it has no more of them.
/// `meanwhile` says what the others do and see, `after` what holds when all is over. Returns how many points
/// there are.
fn suspend_at_each_operation<T: Send + 'static, M: 'static>(
    name: &str,
    scene: fn() -> Scene,
    act: fn(&Scene) -> T,
    meanwhile: fn(&Arc<Scene>) -> M,
    after: fn(&Scene, T, Option<M>),
) {
    let mut points = 0;
    while at_operation(points, scene, act, meanwhile, after) {
        points += 1;
    }
    println!("{name}: suspended at {points} points");
    assert!(points > 2, "{name} does something");
}

/// Whether there is an operation of this number.
fn at_operation<T: Send + 'static, M: 'static>(
    point: usize,
    scene: fn() -> Scene,
    act: fn(&Scene) -> T,
    meanwhile: fn(&Arc<Scene>) -> M,
    after: fn(&Scene, T, Option<M>),
) -> bool {
    let suspended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&suspended);
    let execution = move || {
        let scene = Arc::new(scene());
        let (actor, over) = (Arc::clone(&scene), Arc::new(AtomicBool::new(false)));
        let is_over = Arc::clone(&over);
        let actor = thread::spawn(move || {
            stall::suspend_me_at(point);
            let done = act(&actor);
            stall::never_mind();
            over.store(true, Relaxed);
            done
        });
        while !stall::is_anybody_suspended() && !is_over.load(Relaxed) {
            thread::yield_now();
        }
        let seen = stall::is_anybody_suspended().then(|| {
            count.fetch_add(1, Relaxed);
            let seen = meanwhile(&scene);
            assert!(stall::is_anybody_suspended());
            stall::resume();
            seen
        });
        let done = actor.join().expect("the suspended thread has failed");
        after(&scene, done, seen);
    };
    run(RandomScheduler::new_from_seed(point as u64, TIMES), &Arc::new(execution));
    let suspended = suspended.load(Relaxed);
    assert!(suspended == 0 || suspended == TIMES, "the schedules differ: {suspended}");
    suspended > 0
}

fn retaining(count: u64) -> LogOptions {
    LogOptions::new().retain_last(NonZeroU64::new(count).expect("not none"))
}

/// While a writer is suspended, others append; what came after its record is there when the record is.
fn others_append(scene: &Scene, records: u64) {
    let (reserved, visible) = (scene.end(), scene.visible());
    let is_pending = visible < reserved;
    scene.append(records);
    assert_eq!(scene.end(), reserved + records);
    let stats = scene.log.stats();
    let (end, lag) =
        if is_pending { (visible, reserved + records - visible) } else { (scene.end(), 0) };
    assert_eq!(scene.visible(), end, "a snapshot ends before what is pending, or at the end");
    assert_eq!(scene.log.stats().prefix_lag, lag, "{stats:?}");
    let horizon = scene.log.trim(Position::new(u64::MAX)).get();
    assert_eq!(horizon, end, "all that is visible is given up, and nothing else");
    for position in end..scene.end() {
        assert!(!scene.is_readable(position), "{position} is visible");
    }
    assert!(!is_pending || scene.alive() >= records, "{} are alive", scene.alive());
}

/// One append, by the one who is going to be suspended in it.
fn append_one(scene: &Scene) {
    scene.log.append(Arc::clone(&scene.token)).expect("not sealed");
}

#[test]
fn a_suspended_writer_hides_what_came_after_it_and_stops_nobody() {
    suspend_at_each_operation(
        "append",
        || Scene::new(LogOptions::new(), 3),
        append_one,
        |scene| others_append(scene, 41),
        |scene, (), _| scene.is_empty_again(),
    );
}

#[test]
fn a_suspended_batch_is_hidden_as_a_whole() {
    suspend_at_each_operation(
        "a batch of 9",
        || Scene::new(LogOptions::new(), 3),
        |scene| {
            let values = (0..9).map(|_| Arc::clone(&scene.token));
            scene.log.append_all(values).expect("not sealed")
        },
        |scene| {
            let visible = scene.visible();
            assert!(visible == 3 || visible == 12, "a part of the batch: {visible}");
            others_append(scene, 20);
        },
        |scene, _, _| scene.is_empty_again(),
    );
}

#[test]
fn retention_catches_up_when_a_suspended_writer_goes_on() {
    const MISSED: u64 = 40 * SLOTS;
    suspend_at_each_operation(
        "append with retention",
        // An even number, so that it is another's border work that meets all of it first.
        || Scene::new(retaining(SLOTS), 8),
        append_one,
        |scene| {
            let is_pending = scene.visible() < scene.end();
            scene.append(MISSED);
            if is_pending {
                let stats = scene.log.stats();
                assert!(stats.prefix_lag > MISSED, "{stats:?}");
                assert!(stats.blocks >= 40, "what is not visible is kept: {stats:?}");
            }
        },
        |scene, (), _| {
            // Nobody reads or trims by hand, so border work alone catches up: it scans twice as many slots as are
            // appended, and drops half as many values again. What was appended meanwhile is gone after
            // twice as much.
            scene.append(2 * MISSED + 6 * SLOTS);
            let stats = scene.log.stats();
            assert!(stats.appended - stats.trimmed <= 3 * SLOTS, "{stats:?}");
            let blocks = stats.blocks - stats.spares - stats.dying;
            assert!(blocks <= scene.blocks_needed(), "{stats:?}");
        },
    );
}

#[test]
fn a_suspended_reader_costs_its_own_segment() {
    suspend_at_each_operation(
        "read",
        || Scene::new(LogOptions::new(), 12),
        |scene| {
            let at = Position::new(5);
            match scene.log.read(at, 1) {
                Ok(chunk) => assert!(Arc::ptr_eq(chunk.get(at).expect("visible"), &scene.token)),
                Err(trimmed) => assert!(trimmed.earliest > at),
            }
        },
        |scene| {
            for _ in 0..10 {
                scene.append(SLOTS);
                scene.log.trim(Position::new(scene.end()));
                let needed = scene.blocks_needed();
                let figures = scene.figures();
                assert!(figures.blocks <= needed + 1, "{figures:?}, not {needed} and one");
                assert!(scene.alive() <= SLOTS, "{} values are alive", scene.alive());
            }
        },
        |scene, (), _| scene.is_empty_again(),
    );
}

/// The same for a guard and a cursor that are kept for ever, to the block.
#[test]
fn a_kept_guard_costs_its_segment_and_nothing_more() {
    let execution = || {
        let held = Scene::new(LogOptions::new(), 12);
        let free = Scene::new(LogOptions::new(), 12);
        let chunk = held.log.read(Position::new(5), 1).expect("retained");
        let mut cursor = held.log.cursor(Position::new(8));
        assert!(cursor.next().is_ok());
        for _ in 0..20 {
            for scene in [&held, &free] {
                scene.append(SLOTS);
                scene.log.trim(Position::new(scene.end()));
            }
            let mut expected = free.figures();
            expected.blocks += 2;
            assert_eq!(held.figures(), expected, "two segments are held, and nothing more");
        }
        assert_eq!((held.alive(), free.alive()), (2 * SLOTS, 0));
        drop((chunk, cursor));
        assert_eq!((held.figures(), held.alive()), (free.figures(), 0));
    };
    run(RandomScheduler::new_from_seed(1, 1), &Arc::new(execution));
}

#[test]
fn a_suspended_trimmer_costs_what_it_was_about_to_free() {
    suspend_at_each_operation(
        "trim",
        || Scene::new(LogOptions::new(), 8 * SLOTS),
        |scene| scene.log.trim(Position::new(4 * SLOTS)),
        |scene| {
            let horizon = scene.log.earliest().get();
            assert!(horizon == 0 || horizon == 4 * SLOTS, "{horizon}");
            for position in 0..8 * SLOTS {
                assert_eq!(scene.is_readable(position), position >= horizon);
            }
            // Others trim what is behind it, and it is gone.
            let to = scene.log.trim(Position::new(6 * SLOTS));
            assert_eq!(to.get(), 6 * SLOTS);
            for _ in 0..10 {
                scene.append(SLOTS);
                scene.log.trim(Position::new(scene.end()));
                let needed = scene.blocks_needed();
                let figures = scene.figures();
                // Five segments hold the first sixteen records.
                assert!(figures.blocks <= needed + 5, "{figures:?}, not {needed} and its five");
                assert!(scene.alive() <= 4 * SLOTS, "{} values are alive", scene.alive());
            }
        },
        |scene, _, _| scene.is_empty_again(),
    );
}

#[test]
fn a_suspended_sealer_stops_nobody() {
    suspend_at_each_operation(
        "seal",
        || Scene::new(LogOptions::new(), 10),
        |scene| scene.log.seal(1),
        |scene| {
            for _ in 0..10 {
                let before = scene.log.sealed_end();
                match scene.log.append(Arc::clone(&scene.token)) {
                    Ok(_) => assert!(before.is_none() && !scene.log.is_sealed()),
                    Err(_) => {
                        assert_eq!(scene.log.sealed_end(), Some(Position::new(10)));
                        assert_eq!(scene.log.successor(), Some(&1));
                    }
                }
            }
            // Whoever comes later to seal gets it done, and sleepers that come now do not sleep.
            let outcome = scene.log.seal(2);
            let end = outcome.end();
            let successor = if matches!(outcome, SealOutcome::Sealed { .. }) { 2 } else { 1 };
            assert_eq!(scene.log.successor(), Some(&successor));
            assert_eq!(scene.log.cursor(end).wait(None), WaitOutcome::Closed);
            assert_eq!((scene.log.end(), scene.visible()), (end, end.get()));
        },
        |scene, outcome, _| {
            let end = scene.log.sealed_end().expect("sealed");
            assert_eq!(outcome.end(), end);
            assert!(end.get() == 10 || end.get() == 20, "{end}");
            assert_eq!(scene.log.trim(end), end);
            assert_eq!((scene.log.stats().blocks, scene.alive()), (0, 0));
        },
    );
}

#[test]
fn a_suspended_append_leaves_nothing_on_the_shelves_of_a_sealed_log() {
    suspend_at_each_operation(
        "append with retention, and a seal",
        // The next one's border work gives up a segment that is too large to be emptied at once.
        || Scene::new(retaining(SLOTS), 11),
        |scene| _ = scene.log.append(Arc::clone(&scene.token)),
        |scene| assert!(scene.log.seal(1).end().get() >= 11),
        |scene, (), sealed| {
            if sealed.is_none() {
                return;
            }
            let stats = scene.log.stats();
            assert_eq!((stats.dying, stats.spares), (0, 0), "{stats:?}");
            let end = scene.log.end();
            assert_eq!(scene.log.trim(end), end);
            assert_eq!((scene.log.stats().blocks, scene.alive()), (0, 0));
        },
    );
}

#[test]
fn a_suspended_waker_holds_up_only_those_whom_it_was_about_to_wake() {
    suspend_at_each_operation(
        "wake",
        || {
            let scene = Scene::new(LogOptions::new(), 3);
            // Somebody sleeps, so the writer has somebody to wake; a cancelled task is enough.
            let mut cursor = scene.log.cursor(Position::new(3));
            let waker = std::task::Waker::noop();
            assert!(cursor.poll_ready(&mut std::task::Context::from_waker(waker)).is_pending());
            drop(cursor);
            scene
        },
        append_one,
        |scene| {
            let visible = scene.visible();
            let sleeper = Arc::clone(scene);
            let sleeper = thread::spawn(move || {
                let mut cursor = sleeper.log.cursor(Position::new(visible));
                assert_eq!(cursor.wait(None), WaitOutcome::Readable);
                assert!(sleeper.visible() > visible);
            });
            thread::yield_now();
            scene.append(5);
            let is_pending = scene.visible() == visible;
            if is_pending {
                return Some(sleeper);
            }
            // It slept after the other was suspended, so nobody but the others can wake it.
            sleeper.join().expect("the sleeper has failed");
            None
        },
        |scene, (), sleeper| {
            if let Some(sleeper) = sleeper.flatten() {
                sleeper.join().expect("the sleeper has failed");
            }
            assert_eq!(scene.visible(), scene.end());
        },
    );
}
