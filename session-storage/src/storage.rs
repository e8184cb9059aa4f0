//! [`Storage`]: typed values and metadata on top of the [router](crate::router).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_core::stream::BoxStream;
use futures_util::future::try_join;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use session_core::decorators::Prefixed;
use session_core::{
    Change, Driver, Expiry, Key, Prefix, RemoveOptions, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome,
};

use crate::copy::{self, CopyProgress};
use crate::item::StorageItem;
use crate::metadata::{self, ItemMetadata, check_is_object, is_metadata_key, metadata_key};
use crate::mounts::Mount;
use crate::router::Router;
use crate::snapshot::Snapshot;
use crate::{NAME, scan, text};

/// A key-value storage over one driver or several; see the [crate](crate).
///
/// ```
/// use std::sync::Arc;
/// use session_core::{Driver, Result};
/// use session_storage::Storage;
///
/// async fn example(driver: Arc<dyn Driver>) -> Result<()> {
///     let storage = Storage::new(driver);
///     storage.set("visits", &1).await?;
///     assert_eq!(storage.get::<u32>("visits").await?, Some(1));
///     storage.remove("visits").await
/// }
/// ```
///
/// A clone is a cheap handle to the same storage. A storage caches nothing, so two storages over one driver see the same
/// items. If the driver cannot watch, though, the watchers of a storage see only the changes made through that storage.
///
/// Dropping a future leaves the old value or the new one. In a batch this holds for each write on its own.
///
/// A storage adds no timeout: each call ends when the calls to its drivers end.
#[derive(Clone)]
pub struct Storage {
    pub(crate) router: Router,
    base: Prefix,
}

impl Storage {
    /// A storage that holds all keys in `driver`, until others are mounted.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            router: Router::new(driver),
            base: Prefix::root(),
        }
    }

    /// The part of this storage below `base`, as a storage whose keys do not have the base.
    ///
    /// Both share their mounts and watchers. Closing one closes the other.
    ///
    /// A base that contains `?`, or `.` or `..` as a segment, is an error of kind
    /// [`InvalidKey`](session_core::ErrorKind::InvalidKey), as in all methods that take a base: it would stand for another
    /// base, or for everything.
    pub fn prefix(&self, base: &str) -> Result<Self> {
        Ok(Self {
            router: self.router.clone(),
            base: self.below(base)?,
        })
    }

    /// This storage as a driver, for access to versions and conditions, to mount it in another storage, or to store
    /// sessions in it.
    ///
    /// The driver lists the keys of metadata too, and removing a key keeps its metadata. Its capabilities are those that
    /// all mounted drivers share, and it can always watch.
    pub fn as_driver(&self) -> Arc<dyn Driver> {
        match self.base.is_root() {
            true => Arc::new(self.router.clone()),
            false => Arc::new(Prefixed::new(self.router.clone(), self.base.clone())),
        }
    }

    /// The value of `key`; `None` if there is none, or if it is JavaScript's `null`.
    ///
    /// A value that cannot be read as a `T` is an error of kind [`WrongType`](session_core::ErrorKind::WrongType).
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.get_raw(key).await? {
            Some(bytes) => text::decode(&bytes),
            None => Ok(None),
        }
    }

    /// The stored bytes of `key`; `None` if there are none.
    pub async fn get_raw(&self, key: &str) -> Result<Option<Bytes>> {
        let entry = self.router.read(&self.key(key)?).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// The values of several keys, in the order of `keys`, duplicates included. They need not be from one point in time.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: &[impl AsRef<str> + Sync],
    ) -> Result<Vec<Option<T>>> {
        let values = self.get_many_raw(keys).await?.into_iter();
        let decode = |bytes: Option<Bytes>| bytes.map_or(Ok(None), |bytes| text::decode(&bytes));
        values.map(decode).collect()
    }

    /// The stored bytes of several keys, as [`get_many`](Self::get_many) returns values.
    pub async fn get_many_raw(
        &self,
        keys: &[impl AsRef<str> + Sync],
    ) -> Result<Vec<Option<Bytes>>> {
        let entries = self.router.read_many(&self.keys_of(keys)?).await?;
        Ok(entries
            .into_iter()
            .map(|entry| entry.map(|entry| entry.value))
            .collect())
    }

    /// Whether `key` has a value.
    pub async fn has(&self, key: &str) -> Result<bool> {
        self.router.exists(&self.key(key)?).await
    }

    /// Writes `value` as text with the driver's default expiry, unconditionally.
    pub async fn set<T: Serialize + Sync + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        let _unconditional = self.set_with(key, value, WriteOptions::default()).await?;
        Ok(())
    }

    /// Writes `value` as text, which expires after `ttl`, unconditionally.
    pub async fn set_with_ttl<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
        ttl: Duration,
    ) -> Result<()> {
        let options = WriteOptions::default().with_expiry(Expiry::after(ttl));
        let _unconditional = self.set_with(key, value, options).await?;
        Ok(())
    }

    /// Writes `value` as text, with the expiry and the condition in `options`.
    pub async fn set_with<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        value: &T,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let key = self.key(key)?;
        self.router
            .write(&key, text::to_text(value)?, options)
            .await
    }

    /// Writes bytes as they are, with the driver's default expiry, unconditionally.
    pub async fn set_raw(&self, key: &str, value: impl Into<Bytes> + Send) -> Result<()> {
        let options = WriteOptions::default();
        let _unconditional = self.set_raw_with(key, value, options).await?;
        Ok(())
    }

    /// Writes bytes as they are, with the expiry and the condition in `options`.
    pub async fn set_raw_with(
        &self,
        key: &str,
        value: impl Into<Bytes> + Send,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let key = self.key(key)?;
        let options = options.with_raw(true);
        self.router.write(&key, value.into(), options).await
    }

    /// Writes several values as text with the driver's default expiry, and returns a result for each, in the order of
    /// `items`.
    ///
    /// A write that fails does not affect the others. Of two writes to one key, the later one wins.
    pub async fn set_many<K: AsRef<str>, T: Serialize>(
        &self,
        items: impl IntoIterator<Item = (K, T)> + Send,
    ) -> Vec<Result<()>> {
        let items = items
            .into_iter()
            .map(|(key, value)| (key, value, WriteOptions::default()));
        let writes: Vec<_> = items.map(|item| self.to_write(item)).collect();
        let outcomes = self.write_valid(writes).await.into_iter();
        outcomes.map(|outcome| outcome.map(drop)).collect()
    }

    /// Writes several values as text, each with its own options; see [`set_many`](Self::set_many).
    pub async fn set_many_with<K: AsRef<str>, T: Serialize>(
        &self,
        items: impl IntoIterator<Item = (K, T, WriteOptions)> + Send,
    ) -> Vec<Result<WriteOutcome>> {
        let writes: Vec<_> = items.into_iter().map(|item| self.to_write(item)).collect();
        self.write_valid(writes).await
    }

    fn to_write<K: AsRef<str>, T: Serialize>(
        &self,
        (key, value, options): (K, T, WriteOptions),
    ) -> Result<Write> {
        Ok(Write::new(self.key(key.as_ref())?, text::to_text(&value)?).with_options(options))
    }

    /// Executes the valid writes. The errors of the others keep their positions.
    async fn write_valid(&self, writes: Vec<Result<Write>>) -> Vec<Result<WriteOutcome>> {
        let mut valid = Vec::with_capacity(writes.len());
        let errors: Vec<Option<_>> = writes
            .into_iter()
            .map(|write| write.map(|write| valid.push(write)).err())
            .collect();
        let mut outcomes = self.router.write_many(valid).await.into_iter();
        let outcome = |error: Option<_>| match error {
            Some(error) => Some(Err(error)),
            None => outcomes.next(),
        };
        errors.into_iter().filter_map(outcome).collect()
    }

    /// Changes when the item of `key` expires, and returns whether it exists.
    ///
    /// If the driver cannot do that, it is an error of kind [`Unsupported`](session_core::ErrorKind::Unsupported).
    pub async fn touch(&self, key: &str, expiry: Expiry) -> Result<bool> {
        let key = self.key(key)?;
        self.router.touch(&key, TouchOptions::to(expiry)).await
    }

    /// Removes the item of `key` and its metadata. It also succeeds if the key is absent.
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.remove_many(&[key]).await
    }

    /// Removes several items and their metadata.
    ///
    /// It is not atomic: after an error, some may have been removed. It is safe to repeat.
    pub async fn remove_many(&self, keys: &[impl AsRef<str> + Sync]) -> Result<()> {
        let keys = self.keys_of(keys)?;
        let items = keys.iter().filter(|key| !is_metadata_key(key));
        let metadata: Vec<Key> = items.map(metadata_key).collect::<Result<_>>()?;
        // Metadata first, so that none is left that a later item of this key would inherit.
        let all = [metadata.as_slice(), &keys].concat();
        let removed = self.router.remove_many(&all).await;
        if !metadata::is_refused(&removed) {
            return removed;
        }
        for key in &metadata {
            self.remove_metadata_at(key).await?;
        }
        self.router.remove_many(&keys).await
    }

    /// The metadata of `key`; `None` if there is neither an item nor metadata.
    pub async fn metadata(&self, key: &str) -> Result<Option<ItemMetadata>> {
        let key = self.key(key)?;
        let custom_key = metadata_key(&key)?;
        let custom = scan::read_metadata(&self.router, &custom_key);
        let (native, custom) = try_join(self.router.metadata(&key), custom).await?;
        if native.is_none() && custom.is_none() {
            return Ok(None);
        }
        Ok(Some(ItemMetadata {
            native,
            custom: custom
                .map(|entry| metadata::parse(&entry.value))
                .unwrap_or_default(),
        }))
    }

    /// Replaces the metadata of `key` that was set before. It must serialize to an object.
    ///
    /// The metadata gets the current expiry of the item, if the driver reports it, and the driver's default otherwise.
    pub async fn set_metadata<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        metadata: &T,
    ) -> Result<()> {
        let key = self.key(key)?;
        let text = text::to_text(metadata)?;
        check_is_object(&text)?;
        let reports_expiry = {
            let mounts = self.router.mounts()?;
            let (mount, _) = mounts.route(&key);
            mount.driver().capabilities().reports_expiry
        };
        let item = match reports_expiry {
            true => self.router.metadata(&key).await?,
            false => None,
        };
        let expiry = match item {
            Some(item) => item.expires_at.map_or(Expiry::Never, Expiry::At),
            None => Expiry::Default,
        };
        let options = WriteOptions::default().with_expiry(expiry);
        let key = metadata_key(&key)?;
        let _unconditional = self.router.write(&key, text, options).await?;
        Ok(())
    }

    /// Removes what [`set_metadata`](Self::set_metadata) wrote.
    pub async fn remove_metadata(&self, key: &str) -> Result<()> {
        self.remove_metadata_at(&metadata_key(&self.key(key)?)?)
            .await
    }

    async fn remove_metadata_at(&self, key: &Key) -> Result<()> {
        let removed = self.router.remove(key, RemoveOptions::default()).await;
        match metadata::is_refused(&removed) {
            true => Ok(()),
            false => removed.map(drop),
        }
    }

    /// Streams the keys below `base`, in any order. An empty base is the root.
    ///
    /// One page of keys is in memory at a time. Keys of metadata are left out. A key may be returned more than once if
    /// the driver's [`Listing`](session_core::Listing) allows it.
    pub fn keys(&self, base: &str) -> impl Stream<Item = Result<Key>> + Send + 'static + use<> {
        self.keys_to_depth(base, usize::MAX)
    }

    /// Streams the keys below `base` that have at most `depth` separators; `a:b:c` has two.
    pub fn keys_to_depth(
        &self,
        base: &str,
        depth: usize,
    ) -> impl Stream<Item = Result<Key>> + Send + 'static + use<> {
        let own = self.base.clone();
        let pages = self.below(base).map(|base| scan::pages(&self.router, base));
        let keys = or_error(pages).map_ok(move |page| {
            let mut keys: Vec<Key> = page.iter().filter_map(|key| own.strip(key)).collect();
            keys.retain(|key| !is_metadata_key(key) && depth_of(key) <= depth);
            stream::iter(keys).map(Ok)
        });
        keys.try_flatten()
    }

    /// Streams the items below `base`, metadata included.
    ///
    /// 32 items are in memory at a time. An item that is changed meanwhile is returned before or after the change.
    pub fn items(
        &self,
        base: &str,
    ) -> impl Stream<Item = Result<StorageItem>> + Send + 'static + use<> {
        let batches = self.below(base);
        or_error(batches.map(|base| scan::batches(&self.router, base)))
            .map_ok(|batch| stream::iter(batch).map(Ok))
            .try_flatten()
    }

    /// Removes the items below `base` in all mounts. Items that a mount hides are kept.
    ///
    /// An item that is written meanwhile may be removed or kept. After an error, some items may have been removed. It is
    /// safe to repeat.
    pub async fn clear(&self, base: &str) -> Result<()> {
        self.router.clear(&self.below(base)?).await
    }

    /// Mounts `driver` at `base`: it holds the keys below the base from now on.
    ///
    /// The keys that other drivers hold there are hidden until it is unmounted. The key that equals the base is not
    /// affected. A base that is already in use is an error. Do not mount a storage in itself: its listings would be
    /// infinite.
    pub fn mount(&self, base: &str, driver: Arc<dyn Driver>) -> Result<()> {
        self.router.mount(Mount::new(self.below(base)?, driver))
    }

    /// Removes the mount at `base`, and returns its driver, which stays open.
    pub fn unmount(&self, base: &str) -> Result<Arc<dyn Driver>> {
        let mount = self.router.unmount(&self.below(base)?)?;
        Ok(Arc::clone(mount.driver()))
    }

    /// The mounts that hold keys of this storage, most specific first.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let mounts = self.router.mounts()?;
        let regions = mounts.regions(&self.base).into_iter();
        Ok(regions.map(|region| self.relative(&region.mount)).collect())
    }

    /// The mount that holds `key`.
    pub fn mount_of(&self, key: &str) -> Result<Mount> {
        let mounts = self.router.mounts()?;
        Ok(self.relative(mounts.route(&self.key(key)?).0))
    }

    /// The mount with its base relative to this storage. One above this storage becomes its root.
    fn relative(&self, mount: &Mount) -> Mount {
        let base = self.base.strip_prefix(mount.base());
        mount.with_base(base.unwrap_or_default())
    }

    /// Reads all items below `base` into memory.
    ///
    /// The items need not be from one point in time: one that is changed meanwhile is read before or after the change.
    pub async fn snapshot(&self, base: &str) -> Result<Snapshot> {
        let mut batches = std::pin::pin!(scan::batches(&self.router, self.below(base)?));
        let mut snapshot = Snapshot::default();
        while let Some(items) = batches.try_next().await? {
            snapshot.extend(items);
        }
        Ok(snapshot)
    }

    /// Writes the items of `snapshot` below `base`, each with its expiry. Other items are kept.
    ///
    /// Items that have expired since are skipped. After an error, some items may have been written. It is safe to repeat.
    pub async fn restore(&self, base: &str, snapshot: &Snapshot) -> Result<()> {
        let base = self.below(base)?;
        let mut items = snapshot.iter().peekable();
        while items.peek().is_some() {
            copy::write(&self.router, &base, items.by_ref().take(scan::BATCH)).await?;
        }
        Ok(())
    }

    /// Copies the items below `base`, metadata included, to below `target_base` in `target`.
    ///
    /// Polling the stream copies 32 items at a time, and returns the progress. Dropping the stream stops the copy. Nothing
    /// is removed from the target.
    ///
    /// Within one storage, it is an error if one of the bases lies within the other. This cannot be detected for two
    /// storages over one driver.
    pub fn copy_to(
        &self,
        base: &str,
        target: &Self,
        target_base: &str,
    ) -> impl Stream<Item = Result<CopyProgress>> + Send + 'static + use<> {
        let bases = self
            .below(base)
            .and_then(|base| Ok((base, target.below(target_base)?)));
        or_error(bases.map(|(base, below)| copy::copy(self, base, target, below)))
    }

    /// Streams the changes below `base` from now on.
    ///
    /// These are the changes made through this storage, batches and `clear` included, and the changes made by others if the
    /// driver can watch. A change with an unknown outcome is reported. A change of metadata is reported under its own key;
    /// the removal of metadata along with its item may or may not be reported.
    ///
    /// If the driver cannot watch, an item that expires is not reported, and a removal is also reported if the key was
    /// absent.
    ///
    /// A watcher that is 4,096 changes behind gets an error of kind
    /// [`Unavailable`](session_core::ErrorKind::Unavailable), and the stream ends. It also ends when the storage is closed
    /// or its last handle is dropped.
    pub async fn watch(&self, base: &str) -> Result<BoxStream<'static, Result<Change>>> {
        let changes = self.router.watch(&self.below(base)?).await?;
        let own = self.base.clone();
        let relative = changes.filter_map(move |change| {
            let change = change.map(|change| {
                own.strip(&change.key)
                    .map(|key| Change::new(key, change.kind))
            });
            std::future::ready(change.transpose())
        });
        Ok(relative.boxed())
    }

    /// Closes all drivers and ends all watchers.
    ///
    /// It affects all handles to this storage. Later calls are errors of kind
    /// [`Closed`](session_core::ErrorKind::Closed). Closing twice is not an error.
    pub async fn close(&self) -> Result<()> {
        self.router.close().await
    }

    fn key(&self, key: &str) -> Result<Key> {
        Ok(self.base.join(&Key::new(key)?))
    }

    fn keys_of(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Key>> {
        keys.iter().map(|key| self.key(key.as_ref())).collect()
    }

    fn below(&self, base: &str) -> Result<Prefix> {
        let base = Prefix::new(base).map_err(|error| error.with_context(NAME, "base"))?;
        Ok(self.base.join_prefix(&base))
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mounts = self.router.mounts();
        let mounts: Vec<Mount> = mounts
            .map(|mounts| mounts.iter().cloned().collect())
            .unwrap_or_default();
        f.debug_struct("Storage")
            .field("base", &self.base)
            .field("mounts", &mounts)
            .finish()
    }
}

/// The stream, or a stream of the error.
fn or_error<T, S: Stream<Item = Result<T>>>(items: Result<S>) -> impl Stream<Item = Result<T>> {
    match items {
        Ok(items) => items.left_stream(),
        Err(error) => stream::iter([Err(error)]).right_stream(),
    }
}

/// The number of separators in a key.
fn depth_of(key: &Key) -> usize {
    key.as_str().matches(':').count()
}
