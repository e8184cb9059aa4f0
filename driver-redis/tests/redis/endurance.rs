//! Callers on a cluster go on while connections are killed twenty times a second, and servers are paused and killed and
//! slots move: no call takes longer than its timeout + 1 s, the history of all calls is in order, and memory does not grow.
//!
//! By default there is one round of each kind. With `SESSION_SOAK=full` in the environment it takes ten minutes:
//!
//! ```sh
//! SESSION_SOAK=full cargo test -p driver-redis --test endurance -- --nocapture
//! ```

// Helpers of tests fail a test as tests do.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use conformance_tests::history::Recorder;
use driver_redis::{RedisDriver, RedisOptions};
use session_core::{
    Driver, Expiry, Key, RemoveOptions, TouchOptions, WriteCondition, WriteOptions,
};
use test_support::{RedisCluster, step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

const CALLERS: usize = 64;
const DRIVERS: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(1);

/// The contract: no call takes longer.
const LIMIT: Duration = Duration::from_secs(2);

/// How long a round takes at least.
const ROUND: Duration = Duration::from_secs(5);

/// How often connections are killed.
const KILLS: Duration = Duration::from_millis(50);

/// How long a key is used, so that few calls on it have an unknown outcome.
const SLICE: Duration = Duration::from_millis(150);

/// How much more memory may be in use at the end than after the first rounds: the history of a round takes some.
const GROWTH: u64 = 64 * 1024 * 1024;

#[derive(Clone, Copy, Debug)]
enum Disruption {
    /// Connections alone.
    Connections,
    MovedSlots,
    PausedMaster,
    KilledMaster,
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2, limit = 1_200)]
async fn nothing_is_lost_or_late_while_a_cluster_is_disrupted() {
    use Disruption::{Connections, KilledMaster, MovedSlots, PausedMaster};
    let kinds = [Connections, MovedSlots, PausedMaster, KilledMaster];
    let duration = match std::env::var("SESSION_SOAK").as_deref() {
        Ok("full") => Duration::from_secs(600),
        _ => Duration::ZERO,
    };
    let mut servers = RedisCluster::start_with(Duration::from_millis(300));
    let options = RedisOptions::cluster(servers.addresses())
        .with_timeout(TIMEOUT)
        .with_connect_timeout(TIMEOUT / 2)
        .with_connections(2);
    let mut drivers = Vec::new();
    for _ in 0..DRIVERS {
        let driver = RedisDriver::open(options.clone()).await.unwrap();
        drivers.push(Arc::new(driver));
    }
    let began = Instant::now();
    let mut memory = Vec::new();
    for (number, kind) in kinds.into_iter().cycle().enumerate() {
        if number >= kinds.len() && began.elapsed() >= duration {
            break;
        }
        step(format!("round {number}: {kind:?}"));
        let round = Round::start(number, &drivers, &servers);
        let until = Instant::now() + ROUND;
        disrupt(kind, &mut servers, &round).await;
        tokio::time::sleep_until(until.into()).await;
        round.finish(kind).await;
        memory.push(test_support::memory());
    }
    let after_one_of_each = memory[..kinds.len()].iter().max().unwrap();
    let at_the_end = memory[memory.len() - kinds.len()..].iter().max().unwrap();
    println!(
        "{} rounds in {:.0?}; memory after one of each {} MiB, at the end {} MiB",
        memory.len(),
        began.elapsed(),
        after_one_of_each >> 20,
        at_the_end >> 20
    );
    assert!(*at_the_end <= after_one_of_each + GROWTH, "{memory:?}");
    for driver in drivers {
        driver.close().await.unwrap();
    }
}

async fn disrupt(kind: Disruption, servers: &mut RedisCluster, round: &Round) {
    match kind {
        Disruption::Connections => {}
        Disruption::MovedSlots => {
            for _ in 0..8 {
                let name = round.name(fastrand::usize(..CALLERS));
                let from = servers.master_of(name.as_str());
                let mut others = ["a", "b", "c", "d", "e", "f"].map(|key| servers.master_of(key));
                fastrand::shuffle(&mut others);
                let to = others.into_iter().find(|place| *place != from).unwrap();
                servers.move_slot_of(name.as_str(), to);
            }
        }
        Disruption::PausedMaster => {
            let paused = servers.master_of(round.name(0).as_str());
            let failover = async {
                servers.nodes()[paused].pause();
                until_replaced(servers, paused).await;
                servers.nodes()[paused].resume();
                // It is a master to those who ask it until it hears of the other.
                while !servers.nodes()[paused].replication().contains("role:slave") {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                servers.wait_until_healthy();
            };
            round.recorder.while_losing_writes(failover).await;
        }
        Disruption::KilledMaster => {
            let killed = servers.master_of(round.name(0).as_str());
            let failover = async {
                servers.nodes()[killed].kill();
                until_replaced(servers, killed).await;
                servers.nodes_mut()[killed].restart();
                servers.wait_until_healthy();
            };
            round.recorder.while_losing_writes(failover).await;
        }
    }
}

/// Waits until three other nodes are masters.
async fn until_replaced(servers: &RedisCluster, away: usize) {
    let is_master = |node: usize| servers.nodes()[node].replication().contains("role:master");
    let others = (0..servers.nodes().len()).filter(|node| *node != away);
    while others.clone().filter(|node| is_master(*node)).count() < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The callers of one round, whose calls are recorded.
struct Round {
    number: usize,
    began: Instant,
    recorder: Recorder,
    clock: Arc<Clock>,
    tasks: JoinSet<()>,
}

/// What the callers of a round have in common.
#[derive(Default)]
struct Clock {
    stop: AtomicBool,
    failed: AtomicU64,
    longest: Mutex<(&'static str, Duration)>,
}

impl Clock {
    async fn call<T>(
        &self,
        name: &'static str,
        call: impl Future<Output = session_core::Result<T>>,
    ) -> Option<T> {
        let began = Instant::now();
        let result = call.await;
        let took = began.elapsed();
        let mut longest = self.longest.lock().unwrap();
        *longest = std::cmp::max_by_key(*longest, (name, took), |(_, took)| *took);
        if result.is_err() {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
        result.ok()
    }
}

impl Round {
    fn start(number: usize, drivers: &[Arc<RedisDriver>], servers: &RedisCluster) -> Self {
        let recorder = Recorder::new();
        let mut round = Self {
            number,
            began: Instant::now(),
            recorder,
            clock: Arc::default(),
            tasks: JoinSet::new(),
        };
        for (process, driver) in drivers.iter().enumerate() {
            let driver = Arc::new(round.recorder.driver(Arc::clone(driver)));
            for caller in (process..CALLERS).step_by(DRIVERS) {
                let (driver, clock) = (Arc::clone(&driver), Arc::clone(&round.clock));
                let began = round.began;
                round.tasks.spawn(async move {
                    let mut count = 0;
                    while !clock.stop.load(Ordering::Relaxed) {
                        count += 1;
                        let key = name_at(number, began, caller);
                        play(&*driver, &key, format!("{caller}-{count}"), &clock).await;
                    }
                });
            }
        }
        let addresses = servers
            .nodes()
            .iter()
            .map(|node| node.address().parse().unwrap());
        let (addresses, clock) = (addresses.collect::<Vec<_>>(), Arc::clone(&round.clock));
        round.tasks.spawn(async move {
            while !clock.stop.load(Ordering::Relaxed) {
                let address = addresses[fastrand::usize(..addresses.len())];
                // A server that is paused does not answer.
                let _answered = timeout(KILLS, kill_connections(address)).await;
                tokio::time::sleep(KILLS).await;
            }
        });
        round
    }

    /// The key that `caller` uses now.
    fn name(&self, caller: usize) -> Key {
        name_at(self.number, self.began, caller)
    }

    /// Ends the callers, and checks how they fared.
    async fn finish(mut self, kind: Disruption) {
        self.clock.stop.store(true, Ordering::Relaxed);
        let all = async { while self.tasks.join_next().await.is_some() {} };
        timeout(2 * LIMIT, all).await.expect("every caller ends");
        let (name, took) = *self.clock.longest.lock().unwrap();
        assert!(took <= LIMIT, "{kind:?}: `{name}` took {took:?}");
        let history = self.recorder.history();
        println!(
            "{kind:?}: {} calls, {} errors; the longest, `{name}`, took {took:.2?}",
            history.len(),
            self.clock.failed.load(Ordering::Relaxed),
        );
        assert!(history.len() > 1_000);
        history.check().unwrap();
    }
}

/// A key that two callers use at the same time, for [`SLICE`].
fn name_at(round: usize, began: Instant, caller: usize) -> Key {
    let slice = began.elapsed().as_millis() / SLICE.as_millis();
    Key::new(&format!("endurance:{round}:{slice}:{}", caller / 2)).unwrap()
}

async fn play(driver: &impl Driver, key: &Key, value: String, clock: &Clock) {
    let entry = clock.call("read", driver.read(key)).await.flatten();
    let version = entry.and_then(|entry| entry.version);
    let expiry = Expiry::after(Duration::from_secs(60));
    let options = WriteOptions::default().with_expiry(expiry);
    match fastrand::u32(..10) {
        0 => drop(
            clock
                .call("write", driver.write(key, value.into(), options))
                .await,
        ),
        1 => {
            let removal = driver.remove(key, RemoveOptions::default());
            clock.call("remove", removal).await;
        }
        2 => {
            let touch = driver.touch(key, TouchOptions::to(expiry).with_version(version));
            clock.call("touch", touch).await;
        }
        3..7 => {
            let condition = version.map_or(WriteCondition::IfAbsent, WriteCondition::IfVersion);
            let options = options.with_condition(condition);
            clock
                .call(
                    "conditional write",
                    driver.write(key, value.into(), options),
                )
                .await;
        }
        _ => {}
    }
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// Kills the connections of the callers, and not those of the programs that move slots.
async fn kill_connections(address: SocketAddr) -> std::io::Result<()> {
    let clients = ask(address, "CLIENT LIST TYPE normal").await?;
    let of_operators = |line: &&str| line.contains("cmd=cluster") || line.contains("cmd=migrate");
    let ids = clients
        .lines()
        .filter(|line| !of_operators(line))
        .filter_map(|line| line.strip_prefix("id=")?.split(' ').next());
    let kills: Vec<_> = ids.map(|id| format!("CLIENT KILL ID {id}")).collect();
    ask(address, &kills.join("\r\n")).await?;
    Ok(())
}

async fn ask(address: SocketAddr, commands: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let commands = format!("{commands}\r\nQUIT\r\n");
    stream.write_all(commands.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}
