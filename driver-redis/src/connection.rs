//! Connections of the `redis` crate, and what callers need to know about the end of one.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, SendError};
use redis::{
    AsyncConnectionConfig, ConnectionAddr, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo, RedisError, RedisResult, Value,
};
use secrecy::ExposeSecret;
use session_core::{ErrorKind, Outcome, Result};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::address::Endpoint;
use crate::command::load_scripts;
use crate::error::{Trouble, is_unknown_command, lost, no_answer, not_sent};
use crate::options::RedisOptions;
use crate::settings::Login;
use crate::stream::Stream;
use crate::tls::TlsClient;
use crate::tracking::{Tracking, add_tracking};

/// How many calls a connection takes at once; further callers wait for a place. The queue of the `redis` crate has as many,
/// so that a caller who has no place yet was certainly not sent.
const PLACES: usize = 1_024;

/// How the connections of a driver are made.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsClient>,
    /// A client of the application, which has all of that.
    pub(crate) client: Option<redis::Client>,
    pub(crate) options: RedisOptions,
    pub(crate) tracking: Arc<Tracking>,
    pub(crate) tasks: TaskTracker,
    pub(crate) stop: CancellationToken,
}

/// What a server is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Primary,
    /// Named by sentinels, so that the server must confirm it.
    ConfirmedPrimary,
    Replica,
    Sentinel,
}

impl Dial {
    /// Connects, logs in, and prepares the connection for its role.
    pub(crate) async fn connect(
        &self,
        endpoint: &Endpoint,
        role: Role,
    ) -> Result<Connection, Trouble> {
        let (end, silence) = (self.stop.child_token(), Arc::new(Silence::default()));
        let open = |protocol| self.open(endpoint, protocol, &end, &silence);
        let redis = match open(ProtocolVersion::RESP3).await {
            Err(error) if lacks_resp3(&error) => open(ProtocolVersion::RESP2).await?,
            opened => opened?,
        };
        let connection = Connection {
            redis,
            number: next_number(),
            places: Semaphore::new(PLACES),
            has_own_task: self.client.is_none(),
            silence,
            end,
            timeout: self.options.timeout,
            missing: Missing::default(),
            is_tracking: AtomicBool::new(false),
            tracks: AtomicBool::new(false),
        };
        self.prepare(&connection, role).await?;
        Ok(connection)
    }

    async fn open(
        &self,
        endpoint: &Endpoint,
        protocol: ProtocolVersion,
        end: &CancellationToken,
        silence: &Arc<Silence>,
    ) -> RedisResult<MultiplexedConnection> {
        // Callers have timers of their own, which also cover the wait for a place.
        let mut config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PLACES);
        if protocol.supports_resp3() {
            // A function, and not a channel: it runs before the reply that comes next is delivered.
            let (tracking, end) = (Arc::clone(&self.tracking), end.clone());
            config = config.set_push_sender(move |push: PushInfo| {
                match push.kind {
                    PushKind::Invalidate => tracking.tell(&push.data),
                    PushKind::Disconnection => end.cancel(),
                    _ => {}
                }
                Ok::<_, SendError>(())
            });
        }
        if let Some(client) = &self.client {
            return open_by(client, protocol, &config).await;
        }
        let mut info = RedisConnectionInfo::default()
            .set_protocol(protocol)
            .set_db(self.db.into())
            .set_lib_name(env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
        if let Some(username) = &self.login.username {
            info = info.set_username(username);
        }
        if let Some(password) = &self.login.password {
            info = info.set_password(password.expose_secret());
        }
        let stream = Stream::connect(endpoint, self.tls.as_ref(), Arc::clone(silence)).await?;
        let (redis, work) = MultiplexedConnection::new_with_config(&info, stream, config).await?;
        let (end, ended) = (end.clone(), end.clone().drop_guard());
        self.tasks.spawn(async move {
            end.run_until_cancelled(work).await;
            drop(ended);
        });
        Ok(redis)
    }

    async fn prepare(&self, connection: &Connection, role: Role) -> Result<(), Trouble> {
        let mut commands = redis::pipe();
        if let (None, None, Some(password)) =
            (&self.client, &self.login.username, &self.login.password)
        {
            // `HELLO` accepts any password where the server has none, and `AUTH` tells.
            commands.cmd("AUTH").arg(password.expose_secret());
        }
        match role {
            Role::Primary | Role::ConfirmedPrimary => {
                // Found out here, without arguments: a server that does not know the command repeats them in its error,
                // and the connection ends if they are not UTF-8 or are cut within a character.
                commands.cmd("DELIFEQ");
                load_scripts(&mut commands);
            }
            // Otherwise a replica in a cluster redirects readers to its primary.
            Role::Replica => _ = commands.cmd("READONLY"),
            Role::Sentinel => _ = commands.cmd("PING"),
        }
        if self.tracking.is_on() && matches!(role, Role::Primary | Role::ConfirmedPrimary) {
            add_tracking(&mut commands);
        }
        if role == Role::ConfirmedPrimary {
            commands.cmd("ROLE");
        }
        let deadline = Instant::now() + self.options.connect_timeout;
        for reply in connection.send(&commands, deadline).await? {
            match reply {
                Value::ServerError(error)
                    if is_unknown_command(error.code(), error.details().unwrap_or_default()) =>
                {
                    let missing = &connection.missing.delete_if_equal;
                    missing.store(true, Ordering::Relaxed);
                }
                // Other refusals are repeated to those who send these commands, and an ACL may forbid `ROLE`.
                Value::ServerError(error) if error.code() != "NOPERM" => {
                    let trouble = Trouble::from(&error);
                    if trouble.kind == ErrorKind::Unauthorized {
                        return Err(trouble);
                    }
                }
                Value::Array(answer) if !matches!(answer.first(), Some(Value::BulkString(role)) if role == b"master") =>
                {
                    return Err(Trouble::new(
                        ErrorKind::Unavailable,
                        "the server that the sentinels name is not a primary; a failover may be in progress",
                    ));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Connects with a client of the application.
async fn open_by(
    client: &redis::Client,
    protocol: ProtocolVersion,
    config: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let info = client.get_connection_info().clone();
    if let ConnectionAddr::TcpTls { .. } = info.addr() {
        // The crate panics where the process has no provider, or where its features name several.
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let _there_is_one = provider.install_default();
    }
    let login = info.redis_settings().clone().set_protocol(protocol);
    let client = redis::Client::open(info.set_redis_settings(login))?;
    let connect = client.get_multiplexed_async_connection_with_config(config);
    connect.await
}

fn lacks_resp3(error: &RedisError) -> bool {
    let (code, details) = (error.code().unwrap_or_default(), error.detail());
    error.kind() == redis::ErrorKind::RESP3NotSupported
        || code == "NOPROTO"
        || is_unknown_command(code, details.unwrap_or_default())
}

/// A number that no other connection of this process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// What the server was found not to have.
#[derive(Debug, Default)]
pub(crate) struct Missing {
    /// `SET … IFEQ`.
    pub(crate) set_if_equal: AtomicBool,
    /// `DELIFEQ`.
    pub(crate) delete_if_equal: AtomicBool,
}

/// A connection that any number of callers use at the same time.
pub(crate) struct Connection {
    redis: MultiplexedConnection,
    pub(crate) number: u64,
    places: Semaphore,
    /// Whether its task is ours and ends with `end`.
    has_own_task: bool,
    silence: Arc<Silence>,
    pub(crate) end: CancellationToken,
    timeout: Duration,
    pub(crate) missing: Missing,
    /// Whether tracking is known to be on.
    pub(crate) is_tracking: AtomicBool,
    /// Whether the server may track keys for it.
    pub(crate) tracks: AtomicBool,
}

impl Connection {
    /// Sends `commands` and returns their replies, error replies included. An error means that none came by `deadline`, and
    /// says whether the commands may have been carried out.
    ///
    /// After a timeout the connection is given up, so that what nobody waits for is not carried out much later.
    pub(crate) async fn send(&self, commands: &Pipeline, deadline: Instant) -> Result<Vec<Value>> {
        let began = Instant::now();
        let (place, now) = match self.places.try_acquire() {
            Ok(place) => (Some(place), began),
            Err(_) => {
                let place = timeout_at(deadline, self.places.acquire()).await;
                (place.ok().and_then(Result::ok), Instant::now())
            }
        };
        if place.is_none() || now >= deadline {
            self.timed_out(began);
            return Err(no_answer(self.timeout).with_outcome(Outcome::NotApplied));
        }
        if self.silence.ask(now) > self.timeout {
            self.end.cancel();
        }
        if self.end.is_cancelled() {
            return Err(not_sent());
        }
        let mut redis = self.redis.clone();
        let answer = redis.send_packed_commands(commands, 0, commands.len());
        // In its place, so that it is not held twice: it is large.
        let answer = pin!(timeout_at(deadline, answer));
        let answer = match self.has_own_task {
            true => Some(answer.await),
            false => self.end.run_until_cancelled(answer).await,
        };
        match answer {
            Some(Ok(Ok(replies))) => {
                self.silence.heard();
                Ok(replies)
            }
            Some(Err(_)) => {
                self.timed_out(began);
                Err(no_answer(self.timeout))
            }
            Some(Ok(Err(error))) if error.is_io_error() => {
                self.end.cancel();
                Err(lost().with_source(error))
            }
            Some(Ok(Err(_))) | None => {
                self.end.cancel();
                Err(lost())
            }
        }
    }

    /// Gives the connection up, unless the call had so little time left that it says nothing about the connection.
    fn timed_out(&self, began: Instant) {
        if began.elapsed() >= self.timeout / 4 {
            self.end.cancel();
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

/// Since when a connection has been asked and not heard, in milliseconds; zero while nothing is expected.
///
/// It finds a connection that is dead although nobody waits for as long as the timeout.
#[derive(Default)]
pub(crate) struct Silence(AtomicU64);

impl Silence {
    /// Something is sent `now`. Returns how long an earlier call has been waiting in silence.
    fn ask(&self, now: Instant) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        let now = now.saturating_duration_since(*START).as_millis();
        let now = 1 + u64::try_from(now).unwrap_or(u64::MAX - 1);
        let order = Ordering::Relaxed;
        let since = self.0.compare_exchange(0, now, order, order);
        Duration::from_millis(now.saturating_sub(since.err().unwrap_or(now)))
    }

    pub(crate) fn heard(&self) {
        self.0.store(0, Ordering::Relaxed);
    }
}
