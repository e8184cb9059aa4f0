//! Errors of the server and of connections, in the terms of session-core.

use std::fmt;
use std::time::Duration;

use redis::{RedisError, ServerError};
use session_core::{Error, ErrorKind, Outcome};

/// The error for an error reply. The server did not carry out what it refused.
pub(crate) fn refused(error: &ServerError) -> Error {
    let details = error.details().unwrap_or_default();
    let (kind, message) = describe(error.code(), details);
    Error::new(kind, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(Refusal(inner_code(error.code(), details).to_owned()))
}

/// The code of an error reply. The text is left out, since it may quote arguments.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered {}", self.0)
    }
}

impl std::error::Error for Refusal {}

/// The code that counts. Older servers wrap the error of a command in a script: `ERR Error running script … -OOM …`.
fn inner_code<'a>(code: &'a str, details: &str) -> &'a str {
    const WRAPPED: [&str; 6] = [
        "OOM",
        "WRONGTYPE",
        "READONLY",
        "NOPERM",
        "MISCONF",
        "NOREPLICAS",
    ];
    let is_wrapped = |inner: &&&str| details.contains(&format!("-{inner} "));
    match code {
        "ERR" => WRAPPED.iter().find(is_wrapped).copied().unwrap_or(code),
        _ => code,
    }
}

fn describe(code: &str, details: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Backend, CorruptData, InvalidConfig, Unauthorized, Unavailable};
    let says = |text| details.contains(text);
    let kind = match inner_code(code, details) {
        "ERR" if says("without any password") => Unauthorized,
        "ERR" if says("max number of clients") => Unavailable,
        "ERR" if says("DB index") || says("SELECT is not") => InvalidConfig,
        "ERR" if says("cluster support disabled") => InvalidConfig,
        "NOAUTH" | "WRONGPASS" | "NOPERM" => Unauthorized,
        "READONLY" | "OOM" | "LOADING" | "MISCONF" | "NOREPLICAS" | "CLUSTERDOWN" => Unavailable,
        "MASTERDOWN" | "TRYAGAIN" | "BUSY" | "NOSCRIPT" => Unavailable,
        "MOVED" | "ASK" => InvalidConfig,
        "WRONGTYPE" => CorruptData,
        _ => Backend,
    };
    let message = match inner_code(code, details) {
        "NOAUTH" => {
            "the server requires a password; set `password`, and `username` for an ACL user"
        }
        "WRONGPASS" => "the server rejected `username` and `password`; check them",
        "NOPERM" => {
            "the user lacks permission; its ACL must allow the keys below `prefix` and the categories @read, @write, \
             @connection and @scripting"
        }
        "READONLY" => {
            "the server is a replica, which accepts no writes; configure the primary, or use `sentinel` or `cluster`"
        }
        "OOM" => "the server has reached its `maxmemory`; free memory, or let it evict",
        "LOADING" => "the server is still loading its data; try again",
        "MISCONF" | "NOREPLICAS" => {
            "the server accepts no writes, since it cannot save them or has too few replicas; see its log"
        }
        "MOVED" | "ASK" => "the server is a node of a cluster; list some of its nodes in `cluster`",
        "CLUSTERDOWN" | "MASTERDOWN" | "TRYAGAIN" => {
            "the cluster cannot serve this key now; try again"
        }
        "BUSY" => "the server is busy running a script; try again",
        "WRONGTYPE" => {
            "the value under the key is not a string and was not written by this driver; it was left unchanged"
        }
        "NOSCRIPT" => "the server forgot a script; try again",
        "ERR" if says("max number of clients") => {
            "the server has reached its `maxclients`; raise it, or use fewer connections"
        }
        "ERR" if says("DB index") || says("SELECT is not") => {
            "the server has no database with this number; change `db`"
        }
        "ERR" if says("cluster support disabled") => {
            "the server is not a node of a cluster; use `url` instead of `cluster`"
        }
        "ERR" if says("without any password") => {
            "the server has no password; remove `password`, or set `username` too"
        }
        _ => "the server refused the command",
    };
    (kind, message)
}

/// Whether the server does not know the command, or these arguments of it.
pub(crate) fn is_unknown_command(code: &str, details: &str) -> bool {
    code == "ERR" && (details.contains("syntax error") || details.contains("unknown command"))
}

/// Why there is no connection. Many callers get an error made of it.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    pub(crate) kind: ErrorKind,
    pub(crate) message: String,
}

impl Trouble {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let message = message.into();
        Self { kind, message }
    }

    /// Connecting took too long.
    pub(crate) fn late(timeout: Duration) -> Self {
        let message = format!(
            "no connection within {timeout:?}; check that the server is running, reachable and not overloaded, and `tls`"
        );
        Self::new(ErrorKind::TimedOut, message)
    }

    /// Whether a retry cannot help.
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

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<&ServerError> for Trouble {
    fn from(error: &ServerError) -> Self {
        let (kind, message) = describe(error.code(), error.details().unwrap_or_default());
        Self::new(kind, message)
    }
}

/// What the `redis` crate says about an attempt to connect. A text of the server is not shown, nor one of its parser,
/// which quotes what was received.
impl From<RedisError> for Trouble {
    fn from(error: RedisError) -> Self {
        match (error.kind(), error.code()) {
            (_, Some(code)) => {
                let (kind, message) = describe(code, error.detail().unwrap_or_default());
                Self::new(kind, message)
            }
            (redis::ErrorKind::AuthenticationFailed, _) => Self::new(
                ErrorKind::Unauthorized,
                "the server rejected `username` and `password`; check them",
            ),
            (redis::ErrorKind::Io, _) => Self::new(
                ErrorKind::Unavailable,
                format!(
                    "cannot connect to the server ({error}); check that it is running, its address, its `maxclients`, and \
                     `tls`"
                ),
            ),
            _ => Self::new(
                ErrorKind::Backend,
                "the other end is not a Redis server; check the address and `tls`",
            ),
        }
    }
}

/// The reply does not fit the command.
pub(crate) fn unexpected() -> Error {
    Error::new(
        ErrorKind::Backend,
        "the server sent an unexpected reply; check that it is Redis or Valkey",
    )
}

/// The call may have been sent, and the connection broke before the answer.
pub(crate) fn lost() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection broke before the server answered; the operation may have happened",
    )
}

/// The connection broke before the call was sent.
pub(crate) fn not_sent() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the connection broke before the command was sent; try again",
    )
    .with_outcome(Outcome::NotApplied)
}

/// The call may have been sent, and no answer came in time.
pub(crate) fn no_answer(timeout: Duration) -> Error {
    Error::new(
        ErrorKind::TimedOut,
        format!(
            "no answer within {timeout:?}; check that the server is reachable and not overloaded, or raise `timeout`"
        ),
    )
}

pub(crate) fn closed() -> Error {
    Error::new(
        ErrorKind::Closed,
        "the driver was closed, or the runtime that it was opened on has ended",
    )
}
