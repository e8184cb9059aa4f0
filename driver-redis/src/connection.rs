use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::future::{self, Either};
use redis::Value;
use secrecy::ExposeSecret;
use session_core::{Error, ErrorKind};
use tokio::sync::Notify;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::buffers::Buffers;
use crate::config::Login;
use crate::endpoint::Endpoint;
use crate::error::{ConnectError, lost, no_answer, not_written};
use crate::in_flight::InFlight;
use crate::multiplexer::{Calls, Multiplexer, Unanswered};
use crate::request::Request;
use crate::stream;
use crate::tls::TlsClient;

/// How many calls wait to be written at most; further callers wait before it.
const QUEUE: usize = 1_024;

/// A connection is looked at so many times within a timeout, and given up after so many looks in silence: before the
/// calls that wait for it time out, so that the calls after them find another.
const LOOKS: u32 = 16;
const SILENT_LOOKS: u32 = 14;

/// How every connection of a driver is made.
#[derive(Clone)]
pub(crate) struct Dial {
    pub(crate) login: Login,
    pub(crate) db: u32,
    pub(crate) tls: Option<TlsClient>,
    pub(crate) timeout: Duration,
}

impl Dial {
    /// Connects and logs in. The second result must be polled for the first to work, and ends with the connection.
    pub(crate) async fn connect(
        &self,
        endpoint: &Endpoint,
    ) -> Result<(Connection, Work), ConnectError> {
        let heard = Arc::new(AtomicBool::new(false));
        let stream = stream::connect(endpoint, self.tls.as_ref(), Arc::clone(&heard)).await;
        let stream = stream.map_err(|error| ConnectError::from(&error))?;
        let buffers = Arc::new(Buffers::default());
        let (calls, multiplexer) = Multiplexer::new(stream, QUEUE, Arc::clone(&buffers));
        let connection = Connection {
            calls,
            buffers,
            timeout: self.timeout,
            number: next_number(),
            in_flight: InFlight::default(),
            heard,
            end: OnceLock::new(),
            give_up: Notify::new(),
            missing: MissingFeatures::default(),
        };
        let mut work: Work = Box::pin(multiplexer);
        self.log_in(&connection, &mut work).await?;
        Ok((connection, work))
    }

    async fn log_in(&self, connection: &Connection, work: &mut Work) -> Result<(), ConnectError> {
        let mut request = Request::default();
        if let Some(password) = &self.login.password {
            let password = password.expose_secret().as_bytes();
            match &self.login.username {
                Some(username) => request.add(&[b"AUTH", username.as_bytes(), password]),
                None => request.add(&[b"AUTH", password]),
            }
        }
        if self.db != 0 {
            request.add(&[b"SELECT", self.db.to_string().as_bytes()]);
        }
        let needed = request.commands();
        // For those who look at the clients of a server; not all servers take it.
        for (name, value) in [
            ("LIB-NAME", env!("CARGO_PKG_NAME")),
            ("LIB-VER", env!("CARGO_PKG_VERSION")),
        ] {
            request.add(&[b"CLIENT", b"SETINFO", name.as_bytes(), value.as_bytes()]);
        }
        let replies = send_alone(connection, work, request).await?;
        let refusal = replies.iter().take(needed).find_map(|reply| match reply {
            Value::ServerError(refusal) => Some(refusal),
            _ => None,
        });
        match refusal {
            Some(refusal) => Err(ConnectError::at_login(refusal)),
            None => Ok(()),
        }
    }
}

/// What must be polled for a connection to work.
pub(crate) type Work = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

/// A number that no other connection of this process has.
fn next_number() -> u64 {
    static LAST: AtomicU64 = AtomicU64::new(0);
    LAST.fetch_add(1, Ordering::Relaxed) + 1
}

/// What the server was found not to have.
#[derive(Debug, Default)]
pub(crate) struct MissingFeatures {
    /// `SET … IFEQ`.
    pub(crate) set_if_equal: AtomicBool,
    /// `DELIFEQ`.
    pub(crate) delete_if_equal: AtomicBool,
}

/// Why a connection came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The other side, or something in between, closed it, or spoke another language.
    Lost(io::ErrorKind),
    /// No answer came in time.
    NoAnswer,
}

/// A connection on which any number of callers have their commands under way.
pub(crate) struct Connection {
    calls: Calls,
    buffers: Arc<Buffers>,
    timeout: Duration,
    number: u64,
    in_flight: InFlight,
    heard: Arc<AtomicBool>,
    end: OnceLock<End>,
    give_up: Notify,
    pub(crate) missing: MissingFeatures,
}

impl Connection {
    /// An empty request, to be sent here, with room for so many bytes.
    pub(crate) fn request(&self, bytes: usize) -> Request {
        Request::in_buffer(self.buffers.take(bytes))
    }

    /// Sends `request` at once and gives its replies, error replies included. An error means that none came by
    /// `deadline`, and says whether the request may have been carried out.
    pub(crate) async fn send(
        &self,
        request: Request,
        deadline: Instant,
    ) -> Result<Vec<Value>, Error> {
        let _waiting = self.in_flight.begin();
        let answer = self.calls.send(request, deadline, self.timeout).await;
        answer.map_err(|unanswered| match unanswered {
            Unanswered::NotWritten => not_written(),
            Unanswered::Lost => self.broken(),
            Unanswered::TimedOut(error) => error,
        })
    }

    /// The error of a call that was written when the connection has ended.
    fn broken(&self) -> Error {
        match self.end.get() {
            Some(End::NoAnswer) => no_answer(self.timeout),
            Some(End::Lost(kind)) => lost().with_source(io::Error::from(*kind)),
            None => lost(),
        }
    }

    /// Does the work of the connection until it ends.
    ///
    /// It is given up when nothing at all was heard for about `timeout` while calls waited for answers, or began and were
    /// given up by their callers.
    pub(crate) async fn run(&self, mut work: Work) {
        let watch = async {
            let mut looks = interval((self.timeout / LOOKS).max(Duration::from_millis(1)));
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            let mut silent = 0;
            while silent < SILENT_LOOKS {
                looks.tick().await;
                let were_waiting = self.in_flight.were_any();
                if self.heard.swap(false, Ordering::Relaxed) {
                    silent = 0;
                } else if were_waiting {
                    silent += 1;
                }
            }
        };
        let given_up = self.give_up.notified();
        let watch = future::select(Box::pin(watch), Box::pin(given_up));
        let end = match future::select(&mut work, watch).await {
            Either::Right((Either::Left(_), _)) => End::NoAnswer,
            Either::Left((Err(error), _)) => End::Lost(error.kind()),
            Either::Left((Ok(()), _)) | Either::Right((Either::Right(_), _)) => {
                End::Lost(io::ErrorKind::ConnectionAborted)
            }
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

/// Sends `request` while nobody else does the connection's work, which takes the connection's timeout at most.
pub(crate) async fn send_alone(
    connection: &Connection,
    work: &mut Work,
    request: Request,
) -> Result<Vec<Value>, ConnectError> {
    let deadline = Instant::now() + connection.timeout;
    let answer = Box::pin(connection.send(request, deadline));
    match future::select(answer, work).await {
        Either::Left((Ok(values), _)) => Ok(values),
        Either::Right((Err(error), _)) => Err(ConnectError::at_the_start(&error)),
        Either::Left((Err(error), _)) if error.kind() == ErrorKind::TimedOut => {
            Err(ConnectError::new(error.kind(), error.to_string()))
        }
        Either::Left((Err(_), _)) | Either::Right((Ok(()), _)) => Err(ConnectError::at_the_start(
            &io::ErrorKind::UnexpectedEof.into(),
        )),
    }
}
