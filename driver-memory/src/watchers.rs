use std::sync::atomic::{AtomicBool, Ordering};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use futures_util::stream;
use parking_lot::Mutex;
use session_core::{Change, ChangeKind, Error, ErrorKind, Key, Prefix, Result};
use tokio::sync::broadcast::{self, Receiver, Sender, error::RecvError};

use crate::NAME;

/// How many changes a watcher may lag behind.
const BACKLOG: usize = 1_024;

/// Who is told of changes. It costs a writer one load for as long as nobody watches.
#[derive(Default)]
pub(crate) struct Watchers {
    watched: AtomicBool,
    sender: Mutex<Option<Sender<Change>>>,
}

impl Watchers {
    /// Tells of a change. Called under the lock of the key's shard, so that the changes of a key come in
    /// the order in which they were made.
    #[inline]
    pub(crate) fn tell(&self, key: &Key, kind: ChangeKind) {
        if self.watched.load(Ordering::Acquire) {
            self.tell_watchers(key, kind);
        }
    }

    #[cold]
    fn tell_watchers(&self, key: &Key, kind: ChangeKind) {
        let mut sender = self.sender.lock();
        let change = Change::new(key.clone(), kind);
        let nobody_listens = sender
            .as_ref()
            .is_none_or(|sender| sender.send(change).is_err());
        if nobody_listens {
            *sender = None;
            self.watched.store(false, Ordering::Release);
        }
    }

    pub(crate) fn add(&self, prefix: Prefix) -> BoxStream<'static, Result<Change>> {
        let mut sender = self.sender.lock();
        let receiver = sender
            .get_or_insert_with(|| broadcast::channel(BACKLOG).0)
            .subscribe();
        self.watched.store(true, Ordering::Release);
        changes(receiver, prefix)
    }

    /// Ends the streams of all watchers.
    pub(crate) fn close(&self) {
        *self.sender.lock() = None;
        self.watched.store(false, Ordering::Release);
    }
}

fn changes(receiver: Receiver<Change>, prefix: Prefix) -> BoxStream<'static, Result<Change>> {
    stream::unfold(Some((receiver, prefix)), |state| async move {
        let (mut receiver, prefix) = state?;
        loop {
            match receiver.recv().await {
                Ok(change) if prefix.contains(&change.key) => {
                    return Some((Ok(change), Some((receiver, prefix))));
                }
                Ok(_) => {}
                Err(RecvError::Closed) => return None,
                Err(RecvError::Lagged(missed)) => return Some((Err(lagged(missed)), None)),
            }
        }
    })
    .boxed()
}

fn lagged(missed: u64) -> Error {
    let message = format!("this watcher was too slow and missed {missed} changes; watch anew");
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}
