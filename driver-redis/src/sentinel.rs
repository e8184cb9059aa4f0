//! The primary of sentinels.
//!
//! The lookup of the `redis` crate takes the answer of whichever sentinel answers first, also of one that has not heard of
//! a failover yet, and does not say which failover its answer is of. Here all are asked, and the latest answer counts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use redis::{Pipeline, Value};
use session_core::ErrorKind;
use tokio::time::timeout;

use crate::address::Endpoint;
use crate::connection::{Dial, Role};
use crate::error::Trouble;
use crate::slots::SlotTable;
use crate::topology::Topology;

/// How long to wait for the other sentinels after one has answered.
const STRAGGLERS: Duration = Duration::from_millis(100);

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    nodes: Vec<Endpoint>,
    name: String,
    pub(crate) dial: Arc<Dial>,
    /// The latest failover that one of them knew of.
    epoch: AtomicU64,
}

/// What one sentinel knows.
struct Answer {
    primary: Endpoint,
    replicas: Vec<Endpoint>,
    /// Of the failover in which the primary became one; the later one counts.
    epoch: u64,
}

impl Sentinels {
    pub(crate) fn new(nodes: Vec<Endpoint>, name: String, dial: Dial) -> Self {
        Self {
            nodes,
            name,
            dial: Arc::new(dial),
            epoch: AtomicU64::new(0),
        }
    }

    /// The primary, and its replicas, as the sentinel says that knows of the latest failover.
    pub(crate) async fn look(&self, topology: &Topology) -> Result<SlotTable, Trouble> {
        let mut commands = redis::pipe();
        for question in ["MASTER", "REPLICAS"] {
            commands.cmd("SENTINEL").arg(question).arg(&self.name);
        }
        let questions = self.nodes.iter();
        let questions = questions.map(|node| self.ask(node, topology, &commands));
        let mut asked: FuturesUnordered<_> = questions.collect();
        let mut latest: Option<Answer> = None;
        let mut trouble = None;
        let mut answers = 0;
        loop {
            let patience = match latest {
                Some(_) => STRAGGLERS,
                None => Duration::MAX,
            };
            match timeout(patience, asked.next()).await {
                Ok(Some(Ok(answer))) => {
                    answers += 1;
                    if latest
                        .as_ref()
                        .is_none_or(|latest| latest.epoch < answer.epoch)
                    {
                        latest = Some(answer);
                    }
                }
                Ok(Some(Err(error))) => trouble = Some(error),
                Ok(None) | Err(_) => break,
            }
        }
        let latest = latest.ok_or_else(|| trouble.unwrap_or_else(|| self.names_none()))?;
        let known = self.epoch.load(Ordering::Relaxed);
        if latest.epoch < known && answers < self.nodes.len() {
            // Only all of them together can take back what one has said, after a reset.
            let message = "the sentinels that answered have not heard of the latest failover";
            return Err(Trouble::new(ErrorKind::Unavailable, message));
        }
        self.epoch.store(latest.epoch, Ordering::Relaxed);
        Ok(SlotTable::of_one(latest.primary, latest.replicas))
    }

    async fn ask(
        &self,
        node: &Endpoint,
        topology: &Topology,
        commands: &Pipeline,
    ) -> Result<Answer, Trouble> {
        let sentinel = topology.node(node, Role::Sentinel);
        let replies = topology.ask(&sentinel, commands).await?;
        let (primary, replicas) = match replies.as_slice() {
            [Value::ServerError(error), ..] if error.code() != "ERR" => {
                return Err(Trouble::from(error));
            }
            [primary, Value::Array(replicas)] => (primary, replicas),
            _ => return Err(self.names_none()),
        };
        let epoch = field(primary, "config-epoch").and_then(|epoch| epoch.parse().ok());
        let (Some(primary), Some(epoch)) = (address(primary, node), epoch) else {
            return Err(self.names_none());
        };
        let replicas = replicas.iter().filter(|replica| serves(replica));
        let mut replicas: Vec<_> = replicas.filter_map(|one| address(one, node)).collect();
        replicas.sort_unstable();
        Ok(Answer {
            primary,
            replicas,
            epoch,
        })
    }

    fn names_none(&self) -> Trouble {
        let name = &self.name;
        Trouble::new(
            ErrorKind::Unavailable,
            format!("the sentinels know no primary named `{name}`; check `sentinel.name`"),
        )
    }
}

/// The value of a field in what a sentinel says about a server: a map, or names and values in turn.
fn field<'a>(server: &'a Value, name: &str) -> Option<&'a str> {
    let pair = match server {
        Value::Map(pairs) => pairs.iter().find(|(field, _)| text(field) == Some(name)),
        Value::Array(fields) => {
            let mut pairs = fields.chunks_exact(2);
            return pairs.find_map(|pair| match pair {
                [field, value] if text(field) == Some(name) => text(value),
                _ => None,
            });
        }
        _ => None,
    };
    pair.and_then(|(_, value)| text(value))
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn address(server: &Value, by: &Endpoint) -> Option<Endpoint> {
    let port = field(server, "port")?.parse().ok()?;
    Endpoint::announced(field(server, "ip")?, port, by)
}

/// Whether a replica can be read, as its sentinel sees it.
fn serves(replica: &Value) -> bool {
    let away = ["s_down", "o_down", "disconnected"];
    let flags = field(replica, "flags").unwrap_or("disconnected");
    let is_away = flags.split(',').any(|flag| away.contains(&flag));
    !is_away && field(replica, "master-link-status") != Some("err")
}
