use std::sync::OnceLock;

use futures_core::stream::BoxStream;
use futures_util::{StreamExt, stream};
use session_core::{Change, ChangeKind, Error, ErrorKind, Key, Prefix, Result};
use tokio::sync::broadcast::{self, Sender, error::RecvError};

use crate::NAME;

/// How many changes a watcher may lag behind.
const BACKLOG: usize = 1_024;

/// Tells watchers of changes; `None` in place of a change ends their streams. Until somebody watches, it costs a writer
/// one load.
#[derive(Default)]
pub(crate) struct Watchers(OnceLock<Sender<Option<Change>>>);

impl Watchers {
    pub(crate) fn tell(&self, key: &Key, kind: ChangeKind) {
        if let Some(sender) = self.0.get() {
            let key = key.clone();
            let _nobody_listens = sender.send(Some(Change { key, kind }));
        }
    }

    pub(crate) fn add(&self, prefix: Prefix) -> BoxStream<'static, Result<Change>> {
        let sender = self.0.get_or_init(|| broadcast::channel(BACKLOG).0);
        let state = Some((sender.subscribe(), prefix));
        stream::unfold(state, |state| async move {
            let (mut receiver, prefix) = state?;
            loop {
                match receiver.recv().await {
                    Ok(Some(change)) if prefix.contains(&change.key) => {
                        return Some((Ok(change), Some((receiver, prefix))));
                    }
                    Ok(Some(_)) => {}
                    Ok(None) | Err(RecvError::Closed) => return None,
                    Err(RecvError::Lagged(missed)) => return Some((Err(lagged(missed)), None)),
                }
            }
        })
        .boxed()
    }

    pub(crate) fn close(&self) {
        if let Some(sender) = self.0.get() {
            let _nobody_listens = sender.send(None);
        }
    }
}

fn lagged(missed: u64) -> Error {
    let message = format!("this watcher was too slow and missed {missed} changes; watch again");
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}
