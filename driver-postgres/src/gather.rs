//! The tasks that gather what waits into one statement.
//!
//! A lone caller waits for nobody: its statement is sent at once. What arrives while all tasks of a kind are waiting for the
//! server goes together into the next statement.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use session_core::worker::{Job, Jobs, Reply};
use session_core::{Entry, Error, Key};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Row};
use tokio::time::Instant;

use crate::change::{Batch, Callers, Change, Changed, entry};
use crate::error::Failure;
use crate::store::{Lease, Store};

/// How many reads share a statement at most.
pub(crate) const READS: usize = 128;

/// How long a task keeps a connection while there is always something to do, and while there is nothing.
const KEPT: [Duration; 2] = [Duration::from_millis(200), Duration::from_millis(50)];

/// The same while the pool has no other connection to give. It may be the application's, and is that of listings too.
const KEPT_FROM_OTHERS: [Duration; 2] = [Duration::from_millis(5), Duration::ZERO];

pub(crate) type Read = Result<Option<Entry>, Error>;
pub(crate) type Made = Result<Changed, Error>;

/// The next job, and whether the connection was kept. `None` once the queue is closed and empty.
async fn next<T, R>(
    jobs: &Jobs<T, R>,
    lease: &mut Lease<'_>,
    since: &mut Instant,
) -> Option<Job<T, R>> {
    let [kept, idle] = match lease.is_last() {
        true => KEPT_FROM_OTHERS,
        false => KEPT,
    };
    if since.elapsed() < kept
        && let Ok(job) = tokio::time::timeout(idle, jobs.recv()).await
    {
        return job;
    }
    lease.release();
    let job = jobs.recv().await;
    *since = Instant::now();
    job
}

/// Makes reads until the queue is closed.
pub(crate) async fn read(store: Arc<Store>, jobs: Jobs<Key, Read>) {
    let (mut lease, mut since) = (store.lease(), Instant::now());
    while let Some(first) = next(&jobs, &mut lease, &mut since).await {
        let deadline = store.deadline();
        // Until there is a connection, callers may give up, and others join.
        let connected = lease.connect(deadline).await;
        let mut callers = Vec::new();
        let mut keys = Vec::new();
        let mut job = Some(first);
        while let Some(next) = job.take() {
            if let Some((key, reply)) = next.begin() {
                keys.push(key);
                callers.push(reply);
            }
            if keys.len() < READS && connected.is_ok() {
                job = jobs.try_recv();
            }
        }
        if keys.is_empty() {
            continue;
        }
        let entries = match connected {
            Ok(()) => store.read(&mut lease, &keys, deadline).await,
            Err(failure) => Err(failure),
        };
        match entries {
            Ok(entries) => {
                for (reply, entry) in callers.into_iter().zip(entries) {
                    reply.send(Ok(entry));
                }
            }
            Err(failure) => {
                for reply in callers {
                    reply.send(Err(failure.error()));
                }
            }
        }
    }
}

impl Store {
    /// Reads the entries of `keys`, in their order.
    pub(crate) async fn read(
        &self,
        lease: &mut Lease<'_>,
        keys: &[Key],
        deadline: Instant,
    ) -> Result<Vec<Option<Entry>>, Failure> {
        let arguments = || {
            let mut arguments = PgArguments::default();
            let keys: Vec<&[u8]> = keys.iter().map(Key::as_bytes).collect();
            let _added = arguments.add(keys);
            arguments
        };
        let rows = lease
            .read(&self.statements.read, arguments, deadline)
            .await?;
        let placed = |row: &PgRow| Ok((row.try_get::<i64, _>(0)?, entry(row, 1)?));
        let found: Result<HashMap<i64, Entry>, sqlx::Error> = rows.iter().map(placed).collect();
        let mut found = found.map_err(Failure::of)?;
        Ok((1..)
            .take(keys.len())
            .map(|place| found.remove(&place))
            .collect())
    }
}

/// Makes changes until the queue is closed.
pub(crate) async fn change(store: Arc<Store>, jobs: Jobs<Change, Made>) {
    let (mut lease, mut since) = (store.lease(), Instant::now());
    // Jobs that did not go with those before them.
    let mut kept: VecDeque<Job<Change, Made>> = VecDeque::new();
    loop {
        let first = match kept.pop_front() {
            Some(job) => Some(job),
            None => next(&jobs, &mut lease, &mut since).await,
        };
        let Some(first) = first else {
            return;
        };
        if let Err(failure) = lease.connect(first.work().deadline).await {
            if let Some((_, reply)) = first.begin() {
                reply.send(Err(failure.error()));
            }
            continue;
        }
        let mut batch = Batch::new(first.work().kind);
        let (mut changes, mut callers) = (Vec::new(), Vec::new());
        let mut others = VecDeque::new();
        let mut job = Some(first);
        while let Some(next) = job.take() {
            if !batch.takes(next.work()) {
                others.push_back(next);
            } else if let Some((change, reply)) = next.begin() {
                changes.push(change);
                callers.push(Some(reply));
            }
            if changes.len().max(others.len()) < Batch::LONGEST {
                job = kept.pop_front().or_else(|| jobs.try_recv());
            }
        }
        others.append(&mut kept);
        kept = others;
        store.change(&mut lease, &changes, &mut callers).await;
    }
}

impl Callers for Vec<Option<Reply<Made>>> {
    fn is_waiting(&self, place: usize) -> bool {
        let caller = self.get(place).and_then(Option::as_ref);
        caller.is_some_and(|caller| !caller.is_given_up())
    }

    fn answer(&mut self, place: usize, answer: Result<Changed, Failure>) {
        if let Some(caller) = self.get_mut(place).and_then(Option::take) {
            caller.send(answer.map_err(|failure| failure.error()));
        }
    }
}
