//! Reads entries: alone on a free connection, or many callers' keys by one statement.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use session_core::worker::{Job, Jobs, Queue, queue};
use session_core::{Entry, Error, Key, Timestamp};
use sqlx::sqlite::SqliteArguments;
use tokio_util::sync::CancellationToken;

use crate::connection::{Lease, Slot};
use crate::error::{closed, shared};
use crate::queue::receive;
use crate::rows::{bind, column, entry, millis};
use crate::statements::{MAX_BATCH, Statements, size_for};

/// How many reads the queue holds. Further callers wait for a place.
const QUEUE: usize = 1_024;

/// Entries by the text of their keys.
pub(crate) type Found = HashMap<String, Entry>;

/// What a queued read is answered with.
type Answer = Result<Option<Entry>, Error>;

/// The connections that read.
///
/// A caller that finds a free connection reads on it alone, as on a bare connection. Otherwise the read is queued,
/// and the first connection that becomes free answers all queued reads by one statement.
///
/// The writing connection is tried first: SQLite drops the cache of a connection whenever another one commits,
/// so a caller that reads and writes in turn is served fastest by one connection.
pub(crate) struct Readers {
    writing: Arc<Slot>,
    slots: Vec<Arc<Slot>>,
    statements: Arc<Statements>,
    next: AtomicUsize,
    queue: Queue<Key, Answer>,
    timeout: Duration,
    /// The last statement answered several reads, so more are likely to follow.
    crowded: Arc<AtomicBool>,
}

impl Readers {
    /// The readers on `slots`, and a task for each slot. A read may take `timeout`.
    pub(crate) fn new(
        writing: Arc<Slot>,
        slots: Vec<Arc<Slot>>,
        statements: Arc<Statements>,
        timeout: Duration,
        stop: &CancellationToken,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + 'static>) {
        let (queue, jobs) = queue(QUEUE);
        let crowded = Arc::new(AtomicBool::new(false));
        let tasks = slots
            .iter()
            .map(|slot| {
                let task = ReaderTask {
                    slot: Arc::clone(slot),
                    statements: Arc::clone(&statements),
                    jobs: jobs.clone(),
                    crowded: Arc::clone(&crowded),
                };
                task.run(stop.clone())
            })
            .collect();
        let readers = Self {
            writing,
            slots,
            statements,
            next: AtomicUsize::new(0),
            queue,
            timeout,
            crowded,
        };
        (readers, tasks)
    }

    /// Reads one entry that has not expired.
    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Entry>, Error> {
        if !self.crowded.load(Ordering::Relaxed)
            && let Some(mut lease) = self.writing.try_lock().or_else(|| self.free())
        {
            return read_one(&mut lease, &self.statements, key).await;
        }
        self.queue.run(key.clone(), self.timeout).await?
    }

    /// A connection to read on, as soon as there is one.
    pub(crate) async fn lease(&self) -> Result<Lease<'_>, Error> {
        if let Some(lease) = self.free() {
            return Ok(lease);
        }
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = self.slots.get(next % self.slots.len().max(1));
        Ok(slot.ok_or_else(closed)?.lock().await)
    }

    pub(crate) fn statements(&self) -> &Statements {
        &self.statements
    }

    fn free(&self) -> Option<Lease<'_>> {
        self.slots.iter().find_map(|slot| slot.try_lock())
    }
}

struct ReaderTask {
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    jobs: Jobs<Key, Answer>,
    crowded: Arc<AtomicBool>,
}

impl ReaderTask {
    async fn run(self, stop: CancellationToken) {
        loop {
            let batch = receive(&self.jobs, &stop).await;
            if batch.is_empty() {
                return;
            }
            self.crowded.store(batch.len() > 1, Ordering::Relaxed);
            let mut lease = self.slot.lock().await;
            self.answer(&mut lease, batch).await;
        }
    }

    async fn answer(&self, lease: &mut Lease<'_>, batch: Vec<Job<Key, Answer>>) {
        let begun: Vec<_> = batch.into_iter().filter_map(Job::begin).collect();
        let keys: Vec<&Key> = begun.iter().map(|(key, _)| key).collect();
        let found = read_on(lease, &self.statements, &keys).await;
        for (key, reply) in begun {
            reply.send(match &found {
                Ok(found) => Ok(found.get(key.as_str()).cloned()),
                Err(error) => Err(shared(error)),
            });
        }
    }
}

async fn read_one(
    lease: &mut Lease<'_>,
    statements: &Statements,
    key: &Key,
) -> Result<Option<Entry>, Error> {
    let mut arguments = SqliteArguments::default();
    bind(&mut arguments, key.as_str())?;
    bind(&mut arguments, millis(Timestamp::now()))?;
    let row = lease.first(&statements.read, &arguments).await?;
    row.map(|row| entry(&row, 1)).transpose()
}

/// Reads the entries of `keys` that have not expired, by one statement for each 64 keys.
pub(crate) async fn read_on(
    lease: &mut Lease<'_>,
    statements: &Statements,
    keys: &[&Key],
) -> Result<Found, Error> {
    let mut found = Found::with_capacity(keys.len());
    for keys in keys.chunks(MAX_BATCH) {
        let size = size_for(keys.len());
        let mut arguments = SqliteArguments::default();
        for key in keys {
            bind(&mut arguments, key.as_str())?;
        }
        for _ in keys.len()..size {
            bind(&mut arguments, None::<&str>)?;
        }
        bind(&mut arguments, millis(Timestamp::now()))?;
        for row in lease.rows(&statements.read_many(size), &arguments).await? {
            found.insert(column(&row, 0)?, entry(&row, 1)?);
        }
    }
    Ok(found)
}
