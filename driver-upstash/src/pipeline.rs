//! Combines concurrent calls into few requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http_support::{HeaderValue, HttpClient, Method, Response, SharedError};
use parking_lot::Mutex;
use session_core::worker::{self, Job, Jobs, Queue};
use session_core::{Error, ErrorKind, Idempotency, Outcome, Result};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::command::Command;
use crate::error::failed;
use crate::reply::{self, Replies};

const SYNC_TOKEN: &str = "upstash-sync-token";

/// How many commands one request has at most.
const MAX_COMMANDS: usize = 256;

/// How many bytes of commands one request has at most, unless a single call has more.
const MAX_BYTES: usize = 512 * 1024;

/// How many bytes a response has at most beside the replies.
const MAX_ANSWERS: usize = 64 * 1024;

/// How many calls wait in the queue, and how many outside of it. Further callers wait for a place.
const MAX_WAITING: usize = 1_024;

/// How many requests run concurrently at most. Usually it is one. It is more if the waiting calls fill more than one
/// request, or if a request is slow.
const MAX_IN_FLIGHT: usize = 8;

/// After this time a request is slow, and other calls no longer wait for it.
const SLOW: Duration = Duration::from_millis(250);

/// Sends the commands of callers, and gives each caller its own results.
///
/// A call is sent at once if no request is running. Calls that arrive in the meantime are sent together when the response
/// arrives.
pub(crate) struct Pipeline {
    queue: Mutex<Option<Queue<Call, Result<Replies>>>>,
    /// The task that sends requests. It ends when this value is dropped, or after a close when all calls are answered.
    worker: tokio::sync::Mutex<Option<AbortOnDropHandle<()>>>,
}

/// The commands of one caller, which run in one request and in this order.
struct Call {
    commands: Vec<Command>,
    repeat: Idempotency,
    deadline: Instant,
}

/// A call that has not been sent.
type Waiting = Job<Call, Result<Replies>>;

/// A call that is being sent.
type Sending = (Call, worker::Reply<Result<Replies>>);

/// The connection to the database.
pub(crate) struct Wire {
    client: HttpClient,
    /// The token that tells a replica which writes it must have seen; `None` if disabled.
    sync_token: Option<Mutex<Option<HeaderValue>>>,
}

impl Pipeline {
    /// Starts the task on the current runtime.
    pub(crate) fn start(wire: Wire) -> Self {
        let (queue, jobs) = worker::queue(MAX_WAITING);
        let worker = tokio::spawn(work(jobs, Arc::new(wire)));
        Self {
            queue: Mutex::new(Some(queue)),
            worker: tokio::sync::Mutex::new(Some(AbortOnDropHandle::new(worker))),
        }
    }

    /// Runs `commands` in order, in one request with those of other callers. `repeat` says whether they may be sent again
    /// after a response that was too large.
    ///
    /// It ends by `deadline`; `timeout` is for the error message.
    pub(crate) async fn run(
        &self,
        commands: Vec<Command>,
        repeat: Idempotency,
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

    /// Refuses further calls, and waits until the existing ones are answered.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().take());
        let mut worker = self.worker.lock().await;
        // Removed only once it has ended, so that a close that was dropped can be repeated.
        if let Some(running) = worker.as_mut() {
            let _panicked = running.await;
        }
        worker.take();
    }
}

fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the driver was closed; open a new one")
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
            job = jobs.recv(), if is_open && waiting.len() < MAX_WAITING => {
                match job {
                    Some(job) => waiting.push_back(job),
                    None => is_open = false,
                }
                // Calls that arrived at the same time are sent together.
                take_queued(&jobs, &mut waiting);
            }
            Some(()) = in_flight.next() => {
                // Callers that were just answered may call again at once. Their calls are sent together with those that
                // wait, so that they need not wait for another response.
                let mut known = None;
                while known != Some(waiting.len()) && waiting.len() < MAX_COMMANDS {
                    known = Some(waiting.len());
                    tokio::task::yield_now().await;
                    take_queued(&jobs, &mut waiting);
                }
            }
            () = tokio::time::sleep_until(last_sent + SLOW),
                if !waiting.is_empty() && in_flight.len() < MAX_IN_FLIGHT => {}
        }
    }
}

fn take_queued(jobs: &Jobs<Call, Result<Replies>>, waiting: &mut VecDeque<Waiting>) {
    while waiting.len() < MAX_WAITING
        && let Some(job) = jobs.try_recv()
    {
        waiting.push_back(job);
    }
}

/// The calls that are sent now: all if no request is running or the last one is slow, otherwise only a full request. Calls
/// that were given up are dropped.
fn next_batch(
    waiting: &mut VecDeque<Waiting>,
    in_flight: usize,
    since_last: Duration,
) -> Option<Vec<Sending>> {
    waiting.retain(|job| !job.is_given_up());
    if waiting.is_empty() || in_flight >= MAX_IN_FLIGHT {
        return None;
    }
    let (mut calls, mut commands, mut bytes) = (0, 0, 0);
    for call in waiting.iter().map(Job::work) {
        let size: usize = call.commands.iter().map(Command::size).sum();
        let fits = commands + call.commands.len() <= MAX_COMMANDS && bytes + size <= MAX_BYTES;
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

    /// Sends `calls` in one request and answers them. If the request or its response is too large, it is split, unless
    /// that would repeat a call that must not be repeated.
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
            let split = error.get().kind() == ErrorKind::TooLarge && calls.len() > 1;
            let may_be_applied = error.get().outcome() == Outcome::Unknown;
            let (mut again, failed): (Vec<_>, Vec<_>) = calls.into_iter().partition(|(call, _)| {
                split && (call.repeat == Idempotency::Idempotent || !may_be_applied)
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
        // An error can repeat its command.
        let answers = MAX_ANSWERS.saturating_add(2 * body.len());
        let max_response = commands.iter().fold(answers, |sum, command| {
            sum.saturating_add(command.max_reply())
        });
        let client = self.client.limited_to(max_response);
        let mut request = client.request(Method::POST, "/pipeline").body(body);
        if let Some(token) = self
            .sync_token
            .as_ref()
            .and_then(|token| token.lock().clone())
        {
            request = request.header(SYNC_TOKEN, token);
        }
        let response = client.send(request, deadline).await?;
        self.keep_sync_token(&response);
        match response.is_success() {
            true => reply::parse(&response, commands.len()),
            false => Err(failed(&response)),
        }
    }

    fn keep_sync_token(&self, response: &Response) {
        if let (Some(kept), Some(token)) = (&self.sync_token, response.header(SYNC_TOKEN))
            && let Ok(token) = HeaderValue::from_str(token)
        {
            *kept.lock() = Some(token);
        }
    }
}
