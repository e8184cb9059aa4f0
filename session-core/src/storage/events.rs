use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::sync::broadcast::{Receiver, Sender};

use super::mounts::MountId;
use crate::{Change, ChangeKind, Error, Key, Outcome, Result};

/// How many changes a watcher may lag behind: several pages of a clear.
const BACKLOG: usize = 4_096;

/// A change that was made through a storage.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The key as the storage has it.
    pub(crate) change: Change,
    /// The mount that the key is in.
    pub(crate) mount: MountId,
    /// The moment before which the change was not made.
    pub(crate) begun: Moment,
}

/// A place in the order of what goes through a storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

/// Who is told of what goes through a storage. It costs a writer one load for as long as nobody watches.
#[derive(Default)]
pub(crate) struct Events {
    /// Made for the first watcher, since it is as large as its backlog.
    sender: OnceLock<Sender<Event>>,
    clock: Clock,
}

/// Gives moments; clones give them in one order.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    /// The moment now: what begins later has a later one.
    pub(crate) fn now(&self) -> Moment {
        Moment(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

impl Events {
    pub(crate) fn subscribe(&self) -> Receiver<Event> {
        let sender = self.sender.get_or_init(|| Sender::new(BACKLOG));
        sender.subscribe()
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.sender
            .get()
            .is_some_and(|sender| sender.receiver_count() > 0)
    }

    pub(crate) fn clock(&self) -> Clock {
        self.clock.clone()
    }

    /// Says that a change is about to be made. Watchers are told when what is returned goes away, also when that is
    /// because the future that makes the change was dropped: it may have been made.
    pub(crate) fn announce(
        &self,
        mount: MountId,
        key: &Key,
        kind: ChangeKind,
    ) -> Option<Announcement<'_>> {
        self.is_watched().then(|| Announcement {
            events: self,
            event: Some(Event {
                change: Change::new(key.clone(), kind),
                mount,
                begun: self.clock.now(),
            }),
        })
    }
}

/// A change that watchers will be told of.
pub(crate) struct Announcement<'a> {
    events: &'a Events,
    event: Option<Event>,
}

impl Announcement<'_> {
    fn take_back(mut self) {
        self.event = None;
    }
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let (Some(event), Some(sender)) = (self.event.take(), self.events.sender.get()) {
            // An error is that nobody watches any more.
            let _nobody = sender.send(event);
        }
    }
}

/// Takes back what was announced if it certainly was not done.
pub(crate) fn settle<T>(
    announcement: Option<Announcement<'_>>,
    result: &Result<T>,
    was_done: impl FnOnce(&T) -> bool,
) {
    let was_done = match result {
        Ok(outcome) => was_done(outcome),
        Err(error) => may_have_happened(error),
    };
    if let (Some(announcement), false) = (announcement, was_done) {
        announcement.take_back();
    }
}

fn may_have_happened(error: &Error) -> bool {
    error.outcome() == Outcome::Unknown
}
