//! Which server has which keys: one server, the primary that sentinels name, or the nodes of a cluster.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt};
use parking_lot::Mutex;
use redis::{Pipeline, Value};
use session_core::ErrorKind;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::address::Endpoint;
use crate::connection::{Dial, Role};
use crate::error::Trouble;
use crate::node::Node;
use crate::options::ReadFrom;
use crate::sentinel::Sentinels;
use crate::settings::Place;
use crate::slots::{Shard, SlotTable};
use crate::tracking::Tracking;

/// How long the slots of a cluster are taken as known while nobody finds them wrong.
const CLUSTER_INTERVAL: Duration = Duration::from_secs(60);

/// How long between two looks at a cluster, however many callers ask for one.
const CLUSTER_PAUSE: Duration = Duration::from_millis(100);

/// How often the sentinels are asked for the primary. After a failover the old one may accept writes for some ten seconds,
/// all of which are lost when it becomes a replica.
const SENTINEL_INTERVAL: Duration = Duration::from_millis(250);

/// How many keys are tried for one that a shard serves.
const PROBE_KEYS: usize = 100_000;

/// How many nodes of a cluster are asked at the same time, so that one that is slow does not hold up the others.
const ASKED: usize = 3;

/// The servers of a driver.
pub(crate) struct Topology {
    kind: Kind,
    dial: Arc<Dial>,
    map: watch::Sender<Arc<Map>>,
    /// The nodes by address and role, including those to which another node has redirected a call.
    nodes: Mutex<HashMap<(Endpoint, Role), Arc<Node>>>,
    stale: Notify,
    trouble: Mutex<Option<Trouble>>,
}

enum Kind {
    /// One server, whose address does not change.
    OneServer,
    Sentinels(Sentinels),
    /// Some nodes of the cluster.
    Cluster(Vec<Endpoint>),
}

/// The slots, and the servers that serve them.
#[derive(Default)]
pub(crate) struct Map {
    table: SlotTable,
    shards: Vec<(Arc<Node>, Vec<Arc<Node>>)>,
    /// For each shard a key that it serves.
    probe_keys: Vec<Option<String>>,
    /// Changes when slots move or another server becomes a primary.
    pub(crate) fingerprint: u64,
}

impl Map {
    pub(crate) fn primary_of(&self, key: &str) -> Option<&Arc<Node>> {
        Some(&self.shards.get(self.table.shard_of(key)?)?.0)
    }

    /// Any replica of the shard that serves `key`.
    pub(crate) fn replica_of(&self, key: &str) -> Option<&Arc<Node>> {
        let (_, replicas) = self.shards.get(self.table.shard_of(key)?)?;
        replicas.get(fastrand::usize(..replicas.len().max(1)))
    }

    /// The key by which `node` is asked whether it still serves its slots, if it should.
    pub(crate) fn probe_key_of(&self, node: &Arc<Node>) -> Option<&str> {
        let is_primary = |(primary, _): &(Arc<Node>, _)| Arc::ptr_eq(primary, node);
        let place = self.shards.iter().position(is_primary)?;
        self.probe_keys.get(place)?.as_deref()
    }

    /// The primary of the shard at `place`.
    pub(crate) fn primary_at(&self, place: u64) -> Option<&Arc<Node>> {
        let shard = self.shards.get(usize::try_from(place).ok()?);
        shard.map(|(primary, _)| primary)
    }
}

impl Topology {
    /// Starts to find the servers, in a task that ends with the driver.
    pub(crate) fn start(place: Place, mut dial: Dial) -> Arc<Self> {
        let mut server = None;
        let kind = match place {
            Place::Server(endpoint) => {
                server = Some(endpoint);
                Kind::OneServer
            }
            Place::Client(client) => {
                // Only a name for the logs, since the client knows the address.
                let name = client.get_connection_info().addr().to_string();
                server = Some(Endpoint::Unix(name.into()));
                dial.client = Some(client);
                Kind::OneServer
            }
            Place::Cluster(nodes) => Kind::Cluster(nodes),
            Place::Sentinels(nodes, name, login) => {
                let mut dial = dial.clone();
                (dial.login, dial.db) = (login, 0);
                Kind::Sentinels(Sentinels::new(nodes, name, dial))
            }
        };
        let (tasks, stop) = (dial.tasks.clone(), dial.stop.clone());
        let topology = Arc::new(Self {
            kind,
            dial: Arc::new(dial),
            map: watch::Sender::default(),
            nodes: Mutex::default(),
            stale: Notify::new(),
            trouble: Mutex::default(),
        });
        match server {
            Some(endpoint) => topology.take(SlotTable::of_one(endpoint, Vec::new())),
            None => {
                let kept = Arc::clone(&topology);
                tasks.spawn(async move {
                    stop.run_until_cancelled(kept.keep_fresh()).await;
                });
            }
        }
        topology
    }

    pub(crate) fn map(&self) -> Arc<Map> {
        Arc::clone(&self.map.borrow())
    }

    pub(crate) fn is_fixed(&self) -> bool {
        matches!(self.kind, Kind::OneServer)
    }

    pub(crate) fn is_cluster(&self) -> bool {
        matches!(self.kind, Kind::Cluster(_))
    }

    /// A server was not what the map says.
    pub(crate) fn look_again(&self) {
        self.stale.notify_one();
    }

    /// Waits until the map is another than the one with this fingerprint, or until `until`.
    pub(crate) async fn wait_for_change(&self, from: u64, until: Instant) {
        let mut map = self.map.subscribe();
        let changed = map.wait_for(|map| map.fingerprint != from);
        let _late = timeout_at(until, changed).await;
    }

    /// Why there is no map, if there is none.
    pub(crate) fn trouble(&self) -> Option<Trouble> {
        self.trouble.lock().clone()
    }

    /// The server at `endpoint`, which is connected to from now on.
    pub(crate) fn node(&self, endpoint: &Endpoint, role: Role) -> Arc<Node> {
        let dial = match (&self.kind, role) {
            (Kind::Sentinels(sentinels), Role::Sentinel) => &sentinels.dial,
            _ => &self.dial,
        };
        let mut nodes = self.nodes.lock();
        let node = nodes.entry((endpoint.clone(), role));
        let start = || Node::start(dial, endpoint, role);
        Arc::clone(node.or_insert_with(start))
    }

    pub(crate) fn tracking(&self) -> &Tracking {
        &self.dial.tracking
    }

    /// The servers that may decide on keys, also those to which a call was redirected.
    pub(crate) fn primaries(&self) -> Vec<Arc<Node>> {
        let nodes = self.nodes.lock();
        let primaries = nodes
            .iter()
            .filter(|((_, role), _)| matches!(role, Role::Primary | Role::ConfirmedPrimary));
        primaries.map(|(_, node)| Arc::clone(node)).collect()
    }

    async fn keep_fresh(&self) {
        loop {
            let (found, pause, interval) = match &self.kind {
                Kind::OneServer => return,
                Kind::Cluster(seeds) => (
                    self.look_at_cluster(seeds).await,
                    CLUSTER_PAUSE,
                    CLUSTER_INTERVAL,
                ),
                Kind::Sentinels(sentinels) => {
                    let found = sentinels.look(self).await;
                    (found, SENTINEL_INTERVAL, Duration::ZERO)
                }
            };
            match found {
                Ok(table) => self.take(table),
                Err(trouble) => {
                    // So that the first call after the servers are back has a map within a second.
                    if self.map.borrow().shards.is_empty() {
                        self.stale.notify_one();
                    }
                    tracing::debug!("the servers are not known: {}", trouble.message);
                    *self.trouble.lock() = Some(trouble);
                }
            }
            sleep(pause).await;
            let _in_time = timeout(interval, self.stale.notified()).await;
        }
    }

    /// The slot table of the first node that answers.
    async fn look_at_cluster(&self, seeds: &[Endpoint]) -> Result<SlotTable, Trouble> {
        let mut nodes: Vec<_> = self
            .map()
            .shards
            .iter()
            .map(|(node, _)| node.clone())
            .collect();
        fastrand::shuffle(&mut nodes);
        // Where a node has gone for good, one that was named may know its successor.
        nodes.extend(seeds.iter().map(|seed| self.node(seed, Role::Primary)));
        let mut commands = redis::pipe();
        commands.cmd("CLUSTER").arg("SLOTS");
        let commands = &commands;
        let questions = nodes.into_iter().map(|node| async move {
            let replies = self.ask(&node, commands).await?;
            match replies.first() {
                Some(Value::ServerError(error)) => Err(Trouble::from(error)),
                Some(reply) => SlotTable::read(reply, &node.endpoint).ok_or_else(no_table),
                None => Err(no_table()),
            }
        });
        let mut answers = stream::iter(questions).buffer_unordered(ASKED);
        let mut trouble = None;
        while let Some(answer) = answers.next().await {
            match answer {
                Ok(table) => return Ok(table),
                Err(error) => trouble = Some(error),
            }
        }
        Err(trouble.unwrap_or_else(no_table))
    }

    /// Asks one server, which may take as long as connecting.
    pub(crate) async fn ask(
        &self,
        node: &Node,
        commands: &Pipeline,
    ) -> Result<Vec<Value>, Trouble> {
        let limit = self.dial.options.connect_timeout;
        let deadline = Instant::now() + limit;
        let connection = node.connection(deadline).await;
        let connection = connection.map_err(|none| none.into_error(limit))?;
        Ok(connection.send(commands, deadline).await?)
    }

    fn take(&self, table: SlotTable) {
        *self.trouble.lock() = None;
        let role = match self.kind {
            Kind::Sentinels(_) => Role::ConfirmedPrimary,
            Kind::OneServer | Kind::Cluster(_) => Role::Primary,
        };
        let are_read = self.dial.options.read_from == ReadFrom::Replica;
        let replicas = |shard: &Shard| {
            let replicas = shard.replicas.iter().filter(|_| are_read);
            let nodes = replicas.map(|replica| self.node(replica, Role::Replica));
            nodes.collect()
        };
        let shards: Vec<(Arc<Node>, Vec<Arc<Node>>)> = table
            .shards
            .iter()
            .map(|shard| (self.node(&shard.primary, role), replicas(shard)))
            .collect();
        // Other nodes end with their last caller.
        let mut loses_track = false;
        self.nodes.lock().retain(|(endpoint, role), node| {
            let is_seed = matches!(&self.kind, Kind::Cluster(seeds) if seeds.contains(endpoint));
            let mut used = shards
                .iter()
                .flat_map(|(primary, others)| others.iter().chain([primary]));
            let is_kept =
                is_seed || *role == Role::Sentinel || used.any(|used| Arc::ptr_eq(used, node));
            loses_track |= !is_kept && node.loses_track(true);
            is_kept
        });
        if loses_track {
            self.dial.tracking.lose_track();
        }
        if self.map.borrow().table == table {
            return;
        }
        let fingerprint = table.fingerprint();
        let tracking = &self.dial.tracking;
        let probe_key = |place| {
            let mut keys = (0..PROBE_KEYS).map(|number| tracking.probe_key(number));
            keys.find(|key| table.shard_of(key) == Some(place))
        };
        let probe_keys = (0..shards.len()).map(probe_key).collect();
        self.map.send_replace(Arc::new(Map {
            table,
            shards,
            probe_keys,
            fingerprint,
        }));
        // Keys that were tracked may have moved to another server.
        tracking.lose_track();
    }
}

fn no_table() -> Trouble {
    Trouble::new(
        ErrorKind::Unavailable,
        "no node of the cluster returned a slot table; check that the cluster was created",
    )
}
