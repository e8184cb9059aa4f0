use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use redis::Value;
use session_core::ErrorKind;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};

use crate::config::ReadFrom;
use crate::connection::send_alone;
use crate::endpoint::Endpoint;
use crate::error::ConnectError;
use crate::first_answer::first_answer;
use crate::request::Request;
use crate::server::{Fleet, Server};
use crate::slots::SlotTable;
use crate::target::Role;

/// How long the table of slots stands when nobody finds it wrong.
const REFRESH_INTERVAL: Duration = Duration::from_secs(60);

/// How long between two looks at the table, however many find it wrong.
const REFRESH_PAUSE: Duration = Duration::from_millis(100);

/// The nodes of a Redis Cluster, and who serves what.
pub(crate) struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    seeds: Vec<Endpoint>,
    fleet: Fleet,
    read_from: ReadFrom,
    map: watch::Sender<Arc<Map>>,
    /// Every node that is in the table, or to which another has sent us.
    servers: Mutex<HashMap<(Endpoint, Role), Arc<Server>>>,
    stale: Notify,
    trouble: Mutex<Option<ConnectError>>,
}

/// The table of slots, with the servers that it names.
#[derive(Default)]
pub(crate) struct Map {
    table: SlotTable,
    shards: Vec<Servers>,
    pub(crate) fingerprint: u64,
}

struct Servers {
    primary: Arc<Server>,
    replicas: Vec<Arc<Server>>,
}

impl Map {
    pub(crate) fn primary_of(&self, slot: u16) -> Option<&Arc<Server>> {
        let shard = self.shards.get(self.table.shard_of(slot)?)?;
        Some(&shard.primary)
    }

    /// A replica of the slot's shard, any.
    pub(crate) fn replica_of(&self, slot: u16) -> Option<&Arc<Server>> {
        let shard = self.shards.get(self.table.shard_of(slot)?)?;
        let any = fastrand::usize(..shard.replicas.len().max(1));
        shard.replicas.get(any)
    }

    /// The primary at `place`, of which there are as many as shards.
    pub(crate) fn primary_at(&self, place: usize) -> Option<&Arc<Server>> {
        self.shards.get(place).map(|shard| &shard.primary)
    }
}

impl Cluster {
    /// Begins to look for the nodes.
    pub(crate) fn start(seeds: Vec<Endpoint>, fleet: Fleet, read_from: ReadFrom) -> Self {
        let inner = Arc::new(Inner {
            seeds,
            read_from,
            map: watch::Sender::default(),
            servers: Mutex::default(),
            stale: Notify::new(),
            trouble: Mutex::default(),
            fleet: fleet.clone(),
        });
        let refreshing = Arc::clone(&inner);
        fleet.tasks.spawn(async move {
            let stop = refreshing.fleet.stop.clone();
            stop.run_until_cancelled(refreshing.keep_fresh()).await;
        });
        Self { inner }
    }

    /// The map as it is known; empty until a node has answered.
    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.inner.map.borrow())
    }

    /// Has the table looked at again soon.
    pub(crate) fn is_stale(&self) {
        self.inner.stale.notify_one();
    }

    /// Waits until the map changes, at most until `until`.
    pub(crate) async fn wait_for_change(&self, from: u64, until: Instant) {
        let mut map = self.inner.map.subscribe();
        let changed = map.wait_for(|map| map.fingerprint != from);
        let _late = tokio::time::timeout_at(until, changed).await;
    }

    /// Why there is no table, where there is none.
    pub(crate) fn trouble(&self) -> Option<ConnectError> {
        self.inner.trouble.lock().clone()
    }

    /// The node at `endpoint`, to which another has sent us.
    pub(crate) fn server(&self, endpoint: &Endpoint) -> Arc<Server> {
        self.inner.server(endpoint, Role::Primary)
    }
}

impl Inner {
    fn server(&self, endpoint: &Endpoint, role: Role) -> Arc<Server> {
        let mut servers = self.servers.lock();
        let server = servers.entry((endpoint.clone(), role));
        let start = || Arc::new(self.fleet.server_at(endpoint, role));
        Arc::clone(server.or_insert_with(start))
    }

    async fn keep_fresh(&self) {
        loop {
            match self.look().await {
                Ok(table) => self.take(table),
                Err(trouble) => {
                    // As for a single server: the first call after the cluster is back has a table within a second.
                    if self.map.borrow().shards.is_empty() {
                        self.stale.notify_one();
                    }
                    tracing::debug!(
                        "the slots of the cluster are not known: {}",
                        trouble.message
                    );
                    *self.trouble.lock() = Some(trouble);
                }
            }
            sleep(REFRESH_PAUSE).await;
            let _in_time = timeout(REFRESH_INTERVAL, self.stale.notified()).await;
        }
    }

    /// Asks one node after the other which slots are whose.
    async fn look(&self) -> Result<SlotTable, ConnectError> {
        let mut nodes: Vec<Endpoint> = {
            let map = self.map.borrow();
            let shards = map.table.shards.iter();
            let known = shards.flat_map(|shard| shard.replicas.iter().chain([&shard.primary]));
            known.cloned().collect()
        };
        fastrand::shuffle(&mut nodes);
        // Where a node has gone for good, one that was named may know its successor.
        for seed in &self.seeds {
            if !nodes.contains(seed) {
                nodes.push(seed.clone());
            }
        }
        let limit = self.fleet.connect_timeout;
        let questions = nodes.into_iter().map(|node| async move {
            let answer = timeout(limit, self.ask(&node)).await;
            answer.unwrap_or_else(|_| {
                Err(ConnectError::new(
                    ErrorKind::TimedOut,
                    format!("no node of the cluster answered within {limit:?}"),
                ))
            })
        });
        first_answer(questions)
            .await
            .unwrap_or_else(|| Err(no_table()))
    }

    async fn ask(&self, node: &Endpoint) -> Result<SlotTable, ConnectError> {
        let mut request = Request::default();
        request.add(&[b"CLUSTER".as_slice(), b"SLOTS"]);
        let known = self
            .servers
            .lock()
            .get(&(node.clone(), Role::Primary))
            .cloned();
        let replies = match known.and_then(|server| server.connected()) {
            Some(connection) => {
                let deadline = Instant::now() + self.fleet.connect_timeout;
                let answer = connection.send(request, deadline).await;
                answer.map_err(|error| ConnectError::new(error.kind(), error.to_string()))?
            }
            None => {
                let (connection, mut work) = self.fleet.dial.connect(node).await?;
                send_alone(&connection, &mut work, request).await?
            }
        };
        match replies.first() {
            Some(Value::ServerError(error)) => Err(match error.details() {
                Some(details) if details.contains("cluster support disabled") => ConnectError::new(
                    ErrorKind::InvalidConfig,
                    "the server is not a node of a cluster; use `url` instead of `cluster`",
                ),
                _ => ConnectError::from(error),
            }),
            Some(reply) => SlotTable::read(reply, node).ok_or_else(no_table),
            None => Err(no_table()),
        }
    }

    fn take(&self, table: SlotTable) {
        *self.trouble.lock() = None;
        if self.map.borrow().table == table {
            return;
        }
        let replicas_are_read = self.read_from == ReadFrom::Replica;
        let shards: Vec<_> = table
            .shards
            .iter()
            .map(|shard| Servers {
                primary: self.server(&shard.primary, Role::Primary),
                replicas: shard
                    .replicas
                    .iter()
                    .filter(|_| replicas_are_read)
                    .map(|replica| self.server(replica, Role::Replica))
                    .collect(),
            })
            .collect();
        // The others end with their last caller.
        self.servers.lock().retain(|_, server| {
            let all = |shard: &Servers| {
                let mut servers = std::iter::once(&shard.primary).chain(&shard.replicas);
                servers.any(|there| Arc::ptr_eq(there, server))
            };
            shards.iter().any(all)
        });
        let fingerprint = table.fingerprint();
        let map = Map {
            table,
            shards,
            fingerprint,
        };
        self.map.send_replace(Arc::new(map));
    }
}

fn no_table() -> ConnectError {
    ConnectError::new(
        ErrorKind::Unavailable,
        "no node of the cluster returned a slot table; check that the cluster was created",
    )
}
