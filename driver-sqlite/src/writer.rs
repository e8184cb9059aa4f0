use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::TryStreamExt;
use session_core::{ConflictState, Error, Key};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Either, Executor, SqlStr};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::change::{Change, Changed, bind_nothing};
use crate::connection::{Lease, Slot};
use crate::error::{During, closed, from_sqlx, lost, shared};
use crate::queue::receive;
use crate::reader::{Found, read_on};
use crate::statements::{Counts, KINDS, MAX_BATCH, Statements, size_for};

/// How many changes wait for the writing task at most; who comes then waits before the queue.
const QUEUE: usize = 1_024;

/// How many bytes a transaction writes at most, unless a single value is longer.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

struct Job {
    change: Change,
    reply: oneshot::Sender<Result<Changed, Error>>,
}

/// The one place from which this driver writes.
///
/// A caller who finds nobody writing does it alone, by one statement that commits by itself: that is what a
/// bare connection would do. Otherwise the change is queued for a task that puts all that has queued up into
/// one transaction. The task belongs to the driver, so no caller who is dropped can leave a transaction open.
pub(crate) struct Writer {
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    queue: mpsc::Sender<Job>,
    /// The last transaction had several changes: more are to be expected, and writing alone would only
    /// keep them waiting.
    crowded: Arc<AtomicBool>,
}

impl Writer {
    /// A writer, and the task that works its queue off until `stop`.
    pub(crate) fn new(
        slot: Arc<Slot>,
        statements: Arc<Statements>,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let crowded = Arc::new(AtomicBool::new(false));
        let writer = Self {
            slot: Arc::clone(&slot),
            statements: Arc::clone(&statements),
            queue,
            crowded: Arc::clone(&crowded),
        };
        let task = WriterTask {
            slot,
            statements,
            jobs,
            crowded,
        };
        (writer, task.run(stop))
    }

    /// Makes one change.
    pub(crate) async fn apply(&self, change: Change) -> Result<Changed, Error> {
        if !self.crowded.load(Ordering::Relaxed)
            && let Some(mut lease) = self.slot.try_lock()
        {
            return apply_alone(&mut lease, &self.statements, &change).await;
        }
        self.enqueue(change).await?.answer().await
    }

    /// Makes several changes, those of one key in their order.
    pub(crate) async fn apply_many(&self, changes: Vec<Change>) -> Vec<Result<Changed, Error>> {
        let mut results = Vec::with_capacity(changes.len());
        let mut pending: Vec<Result<Pending, Error>> = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for change in changes {
            // A transaction orders its changes by kind, so a key may be in one only once.
            if pending.len() >= MAX_BATCH || keys.contains(change.key()) {
                keys.clear();
                settle(&mut pending, &mut results).await;
            }
            keys.push(change.key().clone());
            pending.push(self.enqueue(change).await);
        }
        settle(&mut pending, &mut results).await;
        results
    }

    async fn enqueue(&self, change: Change) -> Result<Pending, Error> {
        let (reply, answer) = oneshot::channel();
        let job = Job { change, reply };
        self.queue.send(job).await.map_err(|_| closed())?;
        Ok(Pending(answer))
    }
}

struct Pending(oneshot::Receiver<Result<Changed, Error>>);

impl Pending {
    async fn answer(self) -> Result<Changed, Error> {
        self.0.await.map_err(|_| lost(During::Writing))?
    }
}

async fn settle(
    pending: &mut Vec<Result<Pending, Error>>,
    results: &mut Vec<Result<Changed, Error>>,
) {
    for pending in pending.drain(..) {
        results.push(match pending {
            Ok(pending) => pending.answer().await,
            Err(error) => Err(error),
        });
    }
}

struct WriterTask {
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    jobs: mpsc::Receiver<Job>,
    crowded: Arc<AtomicBool>,
}

impl WriterTask {
    /// Works until it is stopped or the driver is dropped, and then finishes what has queued up.
    async fn run(mut self, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(MAX_BATCH);
        loop {
            let received = receive(&mut self.jobs, &mut batch, &stop).await;
            if received == 0 {
                return;
            }
            let mut lease = self.slot.lock().await;
            while batch.len() < MAX_BATCH
                && let Ok(job) = self.jobs.try_recv()
            {
                batch.push(job);
            }
            self.crowded.store(batch.len() > 1, Ordering::Relaxed);
            while !batch.is_empty() {
                let count = fitting(&batch);
                let jobs = batch.drain(..count).collect();
                apply_together(&mut lease, &self.statements, jobs).await;
            }
            drop(lease);
            // Whoever was answered gets to run, and other processes get the lock.
            tokio::task::yield_now().await;
        }
    }
}

/// How many of the first jobs go into one transaction.
fn fitting(jobs: &[Job]) -> usize {
    let mut bytes = 0_usize;
    let fitting = jobs.iter().take_while(|job| {
        bytes = bytes.saturating_add(job.change.size());
        bytes <= MAX_BATCH_BYTES
    });
    fitting.count().max(1)
}

/// Makes one change by one statement, which takes place whole or not at all, also if the caller is dropped.
async fn apply_alone(
    lease: &mut Lease<'_>,
    statements: &Statements,
    change: &Change,
) -> Result<Changed, Error> {
    let mut arguments = SqliteArguments::default();
    change.bind(&mut arguments)?;
    let sql = statements.single(change.kind());
    if lease.execute(&sql, &arguments).await? > 0 {
        return Ok(Changed::Yes);
    }
    if change.is_conditional() {
        let found = read_on(lease, statements, &[change.key()]).await;
        return Ok(Changed::No(current(&found, change.key())));
    }
    Ok(Changed::No(ConflictState::Unknown))
}

/// Makes several changes in one transaction and answers each; if that fails for one of them, each alone.
async fn apply_together(lease: &mut Lease<'_>, statements: &Statements, mut jobs: Vec<Job>) {
    // Who has gone by now gets the old value.
    jobs.retain(|job| !job.reply.is_closed());
    if jobs.len() > 1 {
        jobs.sort_by_key(|job| KINDS.iter().position(|kind| *kind == job.change.kind()));
        match commit(lease, statements, &jobs).await {
            Ok(changed) => return answer(lease, statements, jobs, changed).await,
            Err(Failed::All(error)) => {
                for job in jobs {
                    let _gone = job.reply.send(Err(shared(&error)));
                }
                return;
            }
            Err(Failed::One) => {}
        }
    }
    for job in jobs {
        let result = apply_alone(lease, statements, &job.change).await;
        let _gone = job.reply.send(result);
    }
}

enum Failed {
    /// Nothing was done, or how the commit ended is not known.
    All(Error),
    /// One change could not be made, and all were undone.
    One,
}

/// Runs the transaction of `jobs`, which are sorted by kind, and says for each whether it changed something.
async fn commit(
    lease: &mut Lease<'_>,
    statements: &Statements,
    jobs: &[Job],
) -> Result<Vec<bool>, Failed> {
    let early = Failed::All;
    let mut counts = Counts::default();
    let mut arguments = SqliteArguments::default();
    // For each statement of the transaction the job that it is of.
    let mut of = vec![None];
    for (kind, size) in KINDS.into_iter().zip(&mut counts) {
        let mine = jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| job.change.kind() == kind);
        let mut count = 0;
        for (index, job) in mine {
            job.change.bind(&mut arguments).map_err(early)?;
            of.push(Some(index));
            count += 1;
        }
        *size = size_for(count);
        for _ in count..*size {
            bind_nothing(kind, &mut arguments).map_err(early)?;
            of.push(None);
        }
    }

    let sql = statements.transaction(counts);
    let mut patience = lease.patience();
    loop {
        let mut changed = vec![false; jobs.len()];
        let (done, error) = match run(lease, &sql, &arguments, &of, &mut changed).await {
            Ok(None) => return Ok(changed),
            Ok(Some(failure)) => failure,
            Err(error) => return Err(early(error)),
        };
        // The first statement is BEGIN, and after those of the jobs comes COMMIT.
        if done == 0 {
            if patience.waits_for(&error).await {
                continue;
            }
            return Err(early(from_sqlx(error, During::Writing)));
        }
        if done >= of.len() || matches!(error, sqlx::Error::WorkerCrashed) {
            return Err(Failed::All(from_sqlx(error, During::Committing)));
        }
        return Err(Failed::One);
    }
}

/// Runs a transaction once. Where it fails, gives the number of its statements that were done, and undoes them.
async fn run(
    lease: &mut Lease<'_>,
    sql: &SqlStr,
    arguments: &SqliteArguments,
    of: &[Option<usize>],
    changed: &mut [bool],
) -> Result<Option<(usize, sqlx::Error)>, Error> {
    let query = sqlx::query_with(sql.clone(), arguments.clone());
    let mut results = lease.transaction().await?.fetch_many(query);
    let mut done = 0;
    let error = loop {
        match results.try_next().await {
            Ok(Some(Either::Left(result))) => {
                if let Some(Some(job)) = of.get(done)
                    && let Some(changed) = changed.get_mut(*job)
                {
                    *changed = result.rows_affected() > 0;
                }
                done += 1;
            }
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => break None,
            Err(error) => break Some(error),
        }
    };
    drop(results);
    match error {
        None => lease.finished(),
        Some(_) => lease.roll_back().await,
    }
    Ok(error.map(|error| {
        lease.note(&error);
        (done, error)
    }))
}

/// Answers the jobs of a transaction that was committed.
async fn answer(
    lease: &mut Lease<'_>,
    statements: &Statements,
    jobs: Vec<Job>,
    changed: Vec<bool>,
) {
    let mut refused = Vec::new();
    for (job, changed) in jobs.into_iter().zip(changed) {
        if !changed && job.change.is_conditional() {
            refused.push(job);
            continue;
        }
        let changed = match changed {
            true => Changed::Yes,
            false => Changed::No(ConflictState::Unknown),
        };
        let _gone = job.reply.send(Ok(changed));
    }
    if refused.is_empty() {
        return;
    }
    let keys: Vec<&Key> = refused.iter().map(|job| job.change.key()).collect();
    let found = read_on(lease, statements, &keys).await;
    for job in refused {
        let changed = Changed::No(current(&found, job.change.key()));
        let _gone = job.reply.send(Ok(changed));
    }
}

/// What a change that was refused found. That it was refused is certain, also where reading failed.
fn current(found: &Result<Found, Error>, key: &Key) -> ConflictState {
    match found {
        Ok(found) => match found.get(key.as_str()) {
            Some(entry) => ConflictState::Present(entry.clone()),
            None => ConflictState::Absent,
        },
        Err(_) => ConflictState::Unknown,
    }
}
