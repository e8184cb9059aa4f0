use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexMap;
use session_core::{Key, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{Id, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::error::{closed, lost, shared};

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

    /// Does all of `jobs`, each of another key; the results stand in their order.
    fn send(
        &self,
        jobs: Vec<(Key, Self::Job)>,
    ) -> impl Future<Output = Vec<Result<Self::Reply>>> + Send;
}

/// Where callers hand in jobs, which go out together.
///
/// A job that finds no request under way is sent at once. What comes meanwhile goes out together: when a request comes
/// back, when there is enough to fill one, or when it has waited for [`LONGEST_WAIT`].
///
/// Of several jobs with one key that wait together the last one is done, and its result is that of all: for reads they
/// are the same, and of writes nobody could have seen the others.
pub(crate) struct Gatherer<G: Gathered> {
    queue: mpsc::Sender<Vec<Arrival<G>>>,
}

struct Arrival<G: Gathered> {
    key: Key,
    job: G::Job,
    answer: Answer<G::Reply>,
}

type Answer<R> = oneshot::Sender<Result<R>>;

impl<G: Gathered> Arrival<G> {
    fn new(key: Key, job: G::Job) -> (Self, oneshot::Receiver<Result<G::Reply>>) {
        let (answer, receiver) = oneshot::channel();
        (Self { key, job, answer }, receiver)
    }
}

impl<G: Gathered> Gatherer<G> {
    /// A gatherer and its task, which ends when `stop` is cancelled or the gatherer is dropped, after it has done what
    /// was handed in before.
    pub(crate) fn start(kind: G, stop: CancellationToken) -> (Self, JoinHandle<()>) {
        let (queue, arrivals) = mpsc::channel(QUEUE);
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

    /// Does one job.
    pub(crate) async fn run(&self, key: Key, job: G::Job) -> Result<G::Reply> {
        let (arrival, answer) = Arrival::new(key, job);
        self.hand_in(vec![arrival]).await?;
        Self::wait(answer).await
    }

    /// Does several jobs, of which the last one of a key counts; the results stand in the order of `jobs`.
    pub(crate) async fn run_all(&self, jobs: Vec<(Key, G::Job)>) -> Vec<Result<G::Reply>> {
        let pairs = jobs.into_iter().map(|(key, job)| Arrival::new(key, job));
        let (arrivals, answers): (Vec<_>, Vec<_>) = pairs.unzip();
        if arrivals.is_empty() {
            return Vec::new();
        }
        if let Err(error) = self.hand_in(arrivals).await {
            let error = Arc::new(error);
            return answers.iter().map(|_| Err(shared(&error))).collect();
        }
        let mut results = Vec::with_capacity(answers.len());
        for answer in answers {
            results.push(Self::wait(answer).await);
        }
        results
    }

    async fn hand_in(&self, arrivals: Vec<Arrival<G>>) -> Result<()> {
        self.queue.send(arrivals).await.map_err(|_| closed())
    }

    async fn wait(answer: oneshot::Receiver<Result<G::Reply>>) -> Result<G::Reply> {
        answer.await.unwrap_or_else(|_| Err(lost(G::CHANGES)))
    }
}

/// Jobs of one key that wait together.
struct Slot<G: Gathered> {
    job: G::Job,
    since: Instant,
    answers: Vec<Answer<G::Reply>>,
}

struct Task<G: Gathered> {
    kind: Arc<G>,
    arrivals: mpsc::Receiver<Vec<Arrival<G>>>,
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
        let mut arrived = Vec::new();
        let mut open = true;
        while open || !self.requests.is_empty() || !self.waiting.is_empty() {
            let oldest = self.waiting.first().map(|(_, slot)| slot.since);
            let wake = oldest.filter(|_| self.requests.len() < MOST_REQUESTS);
            let has_room = self.waiting.len() + self.held.len() < MOST_WAITING;
            tokio::select! {
                () = stop.cancelled(), if !self.arrivals.is_closed() => self.arrivals.close(),
                count = self.arrivals.recv_many(&mut arrived, QUEUE), if open && has_room => {
                    open = count > 0;
                    arrived.drain(..).flatten().for_each(|arrival| self.add(arrival));
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

    fn add(&mut self, arrival: Arrival<G>) {
        let Arrival { key, job, answer } = arrival;
        let slots = match self.busy.contains(&key) {
            true => &mut self.held,
            false => &mut self.waiting,
        };
        match slots.get_mut(&key) {
            Some(slot) => {
                slot.job = job;
                slot.answers.push(answer);
            }
            None => {
                let slot = Slot {
                    job,
                    since: Instant::now(),
                    answers: vec![answer],
                };
                slots.insert(key, slot);
            }
        }
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
            if batch.is_empty() {
                return;
            }
            self.send(batch);
            due = is_full;
        }
    }

    /// The next jobs that go together, and whether there would have been more.
    fn next_batch(&mut self) -> (Vec<(Key, Slot<G>)>, bool) {
        // Whose callers have all gone is not sent.
        self.waiting
            .retain(|_, slot| slot.answers.iter().any(|answer| !answer.is_closed()));
        let mut bytes = 0;
        let fitting = self
            .waiting
            .iter()
            .take(G::MOST_KEYS)
            .take_while(|(key, slot)| {
                let is_first = bytes == 0;
                bytes += G::bytes(key, &slot.job);
                is_first || bytes <= MOST_BYTES
            });
        let count = fitting.count();
        let is_full = count < self.waiting.len();
        (self.waiting.drain(..count).collect(), is_full)
    }

    fn send(&mut self, batch: Vec<(Key, Slot<G>)>) {
        let mut keys = Vec::new();
        if G::CHANGES {
            keys.extend(batch.iter().map(|(key, _)| key.clone()));
            self.busy.extend(keys.iter().cloned());
        }
        let request = send_together(Arc::clone(&self.kind), batch);
        let id = self.requests.spawn(request).id();
        self.keys_of.insert(id, keys);
    }
}

async fn send_together<G: Gathered>(kind: Arc<G>, batch: Vec<(Key, Slot<G>)>) {
    let mut jobs = Vec::with_capacity(batch.len());
    let mut answers = Vec::with_capacity(batch.len());
    for (key, slot) in batch {
        jobs.push((key, slot.job));
        answers.push(slot.answers);
    }
    let results = kind.send(jobs).await;
    for (answers, result) in answers.into_iter().zip(results) {
        match result {
            Ok(reply) => answers.into_iter().for_each(|answer| {
                let _the_caller_may_have_gone = answer.send(Ok(reply.clone()));
            }),
            Err(error) => {
                let error = Arc::new(error);
                for answer in answers {
                    let _the_caller_may_have_gone = answer.send(Err(shared(&error)));
                }
            }
        }
    }
}
