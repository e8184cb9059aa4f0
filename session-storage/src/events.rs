//! Tells the watchers of a storage which changes go through it.
//!
//! A write announces its change before it calls the driver. The announcement is sent when it is dropped, also if the
//! future of the write is dropped, since the change may have been applied then. It is cancelled only if the change was
//! certainly not applied. Changes carry a sequence number, by which a watcher knows whether a driver that it watches has
//! reported the change as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use session_core::{Change, ChangeKind, Key, Outcome, Result};
use tokio::sync::broadcast::{Receiver, Sender};

use crate::mounts::MountId;

/// How many changes a watcher may lag behind: several pages of a clear.
const BACKLOG: usize = 4_096;

/// A change that was made through a storage.
#[derive(Clone, Debug)]
pub(crate) struct ChangeEvent {
    /// The change, with the key of the storage.
    pub(crate) change: Change,
    /// The mount that holds the key.
    pub(crate) mount: MountId,
    /// Drawn before the change was made.
    pub(crate) started: SequenceNumber,
}

/// A position in the order of events of one storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SequenceNumber(u64);

/// Draws increasing numbers. Clones share the counter.
#[derive(Clone, Default)]
pub(crate) struct SequenceCounter(Arc<AtomicU64>);

impl SequenceCounter {
    pub(crate) fn next(&self) -> SequenceNumber {
        SequenceNumber(self.0.fetch_add(1, Ordering::SeqCst))
    }
}

/// The channel from writers to watchers. While nobody watches, it costs a write one atomic load.
#[derive(Default)]
pub(crate) struct Events {
    /// Created by the first watcher, because its buffer is as large as the backlog.
    sender: OnceLock<Sender<ChangeEvent>>,
    counter: SequenceCounter,
}

impl Events {
    pub(crate) fn subscribe(&self) -> Receiver<ChangeEvent> {
        let sender = self.sender.get_or_init(|| Sender::new(BACKLOG));
        sender.subscribe()
    }

    pub(crate) fn is_watched(&self) -> bool {
        self.sender
            .get()
            .is_some_and(|sender| sender.receiver_count() > 0)
    }

    pub(crate) fn counter(&self) -> SequenceCounter {
        self.counter.clone()
    }

    /// Announces a change that is about to be made. Watchers are told when the announcement is dropped.
    pub(crate) fn announce(
        &self,
        mount: MountId,
        key: &Key,
        kind: ChangeKind,
    ) -> Option<Announcement<'_>> {
        self.is_watched().then(|| Announcement {
            events: self,
            event: Some(ChangeEvent {
                change: Change::new(key.clone(), kind),
                mount,
                started: self.counter.next(),
            }),
        })
    }
}

/// A change that watchers are told of when this is dropped.
pub(crate) struct Announcement<'a> {
    events: &'a Events,
    event: Option<ChangeEvent>,
}

impl Announcement<'_> {
    fn cancel(mut self) {
        self.event = None;
    }
}

impl Drop for Announcement<'_> {
    fn drop(&mut self) {
        if let (Some(event), Some(sender)) = (self.event.take(), self.events.sender.get()) {
            // Sending fails only if there is no watcher any more.
            let _no_watcher = sender.send(event);
        }
    }
}

/// Sends an announcement, or cancels it if the change was certainly not applied.
pub(crate) fn complete<T>(
    announcement: Option<Announcement<'_>>,
    result: &Result<T>,
    is_applied: impl FnOnce(&T) -> bool,
) {
    let may_be_applied = match result {
        Ok(outcome) => is_applied(outcome),
        Err(error) => error.outcome() == Outcome::Unknown,
    };
    if let (Some(announcement), false) = (announcement, may_be_applied) {
        announcement.cancel();
    }
}
