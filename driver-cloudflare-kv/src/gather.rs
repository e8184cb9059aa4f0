//! Combines concurrent calls into bulk requests.
//!
//! Callers submit jobs to the queue of a task. The task keeps the jobs that wait, sends those that are due as a
//! [`BatchRequest`], and answers each caller by the ticket of its job.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use http_support::SharedError;
use indexmap::IndexMap;
use session_core::worker::{self, Jobs, Queue, Reply, Ticket};
use session_core::{Key, Result};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::closed;

/// How long a job waits at most for a running request. Without this limit a slow response would delay all jobs.
const MAX_WAIT: Duration = Duration::from_millis(100);

/// How many requests of a kind run concurrently.
const MAX_REQUESTS: usize = 32;

/// How many calls the queue holds. Further callers wait for a place.
const QUEUE_CAPACITY: usize = 1_024;

/// About how many jobs wait outside of the queue. The task takes no calls from the queue beyond that.
const MAX_WAITING: usize = 20_000;

/// How many bytes one request has at most, unless a single job has more.
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// A kind of request that serves many keys at once.
pub(crate) trait BatchRequest: Send + Sync + 'static {
    /// The work on one key.
    type Job: Send + 'static;
    /// The result for one key.
    type Output: Clone + Send + 'static;

    /// How many keys one request serves at most.
    const MAX_KEYS: usize;
    /// Whether the request changes something. Then a key is in one request at a time, so that changes of one key arrive
    /// in order.
    const CHANGES: bool;

    /// About how many bytes a job has in a request.
    fn bytes(key: &Key, job: &Self::Job) -> usize;

    /// Sends a request for `jobs`, each of another key. It ends by `deadline`, and the results are in the order of `jobs`.
    fn send(
        &self,
        jobs: Vec<(Key, Self::Job)>,
        deadline: Instant,
    ) -> impl Future<Output = Vec<Result<Self::Output>>> + Send;
}

/// Combines the jobs of concurrent callers into few requests.
///
/// A job is sent at once if no request is running. Otherwise it waits until a request completes, until a request is full,
/// or for [`MAX_WAIT`], and is sent together with the jobs that arrived in the meantime.
///
/// If several jobs of one key wait together, only the last one is sent, and all their callers get its result. For reads
/// the jobs are the same, and of writes only the last would remain visible. A job that its caller gave up before it was
/// sent is dropped.
pub(crate) struct Gatherer<G: BatchRequest> {
    queue: Queue<Vec<Arrival<G>>, ()>,
}

/// A job of one caller.
struct Arrival<G: BatchRequest> {
    key: Key,
    job: WaitingJob<G>,
}

/// A job that was not sent yet.
struct WaitingJob<G: BatchRequest> {
    job: G::Job,
    deadline: Instant,
    ticket: Ticket<Result<G::Output>>,
}

impl<G: BatchRequest> Gatherer<G> {
    /// Starts a gatherer and its task. The task ends when `stop` is cancelled or the gatherer is dropped, after it has
    /// completed the jobs submitted before.
    pub(crate) fn start(kind: G, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (queue, arrivals) = worker::queue(QUEUE_CAPACITY);
        let task = Task {
            kind: Arc::new(kind),
            arrivals,
            waiting: IndexMap::new(),
            blocked: IndexMap::new(),
            busy: HashSet::new(),
            requests: JoinSet::new(),
            keys_of: HashMap::new(),
        };
        (Self { queue }, tokio::spawn(task.run(stop)))
    }

    /// Runs one job. It ends by `deadline`; `timeout` is for the error message.
    pub(crate) async fn run(
        &self,
        key: Key,
        job: G::Job,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<G::Output> {
        let results = self.run_all(vec![(key, job)], deadline, timeout).await;
        results.into_iter().next().unwrap_or_else(|| Err(closed()))
    }

    /// Runs several jobs. It ends by `deadline`, and the results are in the order of `jobs`.
    pub(crate) async fn run_all(
        &self,
        jobs: Vec<(Key, G::Job)>,
        deadline: Instant,
        timeout: Duration,
    ) -> Vec<Result<G::Output>> {
        if jobs.is_empty() {
            return Vec::new();
        }
        let pairs = jobs.into_iter().map(|(key, job)| {
            let (pending, ticket) = worker::ticket();
            let job = WaitingJob {
                job,
                deadline,
                ticket,
            };
            (Arrival { key, job }, pending)
        });
        let (arrivals, pending): (Vec<_>, Vec<_>) = pairs.unzip();
        // Each arrival has a ticket of its own, so the ticket of the queue is not needed.
        if let Err(error) = self.queue.submit(arrivals, deadline, timeout).await {
            let error = SharedError::new(error);
            return pending.iter().map(|_| Err(error.to_error())).collect();
        }
        let mut results = Vec::with_capacity(pending.len());
        for pending in pending {
            let answer = pending.answer(deadline, timeout).await;
            results.push(answer.and_then(|result| result));
        }
        results
    }
}

/// The waiting jobs of one key, in the order of arrival.
struct Slot<G: BatchRequest> {
    since: Instant,
    jobs: Vec<WaitingJob<G>>,
}

/// The job of a key that is being sent, and the callers that wait for its result.
struct Sending<G: BatchRequest> {
    key: Key,
    job: G::Job,
    deadline: Instant,
    replies: Vec<Reply<Result<G::Output>>>,
}

impl<G: BatchRequest> Slot<G> {
    fn is_given_up(&self) -> bool {
        self.jobs.iter().all(|job| job.ticket.is_given_up())
    }

    /// About how many bytes the last job has in a request.
    fn bytes(&self, key: &Key) -> usize {
        let last = self.jobs.last();
        last.map_or(0, |last| G::bytes(key, &last.job))
    }

    /// Begins the jobs that were not given up; `None` if none is left.
    fn begin(self, key: Key) -> Option<Sending<G>> {
        let (mut last, mut replies) = (None, Vec::with_capacity(self.jobs.len()));
        for waiting in self.jobs {
            let WaitingJob {
                job,
                deadline,
                ticket,
            } = waiting;
            if let Some(reply) = ticket.begin() {
                let latest = last.map_or(deadline, |(_, latest)| deadline.max(latest));
                last = Some((job, latest));
                replies.push(reply);
            }
        }
        let (job, deadline) = last?;
        Some(Sending {
            key,
            job,
            deadline,
            replies,
        })
    }
}

struct Task<G: BatchRequest> {
    kind: Arc<G>,
    arrivals: Jobs<Vec<Arrival<G>>, ()>,
    /// Jobs that can be sent, the oldest first.
    waiting: IndexMap<Key, Slot<G>>,
    /// Jobs that must wait, since their key is in a running request.
    blocked: IndexMap<Key, Slot<G>>,
    busy: HashSet<Key>,
    requests: JoinSet<()>,
    keys_of: HashMap<Id, Vec<Key>>,
}

impl<G: BatchRequest> Task<G> {
    async fn run(mut self, stop: CancellationToken) {
        let mut open = true;
        let mut stopping = false;
        while open || !self.requests.is_empty() || !self.waiting.is_empty() {
            let oldest = self.waiting.first().map(|(_, slot)| slot.since);
            let wake = oldest.filter(|_| self.requests.len() < MAX_REQUESTS);
            let has_room = self.count() < MAX_WAITING;
            tokio::select! {
                () = stop.cancelled(), if !stopping => {
                    stopping = true;
                    self.arrivals.close();
                }
                arrived = self.arrivals.recv(), if open && has_room => {
                    open = arrived.is_some();
                    let mut next = arrived;
                    while let Some(job) = next {
                        let (arrivals, _) = job.into_parts();
                        arrivals.into_iter().for_each(|arrival| self.add(arrival));
                        next = self.arrivals.try_recv();
                    }
                    self.send_due(!open);
                }
                Some(done) = self.requests.join_next_with_id(), if !self.requests.is_empty() => {
                    self.complete(match done {
                        Ok((id, ())) => id,
                        Err(panicked) => panicked.id(),
                    });
                    self.send_due(true);
                }
                () = sleep_until(wake.map_or_else(Instant::now, |since| since + MAX_WAIT)), if wake.is_some() => {
                    self.send_due(true);
                }
            }
        }
    }

    /// How many jobs wait.
    fn count(&self) -> usize {
        let slots = self.waiting.values().chain(self.blocked.values());
        slots.map(|slot| slot.jobs.len()).sum()
    }

    fn add(&mut self, arrival: Arrival<G>) {
        let slots = match self.busy.contains(&arrival.key) {
            true => &mut self.blocked,
            false => &mut self.waiting,
        };
        let slot = slots.entry(arrival.key).or_insert_with(|| Slot {
            since: Instant::now(),
            jobs: Vec::new(),
        });
        slot.jobs.push(arrival.job);
    }

    fn complete(&mut self, id: Id) {
        for key in self.keys_of.remove(&id).unwrap_or_default() {
            self.busy.remove(&key);
            if let Some(slot) = self.blocked.shift_remove(&key) {
                self.waiting.insert(key, slot);
            }
        }
    }

    /// Sends full requests, and the rest in one more request if that is `due`.
    fn send_due(&mut self, due: bool) {
        let mut due = due || self.requests.is_empty();
        while (due || self.waiting.len() >= G::MAX_KEYS) && self.requests.len() < MAX_REQUESTS {
            let (batch, is_full) = self.next_batch();
            if !batch.is_empty() {
                self.send(batch);
            } else if !is_full {
                return;
            }
            due = is_full;
        }
    }

    /// The next jobs that are sent together, and whether more are left.
    fn next_batch(&mut self) -> (Vec<Sending<G>>, bool) {
        self.waiting.retain(|_, slot| !slot.is_given_up());
        let mut bytes = 0;
        let fitting = self
            .waiting
            .iter()
            .take(G::MAX_KEYS)
            .take_while(|(key, slot)| {
                let is_first = bytes == 0;
                bytes += slot.bytes(key);
                is_first || bytes <= MAX_BYTES
            });
        let count = fitting.count();
        let is_full = count < self.waiting.len();
        let batch = self.waiting.drain(..count);
        let batch = batch.filter_map(|(key, slot)| slot.begin(key));
        (batch.collect(), is_full)
    }

    fn send(&mut self, batch: Vec<Sending<G>>) {
        let mut keys = Vec::new();
        if G::CHANGES {
            keys.extend(batch.iter().map(|sending| sending.key.clone()));
            self.busy.extend(keys.iter().cloned());
        }
        let request = send_batch(Arc::clone(&self.kind), batch);
        let id = self.requests.spawn(request).id();
        self.keys_of.insert(id, keys);
    }
}

async fn send_batch<G: BatchRequest>(kind: Arc<G>, batch: Vec<Sending<G>>) {
    let deadlines = batch.iter().map(|sending| sending.deadline);
    let deadline = deadlines.max().unwrap_or_else(Instant::now);
    let mut jobs = Vec::with_capacity(batch.len());
    let mut waiting = Vec::with_capacity(batch.len());
    for sending in batch {
        jobs.push((sending.key, sending.job));
        waiting.push(sending.replies);
    }
    let results = kind.send(jobs, deadline).await;
    for (replies, result) in waiting.into_iter().zip(results) {
        let result = result.map_err(SharedError::new);
        for reply in replies {
            reply.send(match &result {
                Ok(answer) => Ok(answer.clone()),
                Err(error) => Err(error.to_error()),
            });
        }
    }
}
