use std::time::Duration;

use futures_util::future::{self, Either};
use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::Value;
use session_core::ErrorKind;
use tokio::time::{sleep, timeout};

use crate::connection::{Connection, Dial, Work, send_alone};
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::first_answer::first_answer;
use crate::request::Request;

/// The primary as a sentinel knows it, and in which failover it became one; the later one counts.
#[derive(Clone, Debug)]
pub(crate) struct Primary {
    pub(crate) endpoint: Endpoint,
    pub(crate) epoch: u64,
}

/// How long to wait for the other sentinels when one has answered.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// How often a sentinel is asked whether the primary is still the same.
const POLL: Duration = Duration::from_millis(250);

const REPLICA: &str = "serving replica";

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    nodes: Vec<Endpoint>,
    name: String,
    dial: Dial,
}

impl Sentinels {
    pub(crate) fn new(nodes: Vec<Endpoint>, name: String, dial: Dial) -> Self {
        Self { nodes, name, dial }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The primary that the sentinels agree on: of their answers the latest, since one may not have heard of a
    /// failover yet. One that is slow holds nobody up.
    pub(crate) async fn primary(&self) -> Result<Primary, ConnectError> {
        let mut asked: FuturesUnordered<_> =
            self.nodes.iter().map(|node| self.ask_once(node)).collect();
        let mut latest: Option<Primary> = None;
        let mut trouble = None;
        loop {
            let patience = match latest {
                Some(_) => STRAGGLERS,
                None => Duration::MAX,
            };
            match timeout(patience, asked.next()).await {
                Ok(Some(Ok(primary))) => match &latest {
                    Some(known) if known.epoch >= primary.epoch => {}
                    _ => latest = Some(primary),
                },
                Ok(Some(Err(error))) => trouble = Some(error),
                Ok(None) | Err(_) => break,
            }
        }
        latest.ok_or_else(|| trouble.unwrap_or_else(|| self.names_none("primary")))
    }

    /// Waits until a sentinel names a later primary than `known`.
    ///
    /// The old one may be there for some seconds more and take writes, all of which are lost when it becomes a replica.
    pub(crate) async fn superseded(&self, known: &Primary) {
        let mut place = fastrand::usize(..);
        loop {
            place = place.wrapping_add(1);
            if let Some(node) = self.nodes.get(place % self.nodes.len().max(1))
                && self.names_a_later_one(node, known).await
            {
                return;
            }
            sleep(POLL).await;
        }
    }

    /// The same of one sentinel; false when it cannot be asked any longer.
    async fn names_a_later_one(&self, node: &Endpoint, known: &Primary) -> bool {
        let Ok(Ok((connection, mut work))) =
            timeout(self.dial.timeout, self.dial.connect(node)).await
        else {
            return false;
        };
        loop {
            let answer = timeout(self.dial.timeout, self.ask(node, &connection, &mut work)).await;
            match answer {
                Ok(Ok(primary)) if primary.epoch > known.epoch => return true,
                Ok(Ok(_)) => {}
                Ok(Err(_)) | Err(_) => return false,
            }
            let pause = Box::pin(sleep(POLL));
            if let Either::Right(_) = future::select(pause, &mut work).await {
                return false;
            }
        }
    }

    async fn ask_once(&self, node: &Endpoint) -> Result<Primary, ConnectError> {
        let (connection, mut work) = self.dial.connect(node).await?;
        self.ask(node, &connection, &mut work).await
    }

    async fn ask(
        &self,
        node: &Endpoint,
        connection: &Connection,
        work: &mut Work,
    ) -> Result<Primary, ConnectError> {
        let reply = self.question("MASTER", connection, work, "primary").await?;
        let primary = || {
            let endpoint = Endpoint::announced_parts(
                field(&reply, "ip")?,
                field(&reply, "port")?.parse().ok()?,
                node,
            )?;
            let epoch = field(&reply, "config-epoch")?.parse().ok()?;
            Some(Primary { endpoint, epoch })
        };
        primary().ok_or_else(|| self.names_none("primary"))
    }

    /// A replica that serves, any, as the first sentinel says that answers.
    pub(crate) async fn replica(&self) -> Result<Endpoint, ConnectError> {
        let mut nodes: Vec<&Endpoint> = self.nodes.iter().collect();
        fastrand::shuffle(&mut nodes);
        first_answer(nodes.into_iter().map(|node| self.replica_by(node)))
            .await
            .unwrap_or_else(|| Err(self.names_none(REPLICA)))
    }

    async fn replica_by(&self, node: &Endpoint) -> Result<Endpoint, ConnectError> {
        let (connection, mut work) = self.dial.connect(node).await?;
        let reply = self
            .question("REPLICAS", &connection, &mut work, REPLICA)
            .await?;
        let replicas = reply
            .iter()
            .filter_map(|replica| serving_replica(replica, node));
        let mut replicas: Vec<_> = replicas.collect();
        fastrand::shuffle(&mut replicas);
        replicas.pop().ok_or_else(|| self.names_none(REPLICA))
    }

    /// What a sentinel answers to a question about the name.
    async fn question(
        &self,
        about: &str,
        connection: &Connection,
        work: &mut Work,
        what: &str,
    ) -> Result<Vec<Value>, ConnectError> {
        let mut request = Request::default();
        request.add(&[b"SENTINEL", about.as_bytes(), self.name.as_bytes()]);
        let replies = send_alone(connection, work, request).await?;
        match replies.into_iter().next() {
            Some(Value::Array(reply)) => Ok(reply),
            Some(Value::ServerError(error)) if error.code() != "ERR" => {
                Err(ConnectError::from(&error))
            }
            _ => Err(self.names_none(what)),
        }
    }

    fn names_none(&self, what: &str) -> ConnectError {
        ConnectError::new(
            ErrorKind::Unavailable,
            format!(
                "the sentinels know no {what} named `{}`; check `sentinel.name`",
                self.name
            ),
        )
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

/// The value beside `name` in a list of names and values.
fn field<'a>(fields: &'a [Value], name: &str) -> Option<&'a str> {
    let mut pairs = fields.chunks_exact(2);
    pairs.find_map(|pair| match pair {
        [found, value] if text(found) == Some(name) => text(value),
        _ => None,
    })
}

/// The address of a replica, unless its flags say that it is away.
fn serving_replica(replica: &Value, by: &Endpoint) -> Option<Endpoint> {
    let Value::Array(fields) = replica else {
        return None;
    };
    let away = ["s_down", "o_down", "disconnected"];
    let flags = field(fields, "flags")?;
    let is_away = flags.split(',').any(|flag| away.contains(&flag));
    if is_away || field(fields, "master-link-status") == Some("err") {
        return None;
    }
    Endpoint::announced_parts(
        field(fields, "ip")?,
        field(fields, "port")?.parse().ok()?,
        by,
    )
}
