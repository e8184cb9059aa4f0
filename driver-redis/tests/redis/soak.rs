//! Callers go on while connections are lost, hundreds of times, and no call takes longer than its timeout + 1 s.
//!
//! It is a test program of its own, since it keeps the processors busy, which would disturb tests that measure time.
//!
//! A master of a cluster that is killed takes seconds to be replaced, so that by default fewer connections are lost in
//! this way ([`LOST_MASTERS`]) than otherwise ([`LOST`]). With `SESSION_SOAK=full` in the environment there are as many:
//!
//! ```sh
//! SESSION_SOAK=full cargo test -p driver-redis --test soak -- --nocapture
//! ```

// Helpers of tests fail a test as tests do.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use driver_redis::{RedisDriver, RedisOptions, Sentinel};
use session_core::{Driver, Error, Key, WriteOptions};
use test_support::{Peer, RedisCluster, RedisSentinels, RedisServer};
use tokio::task::JoinSet;

const CALLERS: usize = 64;

/// How many connections are lost of each kind.
const LOST: usize = 200;

/// How many are lost by killed masters of a cluster, unless all are asked for.
const LOST_MASTERS: usize = 24;

/// How many connections the driver has to each server, all of which are lost at once.
const CONNECTIONS: usize = 4;

const TIMEOUT: Duration = Duration::from_secs(1);

/// The contract: no call takes longer.
const LIMIT: Duration = Duration::from_secs(2);

/// Within this time after a loss every caller succeeds again.
const RECOVERY: Duration = Duration::from_secs(60);

/// How many connections are lost by killed masters of a cluster.
fn lost_masters() -> usize {
    match std::env::var("SESSION_SOAK").as_deref() {
        Ok("full") => LOST,
        _ => LOST_MASTERS,
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_outlasts_its_timeout_when_clients_are_killed() {
    let server = RedisServer::start();
    let mut soak = Soak::start("killed clients", RedisOptions::new(server.url())).await;
    let mut operator = TcpStream::connect(server.address()).unwrap();
    while soak.lost < LOST {
        soak.lose(|| {
            operator
                .write_all(b"CLIENT KILL TYPE normal SKIPME yes\r\n")
                .unwrap();
            let mut answer = [0; 16];
            let length = operator.read(&mut answer).unwrap();
            let killed = String::from_utf8_lossy(&answer[..length]);
            killed.trim_matches([':', '\r', '\n']).parse().unwrap()
        })
        .await;
    }
    soak.finish().await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_outlasts_its_timeout_when_the_server_is_killed() {
    let mut server = RedisServer::start();
    let mut soak = Soak::start("killed servers", RedisOptions::new(server.url())).await;
    while soak.lost < LOST {
        soak.lose(|| {
            let lost = connections_to(&server);
            server.start_again();
            lost
        })
        .await;
    }
    soak.finish().await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_outlasts_its_timeout_when_sentinels_fail_over() {
    // A failover that was asked for is aborted where the replica takes longer than this to be promoted, as it does on a
    // busy machine.
    let failover_timeout = Duration::from_secs(10);
    let servers = RedisSentinels::start_with(Duration::from_millis(200), failover_timeout);
    let options = RedisOptions::sentinel(Sentinel::new(RedisSentinels::NAME, servers.addresses()));
    let mut soak = Soak::start("failovers by sentinels", options).await;
    while soak.lost < LOST {
        soak.lose(|| {
            let before = servers.primary();
            let (lost, port) = (connections_to(before), before.port());
            servers.fail_over();
            servers.wait_until_failed_over(port);
            servers.demote(port);
            lost
        })
        .await;
        servers.wait_until_replicated();
    }
    soak.finish().await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 600)]
async fn no_call_outlasts_its_timeout_when_masters_of_a_cluster_are_killed() {
    let mut servers = RedisCluster::start_with(Duration::from_millis(300));
    let options = RedisOptions::cluster(servers.addresses());
    let mut soak = Soak::start("killed masters of a cluster", options).await;
    let mut shards = ["a", "b", "c"].into_iter().cycle();
    while soak.lost < lost_masters() {
        let killed = servers.master_of(shards.next().unwrap());
        soak.lose(|| {
            let lost = connections_to(&servers.nodes()[killed]);
            servers.nodes()[killed].kill();
            lost
        })
        .await;
        servers.nodes_mut()[killed].restart();
        servers.wait_until_healthy();
    }
    soak.finish().await;
}

/// How many connections the callers have to `server`, by the commands that only they send.
fn connections_to(server: &RedisServer) -> usize {
    let clients = server.cli(&["CLIENT", "LIST", "TYPE", "normal"]);
    let commands = ["cmd=get", "cmd=pttl", "cmd=set"];
    let is_theirs = |line: &&str| commands.iter().any(|command| line.contains(command));
    clients.lines().filter(is_theirs).count()
}

/// Callers on a driver, and processes that keep the processors busy.
struct Soak {
    kind: &'static str,
    driver: Arc<RedisDriver>,
    callers: Vec<Arc<Caller>>,
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    began: Instant,
    lost: usize,
    _busy: [Peer; 2],
}

/// How one caller fares.
#[derive(Default)]
struct Caller {
    calls: AtomicU64,
    successes: AtomicU64,
    /// The call that is under way.
    current: Mutex<Option<(&'static str, Instant)>>,
    longest: Mutex<(&'static str, Duration)>,
}

impl Caller {
    /// Runs one call and measures it.
    async fn call<T>(&self, name: &'static str, call: impl Future<Output = Result<T, Error>>) {
        let began = Instant::now();
        *self.current.lock().unwrap() = Some((name, began));
        let result = call.await;
        *self.current.lock().unwrap() = None;
        let took = began.elapsed();
        let mut longest = self.longest.lock().unwrap();
        *longest = std::cmp::max_by_key(*longest, (name, took), |(_, took)| *took);
        self.calls.fetch_add(1, Ordering::Relaxed);
        if result.is_ok() {
            self.successes.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn successes(&self) -> u64 {
        self.successes.load(Ordering::Relaxed)
    }

    /// That neither the call under way nor one before it took longer than allowed.
    fn check(&self) {
        if let Some((name, began)) = *self.current.lock().unwrap() {
            assert!(began.elapsed() <= LIMIT, "`{name}` has no answer yet");
        }
        let (name, took) = *self.longest.lock().unwrap();
        assert!(took <= LIMIT, "`{name}` took {took:?}");
    }
}

impl Soak {
    async fn start(kind: &'static str, options: RedisOptions) -> Self {
        let options = options
            .with_timeout(TIMEOUT)
            .with_connect_timeout(TIMEOUT / 2)
            .with_connections(CONNECTIONS);
        let driver = Arc::new(RedisDriver::open(options).await.unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        let callers: Vec<Arc<Caller>> = (0..CALLERS).map(|_| Arc::default()).collect();
        for (number, caller) in callers.iter().enumerate() {
            let key = Key::new(&format!("soak:{number}")).unwrap();
            tasks.spawn(work(
                Arc::clone(&driver),
                key,
                Arc::clone(caller),
                Arc::clone(&stop),
            ));
        }
        Self {
            kind,
            driver,
            callers,
            tasks,
            stop,
            began: Instant::now(),
            lost: 0,
            _busy: [busy(), busy()],
        }
    }

    /// Loses connections, as many as `lose` says, and waits until every caller succeeds again.
    async fn lose(&mut self, lose: impl FnOnce() -> usize) {
        self.until_all_succeed().await;
        let lost = lose();
        assert_ne!(lost, 0, "{}: no connection was lost", self.kind);
        self.lost += lost;
        self.until_all_succeed().await;
    }

    async fn until_all_succeed(&self) {
        let deadline = Instant::now() + RECOVERY;
        let before: Vec<u64> = self
            .callers
            .iter()
            .map(|caller| caller.successes())
            .collect();
        let callers = self.callers.iter().zip(before);
        // A call that succeeds may have begun before, the next one has not.
        while callers
            .clone()
            .any(|(caller, before)| caller.successes() < before + 2)
        {
            assert!(
                Instant::now() < deadline,
                "{}: not all callers succeed again",
                self.kind
            );
            self.callers.iter().for_each(|caller| caller.check());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Ends the callers, and tells how they fared.
    async fn finish(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        let ended = tokio::time::timeout(2 * LIMIT, all).await;
        self.callers.iter().for_each(|caller| caller.check());
        ended.unwrap_or_else(|_| panic!("{}: a caller does not end", self.kind));
        self.driver.close().await.unwrap();
        let sum = |count: fn(&Caller) -> u64| self.callers.iter().map(|caller| count(caller)).sum();
        let calls: u64 = sum(|caller| caller.calls.load(Ordering::Relaxed));
        let successes: u64 = sum(Caller::successes);
        let longest = self
            .callers
            .iter()
            .map(|caller| *caller.longest.lock().unwrap());
        let (name, took) = longest.max_by_key(|(_, took)| *took).unwrap();
        println!(
            "{} connections lost by {} in {:.1?}: {calls} calls, {} errors; the longest call, `{name}`, took {took:.2?} with a timeout of {TIMEOUT:?}",
            self.lost,
            self.kind,
            self.began.elapsed(),
            calls - successes,
        );
    }
}

async fn work(driver: Arc<RedisDriver>, key: Key, caller: Arc<Caller>, stop: Arc<AtomicBool>) {
    while !stop.load(Ordering::Relaxed) {
        let write = driver.write(&key, "value".into(), WriteOptions::default());
        caller.call("write", write).await;
        caller.call("read", driver.read(&key)).await;
        let keys = [key.clone(), key.clone()];
        caller.call("read_many", driver.read_many(&keys)).await;
    }
}

fn busy() -> Peer {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    Peer::start(command)
}
