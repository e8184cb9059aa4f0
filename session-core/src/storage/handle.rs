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

use super::copy::{self, CopyProgress};
use super::item::Item;
use super::metadata::{ItemMetadata, check_is_object, custom_of, is_metadata, key_of_metadata};
use super::mounts::Mount;
use super::router::Router;
use super::snapshot::Snapshot;
use super::{text, walk};
use crate::decorators::Prefixed;
use crate::{
    Change, Driver, Expiry, Key, Prefix, RemoveOptions, Result, TouchOptions, Write, WriteOptions,
    WriteOutcome,
};

/// Typed values, bytes and metadata by key, over one driver or several; see the [module](super).
///
/// ```
/// use std::sync::Arc;
/// use session_core::{Driver, Result, storage::Storage};
///
/// async fn example(driver: Arc<dyn Driver>) -> Result<()> {
///     let storage = Storage::new(driver);
///     storage.set("visits", &1).await?;
///     assert_eq!(storage.get::<u32>("visits").await?, Some(1));
///     storage.remove("visits").await
/// }
/// ```
///
/// A clone is another handle to the same storage, and cheap. Nothing is held in memory but the mounts, so two
/// storages over one driver see the same items; but each tells its own watchers only of what goes through it, where
/// the driver cannot tell.
///
/// A future that is dropped leaves the old value or the new one. Of a batch, each write is made for itself.
#[derive(Clone)]
pub struct Storage {
    pub(super) router: Router,
    base: Prefix,
}

impl Storage {
    /// A storage whose keys are all in `driver`, until others are mounted.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            router: Router::new(driver),
            base: Prefix::root(),
        }
    }

    /// The part of this storage below `base`, as a storage: its keys are those below the base, without it.
    ///
    /// It shares mounts and watchers with this one, and closing it closes both.
    #[must_use]
    pub fn prefix(&self, base: &str) -> Self {
        Self {
            router: self.router.clone(),
            base: self.below(base),
        }
    }

    /// This storage as a driver: for conditions, versions and batches of all kinds, to mount it in another one, or to
    /// keep sessions in it.
    ///
    /// Its listings include the keys of metadata, and removing a key leaves them. It can do what all its drivers can;
    /// watching it tells of what goes through the storage and of what drivers see.
    pub fn as_driver(&self) -> Arc<dyn Driver> {
        match self.base.is_root() {
            true => Arc::new(self.router.clone()),
            false => Arc::new(Prefixed::new(self.router.clone(), self.base.clone())),
        }
    }

    /// The value of `key`; `None` if it has none, or JavaScript's `null`.
    ///
    /// What cannot be read as a `T` is an error of kind [`WrongType`](crate::ErrorKind::WrongType).
    pub async fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.get_raw(key).await? {
            Some(bytes) => text::decode(&bytes),
            None => Ok(None),
        }
    }

    /// The bytes of `key` as they are stored, or `None` if it has none.
    pub async fn get_raw(&self, key: &str) -> Result<Option<Bytes>> {
        let entry = self.router.read(&self.key(key)?).await?;
        Ok(entry.map(|entry| entry.value))
    }

    /// The values of several keys, in the order of `keys`, duplicates included. It is not a snapshot.
    pub async fn get_many<T: DeserializeOwned>(
        &self,
        keys: &[impl AsRef<str> + Sync],
    ) -> Result<Vec<Option<T>>> {
        let values = self.get_many_raw(keys).await?.into_iter();
        let decode = |bytes: Option<Bytes>| bytes.map_or(Ok(None), |bytes| text::decode(&bytes));
        values.map(decode).collect()
    }

    /// The bytes of several keys, in the order of `keys`, duplicates included. It is not a snapshot.
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

    /// Writes `value` as text with the driver's default expiry, whatever was there.
    pub async fn set<T: Serialize + Sync + ?Sized>(&self, key: &str, value: &T) -> Result<()> {
        let _unconditional = self.set_with(key, value, WriteOptions::default()).await?;
        Ok(())
    }

    /// Writes `value` as text for as long as `ttl` from now, whatever was there.
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

    /// Writes `value` as text, with an expiry and on a condition.
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

    /// Writes bytes as they are with the driver's default expiry, whatever was there.
    pub async fn set_raw(&self, key: &str, value: impl Into<Bytes> + Send) -> Result<()> {
        let options = WriteOptions::default();
        let _unconditional = self.set_raw_with(key, value, options).await?;
        Ok(())
    }

    /// Writes bytes as they are, with an expiry and on a condition.
    pub async fn set_raw_with(
        &self,
        key: &str,
        value: impl Into<Bytes> + Send,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let key = self.key(key)?;
        self.router.write(&key, value.into(), options).await
    }

    /// Writes several values as text with the driver's default expiry. The results stand in the order of `items`;
    /// one that fails leaves the others alone, and of two writes to one key the later one wins.
    pub async fn set_many<K: AsRef<str>, T: Serialize>(
        &self,
        items: impl IntoIterator<Item = (K, T)> + Send,
    ) -> Vec<Result<()>> {
        let items = items
            .into_iter()
            .map(|(key, value)| (key, value, WriteOptions::default()));
        let writes: Vec<_> = items.map(|item| self.to_write(item)).collect();
        let outcomes = self.write_those_made(writes).await.into_iter();
        outcomes.map(|outcome| outcome.map(drop)).collect()
    }

    /// Writes several values as text, each with its expiry and on its condition, as [`set_many`](Self::set_many)
    /// does.
    pub async fn set_many_with<K: AsRef<str>, T: Serialize>(
        &self,
        items: impl IntoIterator<Item = (K, T, WriteOptions)> + Send,
    ) -> Vec<Result<WriteOutcome>> {
        let writes: Vec<_> = items.into_iter().map(|item| self.to_write(item)).collect();
        self.write_those_made(writes).await
    }

    fn to_write<K: AsRef<str>, T: Serialize>(
        &self,
        (key, value, options): (K, T, WriteOptions),
    ) -> Result<Write> {
        Ok(Write::new(self.key(key.as_ref())?, text::to_text(&value)?).with_options(options))
    }

    /// Makes the writes that could be made up, and keeps the errors of the others where they stand.
    async fn write_those_made(&self, writes: Vec<Result<Write>>) -> Vec<Result<WriteOutcome>> {
        let mut made = Vec::with_capacity(writes.len());
        let errors: Vec<Option<_>> = writes
            .into_iter()
            .map(|write| write.map(|write| made.push(write)).err())
            .collect();
        let mut outcomes = self.router.write_many(made).await.into_iter();
        let outcome = |error: Option<_>| match error {
            Some(error) => Some(Err(error)),
            None => outcomes.next(),
        };
        errors.into_iter().filter_map(outcome).collect()
    }

    /// Moves the end of the item of `key`, and says whether there is one. Where the driver cannot, it is an error of
    /// kind [`Unsupported`](crate::ErrorKind::Unsupported).
    pub async fn touch(&self, key: &str, expiry: Expiry) -> Result<bool> {
        let key = self.key(key)?;
        self.router.touch(&key, TouchOptions::to(expiry)).await
    }

    /// Removes the item of `key` and its metadata, where there are any.
    pub async fn remove(&self, key: &str) -> Result<()> {
        self.remove_many(&[key]).await
    }

    /// Removes several items and their metadata. It is not atomic: after an error some may be gone; doing it again
    /// is safe.
    pub async fn remove_many(&self, keys: &[impl AsRef<str> + Sync]) -> Result<()> {
        let mut all = Vec::with_capacity(keys.len() * 2);
        for key in self.keys_of(keys)? {
            if !is_metadata(&key) {
                // First, so that none can be left over to be taken for that of a later item.
                all.push(key_of_metadata(&key)?);
            }
            all.push(key);
        }
        self.router.remove_many(&all).await
    }

    /// What is known of the item of `key`, by the driver and by what was set; `None` if that is nothing.
    pub async fn metadata(&self, key: &str) -> Result<Option<ItemMetadata>> {
        let key = self.key(key)?;
        let key_of_custom = key_of_metadata(&key)?;
        let (native, custom) =
            try_join(self.router.metadata(&key), self.router.read(&key_of_custom)).await?;
        if native.is_none() && custom.is_none() {
            return Ok(None);
        }
        Ok(Some(ItemMetadata {
            native,
            custom: custom
                .map(|entry| custom_of(&entry.value))
                .unwrap_or_default(),
        }))
    }

    /// Writes metadata of the item of `key`, an object, in place of what was set before. It ends with the item as
    /// that stands now.
    pub async fn set_metadata<T: Serialize + Sync + ?Sized>(
        &self,
        key: &str,
        metadata: &T,
    ) -> Result<()> {
        let key = self.key(key)?;
        let text = text::to_text(metadata)?;
        check_is_object(&text)?;
        let reports = {
            let mounts = self.router.mounts()?;
            let (mount, _) = mounts.route(&key);
            mount.driver().capabilities().reports_expiry
        };
        let item = match reports {
            true => self.router.metadata(&key).await?,
            false => None,
        };
        let expiry = match item {
            Some(item) => item.expires_at.map_or(Expiry::Never, Expiry::At),
            None => Expiry::Default,
        };
        let options = WriteOptions::default().with_expiry(expiry);
        let key = key_of_metadata(&key)?;
        let _unconditional = self.router.write(&key, text, options).await?;
        Ok(())
    }

    /// Removes what [`set_metadata`](Self::set_metadata) wrote.
    pub async fn remove_metadata(&self, key: &str) -> Result<()> {
        let key = key_of_metadata(&self.key(key)?)?;
        let _unconditional = self.router.remove(&key, RemoveOptions::default()).await?;
        Ok(())
    }

    /// Every key below `base`, which is the root if it is empty, a page at a time as the stream is polled, in any
    /// order. Keys of metadata are left out; a key may come more than once where the driver's listing says so.
    pub fn keys(&self, base: &str) -> impl Stream<Item = Result<Key>> + Send + 'static + use<> {
        self.keys_to_depth(base, usize::MAX)
    }

    /// The keys below `base` that have at most `depth` separators, counted from the start of the key: `a:b:c` has
    /// two.
    pub fn keys_to_depth(
        &self,
        base: &str,
        depth: usize,
    ) -> impl Stream<Item = Result<Key>> + Send + 'static + use<> {
        let own = self.base.clone();
        let keys = walk::pages(&self.router, self.below(base)).map_ok(move |page| {
            let mut keys: Vec<Key> = page.iter().filter_map(|key| own.strip(key)).collect();
            keys.retain(|key| !is_metadata(key) && depth_of(key) <= depth);
            stream::iter(keys).map(Ok)
        });
        keys.try_flatten()
    }

    /// Every item below `base` whole, metadata included, a batch of 32 at a time as the stream is polled.
    ///
    /// One that is changed meanwhile comes as it was or as it is.
    pub fn items(&self, base: &str) -> impl Stream<Item = Result<Item>> + Send + 'static + use<> {
        walk::batches(&self.router, self.below(base))
            .map_ok(|batch| stream::iter(batch).map(Ok))
            .try_flatten()
    }

    /// Removes every item below `base`, in all mounts, and none beside it. What one mount hides of another stays.
    ///
    /// An item that is written meanwhile may stay or go; after an error some are gone; doing it again is safe.
    pub async fn clear(&self, base: &str) -> Result<()> {
        self.router.clear(&self.below(base)).await
    }

    /// Keeps the keys below `base` in `driver` from now on. What other drivers hold there is hidden until it is
    /// unmounted. The key that equals the base stays where it is.
    ///
    /// A mount within another one hides it in turn. A base that is mounted already is an error. A storage is not to
    /// be mounted in itself: there would be no end to its keys.
    pub fn mount(&self, base: &str, driver: Arc<dyn Driver>) -> Result<()> {
        self.router.mount(Mount::new(self.below(base), driver))
    }

    /// Takes away the mount at `base`, and gives back its driver, which stays open.
    pub fn unmount(&self, base: &str) -> Result<Arc<dyn Driver>> {
        let mount = self.router.unmount(&self.below(base))?;
        Ok(Arc::clone(mount.driver()))
    }

    /// The mounts that have keys of this storage, most specific first.
    pub fn mounts(&self) -> Result<Vec<Mount>> {
        let mounts = self.router.mounts()?;
        let regions = mounts.regions(&self.base).into_iter();
        Ok(regions
            .map(|region| self.named_here(&region.mount))
            .collect())
    }

    /// The mount that has `key`.
    pub fn mount_of(&self, key: &str) -> Result<Mount> {
        let mounts = self.router.mounts()?;
        Ok(self.named_here(mounts.route(&self.key(key)?).0))
    }

    /// A mount above this part of the storage is its root.
    fn named_here(&self, mount: &Mount) -> Mount {
        let base = self.base.strip_prefix(mount.base());
        mount.renamed(base.unwrap_or_default())
    }

    /// All that is below `base` now, in memory. It is not taken at one moment: what is changed meanwhile is in it as
    /// it was or as it is.
    pub async fn snapshot(&self, base: &str) -> Result<Snapshot> {
        let mut batches = std::pin::pin!(walk::batches(&self.router, self.below(base)));
        let mut snapshot = Snapshot::default();
        while let Some(items) = batches.try_next().await? {
            snapshot.extend(items);
        }
        Ok(snapshot)
    }

    /// Writes all that `snapshot` holds below `base`, each until its end as it was; what has ended since is left out.
    /// Nothing is removed. After an error some is written; doing it again is safe.
    pub async fn restore(&self, base: &str, snapshot: &Snapshot) -> Result<()> {
        let base = self.below(base);
        let mut items = snapshot.iter().peekable();
        while items.peek().is_some() {
            copy::write(&self.router, &base, items.by_ref().take(walk::BATCH)).await?;
        }
        Ok(())
    }

    /// Copies every item below `base`, metadata included, to below `target_base` in `target`, as the stream is
    /// polled: 32 at a time, each of which gives how far it has come. Nothing is removed there. Dropping the stream
    /// stops it.
    ///
    /// Within one storage neither base may lie within the other. Two storages over one driver are not known to be
    /// the same.
    pub fn copy_to(
        &self,
        base: &str,
        target: &Self,
        target_base: &str,
    ) -> impl Stream<Item = Result<CopyProgress>> + Send + 'static + use<> {
        copy::copy(self, self.below(base), target, target.below(target_base))
    }

    /// Tells of each change below `base` from now on: what goes through this storage, batches and `clear` included,
    /// and what others do, where the driver can tell.
    ///
    /// Metadata changes under its own key; that of a removed item may or may not be told of. Where the driver does
    /// not tell itself, an item that ends is not told of, and a removal also where nothing was. A change whose outcome
    /// is unknown is told of. A watcher that falls 4,096 changes behind gets an error of kind
    /// [`Unavailable`](crate::ErrorKind::Unavailable), and the stream ends; it ends too when the storage is closed or
    /// its last handle is dropped.
    pub async fn watch(&self, base: &str) -> Result<BoxStream<'static, Result<Change>>> {
        let changes = self.router.watch(&self.below(base)).await?;
        let own = self.base.clone();
        let named_here = changes.filter_map(move |change| {
            let change =
                change.map(|Change { key, kind }| own.strip(&key).map(|key| Change { key, kind }));
            std::future::ready(change.transpose())
        });
        Ok(named_here.boxed())
    }

    /// Closes every driver, ends watching, and refuses what comes later with an error of kind
    /// [`Closed`](crate::ErrorKind::Closed). All handles are closed by it. Closing again is no error.
    pub async fn close(&self) -> Result<()> {
        self.router.close().await
    }

    fn key(&self, key: &str) -> Result<Key> {
        Ok(self.base.join(&Key::new(key)?))
    }

    fn keys_of(&self, keys: &[impl AsRef<str>]) -> Result<Vec<Key>> {
        keys.iter().map(|key| self.key(key.as_ref())).collect()
    }

    fn below(&self, base: &str) -> Prefix {
        self.base.join_prefix(&Prefix::new(base))
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

/// How many separators a key has.
fn depth_of(key: &Key) -> usize {
    key.as_str().matches(':').count()
}
