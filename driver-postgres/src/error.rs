//! Turns the errors of the server and of connections into those of `session_core`.

use std::fmt;
use std::sync::Arc;

use session_core::{Error, ErrorKind, Outcome};

/// Why a statement failed, from which each of the callers that shared it gets an error of its own.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    kind: ErrorKind,
    pub(crate) outcome: Outcome,
    message: &'static str,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
    /// The server refused the statement as a whole, so that it was certainly not applied.
    pub(crate) is_refusal: bool,
    /// The connection cannot be used any more.
    pub(crate) is_broken: bool,
}

impl Failure {
    pub(crate) fn new(kind: ErrorKind, outcome: Outcome, message: &'static str) -> Self {
        Self {
            kind,
            outcome,
            message,
            source: None,
            is_refusal: false,
            is_broken: false,
        }
    }

    /// The failure of a statement that has no answer.
    pub(crate) fn unanswered() -> Self {
        let mut failure = Self::new(
            ErrorKind::TimedOut,
            Outcome::Unknown,
            "the server did not answer in time; check that it is running and not overloaded, or raise `timeout`",
        );
        failure.is_broken = true;
        failure
    }

    /// A notification that was sent did not arrive.
    pub(crate) fn unheard() -> Self {
        Self::new(
            ErrorKind::TimedOut,
            Outcome::NotApplied,
            "the server did not deliver a notification in time; `listen_url` must lead to the same database, past any pooler",
        )
    }

    /// The failure of getting a connection, before anything was sent.
    pub(crate) fn to_connect(error: sqlx::Error) -> Self {
        let mut failure = Self::of(error);
        failure.outcome = Outcome::NotApplied;
        if failure.kind == ErrorKind::Backend {
            failure.kind = ErrorKind::Unavailable;
        }
        failure
    }

    /// The failure of a statement that was sent.
    pub(crate) fn of(error: sqlx::Error) -> Self {
        use ErrorKind::{Backend, Closed, CorruptData, Unavailable};
        use Outcome::{NotApplied, Unknown};
        let (kind, outcome, message) = match &error {
            sqlx::Error::Database(answer) => return Self::answer(&**answer),
            sqlx::Error::PoolTimedOut => (
                Unavailable,
                NotApplied,
                "no connection became free in time; check that the server can be reached and takes more connections, \
                 or raise `pool_size`",
            ),
            sqlx::Error::PoolClosed => return closed(),
            sqlx::Error::Tls(_) => (
                Unavailable,
                NotApplied,
                "no TLS connection could be made; check the certificate of the server, or set `sslmode` in `url`",
            ),
            sqlx::Error::Io(_) => (
                Unavailable,
                Unknown,
                "the connection to the server failed; check that it is running and can be reached",
            ),
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => (
                CorruptData,
                Unknown,
                "a row has a value that neither this driver nor unstorage writes; it was not changed",
            ),
            sqlx::Error::WorkerCrashed => (Closed, Unknown, "the runtime has ended"),
            _ => (Backend, Unknown, "the server could not be used"),
        };
        let mut failure = Self::new(kind, outcome, message);
        failure.is_broken = kind != CorruptData;
        failure.source = Some(Arc::new(error));
        failure
    }

    /// An error that the server answered. Its details may quote a key, and are left out.
    fn answer(error: &dyn sqlx::error::DatabaseError) -> Self {
        let code = error.code().unwrap_or_default();
        let (kind, message) = describe(&code);
        // The server rolls back what it refuses. One that shuts down or fails within may have been past the commit.
        let is_unknown = ["08", "57P", "58", "XX"]
            .iter()
            .any(|class| code.starts_with(class));
        let mut failure = Self::new(
            kind,
            match is_unknown {
                true => Outcome::Unknown,
                false => Outcome::NotApplied,
            },
            message,
        );
        failure.is_refusal = !is_unknown;
        // A server that became a replica is left, since the name may lead to another one by now.
        failure.is_broken = is_unknown || &*code == READ_ONLY;
        failure.source = Some(Arc::new(Refusal(code.into_owned())));
        failure
    }

    pub(crate) fn error(&self) -> Error {
        let error = Error::new(self.kind, self.message).with_outcome(self.outcome);
        match &self.source {
            Some(source) => error.with_source(Cause(Arc::clone(source))),
            None => error,
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error()
    }
}

/// The cause that several errors share.
struct Cause(Arc<dyn std::error::Error + Send + Sync>);

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

/// The code of an error of the server. The text is left out, since it may quote values.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the server answered SQLSTATE {}", self.0)
    }
}

impl std::error::Error for Refusal {}

const READ_ONLY: &str = "25006";

fn describe(code: &str) -> (ErrorKind, &'static str) {
    use ErrorKind::{Backend, InvalidConfig, TimedOut, Unauthorized, Unavailable};
    match code {
        READ_ONLY => (
            Unavailable,
            "the server is a replica or accepts only reads; name the primary in `url`",
        ),
        "57014" => (
            TimedOut,
            "the server gave the statement up at its `statement_timeout`; another transaction may hold the row",
        ),
        "55P03" => (
            Unavailable,
            "another transaction held the row for longer than the server's `lock_timeout`; try again",
        ),
        "40P01" | "40001" => (
            Unavailable,
            "the statement met another transaction; try again",
        ),
        "53100" => (Unavailable, "the disk of the server is full; make room"),
        "53300" => (
            Unavailable,
            "the server has reached its `max_connections`; raise it, or lower `pool_size`",
        ),
        "57P03" => (Unavailable, "the server is starting or stopping; try again"),
        "3D000" => (
            InvalidConfig,
            "the database does not exist; create it, or name another one in `url`",
        ),
        "3F000" => (
            InvalidConfig,
            "the schema does not exist; create it, or set another `table`",
        ),
        "42P01" | "42703" => (
            Backend,
            "the table or one of its columns is missing; open the driver again with `migrate`, or run `schema_sql`",
        ),
        "42501" => (
            Unauthorized,
            "the user lacks a permission; grant it SELECT, INSERT, UPDATE and DELETE on the table, and CREATE on its \
             schema for `migrate`",
        ),
        _ if code.starts_with("28") => (
            Unauthorized,
            "the server rejected the user or the password; check them",
        ),
        _ if ["08", "53", "57P", "58"]
            .iter()
            .any(|class| code.starts_with(class)) =>
        {
            (
                Unavailable,
                "the server is shutting down or cannot serve; see its log",
            )
        }
        _ => (Backend, "the server refused the statement"),
    }
}

/// The driver was closed.
pub(crate) fn closed() -> Failure {
    Failure::new(
        ErrorKind::Closed,
        Outcome::NotApplied,
        "the driver or its pool was closed",
    )
}
