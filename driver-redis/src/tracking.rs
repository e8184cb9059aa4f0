//! Invalidations: the server tracks the keys that were read for a cache, and pushes those that change.
//!
//! Tracking is opted in for each read (`CLIENT TRACKING ON OPTIN`, `CLIENT CACHING YES`), so that the keys which strangers
//! ask for do not fill the server's table. Without `NOLOOP`, since with it a change of one's own ends the tracking of its
//! key in silence.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::try_join_all;
use parking_lot::RwLock;
use redis::{Pipeline, Value};
use session_core::{ErrorKind, InvalidationListener, Key, Outcome, Prefix, Result};
use tokio::time::Instant;

use crate::command::Form;
use crate::connection::Connection;
use crate::error::{Trouble, refused, unexpected};
use crate::router::{Router, To};

/// Who is told of changes.
pub(crate) struct Tracking {
    is_on: AtomicBool,
    listeners: RwLock<Vec<Arc<dyn InvalidationListener>>>,
    prefix: Prefix,
}

impl Tracking {
    pub(crate) fn new(prefix: Prefix) -> Self {
        Self {
            is_on: AtomicBool::new(false),
            listeners: RwLock::default(),
            prefix,
        }
    }

    pub(crate) fn add(&self, listener: Arc<dyn InvalidationListener>) {
        self.listeners.write().push(listener);
        self.is_on.store(true, Ordering::Release);
    }

    /// Whether connections that are made from now on track.
    pub(crate) fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Acquire)
    }

    /// Passes on a push: the keys that have changed, or nil for all of them.
    pub(crate) fn tell(&self, data: &[Value]) {
        let listeners = self.listeners.read();
        let Some(Value::Array(keys)) = data.first() else {
            listeners.iter().for_each(|one| one.invalidate_all());
            return;
        };
        for key in keys {
            let Value::BulkString(key) = key else {
                continue;
            };
            let key = str::from_utf8(key).ok().and_then(|key| Key::new(key).ok());
            // Another key was never read by this driver.
            if let Some(key) = key.and_then(|key| self.prefix.strip(&key)) {
                listeners.iter().for_each(|one| one.invalidate(&key));
            }
        }
    }

    pub(crate) fn lose_track(&self) {
        let listeners = self.listeners.read();
        listeners.iter().for_each(|one| one.invalidate_all());
    }

    /// A key below the prefix. It has an entry only by chance.
    pub(crate) fn probe_key(&self, number: usize) -> String {
        match self.prefix.is_root() {
            true => number.to_string(),
            false => format!("{}:{number}", self.prefix.as_str()),
        }
    }
}

pub(crate) fn add_tracking(commands: &mut Pipeline) {
    commands
        .cmd("CLIENT")
        .arg("TRACKING")
        .arg("ON")
        .arg("OPTIN");
}

impl Router {
    /// Reads `key`, and lets the server track it: the replies to `GET` and `PTTL`.
    pub(crate) async fn read_tracked(&self, key: &str, deadline: Instant) -> Result<Vec<Value>> {
        let add = |commands: &mut Pipeline, connection: &Connection, _| {
            connection.tracks.store(true, Ordering::Release);
            if !connection.is_tracking.load(Ordering::Acquire) {
                add_tracking(commands);
            }
            commands.cmd("CLIENT").arg("CACHING").arg("YES");
            commands.cmd("GET").arg(key);
            commands.cmd("PTTL").arg(key);
            Form::Tracked
        };
        let mut replies = self.call(To::Key(key), true, add, deadline).await?;
        let entry = replies.split_off(replies.len().saturating_sub(2));
        match (replies.last(), entry.first()) {
            (Some(Value::ServerError(error)), _) => Err(cannot_track(error)),
            // While the slot of the key moves, it cannot be tracked.
            (_, Some(Value::ServerError(error))) if error.code() == "ASK" => {
                Err(cannot_track(error))
            }
            _ => Ok(entry),
        }
    }

    /// Asks every server over every connection. The answers come after all pushes for what changed before.
    pub(crate) async fn probe(&self, deadline: Instant) -> Result<()> {
        let map = self.topology.map();
        let mut probes = Vec::new();
        let mut is_connected = false;
        for node in self.topology.primaries() {
            let key = map.probe_key_of(&node).map(str::to_owned);
            if node.loses_track(false) {
                // The task that keeps the connection may not have noticed yet.
                self.topology.tracking().lose_track();
            }
            is_connected |= key.is_some() && node.first_connected().is_some();
            for connection in node.connections() {
                if key.is_some() || connection.tracks.load(Ordering::Acquire) {
                    let key = key.clone();
                    probes.push(async move { probe(&connection, key.as_deref(), deadline).await });
                }
            }
        }
        if !is_connected {
            self.connect().await?;
            return Err(
                Trouble::new(ErrorKind::Unavailable, "no connection could be probed").to_error(),
            );
        }
        let answers = try_join_all(probes).await;
        if answers.is_err() {
            self.topology.look_again();
        }
        answers.map(drop)
    }
}

/// Asks the server whether it still is a primary and serves `key`, and switches tracking on where it is not yet.
async fn probe(connection: &Connection, key: Option<&str>, deadline: Instant) -> Result<()> {
    let mut commands = redis::pipe();
    add_tracking(&mut commands);
    commands.cmd("ROLE");
    if let Some(key) = key {
        commands.cmd("EXISTS").arg(key);
    }
    let replies = connection.send(&commands, deadline).await?;
    let mut replies = replies.into_iter();
    if let Some(Value::ServerError(error)) = replies.next() {
        return Err(cannot_track(&error));
    }
    connection.is_tracking.store(true, Ordering::Release);
    if key.is_none() {
        return Ok(());
    }
    match replies.next() {
        // An ACL may forbid `ROLE`.
        Some(Value::ServerError(error)) if error.code() == "NOPERM" => {}
        Some(Value::ServerError(error)) => return Err(refused(&error)),
        Some(Value::Array(role)) if matches!(role.first(), Some(Value::BulkString(role)) if role == b"master") =>
            {}
        Some(_) => {
            return Err(Trouble::new(
                ErrorKind::Unavailable,
                "the server is not a primary any more",
            )
            .to_error());
        }
        None => return Err(unexpected()),
    }
    match replies.next() {
        Some(Value::Int(_)) => Ok(()),
        Some(Value::ServerError(error)) => Err(refused(&error)),
        _ => Err(unexpected()),
    }
}

fn cannot_track(error: &redis::ServerError) -> session_core::Error {
    let message = "the server does not track keys for this connection; invalidations need RESP3, Redis 6 or later, and the permission for `CLIENT TRACKING` and `CLIENT CACHING`";
    session_core::Error::new(ErrorKind::Unsupported, message)
        .with_outcome(Outcome::NotApplied)
        .with_source(refused(error))
}
