//! The threads that use the connections: one writes, the others read.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_executor::block_on;
use parking_lot::MappedMutexGuard;
use rusqlite::Connection;
use session_core::worker::{Job, Jobs, Pending, Queue, Reply, queue};
use session_core::{Error, ErrorKind, Result, Timestamp};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::change::{Change, Changed};
use crate::database::{Database, WRITER};
use crate::error::{During, closed, from_sqlite, is_locked, locked, replaced, shared};

/// How many jobs each queue holds. Further callers wait for a place.
const QUEUE: usize = 1_024;

/// How many changes a transaction has, and how many bytes it writes unless a single value is longer.
const MOST_CHANGES: usize = 64;
const MOST_BYTES: usize = 1024 * 1024;

/// The time between two attempts to get a lock that another process holds. SQLite itself waits for ever longer, up to a
/// tenth of a second, and loses again and again beside a writer that hardly ever releases the lock.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(1);

type Read = Box<dyn FnOnce(Result<&Connection>) + Send>;

/// A change that waits for its turn.
struct Work {
    change: Change,
    submitted: Instant,
}

/// Hands work to the threads. They end when it is dropped or closed.
pub(crate) struct Threads {
    reads: Queue<Read, ()>,
    changes: Queue<Work, Result<Changed>>,
    jobs: (Jobs<Read, ()>, Jobs<Work, Result<Changed>>),
    running: TaskTracker,
    timeout: Duration,
}

impl Threads {
    /// Starts a thread for each connection of `database`. A call may take `timeout`, and a change may wait
    /// `busy_timeout` of it for the lock of another process.
    pub(crate) fn start(
        database: &Arc<Database>,
        timeout: Duration,
        busy_timeout: Duration,
    ) -> Result<Self> {
        let (reads, read_jobs) = queue(QUEUE);
        let (changes, change_jobs) = queue(QUEUE);
        let threads = Self {
            reads,
            changes,
            jobs: (read_jobs.clone(), change_jobs.clone()),
            running: TaskTracker::new(),
            timeout,
        };
        threads.running.close();
        let writer = Writer {
            database: Arc::clone(database),
            busy_timeout,
        };
        threads.spawn("writer", move || writer.work_off(&change_jobs))?;
        for slot in WRITER + 1..database.size() {
            let (database, jobs) = (Arc::clone(database), read_jobs.clone());
            threads.spawn("reader", move || read(&database, slot, &jobs))?;
        }
        Ok(threads)
    }

    fn spawn(&self, name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
        let running: TaskTrackerToken = self.running.token();
        let thread = std::thread::Builder::new().name(format!("driver-sqlite-{name}"));
        let spawned = thread.spawn(move || {
            work();
            drop(running);
        });
        spawned.map(drop).map_err(|error| {
            let message = "no thread could be started; raise the limit of threads (`ulimit -u`)";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })
    }

    /// Reads on any connection.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let (sender, mut receiver) = oneshot::channel();
        let read: Read = Box::new(move |connection| {
            let result = connection.and_then(|connection| {
                work(connection).map_err(|error| from_sqlite(error, During::Reading))
            });
            let _the_caller_may_have_gone = sender.send(result);
        });
        self.reads.run(read, self.timeout).await?;
        receiver.try_recv().map_err(|_| closed())?
    }

    /// Makes one change.
    pub(crate) async fn change(&self, change: Change) -> Result<Changed> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let pending = self.submit(change, deadline).await?;
        pending.answer(deadline, self.timeout).await?
    }

    /// Makes several changes in their order.
    pub(crate) async fn change_many(&self, changes: Vec<Change>) -> Vec<Result<Changed>> {
        let deadline = tokio::time::Instant::now() + self.timeout;
        let mut pending = Vec::with_capacity(changes.len());
        for change in changes {
            pending.push(self.submit(change, deadline).await);
        }
        let mut results = Vec::with_capacity(pending.len());
        for pending in pending {
            results.push(match pending {
                Ok(pending) => pending.answer(deadline, self.timeout).await.flatten(),
                Err(error) => Err(error),
            });
        }
        results
    }

    async fn submit(
        &self,
        change: Change,
        deadline: tokio::time::Instant,
    ) -> Result<Pending<Result<Changed>>> {
        let work = Work {
            change,
            submitted: Instant::now(),
        };
        self.changes.submit(work, deadline, self.timeout).await
    }

    /// Refuses further work, and waits until the threads have finished what is queued.
    pub(crate) async fn close(&self) {
        self.jobs.0.close();
        self.jobs.1.close();
        self.running.wait().await;
    }
}

/// Works off the reads on the connection in `slot`.
fn read(database: &Database, slot: usize, jobs: &Jobs<Read, ()>) {
    while let Some(job) = block_on(jobs.recv()) {
        let connection = database.connection(slot);
        if let Some((read, reply)) = job.begin() {
            read(connection.as_deref().map_err(shared));
            reply.send(());
        }
    }
    database.close(slot);
}

/// Makes all changes, those that are queued together in one transaction.
struct Writer {
    database: Arc<Database>,
    busy_timeout: Duration,
}

type Waiting = Job<Work, Result<Changed>>;

/// The connection of the writer, with a transaction that holds the lock.
type Transaction<'d> = MappedMutexGuard<'d, Connection>;

/// A change whose caller waited for it when its transaction had begun.
struct Begun {
    work: Work,
    reply: Reply<Result<Changed>>,
}

impl Writer {
    fn work_off(&self, jobs: &Jobs<Work, Result<Changed>>) {
        let mut waiting = VecDeque::new();
        while let Some(job) = block_on(jobs.recv()) {
            waiting.push_back(job);
            while !waiting.is_empty() {
                self.write(&mut waiting, jobs);
            }
        }
        self.database.close(WRITER);
    }

    /// Begins a transaction for the first changes of `waiting`, and makes them. No change begins before the lock is
    /// held, so none is made for a caller who has gone, and an error before that is certainly of no effect.
    fn write(&self, waiting: &mut VecDeque<Waiting>, jobs: &Jobs<Work, Result<Changed>>) {
        let began = self.begin(|| {
            waiting.retain(|job| !job.is_given_up());
            while let Some(late) = waiting.pop_front_if(|job| self.has_waited(job.work())) {
                refuse(late, &locked());
            }
            !waiting.is_empty()
        });
        let connection = match began {
            Ok(Some(connection)) => connection,
            Ok(None) => return,
            Err(error) => return waiting.drain(..).for_each(|job| refuse(job, &error)),
        };
        let (mut begun, mut bytes) = (Vec::new(), 0_usize);
        while begun.len() < MOST_CHANGES
            && let Some(job) = waiting.pop_front().or_else(|| jobs.try_recv())
        {
            bytes = bytes.saturating_add(job.work().change.size());
            if bytes > MOST_BYTES && !begun.is_empty() {
                waiting.push_front(job);
                break;
            }
            begun.extend(job.begin().map(|(work, reply)| Begun { work, reply }));
        }
        self.make(connection, begun);
    }

    /// Begins a transaction, which takes the lock. Each time that another process holds it, `waits` says whether to try
    /// again.
    fn begin(&self, mut waits: impl FnMut() -> bool) -> Result<Option<Transaction<'_>>> {
        loop {
            // In between, others may open the file again.
            let connection = self.database.connection(WRITER)?;
            // The driver itself waits for the lock, not SQLite.
            let began = connection
                .busy_timeout(Duration::ZERO)
                .and_then(|()| connection.execute_batch("BEGIN IMMEDIATE"));
            match began {
                Ok(()) => return Ok(Some(connection)),
                Err(error) if is_locked(&error) => {}
                Err(error) => return Err(from_sqlite(error, During::Writing)),
            }
            drop(connection);
            if !waits() {
                return Ok(None);
            }
            std::thread::sleep(BETWEEN_ATTEMPTS);
        }
    }

    fn has_waited(&self, work: &Work) -> bool {
        work.submitted.elapsed() >= self.busy_timeout
    }

    /// Makes changes in the transaction of `connection`, commits them, and answers their callers.
    fn make(&self, connection: Transaction<'_>, changes: Vec<Begun>) {
        let now = Timestamp::now();
        let mut results = Vec::with_capacity(changes.len());
        for Begun { work, .. } in &changes {
            let result = work
                .change
                .make(&connection, &self.database.statements, now);
            results.push(result.map_err(|error| from_sqlite(error, During::Writing)));
            // Some errors, such as a full disk, undo the transaction. Others undo only what they are about.
            if connection.is_autocommit() {
                break;
            }
        }
        let was_undone = connection.is_autocommit();
        if was_undone && changes.len() > 1 {
            drop(connection);
            return changes
                .into_iter()
                .for_each(|change| self.make_alone(change));
        }
        let committed = match was_undone {
            true => Ok(()),
            false => self.commit(&connection),
        };
        for (change, result) in changes.into_iter().zip(results) {
            change.reply.send(match &committed {
                Ok(()) => result,
                Err(error) => result.and(Err(shared(error))),
            });
        }
    }

    fn make_alone(&self, change: Begun) {
        let waits = || !change.reply.is_given_up() && !self.has_waited(&change.work);
        match self.begin(waits) {
            Ok(Some(connection)) => self.make(connection, vec![change]),
            Ok(None) => change.reply.send(Err(locked())),
            Err(error) => change.reply.send(Err(error)),
        }
    }

    fn commit(&self, connection: &Connection) -> Result<()> {
        // Readers hold a lock against it in memory, and where there is no write-ahead log.
        let committed = connection
            .busy_timeout(self.busy_timeout)
            .and_then(|()| connection.execute_batch("COMMIT"));
        if let Err(error) = committed {
            let _maybe_undone_already = connection.execute_batch("ROLLBACK");
            return Err(from_sqlite(error, During::Committing));
        }
        match self.database.is_current() {
            true => Ok(()),
            false => Err(replaced()),
        }
    }
}

fn refuse(job: Waiting, error: &Error) {
    if let Some((_, reply)) = job.begin() {
        reply.send(Err(shared(error)));
    }
}
