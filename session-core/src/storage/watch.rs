use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::future::FutureExt;
use futures_util::stream::{self, SelectAll, StreamExt};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use super::NAME;
use super::events::{Clock, Event, Moment};
use super::mounts::{Mount, MountId, Mounts};
use super::router::Router;
use crate::{Change, Driver, Error, ErrorKind, Prefix, Result};

/// One watcher of a storage: it hears what goes through the storage, except for mounts whose driver tells of all
/// changes itself.
pub(crate) struct Watching {
    prefix: Prefix,
    through_storage: broadcast::Receiver<Event>,
    mounts: watch::Receiver<Arc<Mounts>>,
    clock: Clock,
    /// The drivers that tell themselves.
    drivers: SelectAll<Telling>,
}

/// A driver that tells of its changes.
struct Telling {
    mount: MountId,
    since: Moment,
    changes: BoxStream<'static, Result<Change>>,
}

impl Stream for Telling {
    type Item = (MountId, Result<Change>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let change = ready!(self.changes.poll_next_unpin(context));
        Poll::Ready(change.map(|change| (self.mount, change)))
    }
}

enum Heard {
    Event(Event),
    Lagged(u64),
    Driver(MountId, Result<Change>),
    MountsChanged,
    Closed,
}

impl Watching {
    /// Watches from when this returns.
    pub(crate) async fn start(
        router: &Router,
        prefix: Prefix,
    ) -> Result<impl Stream<Item = Result<Change>> + Send + 'static> {
        let mut watching = Self {
            prefix,
            // Before the drivers, so that nothing is missed between.
            through_storage: router.events().subscribe(),
            mounts: router.follow_mounts(),
            clock: router.events().clock(),
            drivers: SelectAll::new(),
        };
        router.mounts()?;
        watching.follow_drivers().await?;
        Ok(stream::unfold(Some(watching), |watching| async move {
            let mut watching = watching?;
            let change = watching.next().await?;
            // An error says that changes were missed; who goes on must watch anew.
            let following = change.is_ok().then_some(watching);
            Some((change, following))
        }))
    }

    async fn next(&mut self) -> Option<Result<Change>> {
        loop {
            let change = match self.hear().await {
                Heard::Event(event) => self.is_news(&event).then_some(Ok(event.change)),
                Heard::Driver(mount, change) => self.named_by_storage(mount, change),
                Heard::Lagged(missed) => Some(Err(lagged(missed))),
                Heard::MountsChanged => self.follow_drivers().await.err().map(Err),
                Heard::Closed => return None,
            };
            match change {
                Some(Ok(change)) if !self.prefix.contains(&change.key) => {}
                Some(change) => return Some(change),
                None => {}
            }
        }
    }

    async fn hear(&mut self) -> Heard {
        if self.mounts.borrow().is_closed() {
            return self.hear_what_is_left();
        }
        tokio::select! {
            biased;
            event = self.through_storage.recv() => match event {
                Ok(event) => Heard::Event(event),
                Err(RecvError::Lagged(missed)) => Heard::Lagged(missed),
                Err(RecvError::Closed) => self.hear_what_is_left(),
            },
            changed = self.mounts.changed() => match changed {
                Ok(()) => Heard::MountsChanged,
                Err(_) => self.hear_what_is_left(),
            },
            Some((mount, change)) = self.drivers.next() => Heard::Driver(mount, change),
        }
    }

    /// What was told before the storage was closed or dropped.
    fn hear_what_is_left(&mut self) -> Heard {
        match self.through_storage.try_recv() {
            Ok(event) => return Heard::Event(event),
            Err(TryRecvError::Lagged(missed)) => return Heard::Lagged(missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => {}
        }
        match self.drivers.next().now_or_never().flatten() {
            Some((mount, change)) => Heard::Driver(mount, change),
            None => Heard::Closed,
        }
    }

    /// Whether no driver tells of this event too. One that was on its way when its driver began to is told twice
    /// rather than never.
    fn is_news(&self, event: &Event) -> bool {
        let telling = self.drivers.iter().find(|told| told.mount == event.mount);
        telling.is_none_or(|telling| event.begun < telling.since)
    }

    /// A driver's change under the storage's key, unless another mount hides it.
    fn named_by_storage(&self, id: MountId, change: Result<Change>) -> Option<Result<Change>> {
        let mounts = Arc::clone(&self.mounts.borrow());
        let mount = mounts.iter().find(|mount| mount.id() == id)?;
        let change = match change {
            Ok(change) => change,
            Err(error) => return Some(Err(error)),
        };
        let key = mount.base().join(&change.key);
        let is_shown = mounts.route(&key).0.id() == id;
        is_shown.then_some(Ok(Change { key, ..change }))
    }

    /// Watches the drivers that can tell of changes and are not watched yet.
    async fn follow_drivers(&mut self) -> Result<()> {
        let mounts = Arc::clone(&self.mounts.borrow_and_update());
        let is_mounted = |telling: &Telling| mounts.iter().any(|mount| mount.id() == telling.mount);
        let before = std::mem::take(&mut self.drivers);
        self.drivers = before.into_iter().filter(is_mounted).collect();
        for mount in mounts.iter() {
            let id = mount.id();
            let is_told = self.drivers.iter().any(|telling| telling.mount == id);
            if is_told || !mount.driver().capabilities().watch {
                continue;
            }
            let Some(prefix) = self.prefix_in(mount) else {
                continue;
            };
            let changes = mount.driver().watch(&prefix).await?;
            self.drivers.push(Telling {
                mount: id,
                since: self.clock.now(),
                changes,
            });
        }
        Ok(())
    }

    /// What of `mount` is watched; `None` if that is nothing.
    fn prefix_in(&self, mount: &Mount) -> Option<Prefix> {
        match self.prefix.strip_prefix(mount.base()) {
            Some(_) => Some(Prefix::root()),
            None => mount.base().strip_prefix(&self.prefix),
        }
    }
}

fn lagged(missed: u64) -> Error {
    let message = format!("this watcher was too slow and missed {missed} changes; watch anew");
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}
