//! Calls of many tasks, gathered into few requests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http_support::{Answer, HeaderValue, HttpClient, Method};
use parking_lot::Mutex;
use session_core::{Error, ErrorKind, Idempotency, Outcome, Result};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::command::Command;
use crate::error::{SharedError, failed};
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
    calls: Mutex<Option<mpsc::Sender<Call>>>,
    /// Ends with this value; before that when it was closed and everything is answered.
    worker: tokio::sync::Mutex<Option<AbortOnDropHandle<()>>>,
}

/// What one caller wants done, in one request and in this order.
struct Call {
    commands: Vec<Command>,
    repeat: Idempotency,
    /// Because it was part of a request that was too large.
    is_alone: bool,
    answer: oneshot::Sender<Result<Replies>>,
}

/// The way to the database.
pub(crate) struct Wire {
    client: HttpClient,
    /// Tells a replica up to where it must be; `None` if that is not wanted.
    sync_token: Option<Mutex<Option<HeaderValue>>>,
}

impl Pipeline {
    /// Starts on the runtime of the caller.
    pub(crate) fn start(wire: Wire) -> Self {
        let (calls, incoming) = mpsc::channel(MOST_WAITING);
        let worker = tokio::spawn(work(incoming, Arc::new(wire)));
        Self {
            calls: Mutex::new(Some(calls)),
            worker: tokio::sync::Mutex::new(Some(AbortOnDropHandle::new(worker))),
        }
    }

    /// Does `commands` once, one after the other and together with those of other callers. `repeat` says whether they
    /// may be sent again, alone, after a request whose answer was too large to be read.
    pub(crate) async fn run(&self, commands: Vec<Command>, repeat: Idempotency) -> Result<Replies> {
        let calls = self.calls.lock().clone().ok_or_else(closed)?;
        let (answer, answered) = oneshot::channel();
        let call = Call {
            commands,
            repeat,
            is_alone: false,
            answer,
        };
        if calls.send(call).await.is_err() {
            return Err(gone().with_outcome(Outcome::NotApplied));
        }
        drop(calls);
        answered.await.map_err(|_| gone())?
    }

    pub(crate) fn check_open(&self) -> Result<()> {
        match self.calls.lock().is_some() {
            true => Ok(()),
            false => Err(closed()),
        }
    }

    /// Takes no more calls, and returns when those that are there have their answers.
    pub(crate) async fn close(&self) {
        drop(self.calls.lock().take());
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

fn gone() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the runtime on which the driver was opened has ended; open it on one that lives as long",
    )
}

async fn work(mut incoming: mpsc::Receiver<Call>, wire: Arc<Wire>) {
    let mut waiting: VecDeque<Call> = VecDeque::new();
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
            call = incoming.recv(), if is_open && waiting.len() < MOST_WAITING => {
                match call {
                    Some(call) => waiting.push_back(call),
                    None => is_open = false,
                }
                // What came at the same time goes out at the same time.
                while let Ok(call) = incoming.try_recv() {
                    waiting.push_back(call);
                }
            }
            Some(again) = in_flight.next() => {
                for call in again {
                    waiting.push_front(call);
                }
                // Those who were answered may ask again at once. Their calls go out with what waits, and need not wait
                // for the answer to that.
                let mut known = None;
                while known != Some(waiting.len()) && waiting.len() < MOST_COMMANDS {
                    known = Some(waiting.len());
                    tokio::task::yield_now().await;
                    while let Ok(call) = incoming.try_recv() {
                        waiting.push_back(call);
                    }
                }
            }
            () = tokio::time::sleep_until(last_sent + SLOW),
                if !waiting.is_empty() && in_flight.len() < MOST_IN_FLIGHT => {}
        }
    }
}

/// What goes out now: everything if nothing is under way, or if that is slow; else a request that is full.
fn next_batch(
    waiting: &mut VecDeque<Call>,
    in_flight: usize,
    since_last: Duration,
) -> Option<Vec<Call>> {
    if waiting.is_empty() || in_flight >= MOST_IN_FLIGHT {
        return None;
    }
    let (mut calls, mut commands, mut bytes) = (0, 0, 0);
    for call in waiting.iter() {
        let size: usize = call.commands.iter().map(Command::size).sum();
        let fits = commands + call.commands.len() <= MOST_COMMANDS && bytes + size <= MOST_BYTES;
        if calls > 0 && (call.is_alone || !fits) {
            break;
        }
        (calls, commands, bytes) = (calls + 1, commands + call.commands.len(), bytes + size);
        if call.is_alone {
            break;
        }
    }
    let is_full = calls < waiting.len();
    if in_flight > 0 && !is_full && since_last < SLOW {
        return None;
    }
    Some(waiting.drain(..calls).collect())
}

impl Wire {
    pub(crate) fn new(client: HttpClient, read_your_writes: bool) -> Self {
        Self {
            client,
            sync_token: read_your_writes.then(Mutex::default),
        }
    }

    /// Sends one request and answers its calls. What it gives back is to be sent again, in other company.
    async fn send(&self, mut calls: Vec<Call>) -> Vec<Call> {
        // Those who left want nothing any more.
        calls.retain(|call| !call.answer.is_closed());
        if calls.is_empty() {
            return calls;
        }
        match self.results(&calls).await {
            Ok(results) => {
                let mut results = results.into_iter();
                for call in calls {
                    let own = results.by_ref().take(call.commands.len()).collect();
                    let _left = call.answer.send(Ok(Replies::new(own)));
                }
                Vec::new()
            }
            Err(error) => settle(calls, error),
        }
    }

    async fn results(&self, calls: &[Call]) -> Result<Vec<reply::CommandResult>> {
        let commands: Vec<&Command> = calls.iter().flat_map(|call| &call.commands).collect();
        let body = serde_json::to_vec(&commands).map_err(|error| {
            Error::new(ErrorKind::InvalidKey, "a command cannot be written as JSON")
                .with_source(error)
        })?;
        let mut request = self.client.request(Method::POST, "/pipeline").body(body);
        if let Some(token) = self
            .sync_token
            .as_ref()
            .and_then(|token| token.lock().clone())
        {
            request = request.header(SYNC_TOKEN, token);
        }
        let answer = self.client.send(request).await?;
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

/// Answers calls whose request failed. One that was too large, or whose answer was, is divided instead, as far as that
/// does nothing twice that must not be.
fn settle(calls: Vec<Call>, error: Error) -> Vec<Call> {
    let divide = error.kind() == ErrorKind::TooLarge && calls.len() > 1;
    let error = SharedError::new(error);
    let mut again = Vec::new();
    for mut call in calls {
        let may_repeat =
            call.repeat == Idempotency::Idempotent || error.get().outcome() == Outcome::NotApplied;
        if divide && may_repeat {
            call.is_alone = true;
            again.push(call);
        } else {
            let _left = call.answer.send(Err(error.to_own()));
        }
    }
    again.reverse();
    again
}
