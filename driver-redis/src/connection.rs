use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{self, Either};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Pipeline, RedisConnectionInfo, Value};
use session_core::{Error, ErrorKind};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::config::Login;
use crate::endpoint::Endpoint;
use crate::error::{Trouble, lost, no_answer};
use crate::in_flight::{InFlight, TICKS};
use crate::stream;
use crate::tls::TlsClient;

/// How many calls wait to be written at most; further callers wait before it.
const QUEUE: usize = 1_024;

/// How every connection of a driver is made.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) timeout: Duration,
}

impl Dial {
    fn redis_settings(&self) -> RedisConnectionInfo {
        let mut info = RedisConnectionInfo::default()
            .set_db(i64::from(self.db))
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.login.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.login.password {
            info = info.set_password(password);
        }
        info
    }

    /// Connects and logs in. The second result must be polled for the first to work, and ends with the connection.
    pub(crate) async fn connect(&self, endpoint: &Endpoint) -> Result<(Connection, Work), Trouble> {
        let heard = Arc::new(AtomicBool::new(false));
        let stream = stream::connect(endpoint, self.tls.as_ref(), Arc::clone(&heard)).await;
        let stream = stream.map_err(|error| Trouble::from(&error))?;
        // Nothing is timed by the client itself: see `Connection::run`.
        let config = AsyncConnectionConfig::new()
            .set_response_timeout(None)
            .set_pipeline_buffer_size(QUEUE);
        let (client, work) =
            MultiplexedConnection::new_with_config(&self.redis_settings(), stream, config)
                .await
                .map_err(|error| Trouble::from(&error))?;
        let connection = Connection {
            client,
            timeout: self.timeout,
            number: next_number(),
            in_flight: InFlight::default(),
            heard,
            end: OnceLock::new(),
            give_up: Notify::new(),
            lacks: Lacks::default(),
        };
        Ok((connection, Box::pin(work)))
    }
}

/// What must be polled for a connection to work.
pub(crate) type Work = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A number that no other connection of this process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// What the server was found not to have.
#[derive(Debug, Default)]
pub(crate) struct Lacks {
    /// `SET … IFEQ`.
    pub(crate) set_if_equal: AtomicBool,
    /// `DELIFEQ`.
    pub(crate) delete_if_equal: AtomicBool,
}

/// Why a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side, or something in between, closed it.
    Lost,
    /// No answer came in time.
    NoAnswer,
}

/// A connection on which any number of callers have their commands under way.
pub(crate) struct Connection {
    client: MultiplexedConnection,
    timeout: Duration,
    number: u64,
    in_flight: InFlight,
    heard: Arc<AtomicBool>,
    end: OnceLock<End>,
    give_up: Notify,
    pub(crate) lacks: Lacks,
}

impl Connection {
    /// Sends `commands` at once and gives their replies, error replies included. An error is that none came, and that
    /// the commands may have been carried out.
    ///
    /// A call that does not come with a deadline ends by [`run`](Self::run) at the latest.
    pub(crate) async fn send(
        &self,
        commands: &Pipeline,
        deadline: Option<Instant>,
    ) -> Result<Vec<Value>, Error> {
        let mut client = self.client.clone();
        let waiting = self.in_flight.begin();
        let answer = client.send_packed_commands(commands, 0, commands.len());
        let answer = match deadline {
            None => answer.await,
            Some(deadline) => match timeout_at(deadline, answer).await {
                Ok(answer) => answer,
                Err(_) => return Err(no_answer(self.timeout)),
            },
        };
        drop(waiting);
        answer.map_err(|error| match self.end.get() {
            Some(End::NoAnswer) => no_answer(self.timeout),
            _ => lost().with_source(error),
        })
    }

    /// Does the work of the connection until it ends.
    ///
    /// It is given up when a call has waited for `timeout`: answers come in the order of the calls, so nothing that
    /// follows would be in time either, and what was queued up would be done for nobody. It is given up as well when
    /// calls begin and nothing at all was heard for as long, though their callers have gone away meanwhile.
    pub(crate) async fn run(&self, work: Work) {
        let watch = async {
            let ticks = u32::try_from(TICKS).unwrap_or(u32::MAX);
            let mut ticks = interval((self.timeout / ticks).max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut silent = 0;
            loop {
                ticks.tick().await;
                if self.heard.swap(false, Ordering::Relaxed) {
                    silent = 0;
                } else if self.in_flight.take_begun() {
                    silent += 1;
                }
                if self.in_flight.tick() || silent >= TICKS {
                    return;
                }
            }
        };
        let given_up = self.give_up.notified();
        let watch = future::select(Box::pin(watch), Box::pin(given_up));
        let end = match future::select(work, watch).await {
            Either::Right((Either::Left(_), _)) => End::NoAnswer,
            _ => End::Lost,
        };
        // Set before the work is dropped, which tells the callers.
        let _only_once = self.end.set(end);
    }

    /// Ends the connection, since its server is no longer the one to ask.
    pub(crate) fn give_up(&self) {
        self.give_up.notify_one();
    }

    /// Tells connections apart.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }
}

/// Sends `commands` while nobody else does the connection's work.
pub(crate) async fn send_alone(
    connection: &Connection,
    work: &mut Work,
    commands: &Pipeline,
) -> Result<Vec<Value>, Trouble> {
    let answer = Box::pin(connection.send(commands, None));
    match future::select(answer, work).await {
        Either::Left((Ok(values), _)) => Ok(values),
        _ => Err(Trouble::new(
            ErrorKind::Unavailable,
            "the server closed the connection at once; is it overloaded, or its `maxclients` reached?",
        )),
    }
}
