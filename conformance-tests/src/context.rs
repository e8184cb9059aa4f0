//! What a case works with: the driver under a key prefix of its own, and helpers to write, wait and list.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use session_core::decorators::Prefixed;
use session_core::{
    Capabilities, Driver, Entry, ErrorKind, Expiry, Key, ListOptions, Listing, Prefix,
    RemoveOptions, Timestamp, Version, WriteOptions, WriteOutcome,
};

use crate::budget::Budget;
use crate::converging::Converging;
use crate::failure::{CaseResult, Failure};
use crate::runner::Factory;
use crate::subject::{ForeignWrite, HookError, Subject};
use crate::under_way::{Noting, UnderWay};

/// The driver of a case, under a key prefix that no other case uses.
#[derive(Clone)]
pub(crate) struct Context {
    /// The driver under test, with the prefix of this case.
    pub(crate) driver: Arc<dyn Driver>,
    /// The driver that writes the entries of the case. It differs from `driver` if that is read-only.
    pub(crate) writer: Arc<dyn Driver>,
    pub(crate) capabilities: Capabilities,
    pub(crate) subject: Subject,
    /// The shortest time that a read took.
    pub(crate) round_trip: Duration,
    base: Prefix,
    factory: Factory,
    under_way: UnderWay,
    keys: Arc<Mutex<Vec<Key>>>,
}

/// How much later than declared an entry may expire, to allow for a busy machine.
const PATIENCE: Duration = Duration::from_secs(2);

impl Context {
    pub(crate) async fn new(factory: Factory, under_way: UnderWay) -> Result<Self, Failure> {
        let subject = factory.open().await;
        // As long as a session id, and random, since several runs may share a server.
        let base = Prefix::new(&format!("conformance-{:016x}", random()))?;
        let driver = below(&base, &subject, &subject.driver, &under_way);
        let writer = below(&base, &subject, subject.writer(), &under_way);
        let round_trip = round_trip(&driver).await;
        Ok(Self {
            round_trip,
            capabilities: driver.capabilities(),
            driver,
            writer,
            subject,
            base,
            factory,
            under_way,
            keys: Arc::default(),
        })
    }

    /// Creates a key, which is removed after the case.
    pub(crate) fn key(&self, name: &str) -> Result<Key, Failure> {
        let key = Key::new(name)?;
        self.keys.lock().push(key.clone());
        Ok(key)
    }

    /// Opens another driver from the factory, with the same prefix.
    pub(crate) async fn another_driver(&self) -> Arc<dyn Driver> {
        let subject = self.factory.open().await;
        below(&self.base, &subject, &subject.driver, &self.under_way)
    }

    /// Opens another subject from the factory: its driver and its writer, with the same prefix.
    pub(crate) async fn another_subject_driver(&self) -> (Arc<dyn Driver>, Arc<dyn Driver>) {
        let subject = self.factory.open().await;
        let driver = below(&self.base, &subject, &subject.driver, &self.under_way);
        let writer = below(&self.base, &subject, subject.writer(), &self.under_way);
        (driver, writer)
    }

    /// Returns `key` with the prefix of this case.
    pub(crate) fn whole(&self, key: &Key) -> Key {
        self.base.join(key)
    }

    /// Notes a key, which is removed after the case.
    pub(crate) fn note(&self, key: Key) {
        if self.capabilities.listing == Listing::None {
            self.keys.lock().push(key);
        }
    }

    /// Returns the budget of a random case that begins now.
    pub(crate) fn budget(&self) -> Budget {
        Budget::new(self.subject.budget)
    }

    /// Returns a time that is short, but longer than a call takes.
    pub(crate) fn unit(&self) -> Duration {
        Duration::from_millis(60).max(self.round_trip * 4)
    }

    /// Returns the foreign writer for keys below `prefix`.
    pub(crate) fn foreign_writes(&self, prefix: Prefix) -> Option<Arc<ForeignWrite>> {
        let write = self.subject.foreign_write.clone()?;
        let (base, convergence) = (self.base.clone(), self.subject.convergence.clone());
        Some(Arc::new(move |key, value| {
            let (write, convergence) = (Arc::clone(&write), convergence.clone());
            let key = base.join(&prefix.join(&key));
            Box::pin(async move {
                // The hook of a test may well give up on a busy backend.
                let deadline = tokio::time::Instant::now() + FOREIGN_LIMIT;
                while let Err(error) = write(key.clone(), value.clone()).await {
                    if tokio::time::Instant::now() > deadline {
                        return Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                if let Some(converge) = convergence {
                    converge().await;
                }
                Ok(())
            })
        }))
    }

    /// Returns a driver for a neighbouring prefix: `…x` beside `…`.
    pub(crate) fn neighbour(&self) -> Result<Arc<dyn Driver>, Failure> {
        let base = Prefix::new(&format!("{}x", self.base.as_str()))?;
        let writer = self.subject.writer();
        Ok(below(&base, &self.subject, writer, &self.under_way))
    }

    /// Returns keys that would reach the key `name` of the neighbour if dots were path segments.
    pub(crate) fn traversals_to_the_neighbour(&self, name: &str) -> [String; 2] {
        let neighbour = format!("{}x", self.base.as_str());
        [
            format!("..:{neighbour}:{name}"),
            format!("a:..:..:{neighbour}:{name}"),
        ]
    }

    pub(crate) fn outage(&self) -> Result<Arc<dyn Driver>, Failure> {
        let outage = self.subject.outage.clone();
        let outage = outage.ok_or_else(|| Failure::new("an unreachable driver", "none"))?;
        let outage: Arc<dyn Driver> = Arc::new(Noting::new(outage, self.under_way.clone()));
        Ok(Arc::new(Prefixed::new(outage, self.base.clone())))
    }

    pub(crate) async fn write_foreign(&self, key: &Key, value: &'static [u8]) -> CaseResult {
        let Some(write) = self.foreign_writes(Prefix::root()) else {
            return Err(Failure::new("a foreign writer", "none"));
        };
        write(key.clone(), Bytes::from_static(value))
            .await
            .map_err(foreign_failure)
    }

    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Entry>, Failure> {
        Ok(self.driver.read(key).await?)
    }

    /// Reads an entry that must exist.
    pub(crate) async fn read_present(&self, key: &Key) -> Result<Entry, Failure> {
        self.read(key)
            .await?
            .ok_or_else(|| Failure::new("the entry to exist", "a miss"))
    }

    /// Writes without a condition and without an expiry.
    pub(crate) async fn write(
        &self,
        key: &Key,
        value: impl Into<Bytes>,
    ) -> Result<Option<Version>, Failure> {
        self.write_until(key, value, Expiry::Never).await
    }

    pub(crate) async fn write_until(
        &self,
        key: &Key,
        value: impl Into<Bytes>,
        expiry: Expiry,
    ) -> Result<Option<Version>, Failure> {
        let options = WriteOptions::default().with_expiry(expiry);
        written(self.writer.write(key, value.into(), options).await?)
    }

    /// Writes an entry and returns its version, which must exist.
    pub(crate) async fn write_versioned(
        &self,
        key: &Key,
        value: &'static str,
    ) -> Result<Version, Failure> {
        let version = self.write(key, value).await?;
        version.ok_or_else(no_version)
    }

    /// Returns a short ttl that the driver supports.
    pub(crate) fn short_ttl(&self) -> Duration {
        Duration::from_millis(100)
            .max(self.round_trip * 4)
            .max(self.capabilities.minimum_ttl)
    }

    /// Returns when an entry with a short ttl expires that is written now.
    pub(crate) fn soon(&self) -> Timestamp {
        Timestamp::now().saturating_add(self.short_ttl())
    }

    /// Sleeps until an entry with this expiry must be gone. It does not read the entry, since a read can make the
    /// driver remove it.
    pub(crate) async fn sleep_past(&self, expires_at: Timestamp) {
        let granularity = self.capabilities.expiry_granularity;
        let late = granularity + Duration::from_millis(20) + self.round_trip;
        sleep_until(expires_at.saturating_add(late)).await;
    }

    /// Writes an entry and waits until it has expired, without reading it.
    pub(crate) async fn expired(&self, key: &Key) -> Result<Option<Version>, Failure> {
        let expires_at = self.soon();
        let version = self
            .write_until(key, "expired", Expiry::At(expires_at))
            .await?;
        self.sleep_past(expires_at).await;
        Ok(version)
    }

    /// Reads until the entry is gone. It fails if the entry outlives `expires_at` by more than the granularity.
    pub(crate) async fn poll_until_gone(&self, key: &Key, expires_at: Timestamp) -> CaseResult {
        let last = expires_at.saturating_add(self.capabilities.expiry_granularity + PATIENCE);
        loop {
            let started = Timestamp::now();
            if self.read(key).await?.is_none() {
                return Ok(());
            }
            if started > last {
                let late = started.saturating_since(expires_at);
                let expected = format!("a miss after {expires_at}");
                return Err(Failure::new(expected, format!("the entry, {late:?} later")));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// How many entries a case has that needs many: several pages of any backend, and fewer where each takes long.
    pub(crate) fn many(&self) -> usize {
        match self.round_trip < Duration::from_millis(1) {
            true => 10_000,
            false => 2_500,
        }
    }

    /// Lists every key below `prefix` in pages of about `limit`, duplicates included.
    pub(crate) async fn list(&self, prefix: &str, limit: usize) -> Result<Vec<Key>, Failure> {
        let mut options = ListOptions::below(Prefix::new(prefix)?).with_limit(limit);
        let mut keys = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.driver.list(options.clone()).await?;
            keys.extend(page.keys);
            match page.next {
                Some(cursor) => options.cursor = Some(cursor),
                None => return Ok(keys),
            }
        }
        let expected = "the listing to terminate";
        Err(Failure::new(expected, format!("{MOST_PAGES} pages")))
    }

    /// Returns the names of the keys below `prefix`, sorted.
    pub(crate) async fn list_names(&self, prefix: &str) -> Result<Vec<String>, Failure> {
        let keys = self.list(prefix, 1_000).await?;
        let mut names: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        names.sort_unstable();
        if self.capabilities.listing == Listing::AtLeastOnce {
            names.dedup();
        }
        Ok(names)
    }

    /// Measures how much earlier or later than its time an entry expires, if that is more than it may be.
    pub(crate) async fn skew(&self) -> Option<String> {
        let longest = Duration::from_secs(6);
        let ttl = Duration::from_secs(2).max(self.capabilities.minimum_ttl);
        let key = Key::new("clock").ok()?;
        let expires_at = Timestamp::now().saturating_add(ttl);
        let write = self.write_until(&key, "value", Expiry::At(expires_at));
        let measured = tokio::time::timeout(ttl + longest, async {
            write.await.ok()?;
            while self.read(&key).await.ok()?.is_some() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Some(Timestamp::now())
        });
        let gone_at = match measured.await {
            Ok(gone_at) => gone_at?,
            Err(_) => return None,
        };
        let (early, late) = (
            expires_at.saturating_since(gone_at),
            gone_at.saturating_since(expires_at),
        );
        let most = self.capabilities.expiry_granularity + self.round_trip + SKEW;
        let (by, how, clock) = match (early > SKEW, late > most) {
            (true, _) => (early, "early", "ahead of"),
            (_, true) => (late, "late", "behind"),
            _ => return None,
        };
        Some(format!(
            " (an entry of this backend expires {by:?} too {how}: its clock may be {clock} the clock of this machine)"
        ))
    }

    /// Removes the entries of the case.
    pub(crate) async fn clean_up(&self) -> CaseResult {
        match self.remove_all_from(&self.writer).await {
            Err(error) if error.kind() == ErrorKind::Closed => {
                if self.subject.shared_backend {
                    let another = self.factory.open().await;
                    let writer = below(&self.base, &another, another.writer(), &self.under_way);
                    self.remove_all_from(&writer).await?;
                }
                Ok(())
            }
            other => Ok(other?),
        }
    }

    async fn remove_all_from(&self, driver: &Arc<dyn Driver>) -> session_core::Result<()> {
        if self.capabilities.listing != Listing::None {
            return driver.clear(&Prefix::root()).await;
        }
        let keys = self.keys.lock().clone();
        for key in keys {
            let _unconditional = driver.remove(&key, RemoveOptions::default()).await?;
        }
        Ok(())
    }
}

/// How far clocks may be apart before that is named as a cause.
const SKEW: Duration = Duration::from_millis(150);

/// Measures the shortest of a few reads.
async fn round_trip(driver: &Arc<dyn Driver>) -> Duration {
    let Ok(key) = Key::new("round-trip") else {
        return Duration::ZERO;
    };
    let mut shortest = None;
    for _ in 0..3 {
        let started = tokio::time::Instant::now();
        let read = tokio::time::timeout(Duration::from_secs(1), driver.read(&key));
        // An error is no matter of the measurement, and a read that hangs is one of the case.
        if read.await.is_err() {
            break;
        }
        let took = started.elapsed();
        shortest = Some(shortest.map_or(took, |shortest: Duration| shortest.min(took)));
    }
    shortest.unwrap_or_default()
}

/// For how long a foreign write is tried.
const FOREIGN_LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn foreign_failure(error: HookError) -> Failure {
    let expected = "the foreign write of the subject (not of the driver) to succeed";
    Failure::new(expected, format!("{error}, for {FOREIGN_LIMIT:?}"))
}

/// More pages than any listing of the suite has. A longer listing counts as endless.
const MOST_PAGES: usize = 100_000;

/// Wraps a driver of `subject` with the prefix `base`, and records its operations in `under_way`.
fn below(
    base: &Prefix,
    subject: &Subject,
    driver: &Arc<dyn Driver>,
    under_way: &UnderWay,
) -> Arc<dyn Driver> {
    let driver: Arc<dyn Driver> = Arc::new(Noting::new(Arc::clone(driver), under_way.clone()));
    let driver = Prefixed::new(driver, base.clone());
    match &subject.convergence {
        Some(convergence) => Arc::new(Converging::new(driver, Arc::clone(convergence))),
        None => Arc::new(driver),
    }
}

pub(crate) fn written(outcome: WriteOutcome) -> Result<Option<Version>, Failure> {
    match outcome {
        WriteOutcome::Written { version, .. } => Ok(version),
        conflict => Err(Failure::new(
            "the write to succeed",
            format!("{conflict:?}"),
        )),
    }
}

pub(crate) fn no_version() -> Failure {
    let expected = "a version, because the driver supports conditions";
    Failure::new(expected, "an entry without a version")
}

pub(crate) async fn sleep_until(time: Timestamp) {
    tokio::time::sleep(time.saturating_since(Timestamp::now())).await;
}

/// Returns a random number.
pub(crate) fn random() -> u64 {
    RandomState::new().hash_one(0)
}
