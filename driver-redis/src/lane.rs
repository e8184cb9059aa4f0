use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{self, Either};
use session_core::Error;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use crate::connection::Connection;
use crate::error::{ConnectError, closed, no_connection};
use crate::target::Target;

/// How long a lane waits between attempts to connect: at first, and at most. Short enough for the first call to
/// succeed within a second after a server is back.
const FIRST_WAIT: Duration = Duration::from_millis(10);
const LONGEST_WAIT: Duration = Duration::from_millis(400);

/// One connection to one server, made anew whenever it breaks.
pub(crate) struct Lane {
    state: watch::Receiver<State>,
    patience: Duration,
}

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
    /// How many attempts have begun, and which was the last to fail.
    begun: u64,
    failed: u64,
    trouble: Option<ConnectError>,
}

/// Why a lane has no connection to give.
pub(crate) enum NoConnection {
    /// Waiting longer will not help, or the lane was closed.
    Failed(Error),
    /// The time is over.
    Late(Option<ConnectError>),
}

impl NoConnection {
    /// As the error of a call that has no time left.
    pub(crate) fn into_error(self, timeout: Duration) -> Error {
        match self {
            Self::Failed(error) => error,
            Self::Late(Some(trouble)) => trouble.to_error(),
            Self::Late(None) => no_connection(timeout),
        }
    }
}

impl Lane {
    /// A lane to `target`, and the task that keeps it.
    pub(crate) fn new(
        target: Arc<Target>,
        patience: Duration,
        connect_timeout: Duration,
        stop: CancellationToken,
    ) -> (Self, impl Future<Output = ()> + Send + 'static) {
        let (sender, state) = watch::channel(State::Away(Outage::now()));
        let keep = async move {
            stop.run_until_cancelled(keep(&target, connect_timeout, &sender))
                .await;
            sender.send_replace(State::Closed);
        };
        (Self { state, patience }, keep)
    }

    /// The connection, if there is one.
    pub(crate) fn connected(&self) -> Option<Arc<Connection>> {
        match &*self.state.borrow() {
            State::Connected(connection) => Some(Arc::clone(connection)),
            _ => None,
        }
    }

    /// The connection, once there is one.
    ///
    /// As long as an outage is young, waiting is worth it: most are over soon. Later a caller waits for the outcome
    /// of one attempt, so that callers do not pile up before a server that is away for long. Nobody waits where the
    /// server refuses who we are.
    pub(crate) async fn connection(&self, until: Instant) -> Result<Arc<Connection>, NoConnection> {
        let mut state = self.state.clone();
        let mut begun_before = None;
        loop {
            let outage = match &*state.borrow_and_update() {
                State::Connected(connection) => return Ok(Arc::clone(connection)),
                State::Closed => return Err(NoConnection::Failed(closed())),
                State::Away(outage) => outage.clone(),
            };
            let begun_before = *begun_before.get_or_insert(outage.begun);
            if outage.failed > begun_before
                && let Some(trouble) = &outage.trouble
                && (trouble.is_lasting() || outage.since.elapsed() > self.patience)
            {
                return Err(NoConnection::Failed(trouble.to_error()));
            }
            match timeout_at(until, state.changed()).await {
                Ok(Ok(())) => {}
                // The task has gone without a word: its runtime has ended.
                Ok(Err(_)) => return Err(NoConnection::Failed(closed())),
                Err(_) => return Err(NoConnection::Late(outage.trouble)),
            }
        }
    }
}

impl Outage {
    fn now() -> Self {
        Self {
            since: Instant::now(),
            begun: 0,
            failed: 0,
            trouble: None,
        }
    }
}

/// Connects, does the work of the connection, and connects anew, for ever.
async fn keep(target: &Target, connect_timeout: Duration, state: &watch::Sender<State>) {
    let mut outage = Outage::now();
    let mut wait = FIRST_WAIT;
    loop {
        outage.begun += 1;
        state.send_replace(State::Away(outage.clone()));
        let attempt = timeout(connect_timeout, target.connect()).await;
        let attempt = attempt.unwrap_or_else(|_| Err(target.no_answer(connect_timeout)));
        match attempt {
            Ok(connected) => {
                let connection = Arc::new(connected.connection);
                state.send_replace(State::Connected(Arc::clone(&connection)));
                let began = Instant::now();
                let run = Box::pin(connection.run(connected.work));
                if let Either::Right(_) = future::select(run, connected.superseded).await {
                    tracing::info!(server = %target, "another server is the primary now");
                }
                tracing::debug!(server = %target, "the connection ended");
                outage = Outage::now();
                // One that breaks at once is a failed attempt.
                wait = match began.elapsed() > LONGEST_WAIT {
                    true => FIRST_WAIT,
                    false => next(wait),
                };
                if wait == FIRST_WAIT {
                    continue;
                }
                state.send_replace(State::Away(outage.clone()));
            }
            Err(trouble) => {
                if outage.trouble.is_none() {
                    tracing::warn!(server = %target, "no connection: {}", trouble.message);
                }
                outage.failed = outage.begun;
                outage.trouble = Some(trouble);
                state.send_replace(State::Away(outage.clone()));
                wait = next(wait);
            }
        }
        // Drawn at random, so that many processes do not come back all at once.
        sleep(wait.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
    }
}

fn next(wait: Duration) -> Duration {
    (wait * 2).min(LONGEST_WAIT)
}
