use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use redis::Value;
use session_core::ErrorKind;

use crate::connection::{Connection, Dial, Work, send_alone};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::request::Request;
use crate::scripts;
use crate::sentinel::Sentinels;

/// What a lane connects to.
pub(crate) struct Target {
    dial: Dial,
    place: TargetPlace,
    role: Role,
}

pub(crate) enum TargetPlace {
    /// Always this server.
    Fixed(Endpoint),
    /// Whichever the sentinels name.
    Sentinels(Arc<Sentinels>),
}

/// What the server is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Role {
    Primary,
    Replica,
}

/// A connection that has just been made.
pub(crate) struct Connected {
    pub(crate) connection: Connection,
    /// What must be polled for it to work; it ends with the connection.
    pub(crate) work: Work,
    /// Ends when another server is the one to connect to.
    pub(crate) superseded: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Target {
    pub(crate) fn new(dial: Dial, place: TargetPlace, role: Role) -> Self {
        Self { dial, place, role }
    }

    /// One attempt to connect.
    pub(crate) async fn connect(&self) -> Result<Connected, ConnectError> {
        let mut superseded: Pin<Box<dyn Future<Output = ()> + Send>> =
            Box::pin(std::future::pending());
        let endpoint = match &self.place {
            TargetPlace::Fixed(endpoint) => endpoint.clone(),
            TargetPlace::Sentinels(sentinels) if self.role == Role::Replica => {
                sentinels.replica().await?
            }
            TargetPlace::Sentinels(sentinels) => {
                let primary = sentinels.primary().await?;
                let (known, sentinels) = (primary.clone(), Arc::clone(sentinels));
                superseded = Box::pin(async move { sentinels.superseded(&known).await });
                primary.endpoint
            }
        };
        let (connection, mut work) = self.dial.connect(&endpoint).await?;
        let mut request = Request::default();
        match self.role {
            Role::Primary => scripts::load_all(&mut request),
            // A replica within a cluster sends readers on to its primary otherwise.
            Role::Replica => request.add(&[b"READONLY"]),
        }
        if matches!(self.place, TargetPlace::Sentinels(_)) {
            request.add(&[b"ROLE"]);
        }
        let replies = send_alone(&connection, &mut work, request).await?;
        self.check(&replies)?;
        Ok(Connected {
            connection,
            work,
            superseded,
        })
    }

    /// Whether the server lets us in, and is what the sentinels say. What else it refuses here it refuses to those
    /// who ask for it: scripts are sent again where they are missing, and `ROLE` may be forbidden.
    fn check(&self, replies: &[Value]) -> Result<(), ConnectError> {
        for reply in replies {
            match reply {
                Value::ServerError(error) if error.code() == "NOAUTH" => {
                    return Err(ConnectError::from(error));
                }
                _ => {}
            }
        }
        let wanted: &[u8] = match self.role {
            Role::Primary => b"master",
            Role::Replica => b"slave",
        };
        match replies.last() {
            Some(Value::Array(role)) => match role.first() {
                Some(Value::BulkString(role)) if role != wanted => Err(ConnectError::new(
                    ErrorKind::Unavailable,
                    "the server that the sentinels name has another role; a failover may be in progress",
                )),
                _ => Ok(()),
            },
            _ => Ok(()),
        }
    }

    /// An attempt took too long.
    pub(crate) fn no_answer(&self, timeout: Duration) -> ConnectError {
        ConnectError::new(
            ErrorKind::TimedOut,
            format!(
                "connecting took longer than {timeout:?}; check that the server is reachable and not overloaded, and `tls`"
            ),
        )
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            TargetPlace::Fixed(endpoint) => endpoint.fmt(f),
            TargetPlace::Sentinels(sentinels) => write!(f, "{} by its sentinels", sentinels.name()),
        }
    }
}
