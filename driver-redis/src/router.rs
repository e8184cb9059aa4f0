use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{ServerError, Value};
use session_core::{Error, ErrorKind, Outcome, Result};
use tokio::time::{Instant, sleep};

use crate::cluster::Cluster;
use crate::command::{Form, Operation};
use crate::config::{ReadFrom, Settings, Topology};
use crate::connection::Connection;
use crate::endpoint::Endpoint;
use crate::error::{closed, is_unknown_command, no_connection};
use crate::lane::NoConnection;
use crate::request::Request;
use crate::sentinel::Sentinels;
use crate::server::{Fleet, Server};
use crate::slots::slot_of;
use crate::target::Role;

/// How long to wait for a server of a cluster before looking whether another serves the slot now.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long to wait before asking again a server that cannot answer yet: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Finds the server for each key, and repeats what was certainly not done.
///
/// A change is sent again in two cases alone: it was not sent, for want of a connection; or the server answered that
/// it did not do it, since it is not the one to ask, or does not serve yet. What was sent and has no answer is never
/// repeated, unless it only reads.
pub(crate) struct Router {
    servers: Servers,
    timeout: Duration,
}

enum Servers {
    /// One primary: alone, or known to sentinels.
    One {
        primary: Arc<Server>,
        replica: Option<Arc<Server>>,
        by_sentinels: bool,
    },
    Cluster(Cluster),
}

/// To whom a call goes.
#[derive(Clone)]
pub(crate) enum To<'a> {
    /// Whoever has the key.
    Key(&'a str),
    /// This server, always by the same connection.
    Server(&'a Arc<Server>),
}

/// Where another server has sent a call.
struct Redirect {
    endpoint: Endpoint,
    /// For this once, while the slot is on its way.
    asking: bool,
}

/// A call that was sent.
struct Attempt {
    connection: Arc<Connection>,
    form: Form,
    result: Result<Vec<Value>, Error>,
}

impl Router {
    pub(crate) fn start(settings: &Settings, fleet: Fleet) -> Self {
        let timeout = fleet.timeout;
        let servers = match &settings.topology {
            Topology::Standalone(endpoint) => Servers::One {
                primary: Arc::new(fleet.server_at(endpoint, Role::Primary)),
                replica: None,
                by_sentinels: false,
            },
            Topology::Sentinels { nodes, name, login } => {
                let mut dial = fleet.dial.clone();
                dial.login = login.clone();
                dial.db = 0;
                let sentinels = Arc::new(Sentinels::new(nodes.clone(), name.clone(), dial));
                let replica = (settings.read_from == ReadFrom::Replica)
                    .then(|| Arc::new(fleet.server_by(&sentinels, Role::Replica)));
                Servers::One {
                    primary: Arc::new(fleet.server_by(&sentinels, Role::Primary)),
                    replica,
                    by_sentinels: true,
                }
            }
            Topology::Cluster(seeds) => {
                Servers::Cluster(Cluster::start(seeds.clone(), fleet, settings.read_from))
            }
        };
        Self { servers, timeout }
    }

    /// When the waits of an operation that begins now must be over: a little before its timeout, so that the error is
    /// the one that says what it waited for, and whether anything was sent.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + (self.timeout - self.timeout / 16)
    }

    /// Waits until calls can be made, or it is certain that they cannot.
    pub(crate) async fn connect(&self) -> Result<()> {
        let deadline = self.deadline();
        let _connection = self.connection(&To::Key(""), None, deadline).await?;
        Ok(())
    }

    /// Does `operation` with `key`, at its primary, and gives the replies.
    pub(crate) async fn run(
        &self,
        key: &str,
        operation: &Operation,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        let is_read = operation.is_read();
        let to = To::Key(key);
        let mut first = None;
        if let Some(connection) = self.connected(&to, None) {
            let mut request = connection.request(operation.size(key));
            let form = operation.add_to(&mut request, key, &connection.missing, false);
            let result = connection.send(request, deadline).await;
            match result {
                Ok(replies) if refusal_in(&replies, is_read).is_none() => return Ok(replies),
                result => {
                    first = Some(Attempt {
                        connection,
                        form,
                        result,
                    });
                }
            }
        }
        let build = |request: &mut Request, connection: &Connection, script_is_forgotten| {
            operation.add_to(request, key, &connection.missing, script_is_forgotten)
        };
        // Apart, so that a call that succeeds at once does not carry what the others need.
        Box::pin(self.carry_on(to, is_read, build, deadline, first)).await
    }

    /// Sends what `build` adds, and gives the replies; of the first one that is an error the caller makes what it
    /// means. `build` is told whether the server has forgotten a script, and may run several times.
    pub(crate) async fn call(
        &self,
        to: To<'_>,
        is_read: bool,
        build: impl FnMut(&mut Request, &Connection, bool) -> Form,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        self.carry_on(to, is_read, build, deadline, None).await
    }

    /// The same for a call that may have been sent once.
    async fn carry_on(
        &self,
        to: To<'_>,
        is_read: bool,
        mut build: impl FnMut(&mut Request, &Connection, bool) -> Form,
        deadline: Instant,
        mut first: Option<Attempt>,
    ) -> Result<Vec<Value>> {
        let mut redirect: Option<Redirect> = None;
        let mut script_is_forgotten = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let asking = redirect.as_ref().is_some_and(|redirect| redirect.asking);
            let attempt = match first.take() {
                Some(attempt) => attempt,
                None => {
                    let connection = match self.connected(&to, redirect.as_ref()) {
                        Some(connection) => connection,
                        None => self.connection(&to, redirect.as_ref(), deadline).await?,
                    };
                    let mut request = connection.request(0);
                    if asking {
                        request.ask_each();
                    }
                    let form = build(&mut request, &connection, script_is_forgotten);
                    let result = connection.send(request, deadline).await;
                    Attempt {
                        connection,
                        form,
                        result,
                    }
                }
            };
            let mut replies = match attempt.result {
                Ok(replies) => replies,
                Err(error) => {
                    let is_safe = is_read || error.outcome() == Outcome::NotApplied;
                    let again = is_safe
                        && error.kind() == ErrorKind::Unavailable
                        && Instant::now() < deadline;
                    if !again {
                        return Err(error);
                    }
                    redirect = None;
                    continue;
                }
            };
            if asking {
                replies = replies.into_iter().skip(1).step_by(2).collect();
            }
            let Some(refusal) = refusal_in(&replies, is_read) else {
                return Ok(replies);
            };
            match self.next_step(refusal, attempt.form, &attempt.connection) {
                Next::GiveUp => return Ok(replies),
                Next::AtOnce => {}
                Next::WithText => script_is_forgotten = true,
                Next::Elsewhere(target) => {
                    // Two servers may send a call to and fro until they agree.
                    if redirect.is_some() && !target.asking {
                        sleep(pause).await;
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                    redirect = Some(target);
                }
                Next::Later => {
                    redirect = None;
                    sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
            if Instant::now() >= deadline {
                return Ok(replies);
            }
        }
    }

    /// Whether the replies that an operation of a batch had are its result, and it need not be done by itself.
    pub(crate) fn is_settled(
        &self,
        replies: &[Value],
        operation: &Operation,
        form: Form,
        connection: &Connection,
    ) -> bool {
        match refusal_in(replies, operation.is_read()) {
            Some(refusal) => matches!(self.next_step(refusal, form, connection), Next::GiveUp),
            None => true,
        }
    }

    /// What a refusal asks for.
    fn next_step(&self, refusal: &ServerError, form: Form, connection: &Connection) -> Next {
        let cluster = self.cluster();
        match (refusal.code(), cluster) {
            ("NOSCRIPT", _) if form == Form::Hash => Next::WithText,
            ("LOADING", _) => {
                self.is_stale();
                Next::Later
            }
            ("MOVED", Some(cluster)) => {
                cluster.is_stale();
                match target_of(refusal) {
                    Some(endpoint) => Next::Elsewhere(Redirect {
                        endpoint,
                        asking: false,
                    }),
                    None => Next::Later,
                }
            }
            ("ASK", Some(_)) => match target_of(refusal) {
                Some(endpoint) => Next::Elsewhere(Redirect {
                    endpoint,
                    asking: true,
                }),
                None => Next::Later,
            },
            ("TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" | "READONLY", Some(cluster)) => {
                cluster.is_stale();
                Next::Later
            }
            ("READONLY", None) if self.is_by_sentinels() => {
                connection.give_up();
                Next::Later
            }
            _ if is_unknown_command(refusal) => {
                let missing = match form {
                    Form::SetIfEqual => &connection.missing.set_if_equal,
                    Form::DeleteIfEqual => &connection.missing.delete_if_equal,
                    Form::Plain | Form::Hash | Form::Text => return Next::GiveUp,
                };
                missing.store(true, Ordering::Relaxed);
                Next::AtOnce
            }
            _ => Next::GiveUp,
        }
    }

    /// The connection to make a call by, if it is there.
    fn connected(&self, to: &To<'_>, redirect: Option<&Redirect>) -> Option<Arc<Connection>> {
        match (to, redirect, &self.servers) {
            (To::Server(server), ..) => server.first_connected(),
            (To::Key(_), Some(redirect), Servers::Cluster(cluster)) => {
                cluster.server(&redirect.endpoint).connected()
            }
            (To::Key(_), _, Servers::One { primary, .. }) => primary.connected(),
            (To::Key(key), None, Servers::Cluster(cluster)) => {
                cluster.map().primary_of(slot_of(key))?.connected()
            }
        }
    }

    /// The same, once it is there.
    async fn connection(
        &self,
        to: &To<'_>,
        redirect: Option<&Redirect>,
        until: Instant,
    ) -> Result<Arc<Connection>> {
        let slot = match (to, &self.servers) {
            (To::Server(server), _) => {
                let connection = server.first_connection(until).await;
                return connection.map_err(|none| none.into_error(self.timeout));
            }
            (To::Key(_), Servers::One { primary, .. }) => {
                let connection = primary.connection(until).await;
                return connection.map_err(|none| none.into_error(self.timeout));
            }
            (To::Key(key), Servers::Cluster(_)) => slot_of(key),
        };
        let Servers::Cluster(cluster) = &self.servers else {
            return Err(closed());
        };
        // The server that another has named may be gone before it is reached.
        let mut named = redirect.map(|redirect| cluster.server(&redirect.endpoint));
        loop {
            let map = cluster.map();
            let slice = (Instant::now() + LOOK_AGAIN).min(until);
            let late = match named.take().or_else(|| map.primary_of(slot).cloned()) {
                Some(server) => match server.connection(slice).await {
                    Ok(connection) => return Ok(connection),
                    Err(NoConnection::Failed(error)) if error.kind() != ErrorKind::Unavailable => {
                        return Err(error);
                    }
                    Err(none) => Some(none),
                },
                None => {
                    cluster.wait_for_change(map.fingerprint, slice).await;
                    None
                }
            };
            cluster.is_stale();
            if Instant::now() >= until {
                return Err(match late {
                    Some(none) => none.into_error(self.timeout),
                    None => match cluster.trouble() {
                        Some(trouble) => trouble.to_error(),
                        None => no_connection(self.timeout),
                    },
                });
            }
            if let Some(trouble) = cluster.trouble().filter(|trouble| trouble.is_lasting()) {
                return Err(trouble.to_error());
            }
        }
    }

    /// Reads `key` at a replica, if one is there to be read: the replies, if they are no miss and no error.
    pub(crate) async fn read_at_replica(
        &self,
        key: &str,
        operation: &Operation,
        deadline: Instant,
    ) -> Option<Vec<Value>> {
        let server = match &self.servers {
            Servers::One { replica, .. } => replica.clone()?,
            Servers::Cluster(cluster) => cluster.map().replica_of(slot_of(key)).cloned()?,
        };
        let connection = server.connected()?;
        let mut request = connection.request(operation.size(key));
        operation.add_to(&mut request, key, &connection.missing, false);
        // Half of the time is for the primary.
        let deadline = deadline.min(Instant::now() + self.timeout / 2);
        let replies = connection.send(request, deadline).await.ok()?;
        let is_hit =
            |reply: &Value| !matches!(reply, Value::ServerError(_) | Value::Nil | Value::Int(0));
        replies.iter().all(is_hit).then_some(replies)
    }

    /// The primary that has `key`, and a mark that is the same for keys of the same primary.
    pub(crate) fn primary_of(&self, key: &str) -> Option<(usize, Arc<Server>)> {
        let primary = match &self.servers {
            Servers::One { primary, .. } => Arc::clone(primary),
            Servers::Cluster(cluster) => Arc::clone(cluster.map().primary_of(slot_of(key))?),
        };
        Some((Arc::as_ptr(&primary).addr(), primary))
    }

    /// The primary at `place` in a listing, `None` after the last one; with a mark that changes when another set of
    /// primaries is to be listed.
    pub(crate) async fn primary_at(
        &self,
        place: usize,
        deadline: Instant,
    ) -> Result<(u64, Option<Arc<Server>>)> {
        match &self.servers {
            Servers::One { primary, .. } => Ok((0, (place == 0).then(|| Arc::clone(primary)))),
            Servers::Cluster(cluster) => {
                if cluster.map().primary_at(0).is_none() {
                    self.connection(&To::Key(""), None, deadline).await?;
                }
                let map = cluster.map();
                Ok((map.fingerprint, map.primary_at(place).cloned()))
            }
        }
    }

    fn cluster(&self) -> Option<&Cluster> {
        match &self.servers {
            Servers::Cluster(cluster) => Some(cluster),
            Servers::One { .. } => None,
        }
    }

    fn is_stale(&self) {
        if let Some(cluster) = self.cluster() {
            cluster.is_stale();
        }
    }

    fn is_by_sentinels(&self) -> bool {
        matches!(
            self.servers,
            Servers::One {
                by_sentinels: true,
                ..
            }
        )
    }
}

/// The error reply that decides: of a change the first, after which nothing was done.
fn refusal_in(replies: &[Value], is_read: bool) -> Option<&ServerError> {
    let of_interest = if is_read { replies.len() } else { 1 };
    replies
        .iter()
        .take(of_interest)
        .find_map(|reply| match reply {
            Value::ServerError(error) => Some(error),
            _ => None,
        })
}

/// What to do after a refusal.
enum Next {
    /// Tell the caller.
    GiveUp,
    /// Ask again.
    AtOnce,
    /// Ask again with the script's text.
    WithText,
    /// Ask another server.
    Elsewhere(Redirect),
    /// Ask again after a while.
    Later,
}

/// The server that `MOVED SLOT HOST:PORT` or `ASK SLOT HOST:PORT` names. Without a host it is one that the asked
/// server shares with it, which the table knows better.
fn target_of(refusal: &ServerError) -> Option<Endpoint> {
    let (_slot, address) = refusal.details()?.split_once(' ')?;
    let nobody = Endpoint::Unix(std::path::PathBuf::new());
    Endpoint::announced(address, &nobody)
}
