//! The one place from which the driver writes: alone, or many callers' changes in one transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt;
use session_core::worker::{Job, Jobs, Pending, Queue, Reply, queue};
use session_core::{ConflictState, Error, Key};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Either, Executor, SqlStr};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::change::{Change, Changed, bind_nothing};
use crate::connection::{Lease, Slot, pause};
use crate::error::{During, from_sqlx, is_locked, shared, timed_out};
use crate::queue::{fill, receive};
use crate::reader::{Found, read_on};
use crate::statements::{Counts, KINDS, MAX_BATCH, Statements, size_for};

/// How many changes the queue holds. Further callers wait for a place.
const QUEUE: usize = 1_024;

/// How many bytes a transaction writes at most, unless a single value is longer.
const MAX_BATCH_BYTES: usize = 1024 * 1024;

/// How long before its deadline a change gives up waiting for a lock, at most: early enough that its caller learns that
/// nothing was written.
const LONGEST_MARGIN: Duration = Duration::from_millis(100);

/// A change in the queue.
struct Work {
    change: Change,
    /// Until when it waits for a lock that another process holds.
    locked_until: Instant,
}

/// What a queued change is answered with.
type Answer = Result<Changed, Error>;

/// Makes all changes of a driver.
///
/// A caller that finds nobody writing does it alone, by one statement that commits by itself, as on a bare
/// connection. Otherwise the change is queued for a task that puts all queued changes into one transaction. The
/// task belongs to the driver, so no caller that is dropped can leave a transaction open.
pub(crate) struct Writer {
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    queue: Queue<Work, Answer>,
    timeout: Duration,
    busy_timeout: Duration,
    /// The last transaction had several changes. More are likely to follow, and writing alone would only keep them
    /// waiting.
    crowded: Arc<AtomicBool>,
}

impl Writer {
    /// A writer, and the task that works its queue off until `stop`. A call may take `timeout`, and wait
    /// `busy_timeout` of it for a lock of another process.
    pub(crate) fn new(
        slot: Arc<Slot>,
        statements: Arc<Statements>,
        timeout: Duration,
        busy_timeout: Duration,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (queue, jobs) = queue(QUEUE);
        let crowded = Arc::new(AtomicBool::new(false));
        let writer = Self {
            slot: Arc::clone(&slot),
            statements: Arc::clone(&statements),
            queue,
            timeout,
            busy_timeout,
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
        let deadline = Instant::now() + self.timeout;
        if !self.crowded.load(Ordering::Relaxed)
            && let Some(mut lease) = self.slot.try_lock()
        {
            let until = self.locked_until(deadline);
            let waits = || Instant::now() < until;
            let alone = apply_alone(&mut lease, &self.statements, &change, waits);
            let applied = timeout_at(deadline, alone).await;
            return applied.unwrap_or_else(|_| Err(timed_out(self.timeout)));
        }
        let pending = self.submit(change, deadline).await?;
        pending.answer(deadline, self.timeout).await?
    }

    /// Makes several changes, those of one key in their order.
    pub(crate) async fn apply_many(&self, changes: Vec<Change>) -> Vec<Result<Changed, Error>> {
        let deadline = Instant::now() + self.timeout;
        let mut results = Vec::with_capacity(changes.len());
        let mut pending = Vec::new();
        let mut keys: Vec<Key> = Vec::new();
        for change in changes {
            // A transaction orders its changes by kind, so a key may be in one only once.
            if pending.len() >= MAX_BATCH || keys.contains(change.key()) {
                keys.clear();
                self.collect(&mut pending, &mut results, deadline).await;
            }
            keys.push(change.key().clone());
            pending.push(self.submit(change, deadline).await);
        }
        self.collect(&mut pending, &mut results, deadline).await;
        results
    }

    async fn submit(&self, change: Change, deadline: Instant) -> Result<Pending<Answer>, Error> {
        let work = Work {
            change,
            locked_until: self.locked_until(deadline),
        };
        self.queue.submit(work, deadline, self.timeout).await
    }

    /// Waits for the answers of `pending`.
    async fn collect(
        &self,
        pending: &mut Vec<Result<Pending<Answer>, Error>>,
        results: &mut Vec<Answer>,
        deadline: Instant,
    ) {
        for pending in pending.drain(..) {
            results.push(match pending {
                Ok(pending) => pending
                    .answer(deadline, self.timeout)
                    .await
                    .and_then(std::convert::identity),
                Err(error) => Err(error),
            });
        }
    }

    fn locked_until(&self, deadline: Instant) -> Instant {
        let margin = LONGEST_MARGIN.min(self.timeout / 10);
        (Instant::now() + self.busy_timeout).min(deadline - margin)
    }
}

struct WriterTask {
    slot: Arc<Slot>,
    statements: Arc<Statements>,
    jobs: Jobs<Work, Answer>,
    crowded: Arc<AtomicBool>,
}

impl WriterTask {
    async fn run(self, stop: CancellationToken) {
        loop {
            let mut batch = receive(&self.jobs, &stop).await;
            if batch.is_empty() {
                return;
            }
            let mut lease = self.slot.lock().await;
            // Nothing begins before the thread of the connection is free.
            let ready = lease.connection().await.map(drop);
            fill(&mut batch, &self.jobs);
            self.crowded.store(batch.len() > 1, Ordering::Relaxed);
            while !batch.is_empty() {
                let count = fitting(&batch);
                let begun = batch.drain(..count).filter_map(Begun::from_job).collect();
                match &ready {
                    Ok(()) => apply_together(&mut lease, &self.statements, begun).await,
                    Err(error) => refuse(begun, error),
                }
            }
            drop(lease);
            // Callers that were answered get to run, and other processes get the lock.
            tokio::task::yield_now().await;
        }
    }
}

/// How many of the first jobs go into one transaction.
fn fitting(jobs: &[Job<Work, Answer>]) -> usize {
    let mut bytes = 0_usize;
    let fitting = jobs.iter().take_while(|job| {
        bytes = bytes.saturating_add(job.work().change.size());
        bytes <= MAX_BATCH_BYTES
    });
    fitting.count().max(1)
}

/// A change whose caller waited for it when it began.
struct Begun {
    change: Change,
    locked_until: Instant,
    reply: Reply<Answer>,
}

impl Begun {
    fn from_job(job: Job<Work, Answer>) -> Option<Self> {
        let (work, reply) = job.begin()?;
        Some(Self {
            change: work.change,
            locked_until: work.locked_until,
            reply,
        })
    }

    /// Whether to wait longer for a lock of another process.
    fn waits(&self) -> bool {
        Instant::now() < self.locked_until && !self.reply.is_given_up()
    }
}

/// Answers each of `jobs` by the same error.
fn refuse(jobs: Vec<Begun>, error: &Error) {
    for job in jobs {
        job.reply.send(Err(shared(error)));
    }
}

/// Makes one change by one statement, which is atomic, also if the caller is dropped. It waits for a lock of another
/// process for as long as `waits` says so.
async fn apply_alone(
    lease: &mut Lease<'_>,
    statements: &Statements,
    change: &Change,
    waits: impl Fn() -> bool,
) -> Result<Changed, Error> {
    let mut arguments = SqliteArguments::default();
    change.bind(&mut arguments)?;
    let sql = statements.single(change.kind());
    if lease.execute(&sql, &arguments, waits).await? > 0 {
        return Ok(Changed::Yes);
    }
    if change.is_conditional() {
        let found = read_on(lease, statements, &[change.key()]).await;
        return Ok(Changed::No(current(&found, change.key())));
    }
    Ok(Changed::No(ConflictState::Unknown))
}

/// Makes several changes in one transaction and answers each. If one of them fails, makes each alone.
async fn apply_together(lease: &mut Lease<'_>, statements: &Statements, mut jobs: Vec<Begun>) {
    jobs.sort_by_key(|job| KINDS.iter().position(|kind| *kind == job.change.kind()));
    while jobs.len() > 1 {
        match commit(lease, statements, &jobs).await {
            Ok(changed) => return answer(lease, statements, jobs, changed).await,
            Err(Failed::All(error)) => return refuse(jobs, &error),
            Err(Failed::Locked(error)) => {
                let (waiting, late) = jobs.into_iter().partition(Begun::waits);
                refuse(late, &error);
                jobs = waiting;
                pause().await;
            }
            Err(Failed::One) => break,
        }
    }
    for job in jobs {
        if !job.reply.is_given_up() {
            let result = apply_alone(lease, statements, &job.change, || job.waits()).await;
            job.reply.send(result);
        }
    }
}

/// Why a transaction was not committed.
enum Failed {
    /// Another process holds the lock. Nothing was done.
    Locked(Error),
    /// Nothing was done, or it is not known whether it was committed.
    All(Error),
    /// One change could not be made, and all were undone.
    One,
}

/// Runs the transaction of `jobs`, which are sorted by kind, and says for each whether it changed something.
async fn commit(
    lease: &mut Lease<'_>,
    statements: &Statements,
    jobs: &[Begun],
) -> Result<Vec<bool>, Failed> {
    let mut counts = Counts::default();
    let mut arguments = SqliteArguments::default();
    // For each statement of the transaction, the job that it belongs to.
    let mut of = vec![None];
    for (kind, size) in KINDS.into_iter().zip(&mut counts) {
        let mine = jobs
            .iter()
            .enumerate()
            .filter(|(_, job)| job.change.kind() == kind);
        let mut count = 0;
        for (index, job) in mine {
            job.change.bind(&mut arguments).map_err(Failed::All)?;
            of.push(Some(index));
            count += 1;
        }
        *size = size_for(count);
        for _ in count..*size {
            bind_nothing(kind, &mut arguments).map_err(Failed::All)?;
            of.push(None);
        }
    }

    let sql = statements.transaction(counts);
    let mut changed = vec![false; jobs.len()];
    let failure = run(lease, &sql, &arguments, &of, &mut changed).await;
    match failure.map_err(Failed::All)? {
        None => Ok(changed),
        // The first statement is BEGIN, and after those of the jobs comes COMMIT.
        Some((0, error)) if is_locked(&error) => {
            Err(Failed::Locked(from_sqlx(error, During::Writing)))
        }
        Some((0, error)) => Err(Failed::All(from_sqlx(error, During::Writing))),
        Some((done, error)) if done >= of.len() || matches!(error, sqlx::Error::WorkerCrashed) => {
            Err(Failed::All(from_sqlx(error, During::Committing)))
        }
        Some(_) => Err(Failed::One),
    }
}

/// Runs a transaction once. If it fails, gives the number of statements that were done, and undoes them.
async fn run(
    lease: &mut Lease<'_>,
    sql: &SqlStr,
    arguments: &SqliteArguments,
    of: &[Option<usize>],
    changed: &mut [bool],
) -> Result<Option<(usize, sqlx::Error)>, Error> {
    let query = sqlx::query_with(sql.clone(), arguments.clone());
    let mut results = lease.started().await?.fetch_many(query);
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
    jobs: Vec<Begun>,
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
        job.reply.send(Ok(changed));
    }
    if refused.is_empty() {
        return;
    }
    let keys: Vec<&Key> = refused.iter().map(|job| job.change.key()).collect();
    let found = read_on(lease, statements, &keys).await;
    for job in refused {
        let changed = Changed::No(current(&found, job.change.key()));
        job.reply.send(Ok(changed));
    }
}

/// The entry that a refused change met. That it was refused is certain, also if reading the entry failed.
fn current(found: &Result<Found, Error>, key: &Key) -> ConflictState {
    match found {
        Ok(found) => match found.get(key.as_str()) {
            Some(entry) => ConflictState::Present(entry.clone()),
            None => ConflictState::Absent,
        },
        Err(_) => ConflictState::Unknown,
    }
}
