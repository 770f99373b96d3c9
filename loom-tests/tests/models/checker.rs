//! Checks the checker: mistakes that are planted in toys must be found, each by its own message.
//!
//! What these toys get wrong is what the models of the log must be able to see.

use std::alloc::Layout;
use std::sync::Mutex;

use streamcore_modelled::modelled::atomic::{AtomicPtr, AtomicU64, Ordering::*};
use streamcore_modelled::modelled::memory::expecting_panics;
use streamcore_modelled::modelled::{
    Arc, Backoff, Life, MetadataCell, Parker, UnsafeCell, allocate_zeroed, release,
};

use crate::harness::{Model, Watched};

/// Fails unless `message` says what is expected.
#[track_caller]
fn assert_says(message: &str, expected: &str) {
    assert!(message.contains(expected), "{message:?} does not say {expected:?}");
}

/// A block with one atomic in it, behind a pointer, and a count of readers.
struct Shared {
    block: AtomicPtr<AtomicU64>,
    readers: AtomicU64,
}

const LAYOUT: Layout = Layout::new::<AtomicU64>();

impl Shared {
    fn new() -> Self {
        let block = allocate_zeroed(LAYOUT).cast::<AtomicU64>();
        // SAFETY: fresh memory of the right layout.
        unsafe { block.write(AtomicU64::new(7)) };
        Self { block: AtomicPtr::new(block), readers: AtomicU64::new(0) }
    }

    /// Frees the block, whoever may be using it.
    fn free(&self) {
        let block = self.block.swap(std::ptr::null_mut(), AcqRel);
        if !block.is_null() {
            // SAFETY: the swap gives the block to one caller; that nobody uses it is what is tested.
            unsafe { release(block.cast(), LAYOUT) }
        }
    }

    fn read(&self, probe: &crate::harness::Probe) {
        let block = self.block.load(Acquire);
        if !block.is_null() {
            probe.reach("read");
            // SAFETY: the bytes stay until the execution ends.
            assert_eq!(unsafe { &*block }.load(Relaxed), 7);
        }
    }
}

fn toy(name: &'static str) -> Model<Shared> {
    Model::new(name, Shared::new).reaches(&["read"])
}

#[test]
fn a_use_after_free_is_found() {
    let message = toy("checker, use after free")
        .role("reader", |shared, probe| shared.read(probe))
        .role("freer", |shared, _| shared.free())
        .check_fails();
    // Which of the two it is depends on which order is explored first.
    let found = message.contains("use after free") || message.contains("Causality violation");
    assert!(found, "{message}");
}

#[test]
fn a_use_after_free_names_both_places() {
    let message = toy("checker, use after free in order")
        .role("one", |shared, probe| {
            let block = shared.block.load(Acquire);
            shared.free();
            probe.reach("read");
            // SAFETY: the bytes stay until the execution ends.
            unsafe { &*block }.load(Relaxed);
        })
        .role("other", |shared, _| _ = shared.block.load(Acquire))
        .check_fails();
    assert_says(&message, "use after free: ");
    assert_says(&message, "checker.rs");
}

/// Tells later readers that they are too late.
const FREED: u64 = 1 << 32;

/// Readers count themselves in before they look; the freer goes ahead only if nobody is inside.
fn counted(name: &'static str, leave: std::sync::atomic::Ordering) -> Model<Shared> {
    toy(name)
        .role("reader", move |shared, probe| {
            if shared.readers.fetch_add(1, AcqRel) < FREED {
                shared.read(probe);
            }
            shared.readers.fetch_sub(1, leave);
        })
        .role("freer", |shared, _| {
            if shared.readers.compare_exchange(0, FREED, AcqRel, Acquire).is_ok() {
                shared.free();
            }
        })
        .after(|shared, _| shared.free())
}

#[test]
fn a_release_that_is_ordered_passes() {
    let report = counted("checker, counted", Release).check();
    assert!(report.reached["read"] > 0);
}

#[test]
fn a_release_after_a_relaxed_leave_is_found() {
    let message = counted("checker, counted relaxed", Relaxed).check_fails();
    assert_says(&message, "Causality violation");
}

#[test]
fn a_leak_is_found() {
    let message = toy("checker, leak")
        .role("reader", |shared, probe| shared.read(probe))
        .role("forgetter", |shared, _| _ = shared.block.swap(std::ptr::null_mut(), AcqRel))
        .check_fails();
    assert_says(&message, "were never released");
    assert_says(&message, "checker.rs");
}

#[test]
fn a_double_free_is_found() {
    let message = toy("checker, double free")
        .role("one", |shared, probe| {
            let block = shared.block.load(Acquire);
            shared.free();
            probe.reach("read");
            // SAFETY: none: this is the mistake.
            unsafe { release(block.cast(), LAYOUT) }
        })
        .role("other", |shared, _| _ = shared.block.load(Acquire))
        .check_fails();
    assert_says(&message, "double free");
}

#[test]
fn a_second_drop_is_found_where_panics_are_contained() {
    let message = Model::new("checker, second drop", || AtomicU64::new(0))
        .role("one", |shared, _| {
            let mut value = std::mem::ManuallyDrop::new(Watched::new(1));
            shared.store(1, Release);
            let twice = || {
                // SAFETY: none: this is the mistake.
                (0..2).for_each(|_| unsafe { std::mem::ManuallyDrop::drop(&mut value) });
            };
            let contained = std::panic::catch_unwind(std::panic::AssertUnwindSafe(twice));
            assert!(contained.is_err());
        })
        .role("other", |shared, _| _ = shared.load(Acquire))
        .check_fails();
    assert_says(&message, "ended twice");
}

#[test]
fn a_lost_update_is_found() {
    let add = |counter: &AtomicU64, _: &_| {
        let seen = counter.load(Acquire);
        counter.store(seen + 1, Release);
    };
    let message = Model::new("checker, lost update", || AtomicU64::new(0))
        .role("adder", add)
        .role("adder", add)
        .after(|counter, _| assert_eq!(counter.load(Acquire), 2, "an update was lost"))
        .check_fails();
    assert_says(&message, "an update was lost");
}

/// A number that the toys share without asking whether they may.
struct Number(UnsafeCell<u64>);

// SAFETY: none; loom has to find out where it is not.
unsafe impl Sync for Number {}

impl Number {
    fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    fn set(&self, number: u64) {
        // SAFETY: the models that pass order this access with all others.
        self.0.with_mut(|value| unsafe { *value = number });
    }

    fn get(&self) -> u64 {
        // SAFETY: as above.
        self.0.with(|value| unsafe { *value })
    }
}

/// A value that one thread writes and the other reads once it sees the flag.
fn published(name: &'static str, store: std::sync::atomic::Ordering) -> Model<(Number, AtomicU64)> {
    Model::new(name, || (Number::new(), AtomicU64::new(0)))
        .reaches(&["seen", "not yet"])
        .role("writer", move |(number, flag), _| {
            number.set(5);
            flag.store(1, store);
        })
        .role("reader", |(number, flag), probe| {
            if flag.load(Acquire) == 0 {
                return probe.reach("not yet");
            }
            probe.reach("seen");
            assert_eq!(number.get(), 5);
        })
}

#[test]
fn a_relaxed_publication_is_found() {
    let report = published("checker, published", Release).check();
    assert!(report.executions > report.reached["seen"]);
    assert_says(
        &published("checker, published relaxed", Relaxed).check_fails(),
        "Causality violation",
    );
}

#[test]
fn a_life_is_watched() {
    let message = Model::new("checker, life never ended", || Mutex::new(Some(Life::begin())))
        .role("one", |life, _| std::mem::forget(life.lock().unwrap().take()))
        .role("other", |_, _| ())
        .check_fails();
    assert_says(&message, "never ended");
    let message = Model::new("checker, life ended twice", Life::begin)
        .role("one", |life, _| {
            life.end();
            life.end();
        })
        .role("other", |_, _| ())
        .check_fails();
    assert_says(&message, "had ended before");
    let message = Model::new("checker, life used when over", Life::begin)
        .role("one", |life, _| {
            life.end();
            life.touch();
        })
        .role("other", |_, _| ())
        .check_fails();
    assert_says(&message, "its life has ended");
}

#[test]
fn the_last_owner_of_an_arc_drops_the_value_once() {
    let share = |shared: &Mutex<Vec<Arc<Watched>>>| shared.lock().unwrap().pop().unwrap();
    Model::new("checker, arc", || {
        let value = Arc::new(Watched::new(3));
        Mutex::new(vec![value.clone(), value])
    })
    .reaches(&["last owner"])
    .role("owner", move |shared, probe| {
        // Through a raw pointer, as a list of waiters would do it.
        let raw = Arc::into_raw(share(shared));
        // SAFETY: the count that was kept is taken back once.
        let owned = unsafe { Arc::from_raw(raw) };
        assert_eq!(owned.read(), 3);
        probe.reach_if(Arc::strong_count(&owned) == 1, "last owner");
    })
    .role("owner", move |shared, _| assert_eq!(share(shared).read(), 3))
    .check();
}

#[test]
fn an_owner_too_many_is_found() {
    let message = Model::new("checker, arc from nothing", || Arc::new(1_u64))
        .role("one", |shared, _| {
            let raw = Arc::as_ptr(shared);
            // SAFETY: none: nothing counted for this owner, which is the mistake.
            drop(unsafe { Arc::from_raw(raw) });
        })
        .role("other", |shared, _| assert_eq!(**shared, 1))
        .check_fails();
    let found = message.contains("use after free") || message.contains("Causality violation");
    assert!(found, "{message}");
}

#[test]
fn updates_of_a_metadata_cell_are_not_lost() {
    let add = |cell: &MetadataCell<u64>, _: &_| drop(cell.rcu(|old| Arc::new(**old + 1)));
    Model::new("checker, metadata", || MetadataCell::new(0_u64))
        .bound(2)
        .reaches(&["between"])
        .role("adder", add)
        .role("adder", add)
        .role("reader", |cell, probe| {
            let seen = cell.with(|value| *value);
            assert!(seen <= *cell.load_full());
            probe.reach_if(seen == 1, "between");
        })
        .after(|cell, _| assert_eq!(cell.with(|value| *value), 2))
        .check();
}

/// Sleeps until the flag is up; the other side raises it and wakes.
fn sleep_and_wake(
    name: &'static str,
    wakes: impl Fn(&AtomicU64, &std::task::Waker) + Send + Sync + 'static,
) -> Model<(AtomicU64, Mutex<Option<std::task::Waker>>, AtomicU64)> {
    Model::new(name, || (AtomicU64::new(0), Mutex::new(None), AtomicU64::new(0)))
        .reaches(&["slept"])
        .role("sleeper", |(flag, waker, ready), probe| {
            let parker = Parker::new();
            *waker.lock().unwrap() = Some(parker.waker().clone());
            ready.store(1, Release);
            while flag.load(Acquire) == 0 {
                probe.reach("slept");
                parker.park(None);
            }
        })
        .role("waker", move |(flag, waker, ready), _| {
            let backoff = Backoff::new();
            while ready.load(Acquire) == 0 {
                backoff.snooze();
            }
            let waker = waker.lock().unwrap().take().unwrap();
            wakes(flag, &waker);
        })
}

#[test]
fn a_sleeper_is_woken_and_a_lost_wake_is_found() {
    sleep_and_wake("checker, wake", |flag, waker| {
        flag.store(1, Release);
        waker.wake_by_ref();
    })
    .check();
    let message = sleep_and_wake("checker, wake too early", |flag, waker| {
        waker.wake_by_ref();
        flag.store(1, Release);
    })
    .check_fails();
    assert_says(&message, "deadlock");
}

#[test]
fn a_wake_passes_no_view_to_who_does_not_sleep() {
    // loom's own unpark would order `set` before `get`, although nobody parks.
    let message = Model::new("checker, wake is no publication", || {
        (Number::new(), AtomicU64::new(0), AtomicU64::new(0), Mutex::new(None))
    })
    .role("reader", |(number, ready, flag, waker), _| {
        let parker = Parker::new();
        *waker.lock().unwrap() = Some(parker.waker().clone());
        ready.store(1, Release);
        if flag.load(Relaxed) == 1 {
            number.get();
        }
    })
    .role("writer", |(number, ready, flag, waker), _| {
        let backoff = Backoff::new();
        while ready.load(Acquire) == 0 {
            backoff.snooze();
        }
        let waker: std::task::Waker = waker.lock().unwrap().take().unwrap();
        number.set(5);
        waker.wake_by_ref();
        flag.store(1, Relaxed);
    })
    .check_fails();
    assert_says(&message, "Concurrent read and write");
}

#[test]
fn an_expected_panic_is_part_of_the_model() {
    struct Bump<'a>(&'a AtomicU64);
    impl Drop for Bump<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, AcqRel);
        }
    }
    Model::new("checker, panic", || AtomicU64::new(0))
        .reaches(&["seen"])
        .role("panics", |count, _| {
            expecting_panics(|| {
                let unwinding = std::panic::AssertUnwindSafe(|| {
                    let _bump = Bump(count);
                    std::panic::resume_unwind(Box::new("part of the model"));
                });
                assert!(std::panic::catch_unwind(unwinding).is_err());
            });
        })
        .role("reader", |count, probe| probe.reach_if(count.load(Acquire) == 1, "seen"))
        .after(|count, _| assert_eq!(count.load(Acquire), 1))
        .check();
}

#[test]
fn a_vacuous_model_fails() {
    let idle = || Model::new("checker, vacuous", || AtomicU64::new(0)).reaches(&["never"]);
    let message = idle()
        .role("loads", |value, _| _ = value.load(Acquire))
        .role("stores", |value, _| value.store(1, Release))
        .check_fails();
    assert_says(&message, "no execution reached \"never\"");
    let message = idle().role("one", |_, _| ()).role("other", |_, _| ()).check_fails();
    assert_says(&message, "explored one execution");
}
