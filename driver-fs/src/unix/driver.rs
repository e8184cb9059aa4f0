//! The driver: what each operation of the contract does with the files.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{StreamExt, TryStreamExt};
use rustix::fs::Mode;
use rustix::io::Errno;
use session_core::{
    Capabilities, Change, Conditions, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error, ErrorKind,
    Expiry, Key, ListOptions, ListPage, Metadata, Operations, Prefix, RemoveOptions, RemoveOutcome,
    Result, Timestamp, TouchOptions, Version, Write, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

#[cfg(target_os = "linux")]
use super::at_once::AtOnce;
use super::content::MAX_VALUE_SIZE;
use super::error::{closed, from_errno, locked, read_only, too_large, unfinished};
use super::expiry::{Expiries, ExpiryPlace};
use super::files::{Deadline, Files};
use super::folder::Root;
use super::ignored::Ignored;
use super::path::{MAX_SEGMENTS, is_segment};
use super::store::{Attempt, Found, Store};
use super::sweeper::sweep_every;
use super::walk::Walk;
use super::watch::{Watching, changes};
use crate::config::{Durability, FsOptions};

pub(crate) const NAME: &str = "fs";

/// How many locks of this process the changes share. Each key has one of them.
const TURNS: usize = 256;

/// How many operations of a batch are done at once.
const AT_ONCE: usize = 8;

/// The longest pause between two attempts to get a lock that another process holds.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// The pause before a value that may be incomplete is read again.
const PAUSE_BEFORE_READ: Duration = Duration::from_millis(10);

/// How long a file that a foreign program wrote must have been seen empty until it counts as an empty value.
const EMPTY_FOR: Duration = Duration::from_millis(250);

/// How many threads go through folders: for listings, clears, the sweeper and watches.
const WALKERS: usize = 2;

/// The largest page of a listing.
const MAX_PAGE: usize = 10_000;

/// How many files that it does not list a page may skip.
const MOST_SKIPPED: usize = 10_000;

/// A driver that stores entries as files in a folder.
///
/// ```
/// use driver_fs::{FsDriver, FsOptions};
/// use session_core::{Driver, DriverExt, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("sessions");
/// let driver = FsDriver::open(FsOptions::new(&path)).await?;
/// driver.put("users:42", "Ann").await?;
/// assert_eq!(std::fs::read(path.join("users/42")).unwrap(), b"Ann");
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// What it promises is in the [documentation of the crate](crate). It needs a tokio runtime whose timer is enabled.
/// Its tasks end when it is closed or dropped.
pub struct FsDriver {
    store: Arc<Store>,
    ignored: Arc<Ignored>,
    ttl: Option<Duration>,
    read_only: bool,
    /// The changes of one entry by this driver are made one after another, so only other processes compete for its
    /// lock.
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
    operations: Operations,
    clear: Operations,
    stop: CancellationToken,
    _stop_on_drop: DropGuard,
    pub(crate) files: Files,
    /// Threads of their own for what goes through folders, so that no read waits for a listing.
    pub(crate) walkers: Files,
}

impl FsDriver {
    /// Opens the folder, and creates it if it is missing.
    ///
    /// An error of kind [`InvalidConfig`](ErrorKind::InvalidConfig) if an option is wrong, or if `path` is not a
    /// folder and cannot become one.
    pub async fn open(options: FsOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let opened = Self::open_folder(options, operations.clone()).await;
        operations.name("open", opened)
    }

    async fn open_folder(options: FsOptions, operations: Operations) -> Result<Self> {
        options.check()?;
        let ignored = Arc::new(Ignored::new(&options.ignore)?);
        let files = Files::start(threads(options.durability))?;
        let walkers = Files::start(WALKERS)?;
        let sweep = options.sweep_interval.filter(|_| !options.read_only);
        let (ttl, read_only, timeout) = (options.ttl, options.read_only, options.timeout);
        let store = files.run(Deadline::after(timeout), move || store(&options));
        let store = Arc::new(store.await?);
        let stop = CancellationToken::new();
        if let Some(interval) = sweep {
            let (store, ignored) = (Arc::clone(&store), Arc::clone(&ignored));
            let sweep = sweep_every(interval, walkers.clone(), timeout, store, ignored);
            let stop = stop.clone();
            walkers.spawn(async move {
                stop.run_until_cancelled(sweep).await;
            });
        }
        Ok(Self {
            store,
            ignored,
            ttl,
            read_only,
            turns: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            hasher: RandomState::new(),
            clear: operations.with_timeout(DEFAULT_CLEAR_TIMEOUT),
            operations,
            _stop_on_drop: stop.clone().drop_guard(),
            stop,
            files,
            walkers,
        })
    }

    /// When an operation that begins now has to end.
    fn deadline(&self) -> Deadline {
        Deadline::after(self.operations.timeout())
    }

    /// Does `work` on one of the threads.
    async fn on_files<T: Send + 'static>(
        &self,
        deadline: Deadline,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        self.files.run(deadline, move || work(&store)).await
    }

    /// Does `work`, which needs the lock of an entry, again and again until it gets the lock.
    async fn with_lock<T: Send + 'static>(
        &self,
        key: &Key,
        deadline: Deadline,
        work: impl Fn(&Store) -> Result<Attempt<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        if self.read_only {
            return Err(read_only());
        }
        let for_lock = deadline.for_locks();
        let _turn = for_lock.wait_for(self.turn(key)).await?;
        let mut pause = Duration::from_millis(1);
        let work = Arc::new(work);
        loop {
            let again = Arc::clone(&work);
            match self.on_files(deadline, move |store| again(store)).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Busy if Instant::now() + pause >= for_lock.at => return Err(locked()),
                Attempt::Busy => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits for earlier changes of the same entry by this driver.
    async fn turn(&self, key: &Key) -> Option<MutexGuard<'_, ()>> {
        let hash = self.hasher.hash_one(key.as_str()) % TURNS as u64;
        let turn = self.turns.get(usize::try_from(hash).unwrap_or_default())?;
        Some(turn.lock().await)
    }

    fn expires_at(&self, expiry: Expiry) -> Option<Timestamp> {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    /// Reads an entry. It is read again as long as a foreign program may be writing it.
    async fn read_whole(&self, key: &Key, deadline: Deadline) -> Result<Option<Entry>> {
        if self.stop.is_cancelled() {
            return Err(closed());
        }
        let began = Instant::now();
        let (mut found, mut last) = (self.store.read_at_once(key), None);
        loop {
            match found {
                Some(Found::Nothing) => return Ok(None),
                Some(Found::Entry(entry)) => return Ok(Some(entry)),
                Some(Found::Unstable { value, is_old }) => {
                    let is_empty = value.is_empty() && is_old && began.elapsed() >= EMPTY_FOR;
                    match last.take() {
                        None => last = Some(value),
                        // No part of a JSON text is one, and no writer can have been at the same place of it twice.
                        Some(last) if last == value && (is_empty || is_json(&value)) => {
                            let version = Version::from_value(value.clone());
                            return Ok(Some(Entry::new(value).with_version(version)));
                        }
                        Some(_)
                            if Instant::now() + PAUSE_BEFORE_READ >= deadline.for_locks().at =>
                        {
                            return Err(unfinished());
                        }
                        Some(_) => tokio::time::sleep(PAUSE_BEFORE_READ).await,
                    }
                }
                None => {}
            }
            let key = key.clone();
            let read = self.on_files(deadline, move |store| store.read(&key));
            found = Some(read.await?);
        }
    }

    async fn write_one(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
        deadline: Deadline,
    ) -> Result<WriteOutcome> {
        if value.len() > MAX_VALUE_SIZE {
            return Err(too_large());
        }
        let (expires_at, written) = (self.expires_at(options.expiry), key.clone());
        self.with_lock(key, deadline, move |store| {
            store.write(&written, &value, expires_at, &options.condition)
        })
        .await
    }

    async fn remove_one(
        &self,
        key: &Key,
        options: RemoveOptions,
        deadline: Deadline,
    ) -> Result<RemoveOutcome> {
        let removed = key.clone();
        self.with_lock(key, deadline, move |store| {
            store.remove(&removed, options.if_version.as_ref())
        })
        .await
    }

    async fn page(&self, options: ListOptions, deadline: Deadline) -> Result<ListPage> {
        let (store, ignored) = (Arc::clone(&self.store), Arc::clone(&self.ignored));
        let page = move || page(&store, &ignored, &options);
        self.walkers.run(deadline, page).await
    }

    /// Removes several entries, each until the deadline that `deadline` gives.
    async fn remove_each(&self, keys: &[Key], deadline: impl Fn() -> Deadline) -> Result<()> {
        let removals = stream::iter(keys.to_vec()).map(|key| {
            let deadline = deadline();
            async move {
                self.remove_one(&key, RemoveOptions::default(), deadline)
                    .await
                    .map(drop)
            }
        });
        let removed: Vec<_> = removals.buffered(AT_ONCE).collect().await;
        Operations::combine(removed)
    }
}

/// Whether the value is a JSON text of a kind of which no part is one. A part of a number is a number.
fn is_json(value: &[u8]) -> bool {
    matches!(value, [b'{' | b'[' | b'"', ..])
        && serde_json::from_slice::<serde::de::IgnoredAny>(value).is_ok()
}

/// Few threads are fastest for work that does not wait. Work that waits for the disk is done in parallel.
fn threads(durability: Durability) -> usize {
    match durability {
        Durability::None => 4,
        Durability::Data | Durability::Full => 16,
    }
}

/// Opens the folder of `options`.
fn store(options: &FsOptions) -> Result<Store> {
    // The working directory of a process may change.
    let path = std::path::absolute(&options.path).map_err(|error| {
        let message = "`path` cannot be made absolute; set it to an absolute path";
        Error::new(ErrorKind::InvalidConfig, message).with_source(error)
    })?;
    let synced = options.durability >= Durability::Data;
    let root = Root::new(
        path,
        folder_mode(options),
        options.durability == Durability::Full,
    );
    if !options.read_only {
        root.make_root()
            .map_err(|errno| not_created(&root, errno))?;
    }
    let opened = root.open().and_then(|root| root.open_self());
    let opened = opened.map_err(|errno| not_created(&root, errno))?;
    let place = ExpiryPlace::in_folder(&opened);
    Ok(Store {
        expiries: Expiries {
            place,
            mode: Mode::from_raw_mode(options.mode),
            synced,
        },
        durability: options.durability,
        #[cfg(target_os = "linux")]
        at_once: AtOnce::in_folder(&opened).filter(|_| place == ExpiryPlace::Attribute),
        root,
    })
}

fn folder_mode(options: &FsOptions) -> Mode {
    let may_enter = (options.mode & 0o444) >> 2;
    Mode::from_raw_mode(options.mode | may_enter)
}

fn not_created(root: &Root, errno: Errno) -> Error {
    let path = root.path().display();
    let message = match errno {
        Errno::NOENT => format!("the folder `{path}` does not exist; create it, or fix `path`"),
        Errno::EXIST | Errno::NOTDIR => {
            format!("`{path}` is not a folder, or a file is in its path; fix `path`")
        }
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            format!(
                "this process may not use the folder `{path}`; fix its owner or mode, or `path`"
            )
        }
        other => return from_errno(other),
    };
    Error::new(ErrorKind::InvalidConfig, message).with_source(std::io::Error::from(errno))
}

/// A page of a listing.
fn page(store: &Store, ignored: &Ignored, options: &ListOptions) -> Result<ListPage> {
    let mut page = ListPage::default();
    let names: Vec<_> = options.prefix.as_str().split(':').collect();
    let is_possible = names.len() < MAX_SEGMENTS && names.into_iter().all(is_segment);
    if !options.prefix.is_root() && !is_possible {
        // No key has such a prefix.
        return Ok(page);
    }
    let limit = options.limit.clamp(1, MAX_PAGE);
    let cursor = options.cursor.as_ref();
    let mut walk = Walk::new(store, ignored, &options.prefix, cursor)?;
    let mut skipped = 0;
    while let Some(file) = walk.next()? {
        // A symbolic link, for example, is not an entry.
        if is_segment(&file.name)
            && matches!(store.has_entry(&file.folder, &file.name), Ok(true))
            && let Ok(key) = Key::new(&file.key)
        {
            page.keys.push(key);
        } else {
            skipped += 1;
        }
        if page.keys.len() >= limit || skipped >= MOST_SKIPPED {
            page.next = Some(walk.cursor());
            break;
        }
    }
    Ok(page)
}

#[async_trait]
impl Driver for FsDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_read_only(self.read_only)
            .with_conditions(match self.read_only {
                true => Conditions::None,
                false => Conditions::Advisory,
            })
            .with_reports_expiry(true)
            .with_touch(!self.read_only)
            .with_batch(true)
            .with_watch(true)
            .with_nested_keys(false)
            .with_max_value_size(Some(MAX_VALUE_SIZE))
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.read_whole(key, self.deadline());
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.write_one(key, value, options, self.deadline());
        self.operations.name("write", write.await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = self.remove_one(key, options, self.deadline());
        self.operations.name("remove", remove.await)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let page = self.page(options, self.deadline());
        self.operations.read("list", page).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let key = key.clone();
        let exists = self.on_files(self.deadline(), move |store| store.exists(&key));
        self.operations.read("exists", exists).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let metadata = async {
            let deadline = self.deadline();
            let Some(entry) = self.read_whole(key, deadline).await? else {
                return Ok(None);
            };
            let (mut metadata, key) = (Metadata::from(&entry), key.clone());
            let metadata = self.on_files(deadline, move |store| {
                store.add_times(&key, &mut metadata)?;
                Ok(metadata)
            });
            metadata.await.map(Some)
        };
        self.operations.read("metadata", metadata).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let (expires_at, touched) = (self.expires_at(options.expiry), key.clone());
        let touch = self.with_lock(key, self.deadline(), move |store| {
            store.touch(&touched, expires_at, options.if_version.as_ref())
        });
        self.operations.name("touch", touch.await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.deadline();
        let reads = stream::iter(keys.to_vec())
            .map(|key| async move { self.read_whole(&key, deadline).await });
        let read = reads.buffered(AT_ONCE).try_collect();
        self.operations.read("read_many", read).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.deadline();
        let writes = stream::iter(writes).map(|write| async move {
            let Write {
                key,
                value,
                options,
                ..
            } = write;
            let written = self.write_one(&key, value, options, deadline).await;
            self.operations.name("write_many", written)
        });
        // They begin in their order, so those of one key take turns in it.
        writes.buffered(AT_ONCE).collect().await
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let deadline = self.deadline();
        let removed = match self.read_only {
            true => Err(read_only()),
            false => self.remove_each(keys, || deadline).await,
        };
        self.operations.name("remove_many", removed)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = async {
            if self.read_only {
                return Err(read_only());
            }
            let mut options = ListOptions::below(prefix.clone());
            loop {
                let page = self.page(options.clone(), self.deadline()).await?;
                self.remove_each(&page.keys, || self.deadline()).await?;
                match page.next {
                    Some(cursor) => options.cursor = Some(cursor),
                    None => return Ok(()),
                }
            }
        };
        self.clear.change("clear", clear).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        let watching = async {
            let (prefix, ignored) = (prefix.clone(), Arc::clone(&self.ignored));
            let store = Arc::clone(&self.store);
            let start = move || Watching::start(store.root.path(), prefix, ignored);
            let watching = self.walkers.run(self.deadline(), start).await?;
            let changes = changes(watching, self.walkers.clone(), self.operations.timeout());
            Ok(changes
                .take_until(self.stop.clone().cancelled_owned())
                .boxed())
        };
        self.operations.read("watch", watching).await
    }

    async fn close(&self) -> Result<()> {
        let close = async {
            self.stop.cancel();
            self.files.close().await;
            self.walkers.close().await;
            Ok(())
        };
        self.operations.change("close", close).await
    }
}

impl fmt::Debug for FsDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsDriver")
            .field("path", &self.store.root.path())
            .field("ttl", &self.ttl)
            .field("durability", &self.store.durability)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
