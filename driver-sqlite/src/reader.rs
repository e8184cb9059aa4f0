use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use session_core::{Entry, Error, Key, Timestamp};
use sqlx::sqlite::SqliteArguments;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::connection::{Lease, Slot};
use crate::error::{During, closed, lost, shared};
use crate::queue::receive;
use crate::rows::{bind, column, entry, millis};
use crate::statements::{MAX_BATCH, Statements, size_for};

/// How many reads wait at most; who comes then waits before the queue.
const QUEUE: usize = 1_024;

/// Entries by the text of their keys.
pub(crate) type Found = HashMap<String, Entry>;

struct Job {
    key: Key,
    reply: oneshot::Sender<Result<Option<Entry>, Error>>,
}

/// The connections that read.
///
/// A caller who finds one free reads on it alone, as on a bare connection. Otherwise the read is queued, and
/// whichever connection comes free answers all that have queued up by one statement.
///
/// Before these the connection that writes is tried: SQLite forgets what a connection has cached whenever
/// another one commits, so a caller who reads and writes in turn is served fastest by one connection.
pub(crate) struct Readers {
    writing: Arc<Slot>,
    slots: Vec<Arc<Slot>>,
    statements: Arc<Statements>,
    next: AtomicUsize,
    queue: mpsc::Sender<Job>,
    /// The last statement answered several reads, so more are to be expected.
    crowded: Arc<AtomicBool>,
}

impl Readers {
    /// The readers on `slots`, and a task for each of these.
    pub(crate) fn new(
        writing: Arc<Slot>,
        slots: Vec<Arc<Slot>>,
        statements: Arc<Statements>,
        stop: &CancellationToken,
    ) -> (Self, Vec<impl Future<Output = ()> + Send + 'static>) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let jobs = Arc::new(Mutex::new(jobs));
        let crowded = Arc::new(AtomicBool::new(false));
        let tasks = slots
            .iter()
            .map(|slot| {
                let task = ReaderTask {
                    slot: Arc::clone(slot),
                    statements: Arc::clone(&statements),
                    jobs: Arc::clone(&jobs),
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
            crowded,
        };
        (readers, tasks)
    }

    /// Reads one entry that is alive.
    pub(crate) async fn read(&self, key: &Key) -> Result<Option<Entry>, Error> {
        if !self.crowded.load(Ordering::Relaxed)
            && let Some(mut lease) = self.writing.try_lock().or_else(|| self.free())
        {
            return read_one(&mut lease, &self.statements, key).await;
        }
        let (reply, answer) = oneshot::channel();
        let job = Job {
            key: key.clone(),
            reply,
        };
        self.queue.send(job).await.map_err(|_| closed())?;
        answer.await.map_err(|_| lost(During::Reading))?
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
    jobs: Arc<Mutex<mpsc::Receiver<Job>>>,
    crowded: Arc<AtomicBool>,
}

impl ReaderTask {
    async fn run(self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let received = {
                let mut jobs = self.jobs.lock().await;
                receive(&mut jobs, &mut batch, &stop).await
            };
            if received == 0 {
                return;
            }
            self.crowded.store(batch.len() > 1, Ordering::Relaxed);
            let mut lease = self.slot.lock().await;
            batch.retain(|job| !job.reply.is_closed());
            self.answer(&mut lease, &mut batch).await;
        }
    }

    async fn answer(&self, lease: &mut Lease<'_>, batch: &mut Vec<Job>) {
        let keys: Vec<&Key> = batch.iter().map(|job| &job.key).collect();
        let found = read_on(lease, &self.statements, &keys).await;
        for job in batch.drain(..) {
            let answer = match &found {
                Ok(found) => Ok(found.get(job.key.as_str()).cloned()),
                Err(error) => Err(shared(error)),
            };
            let _gone = job.reply.send(answer);
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

/// Reads the entries of `keys` that are alive, by one statement for each 64 of them.
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
