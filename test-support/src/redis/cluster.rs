use std::process::Command;
use std::time::Duration;

use super::RedisServer;

/// A Redis Cluster of three masters with a replica each, as local processes.
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
}

impl RedisCluster {
    /// Starts the nodes, joins them, and waits until each replica follows its master.
    ///
    /// Before that the cluster reports `ok`, but it does not survive the loss of a master.
    pub fn start() -> Self {
        Self::start_with(Duration::from_millis(1_500))
    }

    /// The same with another `cluster-node-timeout`, after which a node counts as failed.
    pub fn start_with(node_timeout: Duration) -> Self {
        let node_timeout = node_timeout.as_millis().to_string();
        let nodes: Vec<_> = (0..6)
            .map(|_| {
                RedisServer::start_with(&[
                    "--cluster-enabled",
                    "yes",
                    "--cluster-node-timeout",
                    &node_timeout,
                    "--repl-diskless-sync-delay",
                    "0",
                ])
            })
            .collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]);
        create.args(nodes.iter().map(RedisServer::address));
        create.args(["--cluster-replicas", "1", "--cluster-yes"]);
        let created = create.output().expect("`redis-cli` must start");
        assert!(created.status.success(), "{created:?}");
        let cluster = Self { nodes };
        cluster.wait_until_healthy();
        cluster
    }

    /// Waits until every node sees all slots served by three masters with a connected replica each.
    pub fn wait_until_healthy(&self) {
        for node in &self.nodes {
            node.peer().wait_until("see a whole cluster", || {
                let info = node.try_cli(&["CLUSTER", "INFO"]).unwrap_or_default();
                let replication = node.try_cli(&["INFO", "replication"]).unwrap_or_default();
                let attached = match replication.contains("role:master") {
                    true => replication.contains("connected_slaves:1"),
                    false => replication.contains("master_link_status:up"),
                };
                info.contains("cluster_state:ok") && attached
            });
        }
    }

    /// Waits until every replica has all earlier writes of its master.
    pub fn wait_until_replicated(&self) {
        let replications: Vec<_> = self.nodes.iter().map(RedisServer::replication).collect();
        let offset_of_master = |port: &str| {
            let mut masters = self.nodes.iter().zip(&replications);
            let master = masters.find(|(node, _)| node.port().to_string() == port);
            master.map(|(_, replication)| number_in(replication, "master_repl_offset"))
        };
        for (node, replication) in self.nodes.iter().zip(&replications) {
            let Some(wanted) = field_in(replication, "master_port").and_then(offset_of_master)
            else {
                continue;
            };
            if number_in(replication, "slave_repl_offset") < wanted {
                node.peer().wait_until("catch up with its master", || {
                    number_in(&node.replication(), "slave_repl_offset") >= wanted
                });
            }
        }
    }

    /// Returns `127.0.0.1:PORT` of each node.
    pub fn addresses(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::address).collect()
    }

    /// Returns the nodes.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// Returns the nodes mutably, to restart one.
    pub fn nodes_mut(&mut self) -> &mut [RedisServer] {
        &mut self.nodes
    }

    /// Returns the index of the master that serves the slot of `key`, according to a running node.
    pub fn master_of(&self, key: &str) -> usize {
        let running = self.nodes.iter().find(|node| node.peer().is_running());
        let running = running.expect("a running node");
        let slot: u16 = running.cli(&["CLUSTER", "KEYSLOT", key]).parse().unwrap();
        self.master_of_slot(slot)
    }

    /// Returns the index of the master that serves `slot`.
    pub fn master_of_slot(&self, slot: u16) -> usize {
        let mut owner = None;
        for (place, node) in self.nodes.iter().enumerate() {
            let nodes = node.try_cli(&["CLUSTER", "NODES"]).unwrap_or_default();
            let myself = nodes.lines().find(|line| line.contains("myself,master"));
            let Some(line) = myself else { continue };
            let ranges = line
                .split(' ')
                .skip(8)
                .filter(|range| !range.starts_with('['));
            let serves = |range: &str| {
                let (first, last) = range.split_once('-').unwrap_or((range, range));
                let number = |text: &str| text.parse::<u16>().unwrap();
                (number(first)..=number(last)).contains(&slot)
            };
            if ranges.into_iter().any(serves) {
                owner = Some(place);
            }
        }
        owner.expect("a master that serves the slot")
    }

    /// Returns the cluster id of the node at `index`.
    pub fn id_of(&self, index: usize) -> String {
        self.nodes[index].cli(&["CLUSTER", "MYID"])
    }

    /// Moves the slot of `key` with all its keys to the master with index `to`.
    pub fn move_slot_of(&self, key: &str, to: usize) {
        crate::step(format!("moving the slot of {key} to master {to}"));
        let from = self.master_of(key);
        if from == to {
            return;
        }
        let slot = self.nodes[from].cli(&["CLUSTER", "KEYSLOT", key]);
        self.begin_to_move(&slot, from, to);
        loop {
            let keys = self.nodes[from].cli(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]);
            if keys.is_empty() {
                break;
            }
            for key in keys.lines() {
                self.move_key(key, from, to);
            }
        }
        let id = self.id_of(to);
        for index in [to, from] {
            let answer = self.nodes[index].cli(&["CLUSTER", "SETSLOT", &slot, "NODE", &id]);
            assert_eq!(answer, "OK");
        }
    }

    /// Starts the migration of `slot`. Each of its keys may then be on either node.
    pub fn begin_to_move(&self, slot: &str, from: usize, to: usize) {
        let importing = ["CLUSTER", "SETSLOT", slot, "IMPORTING", &self.id_of(from)];
        assert_eq!(self.nodes[to].cli(&importing), "OK");
        let migrating = ["CLUSTER", "SETSLOT", slot, "MIGRATING", &self.id_of(to)];
        assert_eq!(self.nodes[from].cli(&migrating), "OK");
    }

    /// Moves one key of a migrating slot.
    pub fn move_key(&self, key: &str, from: usize, to: usize) {
        let port = self.nodes[to].port().to_string();
        let answer = self.nodes[from].cli(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]);
        assert!(answer == "OK" || answer == "NOKEY", "{answer}");
    }
}

/// Returns the value of a field of `INFO`.
fn field_in<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = info.lines().filter_map(|line| line.split_once(':'));
    fields.find_map(|(field, value)| (field == name).then_some(value))
}

fn number_in(info: &str, name: &str) -> u64 {
    let number = field_in(info, name).and_then(|value| value.parse().ok());
    number.unwrap_or_else(|| panic!("a number {name} in:\n{info}"))
}
