use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How many ticks a call may wait for its answer.
pub(crate) const TICKS: usize = 16;

/// Twice as many as a call can live through, so that none meets the beginners of a later round.
const BUCKETS: usize = 2 * TICKS;

/// The calls of one connection that wait for an answer, by the tick in which they began: what tells that one waited
/// too long without a timer for each.
///
/// Answers come in the order of the calls, so when one is late, all that follow it are.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    now: AtomicUsize,
    waiting: [AtomicUsize; BUCKETS],
    /// Whether a call began since the last tick.
    begun: AtomicBool,
}

impl InFlight {
    /// Counts a call until the guard is dropped.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.begun.store(true, Ordering::Relaxed);
        let bucket = self.bucket(self.now.load(Ordering::Relaxed));
        bucket.fetch_add(1, Ordering::Relaxed);
        Waiting(bucket)
    }

    /// Goes on to the next tick, and gives whether a call has waited for [`TICKS`] of them.
    pub(crate) fn tick(&self) -> bool {
        let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
        let oldest = self.bucket(now.wrapping_sub(TICKS));
        oldest.load(Ordering::Relaxed) > 0
    }

    /// Whether a call began since this was asked before.
    pub(crate) fn take_begun(&self) -> bool {
        self.begun.swap(false, Ordering::Relaxed)
    }

    fn bucket(&self, tick: usize) -> &AtomicUsize {
        // `BUCKETS` is a power of two, so this goes on evenly where the number wraps.
        let place = tick % BUCKETS;
        self.waiting.get(place).unwrap_or(&self.now)
    }
}

/// A call that waits for its answer.
pub(crate) struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_late_after_its_ticks_and_not_before() {
        let calls = InFlight::default();
        let waiting = calls.begin();
        for _ in 1..TICKS {
            assert!(!calls.tick());
        }
        assert!(calls.tick());
        drop(waiting);
        for _ in 0..3 * BUCKETS {
            assert!(!calls.tick());
        }
    }

    #[test]
    fn calls_that_come_and_go_are_never_late() {
        let calls = InFlight::default();
        for _ in 0..10 * BUCKETS {
            let _waiting = calls.begin();
            assert!(!calls.tick());
        }
    }
}
