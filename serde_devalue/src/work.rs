//! Counts the work of reading, so that tests and fuzz targets can check its bounds without a clock.

#[cfg(any(test, fuzzing))]
use std::cell::Cell;

#[cfg(any(test, fuzzing))]
thread_local! {
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Counts bytes that were looked at, or steps that take about as long.
#[inline(always)]
pub(crate) fn count(steps: usize) {
    #[cfg(any(test, fuzzing))]
    DONE.with(|done| done.set(done.get() + steps as u64));
    #[cfg(not(any(test, fuzzing)))]
    let _ = steps;
}

/// Returns the work of `read` in this thread.
#[cfg(any(test, fuzzing))]
#[allow(unreachable_pub, reason = "the fuzz targets call it")]
pub fn of(read: impl FnOnce()) -> u64 {
    DONE.with(|done| done.set(0));
    read();
    DONE.with(Cell::get)
}
