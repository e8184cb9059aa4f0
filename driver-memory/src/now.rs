use std::cell::OnceCell;

use session_core::{Clock, Timestamp};

/// The time of one operation, read when it is first needed: most entries of most callers need it, but an
/// operation on those that never end should not pay for it, and none should see two times.
pub(crate) struct Now<'a> {
    clock: &'a dyn Clock,
    time: OnceCell<Timestamp>,
}

impl<'a> Now<'a> {
    pub(crate) fn of(clock: &'a dyn Clock) -> Self {
        Self {
            clock,
            time: OnceCell::new(),
        }
    }

    pub(crate) fn get(&self) -> Timestamp {
        *self.time.get_or_init(|| self.clock.now())
    }
}
