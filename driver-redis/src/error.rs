use std::io;
use std::time::Duration;

use redis::ServerError;
use session_core::{Error, ErrorKind, Outcome};

/// The error for an error reply. The server did not carry out what it refused.
pub(crate) fn refused(error: &ServerError) -> Error {
    let (kind, message) = describe(error);
    Error::new(kind, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(Refusal(code_of(error).to_owned()))
}

/// The code of an error reply. The text is left out, since it may quote arguments.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server answered {}", self.0)
    }
}

impl std::error::Error for Refusal {}

/// The first word of the reply. In a script's error it may be inside the text.
fn code_of(error: &ServerError) -> &str {
    let code = error.code();
    // Older servers wrap the error of a command in a script: `ERR Error running script … -OOM …`.
    if code == "ERR"
        && let Some(details) = error.details()
        && let Some(inner) = [
            "OOM",
            "WRONGTYPE",
            "READONLY",
            "NOPERM",
            "MISCONF",
            "NOREPLICAS",
        ]
        .iter()
        .find(|code| details.contains(&format!("-{code} ")))
    {
        return inner;
    }
    code
}

fn describe(error: &ServerError) -> (ErrorKind, &'static str) {
    match code_of(error) {
        "NOAUTH" => (
            ErrorKind::Unauthorized,
            "the server requires a password; set `password`, and `username` if it has ACL users",
        ),
        "WRONGPASS" => (
            ErrorKind::Unauthorized,
            "the server rejected `username` and `password`; check them",
        ),
        "NOPERM" => (
            ErrorKind::Unauthorized,
            "the user lacks permission; its ACL must allow the keys below `prefix` and the categories @read, @write, \
             @connection and @scripting",
        ),
        "READONLY" => (
            ErrorKind::Unavailable,
            "the server is a replica, which accepts no writes; configure the primary, or use `sentinel` or `cluster`",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the server has reached its `maxmemory`; free memory, or set a `maxmemory-policy` that evicts",
        ),
        "LOADING" => (
            ErrorKind::Unavailable,
            "the server is still loading its data; try again",
        ),
        "MISCONF" | "NOREPLICAS" => (
            ErrorKind::Unavailable,
            "the server accepts no writes, since it cannot save them or has too few replicas; see its log",
        ),
        "MOVED" | "ASK" => (
            ErrorKind::InvalidConfig,
            "the server is a node of a cluster; list some of its nodes in `cluster`",
        ),
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => (
            ErrorKind::Unavailable,
            "the cluster cannot serve this key now; try again",
        ),
        "CROSSSLOT" => (
            ErrorKind::Backend,
            "the keys of one command are on several nodes of the cluster",
        ),
        "BUSY" => (
            ErrorKind::Unavailable,
            "the server is busy running a script; try again",
        ),
        "WRONGTYPE" => (
            ErrorKind::CorruptData,
            "the value under the key is not a string and was not written by this driver; it was left unchanged",
        ),
        "NOSCRIPT" => (
            ErrorKind::Unavailable,
            "the server forgot a script; try again",
        ),
        "ERR" if says(error, "max number of clients") => (
            ErrorKind::Unavailable,
            "the server has reached its `maxclients`; raise it, or use fewer connections",
        ),
        "ERR" if says(error, "DB index") || says(error, "SELECT is not allowed") => (
            ErrorKind::InvalidConfig,
            "the server has no database with this number; change `db`",
        ),
        "ERR" if says(error, "AUTH") && says(error, "without any password configured") => (
            ErrorKind::Unauthorized,
            "the server has no password; remove `password`, or set `username` too",
        ),
        _ => (ErrorKind::Backend, "the server refused the command"),
    }
}

fn says(error: &ServerError, text: &str) -> bool {
    error
        .details()
        .is_some_and(|details| details.contains(text))
}

/// Whether the server does not know the command, or these arguments of it.
pub(crate) fn is_unknown_command(error: &ServerError) -> bool {
    error.code() == "ERR" && (says(error, "syntax error") || says(error, "unknown command"))
}

/// Why there is no connection. Many callers get an error made of it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectError {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl ConnectError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The server rejected the credentials, or the database.
    pub(crate) fn at_login(refusal: &ServerError) -> Self {
        let error = Self::from(refusal);
        match error.kind {
            // Servers have many texts for it.
            ErrorKind::Backend => Self::new(
                ErrorKind::Unauthorized,
                "the server rejected `username` and `password`; check them",
            ),
            _ => error,
        }
    }

    /// A connection ended before it could be used.
    pub(crate) fn at_the_start(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_of_tls(error) => Self::from(error),
            io::ErrorKind::InvalidData => Self::new(
                ErrorKind::Backend,
                "the other end is not a Redis server; check the address and `tls`",
            ),
            _ => Self::new(
                ErrorKind::Unavailable,
                "the server closed the connection at once; check its load, its `maxclients`, and `tls`",
            ),
        }
    }

    /// Whether retrying cannot help.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unauthorized | ErrorKind::InvalidConfig
        )
    }

    /// The error of a call that was not sent, since there was no connection.
    pub(crate) fn to_error(&self) -> Error {
        Error::new(self.kind, self.message.clone()).with_outcome(Outcome::NotApplied)
    }
}

/// rustls wraps an error of its own; errors of sockets have only a kind.
fn is_of_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

impl From<&io::Error> for ConnectError {
    fn from(error: &io::Error) -> Self {
        let message = match is_of_tls(error) {
            true => format!("the TLS handshake failed ({error}); check `tls`"),
            false => format!(
                "cannot connect to the server ({error}); check that it is running, and its address"
            ),
        };
        Self::new(ErrorKind::Unavailable, message)
    }
}

impl From<&ServerError> for ConnectError {
    fn from(error: &ServerError) -> Self {
        let (kind, message) = describe(error);
        Self::new(kind, message)
    }
}

/// The reply does not fit the command.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Backend,
        "the server sent an unexpected reply; check that it is Redis or Valkey",
    )
}

/// The call was sent, and the connection broke before the answer.
pub(crate) fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection broke before the server answered; the operation may have happened",
    )
}

/// The connection broke before the call was sent.
pub(crate) fn not_written() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection broke before the command was sent; try again",
    )
    .with_outcome(Outcome::NotApplied)
}

/// The call was sent, and no answer came in time.
pub(crate) fn no_answer(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "no answer within {timeout:?}; check that the server is reachable and not overloaded, or raise `timeout`"
        ),
    )
}

/// No connection came in time, so nothing was sent.
pub(crate) fn no_connection(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!("no connection within {timeout:?}; check that the server is running and reachable, and `tls`"),
    )
    .with_outcome(Outcome::NotApplied)
}

/// The time of a batch was over before the call was sent.
pub(crate) fn no_time() -> Error {
    Error::new(
        ErrorKind::TimedOut,
        "the batch took longer than `timeout`, and this part of it was not sent; make it smaller, or raise `timeout`",
    )
    .with_outcome(Outcome::NotApplied)
}

pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the driver was closed, or the runtime that it was opened on has ended",
    )
}
