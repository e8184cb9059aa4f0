//! Records what drivers do.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use session_core::{
    ConflictState, Driver, Entry, Error, Expiry, Key, Metadata, Outcome, RemoveOptions,
    RemoveOutcome, Result, Timestamp, TouchOptions, Version, Write, WriteOptions, WriteOutcome,
    delegate_driver,
};

use super::{Call, Event, History, Lasts, Seen};

/// Records the operations of several drivers in one [`History`].
#[derive(Clone, Debug)]
pub struct Recorder {
    shared: Arc<Shared>,
    clocks_of_clients: bool,
}

#[derive(Debug)]
struct Shared {
    history: Mutex<History>,
    zero: Instant,
    drivers: AtomicUsize,
    default_ttl: Option<Duration>,
}

impl Recorder {
    /// Creates a recorder without calls.
    pub fn new() -> Self {
        Self::with_default_ttl(None)
    }

    /// Creates a recorder for drivers that have this default `ttl`.
    ///
    /// Without it, an entry that is written with [`Expiry::Default`] may be gone at any time.
    pub fn with_default_ttl(default_ttl: impl Into<Option<Duration>>) -> Self {
        let (started, zero) = both_clocks();
        let shared = Shared {
            history: Mutex::new(History::new(started)),
            zero,
            drivers: AtomicUsize::new(0),
            default_ttl: default_ttl.into(),
        };
        Self {
            shared: Arc::new(shared),
            clocks_of_clients: false,
        }
    }

    /// Declares that the clients compare expiries with clocks of their own, because the backend does not.
    ///
    /// An operation that begins before an entry expires may then still change it, although another client has found it
    /// expired meanwhile.
    #[must_use]
    pub fn with_clocks_of_clients(mut self) -> Self {
        self.clocks_of_clients = true;
        self
    }

    /// Wraps a driver, whose operations are recorded from now on as those of one process.
    pub fn driver<D: Driver>(&self, inner: D) -> Recorded<D> {
        Recorded {
            inner,
            process: self.shared.drivers.fetch_add(1, Ordering::Relaxed),
            recorder: self.clone(),
        }
    }

    /// Waits for a `disruption` in which the backend may lose writes, such as a failover.
    pub async fn while_losing_writes<T>(&self, disruption: impl Future<Output = T>) -> T {
        let begin = self.now();
        let done = disruption.await;
        let end = self.now();
        self.shared.history.lock().lost_writes_between(begin, end);
        done
    }

    /// Returns what was recorded so far. Operations that are under way are not in it.
    pub fn history(&self) -> History {
        self.shared.history.lock().clone()
    }

    fn now(&self) -> Duration {
        self.shared.zero.elapsed()
    }

    fn push(&self, key: &Key, call: Call) {
        self.shared.history.lock().push(key.clone(), call);
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new()
    }
}

/// Reads both clocks at the same time. On a busy machine there may be a pause between the two.
fn both_clocks() -> (Timestamp, Instant) {
    let read = || {
        let (before, time, after) = (Instant::now(), Timestamp::now(), Instant::now());
        (after.duration_since(before), time, after)
    };
    let pause_of = |(pause, ..): &(Duration, Timestamp, Instant)| *pause;
    let (_, time, at) = (1..8).fold(read(), |closest, _| {
        std::cmp::min_by_key(closest, read(), pause_of)
    });
    (time, at)
}

/// A driver whose operations are recorded. A [`Recorder`] makes it.
pub struct Recorded<D> {
    inner: D,
    process: usize,
    recorder: Recorder,
}

impl<D: fmt::Debug> fmt::Debug for Recorded<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Recorded").field(&self.inner).finish()
    }
}

/// When a call began, by both clocks.
#[derive(Clone, Copy)]
struct Begun {
    at: Duration,
    time: Timestamp,
}

impl<D: Driver> Recorded<D> {
    fn begin(&self) -> Begun {
        Begun {
            at: self.recorder.now(),
            time: Timestamp::now(),
        }
    }

    fn note(&self, key: &Key, begun: Begun, end: Option<Duration>, event: Event) {
        self.recorder
            .push(key, Call::new(self.process, begun.at, end, event));
    }

    /// Notes a read. One that failed shows nothing.
    fn note_read<T>(
        &self,
        key: &Key,
        begun: Begun,
        read: &Result<T>,
        seen: impl Fn(&T) -> Option<Seen>,
    ) {
        if let Ok(read) = read {
            let end = self.recorder.now();
            self.note(key, begun, Some(end), Event::Read(seen(read)));
        }
    }

    /// Notes a change that failed, unless it was certainly not applied.
    fn note_error(&self, key: &Key, begun: Begun, error: &Error, event: Event) {
        if error.outcome() == Outcome::Unknown {
            self.note(key, begun, None, event);
        }
    }

    /// Returns how long an entry lives whose expiry was set by a call that began then.
    fn lasts(&self, expiry: Expiry, begun: Begun, answered: bool) -> Lasts {
        let latest = Timestamp::from_millis(u64::MAX);
        let granularity = self.inner.capabilities().expiry_granularity;
        let late = granularity + Duration::from_millis(25);
        let now = Timestamp::now();
        let took = now.saturating_since(begun.time);
        let kind = match self.recorder.clocks_of_clients {
            true => Lasts::UntilByClients,
            false => Lasts::Until,
        };
        let until = |first: Timestamp, last: Timestamp| match answered {
            true => kind(first, last.saturating_add(late)),
            // It may be carried out at any later time.
            false => kind(first, latest),
        };
        let minimum = self.inner.capabilities().minimum_ttl;
        match (expiry, self.recorder.shared.default_ttl) {
            (Expiry::Never, _) => Lasts::Forever,
            (Expiry::At(time), _) => until(
                time,
                time.max(begun.time.saturating_add(minimum))
                    .saturating_add(took),
            ),
            (Expiry::Default, Some(ttl)) => {
                until(begun.time.saturating_add(ttl), now.saturating_add(ttl))
            }
            (Expiry::Default, None) => kind(begun.time, latest),
        }
    }

    fn note_write(
        &self,
        key: &Key,
        value: &Bytes,
        options: &WriteOptions,
        begun: Begun,
        outcome: &Result<WriteOutcome>,
    ) {
        let condition = options.condition.clone();
        let wrote = |version: Option<Version>, answered| Event::Wrote {
            value: value.clone(),
            lasts: self.lasts(options.expiry, begun, answered),
            condition: condition.clone(),
            version,
        };
        let end = Some(self.recorder.now());
        match outcome {
            Ok(WriteOutcome::Written { version, .. }) => {
                self.note(key, begun, end, wrote(version.clone(), true));
            }
            Ok(WriteOutcome::Conflict(state)) => {
                let current = seen_in(state);
                self.note(key, begun, end, Event::DidNotWrite { condition, current });
            }
            Ok(_) => {}
            Err(error) => self.note_error(key, begun, error, wrote(None, false)),
        }
    }
}

fn seen_in(state: &ConflictState) -> Option<Option<Seen>> {
    match state {
        ConflictState::Unknown => None,
        ConflictState::Absent => Some(None),
        ConflictState::Present(entry) => Some(Some(seen(entry))),
    }
}

fn seen(entry: &Entry) -> Seen {
    Seen {
        value: Some(entry.value.clone()),
        version: entry.version.clone(),
    }
}

#[async_trait]
impl<D: Driver> Driver for Recorded<D> {
    delegate_driver!(this => this.inner, except read, write, remove, exists, metadata, touch, read_many, write_many, remove_many);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let begun = self.begin();
        let read = self.inner.read(key).await;
        self.note_read(key, begun, &read, |read| read.as_ref().map(seen));
        read
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let begun = self.begin();
        let outcome = self.inner.write(key, value.clone(), options.clone()).await;
        self.note_write(key, &value, &options, begun, &outcome);
        outcome
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let begun = self.begin();
        let outcome = self.inner.remove(key, options.clone()).await;
        let end = Some(self.recorder.now());
        match (&outcome, options.if_version) {
            (Ok(RemoveOutcome::Conflict(state)), Some(version)) => {
                let event = Event::DidNotRemove(version, seen_in(state));
                self.note(key, begun, end, event);
            }
            (Ok(_), version) => self.note(key, begun, end, Event::Removed(version)),
            (Err(error), version) => self.note_error(key, begun, error, Event::Removed(version)),
        }
        outcome
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let begun = self.begin();
        let exists = self.inner.exists(key).await;
        self.note_read(key, begun, &exists, |exists| exists.then(Seen::default));
        exists
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        let begun = self.begin();
        let metadata = self.inner.metadata(key).await;
        self.note_read(key, begun, &metadata, |metadata| {
            metadata.as_ref().map(|metadata| Seen {
                value: None,
                version: metadata.version.clone(),
            })
        });
        metadata
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let begun = self.begin();
        let touched = self.inner.touch(key, options.clone()).await;
        let end = Some(self.recorder.now());
        let event = |answered| Event::Touched {
            lasts: self.lasts(options.expiry, begun, answered),
            if_version: options.if_version.clone(),
        };
        match &touched {
            Ok(true) => self.note(key, begun, end, event(true)),
            Ok(false) => {
                self.note(
                    key,
                    begun,
                    end,
                    Event::DidNotTouch(options.if_version.clone()),
                );
            }
            Err(error) => self.note_error(key, begun, error, event(false)),
        }
        touched
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let begun = self.begin();
        let read = self.inner.read_many(keys).await;
        for (place, key) in keys.iter().enumerate() {
            self.note_read(key, begun, &read, |read| {
                read.get(place).and_then(|read| read.as_ref().map(seen))
            });
        }
        read
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let begun = self.begin();
        let outcomes = self.inner.write_many(writes.clone()).await;
        for (write, outcome) in writes.iter().zip(&outcomes) {
            self.note_write(&write.key, &write.value, &write.options, begun, outcome);
        }
        outcomes
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let begun = self.begin();
        let removed = self.inner.remove_many(keys).await;
        let end = Some(self.recorder.now());
        for key in keys {
            match &removed {
                Ok(()) => self.note(key, begun, end, Event::Removed(None)),
                Err(error) => self.note_error(key, begun, error, Event::Removed(None)),
            }
        }
        removed
    }
}
