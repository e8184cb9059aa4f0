//! Finds the server for each key, follows redirections, and repeats what was certainly not done.
//!
//! The cluster connection of the `redis` crate is not used for this. It counts redirections and repeated sends by one
//! number (`choose_response` in its `cluster_handling/async_connection/request.rs`), so that it cannot follow a slot that
//! moves without also sending again a write whose answer was lost.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use redis::{Pipeline, ServerError, Value};
use session_core::{ErrorKind, Outcome, Result};
use tokio::time::{Instant, sleep_until};

use crate::address::Endpoint;
use crate::command::{Form, Operation};
use crate::connection::{Connection, Role};
use crate::error::is_unknown_command;
use crate::node::{NoConnection, Node};
use crate::topology::Topology;

/// How long to wait for a server before looking whether another one has its keys now.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// How long to wait before asking again a server that cannot answer yet: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// Carries out calls.
///
/// A change is sent again in two cases alone: it was not sent, for want of a connection; or the server answered that it
/// did not do it, since it does not have the key or does not serve yet.
pub(crate) struct Router {
    pub(crate) topology: Arc<Topology>,
    pub(crate) timeout: Duration,
}

/// To whom a call goes.
#[derive(Clone, Copy)]
pub(crate) enum To<'a> {
    /// The primary that has the key.
    Key(&'a str),
    /// This server, always by the same connection.
    Node(&'a Arc<Node>),
}

/// Where another server has sent a call.
struct Redirect {
    endpoint: Endpoint,
    /// Only this once, while the slot moves.
    asking: bool,
}

/// What to do after a refusal.
enum Next {
    /// Return the refusal to the caller.
    GiveUp,
    AtOnce,
    WithText,
    Elsewhere(Redirect),
    Later,
}

impl Router {
    /// When the waits of an operation that begins now must end: a little before its timeout, so that its error says what it
    /// waited for, and whether anything was sent.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + (self.timeout - self.timeout / 16)
    }

    /// Waits until calls can be made, or it is certain that they cannot.
    pub(crate) async fn connect(&self) -> Result<()> {
        let _connection = self.connection(To::Key(""), None, self.deadline()).await?;
        Ok(())
    }

    /// Carries out `operation` on `key` at its primary, and returns the replies.
    pub(crate) async fn run(
        &self,
        key: &str,
        operation: &Operation,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        let add = |commands: &mut Pipeline, connection: &Connection, script_is_forgotten| {
            operation.add_to(commands, key, &connection.missing, script_is_forgotten)
        };
        self.call(To::Key(key), operation.is_read(), add, deadline)
            .await
    }

    /// Sends the commands that `add` adds, and returns the replies; the caller interprets one that is an error. `add` is told
    /// whether the server has forgotten a script, and may run several times.
    pub(crate) async fn call(
        &self,
        to: To<'_>,
        is_read: bool,
        mut add: impl FnMut(&mut Pipeline, &Connection, bool) -> Form,
        deadline: Instant,
    ) -> Result<Vec<Value>> {
        let mut redirect: Option<Redirect> = None;
        let mut script_is_forgotten = false;
        let mut pause = FIRST_PAUSE;
        loop {
            let connection = match self.connected(to, redirect.as_ref()) {
                Some(connection) => connection,
                None => Box::pin(self.connection(to, redirect.as_ref(), deadline)).await?,
            };
            let mut commands = redis::pipe();
            let form = add(&mut commands, &connection, script_is_forgotten);
            let asking = redirect.as_ref().is_some_and(|redirect| redirect.asking);
            if asking {
                commands = ask_before_each(&commands);
            }
            let mut replies = match connection.send(&commands, deadline).await {
                Ok(replies) => replies,
                Err(error) => {
                    let is_safe = is_read || error.outcome() == Outcome::NotApplied;
                    let can_be_repeated = error.kind() == ErrorKind::Unavailable && is_safe;
                    if !can_be_repeated || Instant::now() >= deadline {
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
            let next = self.next(refusal, form, &connection);
            match next {
                Next::GiveUp => return Ok(replies),
                Next::AtOnce => {}
                Next::WithText => script_is_forgotten = true,
                Next::Elsewhere(target) => {
                    // Two servers may send a call to and fro until they agree.
                    if redirect.is_some() && !target.asking {
                        wait(&mut pause, deadline).await;
                    }
                    redirect = Some(target);
                }
                Next::Later => {
                    redirect = None;
                    wait(&mut pause, deadline).await;
                }
            }
            if Instant::now() >= deadline {
                return Ok(replies);
            }
        }
    }

    fn next(&self, refusal: &ServerError, form: Form, connection: &Connection) -> Next {
        let details = refusal.details().unwrap_or_default();
        let is_cluster = self.topology.is_cluster();
        match refusal.code() {
            "NOSCRIPT" if form == Form::Hash => Next::WithText,
            // `ASKING` and `CLIENT CACHING YES` hold for the next command alone, so that only one of them can.
            "ASK" if form == Form::Tracked => Next::GiveUp,
            code @ ("MOVED" | "ASK") if is_cluster => {
                let asking = code == "ASK";
                if !asking {
                    self.topology.look_again();
                }
                match target_of(details) {
                    Some(endpoint) => Next::Elsewhere(Redirect { endpoint, asking }),
                    None => Next::Later,
                }
            }
            "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" if !is_cluster => Next::GiveUp,
            "READONLY" if self.topology.is_fixed() => Next::GiveUp,
            "LOADING" | "TRYAGAIN" | "CLUSTERDOWN" | "MASTERDOWN" => {
                self.topology.look_again();
                Next::Later
            }
            "READONLY" => {
                self.topology.look_again();
                if !is_cluster {
                    // The next connection confirms that its server is a primary.
                    connection.end.cancel();
                }
                Next::Later
            }
            code if is_unknown_command(code, details) => {
                let missing = match form {
                    Form::SetIfEqual => &connection.missing.set_if_equal,
                    Form::DeleteIfEqual => &connection.missing.delete_if_equal,
                    Form::Plain | Form::Hash | Form::Text | Form::Tracked => return Next::GiveUp,
                };
                missing.store(true, Ordering::Relaxed);
                Next::AtOnce
            }
            _ => Next::GiveUp,
        }
    }

    /// The connection for a call, if there is one.
    fn connected(&self, to: To<'_>, redirect: Option<&Redirect>) -> Option<Arc<Connection>> {
        match (to, redirect) {
            (To::Node(node), _) => node.first_connected(),
            (_, Some(redirect)) => self.redirected(redirect).connected(),
            (To::Key(key), None) => self.topology.map().primary_of(key)?.connected(),
        }
    }

    /// The connection for a call, once there is one.
    async fn connection(
        &self,
        to: To<'_>,
        redirect: Option<&Redirect>,
        until: Instant,
    ) -> Result<Arc<Connection>> {
        let key = match to {
            To::Node(node) => {
                let connection = node.connection(until).await;
                return connection.map_err(|none| none.into_error(self.timeout));
            }
            To::Key(key) => key,
        };
        // The server that another one has named may be gone before it is reached.
        let mut named = redirect.map(|redirect| self.redirected(redirect));
        loop {
            let map = self.topology.map();
            let slice = match self.topology.is_fixed() {
                true => until,
                false => (Instant::now() + LOOK_AGAIN).min(until),
            };
            let none = match named.take().or_else(|| map.primary_of(key).cloned()) {
                Some(node) => match node.connection(slice).await {
                    Ok(connection) => return Ok(connection),
                    // Another server may take over, as the next look tells.
                    Err(NoConnection::Failed(trouble))
                        if self.topology.is_cluster() && !trouble.is_lasting() =>
                    {
                        self.topology.wait_for_change(map.fingerprint, slice).await;
                        NoConnection::Late(Some(trouble))
                    }
                    Err(NoConnection::Late(trouble)) => NoConnection::Late(trouble),
                    Err(none) => return Err(none.into_error(self.timeout)),
                },
                None => {
                    self.topology.wait_for_change(map.fingerprint, slice).await;
                    match self.topology.trouble() {
                        Some(trouble) if trouble.is_lasting() => return Err(trouble.to_error()),
                        trouble => NoConnection::Late(trouble),
                    }
                }
            };
            self.topology.look_again();
            if Instant::now() >= until {
                return Err(none.into_error(self.timeout));
            }
        }
    }

    fn redirected(&self, redirect: &Redirect) -> Arc<Node> {
        self.topology.node(&redirect.endpoint, Role::Primary)
    }

    /// Reads `key` at a replica, if there is one: the replies, unless they are a miss or an error.
    pub(crate) async fn read_at_replica(
        &self,
        key: &str,
        operation: &Operation,
        deadline: Instant,
    ) -> Option<Vec<Value>> {
        let connection = self.topology.map().replica_of(key)?.connected()?;
        let mut commands = redis::pipe();
        operation.add_to(&mut commands, key, &connection.missing, false);
        // Half of the time is for the primary.
        let deadline = deadline.min(Instant::now() + self.timeout / 2);
        let replies = connection.send(&commands, deadline).await.ok()?;
        let is_hit =
            |reply: &Value| !matches!(reply, Value::ServerError(_) | Value::Nil | Value::Int(0));
        replies.iter().all(is_hit).then_some(replies)
    }

    /// The primary at `place` in a listing, `None` after the last one; and a mark that changes when the set of primaries
    /// does.
    pub(crate) async fn primary_at(
        &self,
        place: u64,
        deadline: Instant,
    ) -> Result<(u64, Option<Arc<Node>>)> {
        if self.topology.map().primary_at(0).is_none() {
            self.connection(To::Key(""), None, deadline).await?;
        }
        let map = self.topology.map();
        Ok((map.fingerprint, map.primary_at(place).cloned()))
    }
}

/// Waits for a while, and longer the next time.
async fn wait(pause: &mut Duration, until: Instant) {
    let end = Instant::now() + pause.mul_f64(0.5 + fastrand::f64() / 2.0);
    sleep_until(end.min(until)).await;
    *pause = (*pause * 2).min(LONGEST_PAUSE);
}

/// `ASKING` holds for one command.
fn ask_before_each(commands: &Pipeline) -> Pipeline {
    let mut asking = redis::pipe();
    for command in commands.cmd_iter() {
        asking.cmd("ASKING").add_command(command.clone());
    }
    asking
}

/// The error reply that decides: of a change the first reply, after which nothing was done.
fn refusal_in(replies: &[Value], is_read: bool) -> Option<&ServerError> {
    let of_interest = if is_read { replies.len() } else { 1 };
    let mut replies = replies.iter().take(of_interest);
    replies.find_map(|reply| match reply {
        Value::ServerError(error) => Some(error),
        _ => None,
    })
}

/// The server that `MOVED SLOT HOST:PORT` or `ASK SLOT HOST:PORT` names. Without a host it is a server that has an address
/// in common with the one that was asked, which the next look at the cluster tells.
fn target_of(details: &str) -> Option<Endpoint> {
    let (_slot, address) = details.split_once(' ')?;
    let (host, port) = address.rsplit_once(':')?;
    let nobody = Endpoint::Unix(std::path::PathBuf::new());
    Endpoint::announced(host, port.parse().ok()?, &nobody)
}
