//! Suspending a thread in the middle of what it does, as a machine does that takes it off its processor.
//!
//! A thread says at which of its next atomic operations it wants to be suspended. It then stops before
//! that operation until somebody resumes it. One thread at a time can be suspended.

use std::cell::Cell;

use shuttle::current::{TaskId, get_current_task};

#[derive(Clone, Copy, Default)]
enum Plan {
    #[default]
    Nothing,
    /// The thread stops after so many operations more.
    Suspend(TaskId, usize),
    /// It has stopped.
    Suspended,
}

thread_local! {
    static PLAN: Cell<Plan> = const { Cell::new(Plan::Nothing) };
    static OPERATIONS: Cell<u64> = const { Cell::new(0) };
}

/// Begins an execution in which nobody is suspended.
pub fn begin() {
    PLAN.take();
}

/// The calling thread stops before its atomic operation number `operation`, counted from 0.
///
/// # Panics
///
/// Outside of an execution.
pub fn suspend_me_at(operation: usize) {
    let me = get_current_task().expect("only a thread of an execution can be suspended");
    PLAN.set(Plan::Suspend(me, operation));
}

/// The calling thread goes through without being suspended from here on. Whether it would still have
/// been: then what it did has fewer operations.
pub fn never_mind() -> bool {
    matches!(PLAN.take(), Plan::Suspend(..))
}

/// Whether a thread is suspended now.
pub fn is_anybody_suspended() -> bool {
    matches!(PLAN.get(), Plan::Suspended)
}

/// Lets the suspended thread go on.
pub fn resume() {
    if is_anybody_suspended() {
        PLAN.take();
    }
}

/// How many atomic operations all threads have begun so far.
pub fn operations() -> u64 {
    OPERATIONS.get()
}

/// The calling thread is about to do an atomic operation.
pub(super) fn before_operation() {
    OPERATIONS.set(OPERATIONS.get() + 1);
    let Plan::Suspend(thread, left) = PLAN.get() else { return };
    if get_current_task() != Some(thread) {
        return;
    }
    if let Some(left) = left.checked_sub(1) {
        return PLAN.set(Plan::Suspend(thread, left));
    }
    PLAN.set(Plan::Suspended);
    while is_anybody_suspended() {
        shuttle::thread::yield_now();
    }
}
