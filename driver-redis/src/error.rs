use std::io;
use std::time::Duration;

use redis::ServerError;
use session_core::{Error, ErrorKind, Outcome};

/// What an error reply of the server means to a caller. The server did not do what it refuses.
pub(crate) fn refused(error: &ServerError) -> Error {
    let (kind, message) = describe(error);
    Error::new(kind, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(Refusal(code_of(error).to_owned()))
}

/// The code of a reply. Its text is left out, since the server quotes arguments in some.
#[derive(Debug)]
struct Refusal(String);

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server answered {}", self.0)
    }
}

impl std::error::Error for Refusal {}

/// The first word of the reply; within a script's error it may stand in the text.
fn code_of(error: &ServerError) -> &str {
    let code = error.code();
    // Older servers wrap what a command in a script said: `ERR Error running script … -OOM …`.
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
            "the server wants a password; give `password`, and `username` where it has users",
        ),
        "WRONGPASS" => (
            ErrorKind::Unauthorized,
            "the server refused `username` and `password`; mend them",
        ),
        "NOPERM" => (
            ErrorKind::Unauthorized,
            "the user may not do this; its ACL must allow the keys below `base` and the categories @read, @write, \
             @connection and @scripting",
        ),
        "READONLY" => (
            ErrorKind::Unavailable,
            "the server is a replica, which takes no writes; name the primary, or use `sentinel` or `cluster`",
        ),
        "OOM" => (
            ErrorKind::Unavailable,
            "the server is full, by its `maxmemory`; make room, or choose a `maxmemory-policy` that evicts",
        ),
        "LOADING" => (
            ErrorKind::Unavailable,
            "the server still reads its data; try again",
        ),
        "MISCONF" | "NOREPLICAS" => (
            ErrorKind::Unavailable,
            "the server takes no writes, since it cannot save them or has too few replicas; see its log",
        ),
        "MOVED" | "ASK" => (
            ErrorKind::InvalidConfig,
            "the server is a node of a cluster; name some of its nodes by `cluster`",
        ),
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => (
            ErrorKind::Unavailable,
            "the cluster does not serve this key now; try again",
        ),
        "CROSSSLOT" => (
            ErrorKind::Backend,
            "the keys of one command lie on several nodes of the cluster",
        ),
        "BUSY" => (
            ErrorKind::Unavailable,
            "the server is busy with somebody's script; try again",
        ),
        "WRONGTYPE" => (
            ErrorKind::CorruptData,
            "what is stored under the key is no string and was not written by this driver; it was left as it is",
        ),
        "NOSCRIPT" => (
            ErrorKind::Unavailable,
            "the server forgot a script; try again",
        ),
        "ERR" if says(error, "max number of clients") => (
            ErrorKind::Unavailable,
            "the server has as many connections as its `maxclients`",
        ),
        "ERR" if says(error, "DB index") || says(error, "SELECT is not allowed") => (
            ErrorKind::InvalidConfig,
            "the server has no database of this number; mend `db`",
        ),
        "ERR" if says(error, "AUTH") && says(error, "without any password configured") => (
            ErrorKind::Unauthorized,
            "the server has no password; leave `password` out, or give `username` too",
        ),
        _ => (ErrorKind::Backend, "the server refused the command"),
    }
}

fn says(error: &ServerError, text: &str) -> bool {
    error
        .details()
        .is_some_and(|details| details.contains(text))
}

/// Whether the server does not know the command, or this form of it.
pub(crate) fn is_unknown_command(error: &ServerError) -> bool {
    error.code() == "ERR" && (says(error, "syntax error") || says(error, "unknown command"))
}

/// Why there is no connection. It is told to many callers, so it is made anew for each.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The server refused who we are, or the database.
    pub(crate) fn at_login(refusal: &ServerError) -> Self {
        let trouble = Self::from(refusal);
        match trouble.kind {
            // Servers have many words for it.
            ErrorKind::Backend => Self::new(
                ErrorKind::Unauthorized,
                "the server refused `username` and `password`; mend them",
            ),
            _ => trouble,
        }
    }

    /// A connection ended before it could be used.
    pub(crate) fn at_the_start(error: &io::Error) -> Self {
        match error.kind() {
            _ if is_of_tls(error) => Self::from(error),
            io::ErrorKind::InvalidData => Self::new(
                ErrorKind::Backend,
                "what answers is no Redis server; is the address right, and is `tls` as the server wants it?",
            ),
            _ => Self::new(
                ErrorKind::Unavailable,
                "the server closed the connection at once; is it overloaded, or its `maxclients` reached, and is \
                 `tls` as it wants it?",
            ),
        }
    }

    /// Whether waiting will not help.
    pub(crate) fn is_lasting(&self) -> bool {
        matches!(
            self.kind,
            ErrorKind::Unauthorized | ErrorKind::InvalidConfig
        )
    }

    /// The error of a call that was not made for want of a connection.
    pub(crate) fn to_error(&self) -> Error {
        Error::new(self.kind, self.message.clone()).with_outcome(Outcome::NotApplied)
    }
}

/// rustls tells by its own error what was wrong with a certificate; those of sockets have a kind.
fn is_of_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

impl From<&io::Error> for Trouble {
    fn from(error: &io::Error) -> Self {
        let message = match is_of_tls(error) {
            true => format!("no TLS with the server ({error}); see `tls`"),
            false => format!(
                "the server cannot be reached ({error}); is it running, and is its address right?"
            ),
        };
        Self::new(ErrorKind::Unavailable, message)
    }
}

impl From<&ServerError> for Trouble {
    fn from(error: &ServerError) -> Self {
        let (kind, message) = describe(error);
        Self::new(kind, message)
    }
}

/// What a reply cannot be.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Backend,
        "the server's reply is not what the command answers; is it a Redis or Valkey server?",
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
        format!("no answer within {timeout:?}; is the server overloaded, or `timeout` too short?"),
    )
}

/// No connection came in time, so nothing was sent.
pub(crate) fn no_connection(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!("no connection within {timeout:?}; is the server running and within reach, and is `tls` as it wants it?"),
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
