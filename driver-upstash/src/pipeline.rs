//! Calls of many tasks, gathered into few requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http_support::{Answer, HeaderValue, HttpClient, Method, SharedError};
use parking_lot::Mutex;
use session_core::worker::{self, Job, Jobs, Queue};
use session_core::{Error, ErrorKind, Outcome, Repeat, Result};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::command::Command;
use crate::error::failed;
use crate::reply::{self, Replies};

const SYNC_TOKEN: &str = "upstash-sync-token";

/// How much one request has at most, so that its answer stays small enough to be read in one piece, and so that it is
/// one that plans of the service allow.
const MOST_COMMANDS: usize = 256;
const MOST_BYTES: usize = 512 * 1024;

/// How many calls wait in the pipeline; further callers wait before it.
const MOST_WAITING: usize = 1_024;

/// How many requests are under way at once at most: one as a rule, and more where there is more than one request
/// holds, or where one takes so long that nobody should wait for it.
const MOST_IN_FLIGHT: usize = 8;
const SLOW: Duration = Duration::from_millis(250);

/// Sends what callers want done, and gives each its own result.
///
/// While nothing is under way, a call goes out at once. What comes in meanwhile waits, and goes out together when the
/// answer is there.
pub(crate) struct Pipeline {
    queue: Mutex<Option<Queue<Call, Result<Replies>>>>,
    /// Ends with this value; before that when it was closed and everything is answered.
    worker: tokio::sync::Mutex<Option<AbortOnDropHandle<()>>>,
}

/// What one caller wants done, in one request and in this order.
struct Call {
    commands: Vec<Command>,
    repeat: Repeat,
    deadline: Instant,
}

/// A call that has not been sent.
type Waiting = Job<Call, Result<Replies>>;

/// A call that is being sent.
type Sending = (Call, worker::Reply<Result<Replies>>);

/// The way to the database.
pub(crate) struct Wire {
    client: HttpClient,
    /// Tells a replica up to where it must be; `None` if that is not wanted.
    sync_token: Option<Mutex<Option<HeaderValue>>>,
}

impl Pipeline {
    /// Starts on the runtime of the caller.
    pub(crate) fn start(wire: Wire) -> Self {
        let (queue, jobs) = worker::queue(MOST_WAITING);
        let worker = tokio::spawn(work(jobs, Arc::new(wire)));
        Self {
            queue: Mutex::new(Some(queue)),
            worker: tokio::sync::Mutex::new(Some(AbortOnDropHandle::new(worker))),
        }
    }

    /// Does `commands` once, one after the other and together with those of other callers. `repeat` says whether they
    /// may be sent again after a request whose answer was too large to be read.
    ///
    /// It ends by `deadline`; `timeout` is what a message names.
    pub(crate) async fn run(
        &self,
        commands: Vec<Command>,
        repeat: Repeat,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Replies> {
        let queue = self.queue.lock().clone().ok_or_else(closed)?;
        let call = Call {
            commands,
            repeat,
            deadline,
        };
        let pending = queue.submit(call, deadline, timeout).await?;
        drop(queue);
        pending.answer(deadline, timeout).await?
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match self.queue.lock().is_some() {
            true => Ok(()),
            false => Err(closed()),
        }
    }

    /// Takes no more calls, and returns when those that are there have their answers.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        let mut worker = self.worker.lock().await;
        // Forgotten only once it has ended, so that a close which is dropped can be made again.
        if let Some(running) = worker.as_mut() {
            let _panicked = running.await;
        }
        worker.take();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed; open another")
}

async fn work(jobs: Jobs<Call, Result<Replies>>, wire: Arc<Wire>) {
    let mut waiting = VecDeque::new();
    let mut in_flight = FuturesUnordered::new();
    let mut last_sent = Instant::now();
    let mut is_open = true;
    while is_open || !waiting.is_empty() || !in_flight.is_empty() {
        while let Some(batch) = next_batch(&mut waiting, in_flight.len(), last_sent.elapsed()) {
            last_sent = Instant::now();
            let wire = Arc::clone(&wire);
            in_flight.push(async move { wire.send(batch).await });
        }
        tokio::select! {
            job = jobs.recv(), if is_open && waiting.len() < MOST_WAITING => {
                match job {
                    Some(job) => waiting.push_back(job),
                    None => is_open = false,
                }
                // What came at the same time goes out at the same time.
                take_queued(&jobs, &mut waiting);
            }
            Some(()) = in_flight.next() => {
                // Those who were answered may ask again at once. Their calls go out with what waits, and need not wait
                // for the answer to that.
                let mut known = None;
                while known != Some(waiting.len()) && waiting.len() < MOST_COMMANDS {
                    known = Some(waiting.len());
                    tokio::task::yield_now().await;
                    take_queued(&jobs, &mut waiting);
                }
            }
            () = tokio::time::sleep_until(last_sent + SLOW),
                if !waiting.is_empty() && in_flight.len() < MOST_IN_FLIGHT => {}
        }
    }
}

fn take_queued(jobs: &Jobs<Call, Result<Replies>>, waiting: &mut VecDeque<Waiting>) {
    while waiting.len() < MOST_WAITING
        && let Some(job) = jobs.try_recv()
    {
        waiting.push_back(job);
    }
}

/// What goes out now: everything if nothing is under way, or if that is slow; else a request that is full. Calls that
/// their callers gave up are dropped.
fn next_batch(
    waiting: &mut VecDeque<Waiting>,
    in_flight: usize,
    since_last: Duration,
) -> Option<Vec<Sending>> {
    waiting.retain(|job| !job.is_given_up());
    if waiting.is_empty() || in_flight >= MOST_IN_FLIGHT {
        return None;
    }
    let (mut calls, mut commands, mut bytes) = (0, 0, 0);
    for call in waiting.iter().map(Job::work) {
        let size: usize = call.commands.iter().map(Command::size).sum();
        let fits = commands + call.commands.len() <= MOST_COMMANDS && bytes + size <= MOST_BYTES;
        if calls > 0 && !fits {
            break;
        }
        (calls, commands, bytes) = (calls + 1, commands + call.commands.len(), bytes + size);
    }
    let is_full = calls < waiting.len();
    if in_flight > 0 && !is_full && since_last < SLOW {
        return None;
    }
    Some(waiting.drain(..calls).filter_map(Job::begin).collect())
}

impl Wire {
    pub(crate) fn new(client: HttpClient, read_your_writes: bool) -> Self {
        Self {
            client,
            sync_token: read_your_writes.then(Mutex::default),
        }
    }

    /// Sends `calls` in one request and answers them. If the request or its answer was too large, it is divided, as far
    /// as that repeats nothing that must not be repeated.
    async fn send(&self, calls: Vec<Sending>) {
        let mut parts = vec![calls];
        while let Some(mut calls) = parts.pop() {
            calls.retain(|(_, reply)| !reply.is_given_up());
            if calls.is_empty() {
                continue;
            }
            let error = match self.results(&calls).await {
                Ok(results) => {
                    let mut results = results.into_iter();
                    for (call, reply) in calls {
                        let own = results.by_ref().take(call.commands.len()).collect();
                        reply.send(Ok(Replies::new(own)));
                    }
                    continue;
                }
                Err(error) => SharedError::new(error),
            };
            let divide = error.get().kind() == ErrorKind::TooLarge && calls.len() > 1;
            let may_be_applied = error.get().outcome() == Outcome::Unknown;
            let (mut again, failed): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(call, _)| {
                divide && (call.repeat == Repeat::Always || !may_be_applied)
            });
            for (_, reply) in failed {
                reply.send(Err(error.to_error()));
            }
            let second = again.split_off(again.len() / 2);
            parts.extend([second, again]);
        }
    }

    async fn results(&self, calls: &[Sending]) -> Result<Vec<reply::CommandResult>> {
        let commands: Vec<&Command> = calls.iter().flat_map(|(call, _)| &call.commands).collect();
        let body = serde_json::to_vec(&commands).map_err(|error| {
            Error::new(ErrorKind::InvalidKey, "a command cannot be written as JSON")
                .with_source(error)
        })?;
        let deadlines = calls.iter().map(|(call, _)| call.deadline);
        let deadline = deadlines.max().unwrap_or_else(Instant::now);
        let mut request = self.client.request(Method::POST, "/pipeline").body(body);
        if let Some(token) = self
            .sync_token
            .as_ref()
            .and_then(|token| token.lock().clone())
        {
            request = request.header(SYNC_TOKEN, token);
        }
        let answer = self.client.send(request, deadline).await?;
        self.keep_sync_token(&answer);
        match answer.is_success() {
            true => reply::read(&answer, commands.len()),
            false => Err(failed(&answer)),
        }
    }

    fn keep_sync_token(&self, answer: &Answer) {
        if let (Some(kept), Some(token)) = (&self.sync_token, answer.header(SYNC_TOKEN))
            && let Ok(token) = HeaderValue::from_str(token)
        {
            *kept.lock() = Some(token);
        }
    }
}
