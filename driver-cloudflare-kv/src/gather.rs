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

/// How long a job waits for company at most. Without such a bound an answer that hangs would keep everybody waiting.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

/// How many requests of a kind are under way at most.
const MOST_REQUESTS: usize = 32;

/// How many callers wait in the queue, and about how many keys beyond it; who comes then waits before the queue.
const QUEUE: usize = 1_024;
const MOST_WAITING: usize = 20_000;

/// How many bytes go into one request, unless a single job has more.
const MOST_BYTES: usize = 8 * 1024 * 1024;

/// One kind of request that serves many keys at once.
pub(crate) trait Gathered: Send + Sync + 'static {
    /// What is to be done with a key.
    type Job: Send + 'static;
    /// What comes of it.
    type Reply: Clone + Send + 'static;

    /// How many keys a request serves at most.
    const MOST_KEYS: usize;
    /// Whether this changes something. Then a key is in one request at a time, so that what is handed in later also
    /// arrives later.
    const CHANGES: bool;

    /// About how long a job is in a request.
    fn bytes(key: &Key, job: &Self::Job) -> usize;

    /// Does all of `jobs`, each of another key, by `deadline`; the results stand in their order.
    fn send(
        &self,
        jobs: Vec<(Key, Self::Job)>,
        deadline: Instant,
    ) -> impl Future<Output = Vec<Result<Self::Reply>>> + Send;
}

/// Where callers hand in jobs, which go out together.
///
/// A job that finds no request under way is sent at once. What comes meanwhile goes out together: when a request comes
/// back, when there is enough to fill one, or when it has waited for [`LONGEST_WAIT`].
///
/// Of several jobs with one key that wait together the last one is done, and its result is that of all: for reads they
/// are the same, and of writes nobody could have seen the others. A job that its caller gave up before it was sent does
/// not count.
pub(crate) struct Gatherer<G: Gathered> {
    queue: Queue<Vec<Arrival<G>>, ()>,
}

/// A job of one caller.
struct Arrival<G: Gathered> {
    key: Key,
    job: WaitingJob<G>,
}

/// A job that was not sent yet.
struct WaitingJob<G: Gathered> {
    job: G::Job,
    deadline: Instant,
    ticket: Ticket<Result<G::Reply>>,
}

impl<G: Gathered> Gatherer<G> {
    /// A gatherer and its task, which ends when `stop` is cancelled or the gatherer is dropped, after it has done what
    /// was handed in before.
    pub(crate) fn start(kind: G, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (queue, arrivals) = worker::queue(QUEUE);
        let task = Task {
            kind: Arc::new(kind),
            arrivals,
            waiting: IndexMap::new(),
            held: IndexMap::new(),
            busy: HashSet::new(),
            requests: JoinSet::new(),
            keys_of: HashMap::new(),
        };
        (Self { queue }, tokio::spawn(task.run(stop)))
    }

    /// Does one job by `deadline`; `timeout` is what a message names.
    pub(crate) async fn run(
        &self,
        key: Key,
        job: G::Job,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<G::Reply> {
        let results = self.run_all(vec![(key, job)], deadline, timeout).await;
        results.into_iter().next().unwrap_or_else(|| Err(closed()))
    }

    /// Does several jobs by `deadline`, of which the last one of a key counts; the results stand in the order of `jobs`.
    pub(crate) async fn run_all(
        &self,
        jobs: Vec<(Key, G::Job)>,
        deadline: Instant,
        timeout: Duration,
    ) -> Vec<Result<G::Reply>> {
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
        // Each arrival has a ticket of its own, so that of the queue is not waited for.
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

/// Jobs of one key that wait together, in the order in which they came.
struct Slot<G: Gathered> {
    since: Instant,
    jobs: Vec<WaitingJob<G>>,
}

/// A key whose job is being sent, and those who wait for its result.
struct Sending<G: Gathered> {
    key: Key,
    job: G::Job,
    deadline: Instant,
    replies: Vec<Reply<Result<G::Reply>>>,
}

impl<G: Gathered> Slot<G> {
    fn is_given_up(&self) -> bool {
        self.jobs.iter().all(|job| job.ticket.is_given_up())
    }

    /// About how long the last job is in a request.
    fn bytes(&self, key: &Key) -> usize {
        let last = self.jobs.last();
        last.map_or(0, |last| G::bytes(key, &last.job))
    }

    /// Begins what was not given up; `None` if nothing is left.
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

struct Task<G: Gathered> {
    kind: Arc<G>,
    arrivals: Jobs<Vec<Arrival<G>>, ()>,
    /// What can be sent, the oldest first.
    waiting: IndexMap<Key, Slot<G>>,
    /// What must wait, since its key is in a request.
    held: IndexMap<Key, Slot<G>>,
    busy: HashSet<Key>,
    requests: JoinSet<()>,
    keys_of: HashMap<Id, Vec<Key>>,
}

impl<G: Gathered> Task<G> {
    async fn run(mut self, stop: CancellationToken) {
        let mut open = true;
        let mut stopping = false;
        while open || !self.requests.is_empty() || !self.waiting.is_empty() {
            let oldest = self.waiting.first().map(|(_, slot)| slot.since);
            let wake = oldest.filter(|_| self.requests.len() < MOST_REQUESTS);
            let has_room = self.count() < MOST_WAITING;
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
                    self.send_what_is_due(!open);
                }
                Some(done) = self.requests.join_next_with_id(), if !self.requests.is_empty() => {
                    self.came_back(match done {
                        Ok((id, ())) => id,
                        Err(panicked) => panicked.id(),
                    });
                    self.send_what_is_due(true);
                }
                () = sleep_until(wake.map_or_else(Instant::now, |since| since + LONGEST_WAIT)), if wake.is_some() => {
                    self.send_what_is_due(true);
                }
            }
        }
    }

    /// How many jobs wait.
    fn count(&self) -> usize {
        let slots = self.waiting.values().chain(self.held.values());
        slots.map(|slot| slot.jobs.len()).sum()
    }

    fn add(&mut self, arrival: Arrival<G>) {
        let slots = match self.busy.contains(&arrival.key) {
            true => &mut self.held,
            false => &mut self.waiting,
        };
        let slot = slots.entry(arrival.key).or_insert_with(|| Slot {
            since: Instant::now(),
            jobs: Vec::new(),
        });
        slot.jobs.push(arrival.job);
    }

    fn came_back(&mut self, id: Id) {
        for key in self.keys_of.remove(&id).unwrap_or_default() {
            self.busy.remove(&key);
            if let Some(slot) = self.held.shift_remove(&key) {
                self.waiting.insert(key, slot);
            }
        }
    }

    /// Sends what fills requests, and what is there for one more if that is `due`.
    fn send_what_is_due(&mut self, due: bool) {
        let mut due = due || self.requests.is_empty();
        while (due || self.waiting.len() >= G::MOST_KEYS) && self.requests.len() < MOST_REQUESTS {
            let (batch, is_full) = self.next_batch();
            if !batch.is_empty() {
                self.send(batch);
            } else if !is_full {
                return;
            }
            due = is_full;
        }
    }

    /// The next jobs that go together, and whether there would have been more.
    fn next_batch(&mut self) -> (Vec<Sending<G>>, bool) {
        self.waiting.retain(|_, slot| !slot.is_given_up());
        let mut bytes = 0;
        let fitting = self
            .waiting
            .iter()
            .take(G::MOST_KEYS)
            .take_while(|(key, slot)| {
                let is_first = bytes == 0;
                bytes += slot.bytes(key);
                is_first || bytes <= MOST_BYTES
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
        let request = send_together(Arc::clone(&self.kind), batch);
        let id = self.requests.spawn(request).id();
        self.keys_of.insert(id, keys);
    }
}

async fn send_together<G: Gathered>(kind: Arc<G>, batch: Vec<Sending<G>>) {
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
