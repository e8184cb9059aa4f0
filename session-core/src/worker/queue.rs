//! A bounded queue of jobs, which callers submit and workers take.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, TryAcquireError};
use tokio::time::{Instant, timeout_at};

use super::sync::Mutex;
use super::ticket::{Pending, Reply, Ticket, ticket, worker_ended};
use crate::operations::timed_out;
use crate::{Error, Outcome, Result};

/// Makes a queue with room for `capacity` waiting jobs, and the end from which its workers take them.
pub fn queue<T, R>(capacity: usize) -> (Queue<T, R>, Jobs<T, R>) {
    let shared = Arc::new(Shared {
        state: Mutex::new(State {
            jobs: VecDeque::new(),
            is_open: true,
        }),
        arrived: Notify::new(),
        room: Semaphore::new(capacity),
    });
    let queue = Queue(Arc::new(Submitters(Arc::clone(&shared))));
    (queue, Jobs(Arc::new(Workers(shared))))
}

struct Shared<T, R> {
    /// Whether the queue is open and what is in it change under one lock, so no job can enter a queue that nobody
    /// empties any more.
    state: Mutex<State<T, R>>,
    arrived: Notify,
    room: Semaphore,
}

struct State<T, R> {
    jobs: VecDeque<Job<T, R>>,
    is_open: bool,
}

impl<T, R> Shared<T, R> {
    fn with_state<O>(&self, change: impl FnOnce(&mut State<T, R>) -> O) -> O {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        change(&mut state)
    }

    /// Refuses further jobs, and wakes everybody who waits.
    fn close(&self) {
        self.with_state(|state| state.is_open = false);
        self.room.close();
        self.arrived.notify_waiters();
        // For a worker that is about to wait.
        self.arrived.notify_one();
    }
}

/// The end of a queue at which jobs are submitted. Clones share the queue; when the last one is dropped, the workers
/// finish what is queued and end.
pub struct Queue<T, R>(Arc<Submitters<T, R>>);

struct Submitters<T, R>(Arc<Shared<T, R>>);

impl<T, R> Queue<T, R> {
    /// Submits `work` and waits for its answer, both within `timeout`.
    ///
    /// See [`Pending::answer`] for the errors.
    pub async fn run(&self, work: T, timeout: Duration) -> Result<R> {
        let deadline = Instant::now() + timeout;
        let pending = self.submit(work, deadline, timeout).await?;
        pending.answer(deadline, timeout).await
    }

    /// Submits `work`. It waits for a place in the queue until `deadline`; `timeout` is what a message names.
    ///
    /// The error says that the work was certainly not begun.
    pub async fn submit(
        &self,
        work: T,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Pending<R>> {
        if deadline <= Instant::now() {
            return Err(not_begun(timed_out(timeout)));
        }
        let shared = &self.0.0;
        let place = match shared.room.try_acquire() {
            Ok(place) => place,
            Err(TryAcquireError::Closed) => return Err(not_begun(worker_ended())),
            Err(TryAcquireError::NoPermits) => {
                match timeout_at(deadline, shared.room.acquire()).await {
                    Ok(Ok(place)) => place,
                    Ok(Err(_)) => return Err(not_begun(worker_ended())),
                    Err(_) => return Err(not_begun(timed_out(timeout))),
                }
            }
        };
        let (pending, ticket) = ticket();
        let is_open = shared.with_state(|state| {
            if state.is_open {
                state.jobs.push_back(Job { work, ticket });
            }
            state.is_open
        });
        if !is_open {
            return Err(not_begun(worker_ended()));
        }
        // The worker gives the place back when it takes the job.
        place.forget();
        shared.arrived.notify_one();
        Ok(pending)
    }
}

impl<T, R> Clone for Queue<T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, R> fmt::Debug for Queue<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").finish_non_exhaustive()
    }
}

impl<T, R> Drop for Submitters<T, R> {
    fn drop(&mut self) {
        self.0.close();
    }
}

fn not_begun(error: Error) -> Error {
    error.with_outcome(Outcome::NotApplied)
}

/// The end of a queue from which workers take jobs. Clones share the queue; when the last one is dropped, what is still
/// queued is dropped, and its callers are told.
pub struct Jobs<T, R>(Arc<Workers<T, R>>);

struct Workers<T, R>(Arc<Shared<T, R>>);

impl<T, R> Jobs<T, R> {
    /// Waits for the next job; `None` once the queue is closed and empty.
    pub async fn recv(&self) -> Option<Job<T, R>> {
        let shared = &self.0.0;
        loop {
            let arrived = shared.arrived.notified();
            if let Some(job) = self.try_recv() {
                return Some(job);
            }
            if !shared.with_state(|state| state.is_open) {
                // The next worker may have been about to wait too.
                shared.arrived.notify_one();
                return None;
            }
            arrived.await;
        }
    }

    /// The next job, if one is queued.
    pub fn try_recv(&self) -> Option<Job<T, R>> {
        let shared = &self.0.0;
        let (job, more) = shared.with_state(|state| {
            let job = state.jobs.pop_front();
            (job, !state.jobs.is_empty())
        });
        let job = job?;
        shared.room.add_permits(1);
        if more {
            // A notification is kept for one worker only, so that each passes it on.
            shared.arrived.notify_one();
        }
        Some(job)
    }

    /// Refuses further jobs. What is queued is still to be received.
    pub fn close(&self) {
        self.0.0.close();
    }
}

impl<T, R> Clone for Jobs<T, R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T, R> fmt::Debug for Jobs<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Jobs").finish_non_exhaustive()
    }
}

impl<T, R> Drop for Workers<T, R> {
    fn drop(&mut self) {
        self.0.close();
        // Outside of the lock: what a job drops may be anything.
        let _queued = self.0.with_state(|state| std::mem::take(&mut state.jobs));
    }
}

/// Work that waits in a queue. Dropping it tells the caller that it did not begin.
#[derive(Debug)]
pub struct Job<T, R> {
    work: T,
    ticket: Ticket<R>,
}

impl<T, R> Job<T, R> {
    /// What is to be done, for a worker that chooses which jobs go together.
    pub fn work(&self) -> &T {
        &self.work
    }

    /// Begins the job; `None` if its caller has given it up.
    pub fn begin(self) -> Option<(T, Reply<R>)> {
        let reply = self.ticket.begin()?;
        Some((self.work, reply))
    }

    /// Whether the caller has given the job up.
    pub fn is_given_up(&self) -> bool {
        self.ticket.is_given_up()
    }

    /// The work and its ticket apart, for a worker that answers several callers at once.
    pub fn into_parts(self) -> (T, Ticket<R>) {
        (self.work, self.ticket)
    }
}

#[cfg(test)]
mod tests {
    use shuttle::future::{block_on, spawn, yield_now};
    use tokio::sync::{mpsc, oneshot};

    use super::super::ticket::Unanswered;
    use super::*;

    /// How many orders of the steps are tried.
    const ORDERS: usize = 5_000;

    const TIMEOUT: Duration = Duration::from_secs(5);

    /// Submits a job and waits for its answer without a deadline, so that a caller who is forgotten waits for ever, which
    /// the scheduler finds.
    async fn call(queue: Queue<u32, u32>) -> Result<u32> {
        let deadline = Instant::now() + TIMEOUT;
        let pending = queue.submit(1, deadline, TIMEOUT).await?;
        pending
            .answer_unless(std::future::pending())
            .await
            .map_err(|unanswered| match unanswered {
                Unanswered::GivenUp(outcome) | Unanswered::WorkerEnded(outcome) => {
                    worker_ended().with_outcome(outcome)
                }
            })
    }

    #[test]
    fn no_caller_is_forgotten_when_the_worker_ends() {
        let test = || {
            let (queue, jobs) = queue(8);
            let callers: Vec<_> = (0..3).map(|_| spawn(call(queue.clone()))).collect();
            let worker = spawn(async move {
                if let Some((number, reply)) = jobs.recv().await.and_then(Job::begin) {
                    reply.send(number + 1);
                }
            });
            block_on(async {
                worker.await.unwrap();
                let mut answered = 0;
                for caller in callers {
                    match caller.await.unwrap() {
                        Ok(answer) => {
                            assert_eq!(answer, 2);
                            answered += 1;
                        }
                        Err(error) => assert_eq!(error.outcome(), Outcome::NotApplied),
                    }
                }
                assert_eq!(answered, 1);
            });
        };
        shuttle::check_random(test, ORDERS);
    }

    /// What this module replaces: a caller takes a permit of a channel, the receiver is dropped and drains the channel,
    /// and then the caller sends. The message stays in the channel for as long as the caller itself holds a sender.
    #[test]
    fn a_channel_with_a_oneshot_forgets_a_caller() {
        let test = || {
            let (sender, receiver) = mpsc::channel::<oneshot::Sender<u32>>(8);
            let caller = spawn(async move {
                let (reply, answer) = oneshot::channel();
                if let Ok(permit) = sender.reserve().await {
                    // A thread may be preempted here.
                    yield_now().await;
                    permit.send(reply);
                    let _forgotten = answer.await;
                }
            });
            let worker = spawn(async move { drop(receiver) });
            block_on(async {
                worker.await.unwrap();
                caller.await.unwrap();
            });
        };
        let found = std::panic::catch_unwind(|| shuttle::check_random(test, ORDERS));
        let message = found.expect_err("no caller was forgotten");
        let message = message.downcast_ref::<String>().cloned();
        assert!(
            message.is_some_and(|message| message.contains("deadlock")),
            "the test failed for another reason"
        );
    }

    #[test]
    fn several_workers_share_a_queue_and_end_with_it() {
        let test = || {
            let (queue, jobs) = queue(2);
            let workers: Vec<_> = (0..2)
                .map(|_| {
                    let jobs = jobs.clone();
                    spawn(async move {
                        while let Some(job) = jobs.recv().await {
                            if let Some((number, reply)) = job.begin() {
                                reply.send(number + 1);
                            }
                        }
                    })
                })
                .collect();
            drop(jobs);
            let callers: Vec<_> = (0..2).map(|_| spawn(call(queue.clone()))).collect();
            drop(queue);
            block_on(async {
                for caller in callers {
                    assert_eq!(caller.await.unwrap().unwrap(), 2);
                }
                for worker in workers {
                    worker.await.unwrap();
                }
            });
        };
        shuttle::check_random(test, ORDERS);
    }

    #[test]
    fn a_closed_queue_answers_what_was_submitted_before() {
        let test = || {
            let (queue, jobs) = queue(8);
            let callers: Vec<_> = (0..2).map(|_| spawn(call(queue.clone()))).collect();
            let closer = {
                let jobs = jobs.clone();
                spawn(async move { jobs.close() })
            };
            let worker = spawn(async move {
                let mut count = 0;
                while let Some(job) = jobs.recv().await {
                    if let Some((number, reply)) = job.begin() {
                        reply.send(number + 1);
                        count += 1;
                    }
                }
                count
            });
            block_on(async {
                closer.await.unwrap();
                let mut answered = 0;
                for caller in callers {
                    match caller.await.unwrap() {
                        Ok(_) => answered += 1,
                        Err(error) => assert_eq!(error.outcome(), Outcome::NotApplied),
                    }
                }
                assert_eq!(worker.await.unwrap(), answered);
            });
        };
        shuttle::check_random(test, ORDERS);
    }
}
