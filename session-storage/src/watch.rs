//! Watching a storage: changes made through it, and changes that its drivers report.
//!
//! A driver that can watch reports all changes of its keys, those made through the storage included. So a watcher
//! subscribes to such drivers, and takes the storage's own events for the other mounts only. It follows mounts and unmounts
//! while it runs. Where both sources may overlap, a change is reported twice rather than missed.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::future::FutureExt;
use futures_util::stream::{self, SelectAll, StreamExt};
use session_core::{Change, Driver, Error, ErrorKind, Prefix, Result};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use crate::NAME;
use crate::events::{ChangeEvent, SequenceCounter, SequenceNumber};
use crate::mounts::{Mount, MountId, Mounts};
use crate::router::Router;

/// The state of one watcher; see the [module](self).
pub(crate) struct Watcher {
    prefix: Prefix,
    events: broadcast::Receiver<ChangeEvent>,
    mounts: watch::Receiver<Arc<Mounts>>,
    counter: SequenceCounter,
    /// The drivers that report changes themselves.
    drivers: SelectAll<DriverChanges>,
}

/// The changes that the driver of one mount reports.
struct DriverChanges {
    mount: MountId,
    /// Drawn after the driver began to report.
    since: SequenceNumber,
    changes: BoxStream<'static, Result<Change>>,
}

impl Stream for DriverChanges {
    type Item = (MountId, Result<Change>);

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let change = ready!(self.changes.poll_next_unpin(context));
        Poll::Ready(change.map(|change| (self.mount, change)))
    }
}

enum Signal {
    Event(ChangeEvent),
    Lagged(u64),
    Driver(MountId, Result<Change>),
    MountsChanged,
    Closed,
}

impl Watcher {
    /// Starts to watch. All changes after this returns are reported.
    pub(crate) async fn start(
        router: &Router,
        prefix: Prefix,
    ) -> Result<impl Stream<Item = Result<Change>> + Send + 'static> {
        let mut watcher = Self {
            prefix,
            // Subscribed before the drivers, so that nothing is missed in between.
            events: router.events().subscribe(),
            mounts: router.subscribe_mounts(),
            counter: router.events().counter(),
            drivers: SelectAll::new(),
        };
        router.mounts()?;
        watcher.subscribe_drivers().await?;
        Ok(stream::unfold(Some(watcher), |watcher| async move {
            let mut watcher = watcher?;
            let change = watcher.next().await?;
            // An error means that changes were missed: the stream ends, and the caller must watch again.
            let next = change.is_ok().then_some(watcher);
            Some((change, next))
        }))
    }

    async fn next(&mut self) -> Option<Result<Change>> {
        loop {
            let change = match self.next_signal().await {
                Signal::Event(event) => self
                    .is_reported_here_only(&event)
                    .then_some(Ok(event.change)),
                Signal::Driver(mount, change) => self.with_storage_key(mount, change),
                Signal::Lagged(missed) => Some(Err(lagged(missed))),
                Signal::MountsChanged => self.subscribe_drivers().await.err().map(Err),
                Signal::Closed => return None,
            };
            match change {
                Some(Ok(change)) if !self.prefix.contains(&change.key) => {}
                Some(change) => return Some(change),
                None => {}
            }
        }
    }

    async fn next_signal(&mut self) -> Signal {
        if self.mounts.borrow().is_closed() {
            return self.drain();
        }
        tokio::select! {
            biased;
            event = self.events.recv() => match event {
                Ok(event) => Signal::Event(event),
                Err(RecvError::Lagged(missed)) => Signal::Lagged(missed),
                Err(RecvError::Closed) => self.drain(),
            },
            changed = self.mounts.changed() => match changed {
                Ok(()) => Signal::MountsChanged,
                Err(_) => self.drain(),
            },
            Some((mount, change)) = self.drivers.next() => Signal::Driver(mount, change),
        }
    }

    /// The signals from before the storage was closed or dropped.
    fn drain(&mut self) -> Signal {
        match self.events.try_recv() {
            Ok(event) => return Signal::Event(event),
            Err(TryRecvError::Lagged(missed)) => return Signal::Lagged(missed),
            Err(TryRecvError::Empty | TryRecvError::Closed) => {}
        }
        match self.drivers.next().now_or_never().flatten() {
            Some((mount, change)) => Signal::Driver(mount, change),
            None => Signal::Closed,
        }
    }

    /// Whether no driver reports this event as well. An event that was under way when its driver began to report is
    /// reported twice rather than missed.
    fn is_reported_here_only(&self, event: &ChangeEvent) -> bool {
        let mut drivers = self.drivers.iter();
        let driver = drivers.find(|driver| driver.mount == event.mount);
        driver.is_none_or(|driver| event.started < driver.since)
    }

    /// A driver's change with the storage's key; `None` if another mount hides the key.
    fn with_storage_key(&self, id: MountId, change: Result<Change>) -> Option<Result<Change>> {
        let mounts = Arc::clone(&self.mounts.borrow());
        let mount = mounts.iter().find(|mount| mount.id() == id)?;
        let change = match change {
            Ok(change) => change,
            Err(error) => return Some(Err(error)),
        };
        let key = mount.base().join(&change.key);
        let is_visible = mounts.route(&key).0.id() == id;
        is_visible.then_some(Ok(Change::new(key, change.kind)))
    }

    /// Subscribes to the drivers that can watch and are not subscribed to yet.
    async fn subscribe_drivers(&mut self) -> Result<()> {
        let mounts = Arc::clone(&self.mounts.borrow_and_update());
        let is_mounted =
            |driver: &DriverChanges| mounts.iter().any(|mount| mount.id() == driver.mount);
        let before = std::mem::take(&mut self.drivers);
        self.drivers = before.into_iter().filter(is_mounted).collect();
        for mount in mounts.iter() {
            let id = mount.id();
            let is_subscribed = self.drivers.iter().any(|driver| driver.mount == id);
            if is_subscribed || !mount.driver().capabilities().watch {
                continue;
            }
            let Some(prefix) = self.prefix_in(mount) else {
                continue;
            };
            let changes = mount.driver().watch(&prefix).await?;
            self.drivers.push(DriverChanges {
                mount: id,
                since: self.counter.next(),
                changes,
            });
        }
        Ok(())
    }

    /// The watched prefix in the driver of `mount`; `None` if no key of it is watched.
    fn prefix_in(&self, mount: &Mount) -> Option<Prefix> {
        match self.prefix.strip_prefix(mount.base()) {
            Some(_) => Some(Prefix::root()),
            None => mount.base().strip_prefix(&self.prefix),
        }
    }
}

fn lagged(missed: u64) -> Error {
    let message = format!("the watcher was too slow and missed {missed} changes; watch again");
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}
