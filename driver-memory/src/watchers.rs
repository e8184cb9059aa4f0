use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use parking_lot::{Mutex, RwLock};
use session_core::{
    Change, ChangeKind, Error, ErrorKind, InvalidationListener, Key, Prefix, Result,
};
use tokio::sync::broadcast::{self, Sender, error::RecvError};

use crate::NAME;

/// How many changes a watcher may lag behind.
const BACKLOG: usize = 1_024;

/// Tells watchers and listeners of changes. While there are none, it costs a writer two loads.
#[derive(Default)]
pub(crate) struct Watchers {
    watched: AtomicBool,
    sender: Mutex<Option<Sender<Change>>>,
    listened: AtomicBool,
    listeners: RwLock<Vec<Arc<dyn InvalidationListener>>>,
}

impl Watchers {
    pub(crate) fn listen(&self, listener: Arc<dyn InvalidationListener>) {
        self.listeners.write().push(listener);
        self.listened.store(true, Ordering::Release);
    }

    /// Tells the listeners that an entry or its expiry has changed.
    pub(crate) fn invalidate(&self, key: &Key) {
        if self.listened.load(Ordering::Acquire) {
            for listener in &*self.listeners.read() {
                listener.invalidate(key);
            }
        }
    }

    pub(crate) fn tell(&self, key: &Key, kind: ChangeKind) {
        self.invalidate(key);
        if self.watched.load(Ordering::Acquire)
            && let Some(sender) = &*self.sender.lock()
        {
            let key = key.clone();
            let _nobody_listens = sender.send(Change::new(key, kind));
        }
    }

    pub(crate) fn add(&self, prefix: Prefix) -> BoxStream<'static, Result<Change>> {
        let mut sender = self.sender.lock();
        let sender = sender.get_or_insert_with(|| broadcast::channel(BACKLOG).0);
        self.watched.store(true, Ordering::Release);
        let state = Some((sender.subscribe(), prefix));
        stream::unfold(state, |state| async move {
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

    /// Ends the streams of all watchers, and forgets the listeners.
    pub(crate) fn close(&self) {
        self.listened.store(false, Ordering::Release);
        for listener in std::mem::take(&mut *self.listeners.write()) {
            listener.invalidate_all();
        }
        self.watched.store(false, Ordering::Release);
        *self.sender.lock() = None;
    }
}

fn lagged(missed: u64) -> Error {
    let message = format!("this watcher was too slow and missed {missed} changes; watch again");
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}
