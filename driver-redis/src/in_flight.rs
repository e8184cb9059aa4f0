use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether anybody waits for an answer from a connection.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    waiting: AtomicUsize,
    /// Whether a call began since it was asked.
    began: AtomicBool,
}

impl InFlight {
    /// Counts a call until the guard is dropped.
    pub(crate) fn begin(&self) -> Waiting<'_> {
        self.began.store(true, Ordering::Relaxed);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting(&self.waiting)
    }

    /// Whether calls wait now, or began since this was asked before and were given up.
    pub(crate) fn were_any(&self) -> bool {
        let began = self.began.swap(false, Ordering::Relaxed);
        began || self.waiting.load(Ordering::Relaxed) > 0
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
    fn a_call_counts_while_it_waits_and_once_if_it_was_given_up() {
        let calls = InFlight::default();
        assert!(!calls.were_any());
        let waiting = calls.begin();
        assert!(calls.were_any() && calls.were_any());
        drop(waiting);
        assert!(!calls.were_any());
        drop(calls.begin());
        assert!(calls.were_any() && !calls.were_any());
    }
}
