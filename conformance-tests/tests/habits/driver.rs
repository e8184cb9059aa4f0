//! A right driver with one habit of a backend's client or of its author.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use driver_memory::MemoryDriver;
use futures_util::StreamExt;
use parking_lot::Mutex;
use session_core::*;
use tokio::sync::Semaphore;

/// What is wrong. Each is a fault of drivers for the backend in the comment above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Habit {
    None,
    // PostgreSQL and MySQL.
    NulInKeyIsABackendError,
    QuoteInPrefixIsAnError,
    DecodesByteaEscapes,
    BatchKeepsTheOldExpiry,
    BatchExpiryInSeconds,
    VersionsStartAnewAfterARemoval,
    UnchangedTouchSaysFalse,
    UnchangedWriteIsAConflict,
    ExistsPadsSpaces,
    RemoveIgnoresCase,
    TouchIgnoresAccents,
    BatchReplacesEmoji,
    BatchCutsAt64Kib,
    ExpiryEndsIn2038,
    SweepsByKey,
    BatchChecksThenActs,
    LocalTime,
    // memcached.
    ThirtyDaysAreATime,
    LessThanASecondIsNever,
    TouchReplacesSpaces,
    DropsOverAMebibyte,
    TrimsNumbers,
    PastExpiryIsAnError,
    RemoveManyCutsKeys,
    // S3.
    ListingDecodesPlus,
    VersionOfTheFirstKibibyte,
    ListingIsOld,
    VersionByTheSecond,
    // etcd.
    RootListsNothing,
    TouchRoundsUp,
    DuplicatesInABatchAreAnError,
    OldLeaseStillEnds,
    ClearTakesTheNextSibling,
    // NATS.
    WildcardsInRemoveMany,
    RemovedStillExists,
    BatchesIgnoreExpiry,
    WatchMissesClears,
    // Deno KV.
    NumbersInKeys,
    ReadsTenAtOnce,
    OneVersionForABatch,
    // DynamoDB.
    DropsOverAMebibyteOfABatch,
    EmptyInABatchIsAMiss,
    ConditionalExpiryInSeconds,
    NumbersInBatchesAreNormalised,
    MetadataCountsCharacters,
    // Authors.
    CachesReads,
    CachesMisses,
    BatchStopsAtAConflict,
    BatchPastIsNever,
    BatchIgnoresTheDefaultTtl,
    RemoveForgetsToEncode,
    ExistsForgetsToEncode,
    TouchForgetsToEncode,
    BlocksTheRuntime,
    NeedsItsRuntime,
    DeadlocksWithManyTasks,
    TouchesAfterClose,
    WatchMissesBatches,
    TouchRewrites,
    RemovalOfAVersionChecksThenActs,
    WriteOfAVersionChecksThenActs,
    ConflictsSaySomethingElse,
    BatchOrderIsLost,
    TouchByVersionIgnoresIt,
    FarExpiryOverflows,
    RemoveManyStopsAtAMissingKey,
}

pub(crate) struct Habitual {
    inner: Arc<MemoryDriver>,
    habit: Habit,
    /// What was read, and when.
    cache: Mutex<HashMap<Key, (Instant, Option<Entry>)>>,
    listing: Mutex<Option<(Instant, ListPage)>>,
    counts: Mutex<HashMap<Key, u64>>,
    permits: Semaphore,
    runtime: tokio::runtime::Id,
    closed: AtomicBool,
}

const TTL: Duration = Duration::from_secs(3_600);

fn backend_error<T>() -> Result<T> {
    Err(Error::new(ErrorKind::Backend, "a syntax error").with_context("memory", "call"))
}

fn in_seconds(expiry: Expiry, up: u64) -> Expiry {
    match expiry {
        Expiry::At(time) => {
            let seconds = time.as_millis().saturating_add(up) / 1_000;
            Expiry::At(Timestamp::from_millis(seconds.saturating_mul(1_000)))
        }
        other => other,
    }
}

impl Habitual {
    pub(crate) fn new(inner: Arc<MemoryDriver>, habit: Habit) -> Self {
        Self {
            inner,
            habit,
            cache: Mutex::default(),
            listing: Mutex::default(),
            counts: Mutex::default(),
            permits: Semaphore::new(8),
            runtime: tokio::runtime::Handle::current().id(),
            closed: AtomicBool::new(false),
        }
    }

    fn is(&self, habit: Habit) -> bool {
        self.habit == habit
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::SeqCst) {
            true => Err(Error::new(ErrorKind::Closed, "closed").with_context("memory", "call")),
            false => Ok(()),
        }
    }

    /// What every operation does first.
    async fn begin(&self) -> Result<()> {
        self.check_open()?;
        if self.is(Habit::BlocksTheRuntime) {
            std::thread::sleep(Duration::from_millis(60));
        }
        if self.is(Habit::NeedsItsRuntime) && tokio::runtime::Handle::current().id() != self.runtime
        {
            return backend_error();
        }
        Ok(())
    }

    fn expiry(&self, expiry: Expiry) -> Expiry {
        let Expiry::At(time) = expiry else {
            return expiry;
        };
        let now = Timestamp::now();
        let left = time.saturating_since(now);
        match self.habit {
            Habit::ExpiryEndsIn2038 if time.as_millis() > 2_147_483_647_000 => Expiry::Never,
            Habit::ThirtyDaysAreATime if left > Duration::from_secs(30 * 86_400) => {
                Expiry::At(Timestamp::from_millis(1))
            }
            Habit::LessThanASecondIsNever if time > now && left < Duration::from_secs(1) => {
                Expiry::Never
            }
            Habit::FarExpiryOverflows if time.as_millis() > i64::MAX as u64 / 1_000 => {
                Expiry::At(Timestamp::from_millis(1))
            }
            _ => expiry,
        }
    }

    /// The key as it is stored by a driver that encodes keys.
    fn encode(&self, key: &Key) -> Key {
        let encodes = matches!(
            self.habit,
            Habit::RemoveForgetsToEncode
                | Habit::ExistsForgetsToEncode
                | Habit::TouchForgetsToEncode
        );
        match encodes {
            true => Key::new(&key.as_str().replace('%', "%25").replace(' ', "%20")).unwrap(),
            false => key.clone(),
        }
    }

    fn decode(&self, key: &Key) -> Key {
        match self.encode(key) == *key {
            true if !key.as_str().contains('%') => key.clone(),
            _ => match self.habit {
                Habit::RemoveForgetsToEncode
                | Habit::ExistsForgetsToEncode
                | Habit::TouchForgetsToEncode => {
                    Key::new(&key.as_str().replace("%20", " ").replace("%25", "%")).unwrap()
                }
                _ => key.clone(),
            },
        }
    }

    fn entry(&self, key: &Key, entry: Option<Entry>) -> Option<Entry> {
        let mut entry = entry?;
        if let Some(version) = self.own_version(key, &entry.value) {
            entry.version = Some(version);
        }
        if self.is(Habit::DecodesByteaEscapes) && entry.value.starts_with(b"\\x") {
            entry.value = Bytes::from_static(b"A");
        }
        Some(entry)
    }

    /// The version of drivers that make it in a way of their own.
    fn own_version(&self, key: &Key, value: &Bytes) -> Option<Version> {
        match self.habit {
            Habit::VersionOfTheFirstKibibyte => {
                let start = value.get(..1_024).unwrap_or(value);
                Some(Version::from_bytes(start))
            }
            Habit::VersionsStartAnewAfterARemoval => {
                let counts = self.counts.lock();
                Some(Version::from_u64(counts.get(key).copied().unwrap_or(0)))
            }
            Habit::VersionByTheSecond => {
                Some(Version::from_u64(Timestamp::now().as_millis() / 1_000))
            }
            _ => None,
        }
    }

    /// The inner version that stands for one of [`own_version`](Self::own_version).
    async fn real(&self, key: &Key, named: Version) -> Result<Version> {
        let Some(entry) = self.inner.read(key).await? else {
            return Ok(named);
        };
        Ok(match self.own_version(key, &entry.value) {
            Some(own) if own == named => entry.version.unwrap_or(named),
            Some(_) => Version::from_u64(0),
            None => named,
        })
    }

    async fn write_one(
        &self,
        key: &Key,
        mut value: Bytes,
        mut options: WriteOptions,
        in_batch: bool,
    ) -> Result<WriteOutcome> {
        let key = &self.encode(key);
        self.cache.lock().remove(key);
        options.expiry = self.expiry(options.expiry);
        let is_past = matches!(options.expiry, Expiry::At(time) if time <= Timestamp::now());
        match self.habit {
            Habit::NulInKeyIsABackendError if key.as_str().contains('\0') => {
                return backend_error();
            }
            Habit::PastExpiryIsAnError if is_past => return backend_error(),
            Habit::DropsOverAMebibyte if value.len() > 1 << 20 => {
                return Ok(WriteOutcome::written(Some(Version::from_u64(1))));
            }
            Habit::TrimsNumbers if value.trim_ascii_end().iter().all(u8::is_ascii_digit) => {
                value = Bytes::copy_from_slice(value.trim_ascii_end());
            }
            Habit::ConditionalExpiryInSeconds if options.condition != WriteCondition::Always => {
                options.expiry = in_seconds(options.expiry, 0);
            }
            _ => {}
        }
        if in_batch {
            let old = self.inner.read(key).await?;
            match self.habit {
                Habit::BatchKeepsTheOldExpiry => {
                    if let Some(old) = &old {
                        options.expiry = old.expires_at.map_or(Expiry::Never, Expiry::At);
                    }
                }
                Habit::BatchExpiryInSeconds => options.expiry = in_seconds(options.expiry, 0),
                Habit::BatchCutsAt64Kib => value = value.slice(..value.len().min(65_535)),
                Habit::BatchesIgnoreExpiry => options.expiry = Expiry::Never,
                Habit::BatchPastIsNever if is_past => options.expiry = Expiry::Never,
                Habit::BatchIgnoresTheDefaultTtl if options.expiry == Expiry::Default => {
                    options.expiry = Expiry::Never;
                }
                Habit::BatchChecksThenActs if options.condition != WriteCondition::Always => {
                    between_check_and_act().await;
                    let holds = match &options.condition {
                        WriteCondition::IfAbsent => old.is_none(),
                        WriteCondition::IfVersion(version) => {
                            old.is_some_and(|old| old.version.as_ref() == Some(version))
                        }
                        WriteCondition::Always => true,
                    };
                    if !holds {
                        return Ok(WriteOutcome::Conflict(ConflictState::Unknown));
                    }
                    options.condition = WriteCondition::Always;
                }
                _ => {}
            }
        }
        if let WriteCondition::IfVersion(named) = &options.condition {
            match self.habit {
                Habit::WriteOfAVersionChecksThenActs => {
                    let current = self.inner.read(key).await?;
                    between_check_and_act().await;
                    if current.is_some_and(|entry| entry.version.as_ref() == Some(named)) {
                        options.condition = WriteCondition::Always;
                    }
                }
                Habit::UnchangedWriteIsAConflict => {
                    let current = self.inner.read(key).await?;
                    if current.is_some_and(|entry| entry.value == value) {
                        return Ok(WriteOutcome::Conflict(ConflictState::Unknown));
                    }
                }
                _ => {
                    let real = self.real(key, named.clone()).await?;
                    options.condition = WriteCondition::IfVersion(real);
                }
            }
        }
        if self.is(Habit::SweepsByKey)
            && let Expiry::At(time) = options.expiry
        {
            let (inner, key) = (Arc::clone(&self.inner), key.clone());
            tokio::spawn(async move {
                let left = time.saturating_since(Timestamp::now());
                if left < Duration::from_secs(5) {
                    tokio::time::sleep(left + Duration::from_millis(300)).await;
                    let _removed = inner.remove(&key, RemoveOptions::default()).await;
                }
            });
        }
        let outcome = self.inner.write(key, value.clone(), options).await?;
        Ok(match outcome {
            WriteOutcome::Written { version, .. } => {
                *self.counts.lock().entry(key.clone()).or_default() += 1;
                WriteOutcome::written(self.own_version(key, &value).or(version))
            }
            WriteOutcome::Conflict(ConflictState::Present(entry)) => {
                let mut entry = self.entry(key, Some(entry)).unwrap();
                if self.is(Habit::ConflictsSaySomethingElse) {
                    entry.expires_at = None;
                }
                WriteOutcome::Conflict(ConflictState::Present(entry))
            }
            other => other,
        })
    }
}

#[async_trait]
impl Driver for Habitual {
    delegate_driver!(this => this.inner, except capabilities, read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, close);

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.begin().await?;
        let key = &self.encode(key);
        let (hits, misses) = (self.is(Habit::CachesReads), self.is(Habit::CachesMisses));
        let cached = self.cache.lock().get(key).cloned();
        if let Some((at, entry)) = cached
            && at.elapsed() < Duration::from_millis(200)
            && ((hits && entry.is_some()) || (misses && entry.is_none()))
        {
            return Ok(entry);
        }
        let entry = self.entry(key, self.inner.read(key).await?);
        if hits || misses {
            let cached = (Instant::now(), entry.clone());
            self.cache.lock().insert(key.clone(), cached);
        }
        Ok(entry)
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.begin().await?;
        let key = match self.habit {
            Habit::ExistsPadsSpaces => Key::new(key.as_str().trim_end())?,
            Habit::ExistsForgetsToEncode => key.clone(),
            Habit::RemovedStillExists if self.counts.lock().contains_key(key) => return Ok(true),
            _ => self.encode(key),
        };
        self.inner.exists(&key).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.begin().await?;
        let key = &self.encode(key);
        let entry = self.entry(key, self.inner.read(key).await?);
        let mut metadata = entry.as_ref().map(Metadata::from);
        if let (Some(metadata), Some(entry)) = (&mut metadata, &entry) {
            match self.habit {
                Habit::MetadataCountsCharacters => {
                    let text = String::from_utf8_lossy(&entry.value);
                    metadata.size = Some(text.chars().count() as u64);
                }
                Habit::LocalTime => {
                    let now = Timestamp::now();
                    metadata.modified_at = Some(now.saturating_add(TTL));
                }
                _ => {}
            }
        }
        Ok(metadata)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.begin().await?;
        let mut entries = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let key = &self.encode(key);
            let mut entry = self.entry(key, self.inner.read(key).await?);
            match self.habit {
                Habit::ReadsTenAtOnce if number >= 10 => entry = None,
                Habit::EmptyInABatchIsAMiss => entry = entry.filter(|e| !e.value.is_empty()),
                Habit::NumbersInBatchesAreNormalised => {
                    if let Some(entry) = &mut entry
                        && entry.value == "1.0"
                    {
                        entry.value = "1".into();
                    }
                }
                _ => {}
            }
            entries.push(entry);
        }
        if self.is(Habit::BatchOrderIsLost) && keys.len() > 16 {
            entries.reverse();
        }
        Ok(entries)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.begin().await?;
        self.write_one(key, value, options, false).await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        if let Err(error) = self.begin().await {
            let again = || Error::new(error.kind(), "closed").with_context("memory", "write_many");
            return writes.iter().map(|_| Err(again())).collect();
        }
        let _permit = match self.is(Habit::DeadlocksWithManyTasks) {
            true => Some(self.permits.acquire().await.unwrap()),
            false => None,
        };
        let mut outcomes: Vec<Result<WriteOutcome>> = Vec::new();
        let (mut bytes, mut stopped) = (0, false);
        let mut seen: Vec<Key> = Vec::new();
        for write in writes {
            bytes += write.value.len();
            let mut key = write.key.clone();
            if self.is(Habit::BatchReplacesEmoji) {
                let text: String = key
                    .as_str()
                    .chars()
                    .map(|c| if c > '\u{ffff}' { '\u{fffd}' } else { c })
                    .collect();
                key = Key::new(&text).unwrap();
            }
            let is_twice = seen.contains(&key);
            seen.push(key.clone());
            let dropped = self.is(Habit::DropsOverAMebibyteOfABatch) && bytes > 1 << 20;
            if dropped || stopped {
                outcomes.push(Ok(WriteOutcome::written(Some(Version::from_u64(1)))));
                continue;
            }
            if is_twice && self.is(Habit::DuplicatesInABatchAreAnError) {
                outcomes.push(backend_error());
                continue;
            }
            let _second = match self.is(Habit::DeadlocksWithManyTasks) {
                true => {
                    between_check_and_act().await;
                    Some(self.permits.acquire().await.unwrap())
                }
                false => None,
            };
            let outcome = self.write_one(&key, write.value, write.options, true).await;
            stopped = self.is(Habit::BatchStopsAtAConflict)
                && matches!(outcome, Ok(WriteOutcome::Conflict(_)));
            let outcome = match outcome {
                Ok(WriteOutcome::Written { .. }) if self.is(Habit::OneVersionForABatch) => {
                    Ok(WriteOutcome::written(Some(Version::from_u64(5))))
                }
                outcome => outcome,
            };
            outcomes.push(outcome);
        }
        outcomes
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.begin().await?;
        let key = &match self.habit {
            Habit::RemoveForgetsToEncode => key.clone(),
            Habit::RemoveIgnoresCase => Key::new(&key.as_str().to_lowercase())?,
            _ => self.encode(key),
        };
        self.cache.lock().remove(key);
        let mut options = options;
        if let Some(named) = options.if_version.clone() {
            if self.is(Habit::RemovalOfAVersionChecksThenActs) {
                let current = self.inner.read(key).await?;
                between_check_and_act().await;
                if current.is_some_and(|entry| entry.version == Some(named)) {
                    options = RemoveOptions::default();
                }
            } else {
                options = RemoveOptions::if_version(self.real(key, named).await?);
            }
        }
        let outcome = self.inner.remove(key, options).await?;
        if outcome == RemoveOutcome::Removed && !self.is(Habit::RemovedStillExists) {
            self.counts.lock().remove(key);
        }
        Ok(match outcome {
            RemoveOutcome::Conflict(ConflictState::Present(entry)) => {
                let entry = self.entry(key, Some(entry)).unwrap();
                RemoveOutcome::Conflict(ConflictState::Present(entry))
            }
            other => other,
        })
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.begin().await?;
        for key in keys {
            let mut key = self.encode(key);
            match self.habit {
                Habit::RemoveManyCutsKeys => {
                    key = Key::new(&key.as_str().chars().take(250).collect::<String>())?;
                }
                Habit::WildcardsInRemoveMany if key.as_str().ends_with('*') => {
                    let parent = key.as_str().trim_end_matches('*').trim_end_matches(':');
                    self.inner.clear(&Prefix::new(parent)?).await?;
                }
                Habit::RemoveManyStopsAtAMissingKey if !self.inner.exists(&key).await? => {
                    return Ok(());
                }
                _ => {}
            }
            self.cache.lock().remove(&key);
            let _removed = self.inner.remove(&key, RemoveOptions::default()).await?;
        }
        Ok(())
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        if !self.is(Habit::TouchesAfterClose) {
            self.begin().await?;
        }
        let key = &match self.habit {
            Habit::TouchForgetsToEncode => key.clone(),
            Habit::TouchIgnoresAccents => Key::new(&key.as_str().replace('é', "e"))?,
            Habit::TouchReplacesSpaces => Key::new(&key.as_str().replace(' ', "_"))?,
            _ => self.encode(key),
        };
        let mut options = options;
        options.expiry = self.expiry(options.expiry);
        if let Some(named) = options.if_version.take() {
            options.if_version = match self.habit {
                Habit::TouchByVersionIgnoresIt => None,
                _ => Some(self.real(key, named).await?),
            };
        }
        let before = self.inner.read(key).await?;
        match self.habit {
            Habit::TouchRoundsUp => options.expiry = in_seconds(options.expiry, 999),
            Habit::UnchangedTouchSaysFalse => {
                let new = options.expiry.resolve(Some(TTL), Timestamp::now());
                if before.is_some_and(|entry| entry.expires_at == new) {
                    return Ok(false);
                }
            }
            Habit::OldLeaseStillEnds => {
                if let Some(time) = before.and_then(|entry| entry.expires_at) {
                    let (inner, key) = (Arc::clone(&self.inner), key.clone());
                    tokio::spawn(async move {
                        let left = time.saturating_since(Timestamp::now());
                        if left < Duration::from_secs(5) {
                            tokio::time::sleep(left).await;
                            let _removed = inner.remove(&key, RemoveOptions::default()).await;
                        }
                    });
                }
            }
            Habit::TouchRewrites => {
                let Some(entry) = before else {
                    return Ok(false);
                };
                let matches = match &options.if_version {
                    Some(version) => entry.version.as_ref() == Some(version),
                    None => true,
                };
                if matches {
                    between_check_and_act().await;
                    let write = WriteOptions::default().with_expiry(options.expiry);
                    let _written = self.inner.write(key, entry.value, write).await?;
                }
                return Ok(matches);
            }
            _ => {}
        }
        self.inner.touch(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.begin().await?;
        let prefix = options.prefix.clone();
        match self.habit {
            Habit::RootListsNothing if prefix.is_root() => return Ok(ListPage::default()),
            Habit::QuoteInPrefixIsAnError if prefix.as_str().contains('\'') => {
                return backend_error();
            }
            Habit::ListingIsOld => {
                let old = self.listing.lock().clone();
                if let Some((at, page)) = old
                    && at.elapsed() < Duration::from_millis(100)
                    && options.cursor.is_none()
                {
                    let keys = page.keys.into_iter().filter(|key| prefix.contains(key));
                    return Ok(ListPage::new(keys.collect(), None));
                }
            }
            _ => {}
        }
        let mut page = self.inner.list(options).await?;
        if self.is(Habit::ListingIsOld) && page.next.is_none() {
            *self.listing.lock() = Some((Instant::now(), page.clone()));
        }
        for key in &mut page.keys {
            *key = match self.habit {
                Habit::ListingDecodesPlus => Key::new(&key.as_str().replace('+', " "))?,
                Habit::NumbersInKeys => Key::new(&key.as_str().replace(":01", ":1"))?,
                _ => self.decode(key),
            };
        }
        Ok(page)
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.begin().await?;
        if self.is(Habit::ClearTakesTheNextSibling) && !prefix.is_root() {
            let sibling = Key::new(&format!("{}0", prefix.as_str()))?;
            let _removed = self
                .inner
                .remove(&sibling, RemoveOptions::default())
                .await?;
        }
        self.inner.clear(prefix).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.check_open()?;
        let changes = self.inner.watch(prefix).await?;
        let misses = match self.habit {
            Habit::WatchMissesClears => Some(ChangeKind::Removed),
            Habit::WatchMissesBatches => Some(ChangeKind::Written),
            _ => None,
        };
        let shown = changes.filter(move |change| {
            let misses = match change {
                // The case clears and writes batches below this prefix.
                Ok(change) => misses == Some(change.kind) && change.key.as_str().contains(":a:"),
                Err(_) => false,
            };
            std::future::ready(!misses)
        });
        Ok(shown.boxed())
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::SeqCst);
        Ok(())
    }
}

/// The round trip between a check and what is done about it, in which others act too.
async fn between_check_and_act() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}
