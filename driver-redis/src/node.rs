//! One server, and the connections to it, which are made again whenever they break.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use session_core::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::DropGuard;

use crate::address::Endpoint;
use crate::connection::{Connection, Dial, Role};
use crate::error::{Trouble, closed};

/// How long to wait between attempts to connect: at first, and at most. Short enough for the first call to succeed within
/// a second after a server is back.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// A server. Its connections end with this value.
pub(crate) struct Node {
    pub(crate) endpoint: Endpoint,
    lanes: Vec<watch::Receiver<State>>,
    turn: AtomicUsize,
    timeout: Duration,
    _stop: DropGuard,
}

/// The state of one connection.
#[derive(Clone)]
enum State {
    Connected(Arc<Connection>),
    Away(Outage),
    Closed,
}

/// The time without a connection.
#[derive(Clone)]
struct Outage {
    since: Instant,
    /// How many attempts have failed.
    failed: u64,
    trouble: Option<Trouble>,
}

/// Why there is no connection.
pub(crate) enum NoConnection {
    /// The driver was closed.
    Closed,
    /// Waiting longer would not help.
    Failed(Trouble),
    /// The time is over.
    Late(Option<Trouble>),
}

impl NoConnection {
    /// The error of a call that has no time left.
    pub(crate) fn into_error(self, timeout: Duration) -> Error {
        match self {
            Self::Closed => closed(),
            Self::Failed(trouble) | Self::Late(Some(trouble)) => trouble.to_error(),
            Self::Late(None) => Trouble::late(timeout).to_error(),
        }
    }
}

impl Node {
    pub(crate) fn start(dial: &Arc<Dial>, endpoint: &Endpoint, role: Role) -> Arc<Self> {
        let stop = dial.stop.child_token();
        let lanes = match role {
            Role::Sentinel => 1,
            _ => dial.options.connections,
        };
        let lane = |_| {
            let (sender, lane) = watch::channel(State::Away(Outage::now()));
            let (dial, endpoint, stop) = (Arc::clone(dial), endpoint.clone(), stop.clone());
            dial.clone().tasks.spawn(async move {
                stop.run_until_cancelled(keep(&dial, &endpoint, role, &sender))
                    .await;
                sender.send_replace(State::Closed);
            });
            lane
        };
        Arc::new(Self {
            endpoint: endpoint.clone(),
            lanes: (0..lanes).map(lane).collect(),
            turn: AtomicUsize::new(0),
            timeout: dial.options.timeout,
            _stop: stop.drop_guard(),
        })
    }

    /// A connection, if there is one. Callers take them in turn.
    pub(crate) fn connected(&self) -> Option<Arc<Connection>> {
        let turn = match self.lanes.len() {
            1 => 0,
            _ => self.turn.fetch_add(1, Ordering::Relaxed),
        };
        let lanes = self.lanes.iter().cycle().skip(turn % self.lanes.len());
        lanes.take(self.lanes.len()).find_map(connected)
    }

    /// All connections that there are.
    pub(crate) fn connections(&self) -> impl Iterator<Item = Arc<Connection>> {
        self.lanes.iter().filter_map(connected)
    }

    /// Whether the server tracked keys over a connection that is closed, or that closes when this node is dropped.
    pub(crate) fn loses_track(&self, is_dropped: bool) -> bool {
        self.lanes.iter().any(|lane| match &*lane.borrow() {
            State::Connected(connection) => {
                let has_ended = is_dropped || connection.end.is_cancelled();
                has_ended && connection.tracks.load(Ordering::Acquire)
            }
            _ => false,
        })
    }

    /// Always the same connection, if there is one.
    pub(crate) fn first_connected(&self) -> Option<Arc<Connection>> {
        self.lanes.first().and_then(connected)
    }

    /// The first connection, once there is one.
    ///
    /// While an outage is young, waiting is worth it: most are over soon. Later a caller waits for the outcome of one
    /// attempt, so that callers do not pile up before a server that is away for long.
    pub(crate) async fn connection(&self, until: Instant) -> Result<Arc<Connection>, NoConnection> {
        let mut lane = self.lanes.first().ok_or(NoConnection::Closed)?.clone();
        let mut failed_before = None;
        loop {
            let outage = match &*lane.borrow_and_update() {
                State::Connected(connection) if !connection.end.is_cancelled() => {
                    return Ok(Arc::clone(connection));
                }
                State::Connected(_) => Outage::now(),
                State::Closed => return Err(NoConnection::Closed),
                State::Away(outage) => outage.clone(),
            };
            let failed_before = *failed_before.get_or_insert(outage.failed);
            if outage.failed > failed_before
                && let Some(trouble) = &outage.trouble
                && (trouble.is_lasting() || outage.since.elapsed() > self.timeout)
            {
                return Err(NoConnection::Failed(trouble.clone()));
            }
            match timeout_at(until, lane.changed()).await {
                Ok(Ok(())) => {}
                // The task ended with its runtime.
                Ok(Err(_)) => return Err(NoConnection::Closed),
                Err(_) => return Err(NoConnection::Late(outage.trouble)),
            }
        }
    }
}

fn connected(lane: &watch::Receiver<State>) -> Option<Arc<Connection>> {
    match &*lane.borrow() {
        State::Connected(connection) if !connection.end.is_cancelled() => {
            Some(Arc::clone(connection))
        }
        _ => None,
    }
}

impl Outage {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            failed: 0,
            trouble: None,
        }
    }
}

/// Connects, waits for the end of the connection, and connects again, for ever.
async fn keep(dial: &Dial, endpoint: &Endpoint, role: Role, state: &watch::Sender<State>) {
    let mut outage = Outage::now();
    let mut wait = FIRST_WAIT;
    loop {
        let attempt = timeout(dial.options.connect_timeout, dial.connect(endpoint, role)).await;
        match attempt.unwrap_or_else(|_| Err(Trouble::late(dial.options.connect_timeout))) {
            Ok(connection) => {
                let (connection, began) = (Arc::new(connection), Instant::now());
                state.send_replace(State::Connected(Arc::clone(&connection)));
                connection.end.cancelled().await;
                if connection.tracks.load(Ordering::Acquire) {
                    dial.tracking.lose_track();
                }
                tracing::debug!(server = %endpoint, "the connection ended");
                outage = Outage::now();
                state.send_replace(State::Away(outage.clone()));
                // A connection that breaks at once is a failed attempt.
                if began.elapsed() > LONGEST_WAIT {
                    wait = FIRST_WAIT;
                    continue;
                }
            }
            Err(trouble) => {
                if outage.trouble.is_none() {
                    tracing::warn!(server = %endpoint, "no connection: {}", trouble.message);
                }
                outage.failed += 1;
                outage.trouble = Some(trouble);
                state.send_replace(State::Away(outage.clone()));
            }
        }
        wait = (wait * 2).min(LONGEST_WAIT);
        // At random, so that many processes do not come back at once.
        sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}
