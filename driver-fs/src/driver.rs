use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{join_all, try_join_all};
use futures_util::stream::BoxStream;
use rustix::io::Errno;
use session_core::{
    Capabilities, Change, Conditions, Consistency, Driver, Entry, Error, ErrorKind, Expiry, Key,
    ListOptions, ListPage, Listing, Metadata, Outcome, Prefix, RemoveOptions, RemoveOutcome,
    Result, Timestamp, TouchOptions, Version, Write, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;

use crate::cache::Cache;
use crate::config::{Durability, FsOptions};
use crate::content::MAX_VALUE_SIZE;
use crate::ends::{Ends, Place};
use crate::error::{from_errno, locked, read_only, too_large};
use crate::folder::Base;
use crate::ignored::Ignored;
use crate::path::is_segment;
use crate::settling::Settling;
use crate::store::{Attempt, Found, Store};
use crate::sweeper::Sweeper;
use crate::threads::FileThreads;
use crate::walk::Walk;
use crate::watch::{Watching, changes};

pub(crate) const NAME: &str = "fs";

/// How many changes wait for their turn apart from each other.
const TURNS: usize = 256;

/// How many parts a batch is done in at once.
const PARTS: usize = 8;

/// How long a change waits for a lock that another process holds.
const LOCK_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest pause between two tries for it.
const LONGEST_PAUSE: Duration = Duration::from_millis(8);

/// The largest page of a listing.
const MAX_PAGE: usize = 10_000;

/// How many files a page may pass over that it does not list.
const MOST_PASSED_OVER: usize = 10_000;

/// A driver that keeps its entries as files in a folder.
///
/// ```
/// use driver_fs::{FsDriver, FsOptions};
/// use session_core::{Driver, DriverExt, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let base = folder.path().join("sessions");
/// let driver = FsDriver::open(FsOptions::new(&base)).await?;
/// driver.put("users:42", "Ann").await?;
/// assert_eq!(std::fs::read(base.join("users/42")).unwrap(), b"Ann");
/// driver.close().await?;
/// # Ok(())
/// # }
/// ```
///
/// What it promises is in the [documentation of the crate](crate). It works on any runtime of tokio that has
/// timers. Its threads end when it is closed or dropped.
pub struct FsDriver {
    store: Arc<Store>,
    ignored: Arc<Ignored>,
    ttl: Option<Duration>,
    read_only: bool,
    /// The changes of one entry by this driver come one after another, so that only other processes are met at
    /// its lock.
    turns: Box<[Mutex<()>]>,
    hasher: RandomState,
    stop: CancellationToken,
    sweeper: Option<Sweeper>,
    threads: FileThreads,
}

impl FsDriver {
    /// Opens the folder, and makes it where it is missing.
    ///
    /// An error of kind [`InvalidConfig`](ErrorKind::InvalidConfig) if an option is wrong, or if what `base` names
    /// is no folder and cannot become one.
    pub async fn open(options: FsOptions) -> Result<Self> {
        Self::open_folder(options)
            .await
            .map_err(|error| error.with_context(NAME, "open"))
    }

    async fn open_folder(options: FsOptions) -> Result<Self> {
        options.check()?;
        let ignored = Arc::new(Ignored::new(&options.ignore)?);
        let threads = FileThreads::start(threads_for(options.durability))?;
        let sweep = options.sweep.filter(|_| !options.read_only);
        let (ttl, read_only) = (options.ttl, options.read_only);
        let store = threads.queue().run(move || store(&options)).await??;
        let store = Arc::new(store);
        let sweeper = match sweep {
            Some(interval) => {
                let (store, ignored) = (Arc::clone(&store), Arc::clone(&ignored));
                Some(Sweeper::start(&threads, store, ignored, interval)?)
            }
            None => None,
        };
        Ok(Self {
            store,
            ignored,
            ttl,
            read_only,
            turns: std::iter::repeat_with(Mutex::default).take(TURNS).collect(),
            hasher: RandomState::new(),
            stop: CancellationToken::new(),
            sweeper,
            threads,
        })
    }

    /// Does `work` on a thread for files.
    async fn on_files<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let store = Arc::clone(&self.store);
        self.threads.queue().run(move || work(&store)).await?
    }

    /// Does `work`, which needs the lock of an entry, again and again until it gets it.
    async fn with_lock<T: Send + 'static>(
        &self,
        key: &Key,
        work: impl Fn(&Store) -> Result<Attempt<T>> + Send + Sync + 'static,
    ) -> Result<T> {
        if self.read_only {
            return Err(read_only());
        }
        let _turn = self.turn(key).await;
        let started = Instant::now();
        let mut pause = Duration::from_millis(1);
        let work = Arc::new(work);
        loop {
            let again = Arc::clone(&work);
            match self.on_files(move |store| again(store)).await? {
                Attempt::Done(outcome) => return Ok(outcome),
                Attempt::Busy if started.elapsed() >= LOCK_TIMEOUT => return Err(locked()),
                Attempt::Busy => {}
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Waits for what this driver does with the same entry.
    async fn turn(&self, key: &Key) -> Option<MutexGuard<'_, ()>> {
        let turn = self.turns.get(self.spread(key, TURNS))?;
        Some(turn.lock().await)
    }

    /// A number below `count`, the same for the same key.
    fn spread(&self, key: &Key, count: usize) -> usize {
        let hash = self.hasher.hash_one(key.as_str());
        usize::try_from(hash % count as u64).unwrap_or_default()
    }

    fn end(&self, expiry: Expiry) -> Option<Timestamp> {
        expiry.resolve(self.ttl, Timestamp::now())
    }

    async fn read_settled(&self, key: &Key) -> Result<Option<Entry>> {
        let mut settling = Settling::default();
        loop {
            let key = key.clone();
            match self.on_files(move |store| store.read(&key)).await? {
                Found::Nothing => return Ok(None),
                Found::Entry(entry) => return Ok(Some(entry)),
                Found::Unsettled(value) => {
                    let Some(pause) = settling.pause_before_believing(&value) else {
                        let version = Version::from_value(value.clone());
                        return Ok(Some(Entry::new(value).with_version(version)));
                    };
                    tokio::time::sleep(pause).await;
                }
            }
        }
    }

    async fn write_one(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        if value.len() > MAX_VALUE_SIZE {
            return Err(too_large());
        }
        let (end, written) = (self.end(options.expiry), key.clone());
        self.with_lock(key, move |store| {
            store.write(&written, &value, end, &options.condition)
        })
        .await
    }

    async fn remove_one(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let removed = key.clone();
        self.with_lock(key, move |store| {
            store.remove(&removed, options.if_version.as_ref())
        })
        .await
    }
}

/// Few threads are quickest for work that does not wait; work that waits for the disk is done side by side.
fn threads_for(durability: Durability) -> usize {
    match durability {
        Durability::None => 4,
        Durability::Data | Durability::Full => 16,
    }
}

/// Opens the folder that `options` name.
fn store(options: &FsOptions) -> Result<Store> {
    // The working directory of a process may change.
    let path = std::path::absolute(&options.base).map_err(|error| {
        let message = "`base` cannot be made an absolute path; name the folder by one";
        Error::new(ErrorKind::InvalidConfig, message).with_source(error)
    })?;
    let synced = options.durability >= Durability::Data;
    let base = Base::new(
        path,
        options.folder_mode(),
        options.durability == Durability::Full,
    );
    if !options.read_only {
        base.make_base().map_err(|errno| not_made(&base, errno))?;
    }
    let opened = base.folder().open_self();
    let opened = opened.map_err(|errno| not_made(&base, errno))?;
    Ok(Store {
        ends: Ends {
            place: Place::in_folder(&opened),
            mode: options.file_mode(),
            synced,
        },
        durability: options.durability,
        cache: Cache::in_folder(&opened),
        base,
    })
}

fn not_made(base: &Base, errno: Errno) -> Error {
    let path = base.path().display();
    let message = match errno {
        Errno::NOENT => format!("the folder `{path}` does not exist; make it, or mend `base`"),
        Errno::EXIST | Errno::NOTDIR => {
            format!("`{path}` is no folder, or lies below a file; mend `base`")
        }
        Errno::ACCESS | Errno::PERM | Errno::ROFS => {
            format!(
                "this process may not use the folder `{path}`; mend its owner or mode, or `base`"
            )
        }
        other => return from_errno(other),
    };
    Error::new(ErrorKind::InvalidConfig, message).with_source(std::io::Error::from(errno))
}

/// A page of a listing.
fn page(store: &Store, ignored: &Ignored, options: &ListOptions) -> Result<ListPage> {
    let mut page = ListPage::default();
    let names = options.prefix.as_str().split(':');
    if !options.prefix.is_root() && !names.into_iter().all(is_segment) {
        // No key has such a segment.
        return Ok(page);
    }
    let limit = options.limit.clamp(1, MAX_PAGE);
    let cursor = options.cursor.as_ref();
    let mut walk = Walk::new(store, ignored, &options.prefix, cursor)?;
    let mut passed_over = 0;
    while let Some(file) = walk.next()? {
        // A link or the like that stands among the entries is none.
        if is_segment(&file.name)
            && matches!(store.is_living(&file.folder, &file.name), Ok(true))
            && let Ok(key) = Key::new(&file.key)
        {
            page.keys.push(key);
        } else {
            passed_over += 1;
        }
        if page.keys.len() >= limit || passed_over >= MOST_PASSED_OVER {
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
        in_operation("read", self.read_settled(key).await)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        in_operation("write", self.write_one(key, value, options).await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        in_operation("remove", self.remove_one(key, options).await)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let ignored = Arc::clone(&self.ignored);
        let page = self.on_files(move |store| page(store, &ignored, &options));
        in_operation("list", page.await)
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let key = key.clone();
        let exists = self.on_files(move |store| store.exists(&key));
        in_operation("exists", exists.await)
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let metadata = async {
            let Some(entry) = self.read_settled(key).await? else {
                return Ok(None);
            };
            let (mut metadata, key) = (Metadata::from(&entry), key.clone());
            let metadata = self.on_files(move |store| {
                store.add_times(&key, &mut metadata)?;
                Ok(metadata)
            });
            metadata.await.map(Some)
        };
        in_operation("metadata", metadata.await)
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let (end, touched) = (self.end(options.expiry), key.clone());
        let touch = self.with_lock(key, move |store| {
            store.touch(&touched, end, options.if_version.as_ref())
        });
        in_operation("touch", touch.await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let part = keys.len().div_ceil(PARTS).max(1);
        let parts = keys.chunks(part).map(|keys| async {
            let together = keys.to_vec();
            let read = move |store: &Store| together.iter().map(|key| store.read(key)).collect();
            let found: Vec<Found> = self.on_files(read).await?;
            let mut entries = Vec::with_capacity(keys.len());
            for (key, found) in keys.iter().zip(found) {
                entries.push(match found {
                    Found::Nothing => None,
                    Found::Entry(entry) => Some(entry),
                    Found::Unsettled(_) => self.read_settled(key).await?,
                });
            }
            Ok(entries)
        });
        let parts = in_operation("read_many", try_join_all(parts).await)?;
        Ok(parts.into_iter().flatten().collect())
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        let mut parts: Vec<Vec<(usize, Write)>> = Vec::new();
        parts.resize_with(PARTS, Vec::new);
        // Those of one key are in one part, in their order.
        for (place, write) in writes.into_iter().enumerate() {
            if let Some(part) = parts.get_mut(self.spread(&write.key, PARTS)) {
                part.push((place, write));
            }
        }
        let parts = parts.into_iter().map(|part| async {
            let mut outcomes = Vec::with_capacity(part.len());
            for (place, write) in part {
                let outcome = self.write_one(&write.key, write.value, write.options).await;
                outcomes.push((place, in_operation("write_many", outcome)));
            }
            outcomes
        });
        let mut outcomes = Vec::with_capacity(count);
        outcomes.extend(join_all(parts).await.into_iter().flatten());
        outcomes.sort_unstable_by_key(|(place, _)| *place);
        outcomes.into_iter().map(|(_, outcome)| outcome).collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        if self.read_only {
            return in_operation("remove_many", Err(read_only()));
        }
        let part = keys.len().div_ceil(PARTS).max(1);
        let parts = keys.chunks(part).map(|keys| async move {
            for key in keys {
                let _unconditional = self.remove_one(key, RemoveOptions::default()).await?;
            }
            Ok(())
        });
        let removed = try_join_all(parts).await.map(drop);
        // Others of the batch may have been removed.
        in_operation(
            "remove_many",
            removed.map_err(|error: Error| error.with_outcome(Outcome::Unknown)),
        )
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        if self.read_only {
            return in_operation("clear", Err(read_only()));
        }
        let mut options = ListOptions::below(prefix.clone());
        loop {
            let page = self.list(options.clone()).await?;
            self.remove_many(&page.keys).await?;
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        let watching = async {
            let (prefix, ignored) = (prefix.clone(), Arc::clone(&self.ignored));
            let watching =
                self.on_files(move |store| Watching::start(store.base.path(), prefix, ignored));
            let queue = self.threads.queue().clone();
            let changes = changes(watching.await?, queue);
            Ok(changes
                .take_until(self.stop.clone().cancelled_owned())
                .boxed())
        };
        in_operation("watch", watching.await)
    }

    async fn close(&self) -> Result<()> {
        self.threads.stop();
        self.stop.cancel();
        if let Some(sweeper) = &self.sweeper {
            sweeper.stop();
        }
        self.threads.ended().await;
        Ok(())
    }
}

fn in_operation<T>(operation: &'static str, result: Result<T>) -> Result<T> {
    result.map_err(|error| error.with_context(NAME, operation))
}

impl fmt::Debug for FsDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FsDriver")
            .field("base", &self.store.base.path())
            .field("ttl", &self.ttl)
            .field("durability", &self.store.durability)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}
