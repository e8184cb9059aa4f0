//! The mounts of a storage as one driver.
//!
//! The router finds the driver that holds each key, splits batches by mount, continues listings from one mount to the
//! next, and reports changes to the watchers. [`Storage`](crate::Storage) adds typed values and metadata on top.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::StreamExt;
use session_core::{
    Capabilities, Change, ChangeKind, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage,
    Metadata, Prefix, RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome,
};
use tokio::sync::watch;

use crate::NAME;
use crate::events::{Events, complete};
use crate::list_position::ListPosition;
use crate::metadata::{self, metadata_key};
use crate::mounts::{Mount, MountId, Mounts, Region};
use crate::watch::Watcher;

/// All mounts of a storage as one driver; see the [module](self).
#[derive(Clone)]
pub(crate) struct Router(Arc<Inner>);

struct Inner {
    mounts: watch::Sender<Arc<Mounts>>,
    events: Events,
}

impl Router {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self(Arc::new(Inner {
            mounts: watch::Sender::new(Arc::new(Mounts::new(driver))),
            events: Events::default(),
        }))
    }

    /// The current mounts. An operation keeps the mounts that it started with.
    pub(crate) fn mounts(&self) -> Result<Arc<Mounts>> {
        let mounts = Arc::clone(&self.0.mounts.borrow());
        match mounts.is_closed() {
            true => Err(closed()),
            false => Ok(mounts),
        }
    }

    pub(crate) fn subscribe_mounts(&self) -> watch::Receiver<Arc<Mounts>> {
        self.0.mounts.subscribe()
    }

    pub(crate) fn events(&self) -> &Events {
        &self.0.events
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn mount(&self, mount: Mount) -> Result<()> {
        self.change_mounts(|mounts| Ok((mounts.with(mount)?, ())))
    }

    pub(crate) fn unmount(&self, base: &Prefix) -> Result<Mount> {
        self.change_mounts(|mounts| mounts.without(base))
    }

    /// Replaces the mounts atomically.
    fn change_mounts<T>(&self, change: impl FnOnce(&Mounts) -> Result<(Mounts, T)>) -> Result<T> {
        let mut result = Err(closed());
        self.0.mounts.send_if_modified(|mounts| {
            if mounts.is_closed() {
                return false;
            }
            result = change(mounts).map(|(changed, value)| {
                *mounts = Arc::new(changed);
                value
            });
            result.is_ok()
        });
        result
    }

    /// Groups `keys` by mount. Each key carries its index in the input.
    fn group_by_mount<'k>(
        mounts: &Mounts,
        keys: impl Iterator<Item = &'k Key>,
    ) -> Vec<(Mount, Vec<(usize, Key)>)> {
        let mut groups: Vec<(Mount, Vec<(usize, Key)>)> = Vec::new();
        let mut known: HashMap<MountId, usize> = HashMap::new();
        for (index, key) in keys.enumerate() {
            let (mount, key) = mounts.route(key);
            let group = *known.entry(mount.id()).or_insert_with(|| {
                groups.push((mount.clone(), Vec::new()));
                groups.len() - 1
            });
            if let Some((_, keys)) = groups.get_mut(group) {
                keys.push((index, key));
            }
        }
        groups
    }

    /// Clears a region key by key: keeps what other mounts hide, and reports each key to watchers.
    async fn clear_by_keys(&self, region: &Region) -> Result<()> {
        let Region { mount, base, .. } = region;
        let mut options = ListOptions::below(base.clone());
        loop {
            let page = mount.driver().list(options.clone()).await?;
            let mut keys = page.keys;
            keys.retain(|key| region.is_visible(key));
            if mount.driver().capabilities().unlisted_metadata {
                let metadata: Vec<Key> = keys.iter().map(metadata_key).collect::<Result<_>>()?;
                let removed = self.remove_keys(mount, &metadata).await;
                if !metadata::is_refused(&removed) {
                    removed?;
                }
            }
            self.remove_keys(mount, &keys).await?;
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    /// Removes keys of one mount, given without its base.
    async fn remove_keys(&self, mount: &Mount, keys: &[Key]) -> Result<()> {
        let announce = |key: &Key| {
            let key = mount.base().join(key);
            self.0
                .events
                .announce(mount.id(), &key, ChangeKind::Removed)
        };
        let announced: Vec<_> = match self.0.events.is_watched() {
            true => keys.iter().map(announce).collect(),
            false => Vec::new(),
        };
        let result = mount.driver().remove_many(keys).await;
        // After an error, some of them may have been removed.
        drop(announced);
        result
    }
}

#[async_trait]
impl Driver for Router {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let mounts = Arc::clone(&self.0.mounts.borrow());
        let all = mounts.iter().map(|mount| mount.driver().capabilities());
        let shared = all.reduce(Capabilities::shared_with).unwrap_or_default();
        shared.with_watch(true).with_invalidations(false)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let mounts = self.mounts()?;
        let (mount, key) = mounts.route(key);
        mount.driver().read(&key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let mounts = self.mounts()?;
        let (mount, inner) = mounts.route(key);
        let events = &self.0.events;
        let announced = events.announce(mount.id(), key, ChangeKind::Written);
        let result = mount.driver().write(&inner, value, options).await;
        complete(announced, &result, is_written);
        result
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let mounts = self.mounts()?;
        let (mount, inner) = mounts.route(key);
        let events = &self.0.events;
        let announced = events.announce(mount.id(), key, ChangeKind::Removed);
        let result = mount.driver().remove(&inner, options).await;
        complete(announced, &result, |outcome| {
            matches!(outcome, RemoveOutcome::Removed)
        });
        result
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let mounts = self.mounts()?;
        let start = options
            .cursor
            .as_ref()
            .map(ListPosition::parse)
            .transpose()?;
        let is_finished = |region: &Region| {
            start
                .as_ref()
                .is_some_and(|start| start.is_past(&region.mount))
        };
        let mut regions = mounts
            .regions(&options.prefix)
            .into_iter()
            .skip_while(is_finished)
            .peekable();
        let Some(region) = regions.next() else {
            return Ok(ListPage::default());
        };
        let mut inner = ListOptions::below(region.base.clone()).with_limit(options.limit);
        inner.cursor = start
            .as_ref()
            .and_then(|start| start.cursor_in(&region.mount));
        let page = region.mount.driver().list(inner).await?;
        let visible = page.keys.iter().filter(|key| region.is_visible(key));
        let next = match page.next {
            Some(cursor) => Some(ListPosition::cursor(&region.mount, Some(&cursor))),
            None => regions
                .peek()
                .map(|next| ListPosition::cursor(&next.mount, None)),
        };
        Ok(ListPage::new(
            visible.map(|key| region.mount.base().join(key)).collect(),
            next,
        ))
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let mounts = self.mounts()?;
        let (mount, key) = mounts.route(key);
        mount.driver().exists(&key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let mounts = self.mounts()?;
        let (mount, key) = mounts.route(key);
        mount.driver().metadata(&key).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let mounts = self.mounts()?;
        let (mount, key) = mounts.route(key);
        mount.driver().touch(&key, options).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let mounts = self.mounts()?;
        let groups = Self::group_by_mount(&mounts, keys.iter());
        let reads = groups.into_iter().map(|(mount, group)| async move {
            let (indexes, keys): (Vec<usize>, Vec<Key>) = group.into_iter().unzip();
            let entries = mount.driver().read_many(&keys).await?;
            Ok::<_, Error>((indexes, entries))
        });
        let mut entries: Vec<Option<Entry>> = vec![None; keys.len()];
        for (indexes, found) in try_join_all(reads).await? {
            scatter(&mut entries, indexes, found);
        }
        Ok(entries)
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mounts = match self.mounts() {
            Ok(mounts) => mounts,
            Err(_) => return writes.iter().map(|_| Err(closed())).collect(),
        };
        let groups = Self::group_by_mount(&mounts, writes.iter().map(|write| &write.key));
        let events = &self.0.events;
        let mut writes: Vec<Option<Write>> = writes.into_iter().map(Some).collect();
        let count = writes.len();
        let mut batches = Vec::with_capacity(groups.len());
        for (mount, group) in groups {
            let (mut indexes, mut batch, mut announced) = (Vec::new(), Vec::new(), Vec::new());
            for (index, inner) in group {
                let Some(mut write) = writes.get_mut(index).and_then(Option::take) else {
                    continue;
                };
                announced.push(events.announce(mount.id(), &write.key, ChangeKind::Written));
                write.key = inner;
                indexes.push(index);
                batch.push(write);
            }
            batches.push(async move {
                let outcomes = mount.driver().write_many(batch).await;
                for (announced, outcome) in announced.into_iter().zip(&outcomes) {
                    complete(announced, outcome, is_written);
                }
                (indexes, outcomes)
            });
        }
        let mut outcomes: Vec<Option<Result<WriteOutcome>>> = Vec::new();
        outcomes.resize_with(count, || None);
        for (indexes, done) in join_all(batches).await {
            scatter(&mut outcomes, indexes, done.into_iter().map(Some));
        }
        outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or_else(|| Err(missing_outcome())))
            .collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let mounts = self.mounts()?;
        let groups = Self::group_by_mount(&mounts, keys.iter());
        let removals = groups.into_iter().map(|(mount, group)| async move {
            let keys: Vec<Key> = group.into_iter().map(|(_, key)| key).collect();
            self.remove_keys(&mount, &keys).await
        });
        first_error(join_all(removals).await)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        for region in self.mounts()?.regions(prefix) {
            // Also if the driver reports changes itself: a watcher may not have subscribed to it yet.
            if region.is_partly_hidden() || self.0.events.is_watched() {
                self.clear_by_keys(&region).await?;
            } else {
                region.mount.driver().clear(&region.base).await?;
            }
        }
        Ok(())
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        Ok(Watcher::start(self, prefix.clone()).await?.boxed())
    }

    async fn close(&self) -> Result<()> {
        let mut mounts = Arc::clone(&self.0.mounts.borrow());
        self.0.mounts.send_modify(|current| {
            *current = Arc::new(current.closed());
            mounts = Arc::clone(current);
        });
        let closings = mounts.iter().map(|mount| mount.driver().close());
        first_error(join_all(closings).await)
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the storage is closed; create a new one")
        .with_context(NAME, "call")
}

fn is_written(outcome: &WriteOutcome) -> bool {
    matches!(outcome, WriteOutcome::Written { .. })
}

fn first_error(results: Vec<Result<()>>) -> Result<()> {
    results.into_iter().collect()
}

/// Puts the results of one mount at the indexes of its keys.
fn scatter<T>(all: &mut [T], indexes: Vec<usize>, results: impl IntoIterator<Item = T>) {
    for (index, result) in indexes.into_iter().zip(results) {
        if let Some(slot) = all.get_mut(index) {
            *slot = result;
        }
    }
}

/// The error of a write for which the driver returned no outcome.
fn missing_outcome() -> Error {
    Error::new(
        ErrorKind::Backend,
        "the driver returned no outcome for this write of a batch",
    )
    .with_context(NAME, "write_many")
}
