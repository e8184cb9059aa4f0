//! The near-cache over Redis and Valkey: what it saves, and that it is never older than it says.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use conformance_tests::history::Recorder;
use driver_redis::{ReadFrom, RedisDriver, RedisOptions, redis};
use session_core::decorators::{NearCache, NearCacheOptions};
use session_core::session::{SaveOutcome, SessionManager};
use session_core::{
    Driver, DriverExt, Entry, ErrorKind, Expiry, Key, RemoveOptions, TouchOptions, WriteCondition,
    WriteOptions,
};
use test_support::{RedisCluster, RedisSentinels, RedisServer, TcpFault, TcpProxy, step};

use crate::support::{cluster, key, on_cluster, on_sentinels, server, start_valkey};

type Cache = NearCache<RedisDriver>;

/// How old an entry may be here.
const STALENESS: Duration = Duration::from_millis(400);

async fn cache_of(driver: RedisDriver) -> Cache {
    let options = NearCacheOptions::default().with_max_staleness(STALENESS);
    NearCache::new(driver, options).await.unwrap()
}

async fn open(options: RedisOptions) -> RedisDriver {
    RedisDriver::open(options.with_timeout(Duration::from_secs(10)))
        .await
        .unwrap()
}

async fn fill(cache: &Cache, name: &str) -> Option<Entry> {
    cache.read(&key(name)).await.unwrap();
    cache.read(&key(name)).await.unwrap()
}

/// How many commands of this name the server has carried out.
fn count_of(server: &RedisServer, command: &str) -> u64 {
    let stats = server.cli(&["INFO", "commandstats"]);
    let calls = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    let calls = calls.and_then(|rest| rest.split(',').next());
    calls.map_or(0, |calls| calls.parse().unwrap())
}

fn number_in(server: &RedisServer, section: &str, name: &str) -> u64 {
    let info = server.cli(&["INFO", section]);
    let value = info
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{name}:")));
    value.unwrap().trim().parse().unwrap()
}

/// Reads until the value is there.
async fn until_seen(cache: &Cache, name: &str, value: Option<&str>) {
    while cache.get(name).await.unwrap().as_deref() != value.map(str::as_bytes) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test_support::test]
async fn an_entry_that_is_read_often_costs_the_server_nothing() {
    for server in [RedisServer::start(), start_valkey()] {
        let cache = cache_of(open(RedisOptions::new(server.url())).await).await;
        cache.put("k", "v").await.unwrap();
        fill(&cache, "k").await;
        let before = count_of(&server, "get");
        for _ in 0..1_000 {
            assert_eq!(cache.get("k").await.unwrap().unwrap(), "v");
        }
        // A push of the write may have come late, or a probe.
        assert!(count_of(&server, "get") <= before + 3);
    }
}

#[test_support::test]
async fn a_change_by_another_program_is_seen() {
    for server in [RedisServer::start(), start_valkey()] {
        let cache = cache_of(open(RedisOptions::new(server.url()).with_prefix("app")).await).await;
        let changes: [&[&str]; 8] = [
            &["SET", "app:k", "new"],
            &["DEL", "app:k"],
            &["UNLINK", "app:k"],
            &["RENAME", "app:k", "app:elsewhere"],
            &["PEXPIRE", "app:k", "1"],
            &["FLUSHALL"],
            &["GETDEL", "app:k"],
            &["APPEND", "app:k", "er"],
        ];
        for change in changes {
            step(format!("{change:?}"));
            server.cli(&["SET", "app:k", "old"]);
            until_seen(&cache, "k", Some("old")).await;
            assert_eq!(fill(&cache, "k").await.unwrap().value, "old");
            server.cli(change);
            let expected = match change[0] {
                "SET" => Some("new"),
                "APPEND" => Some("older"),
                _ => None,
            };
            until_seen(&cache, "k", expected).await;
        }
    }
}

#[test_support::test]
async fn a_change_by_others_after_one_of_ones_own_is_seen() {
    for server in [RedisServer::start(), start_valkey()] {
        let cache = cache_of(open(RedisOptions::new(server.url())).await).await;
        let name = key("k");
        for change in 0..5 {
            step(format!("change {change}"));
            cache.put("k", "mine").await.unwrap();
            let entry = fill(&cache, "k").await.unwrap();
            let version = entry.version.unwrap();
            let later = Expiry::after(Duration::from_secs(100));
            match change {
                0 => cache.put("k", "again").await.unwrap(),
                1 => {
                    let condition = WriteCondition::IfVersion(version);
                    let options = WriteOptions::default().with_condition(condition);
                    let written = cache.write(&name, "again".into(), options).await;
                    drop(written.unwrap());
                }
                2 => assert!(cache.touch(&name, TouchOptions::to(later)).await.unwrap()),
                3 => {
                    let options = RemoveOptions::default().with_version(Some(version));
                    drop(cache.remove(&name, options).await.unwrap());
                    cache.put("k", "anew").await.unwrap();
                }
                _ => {
                    let wrong = WriteCondition::IfAbsent;
                    let options = WriteOptions::default().with_condition(wrong);
                    drop(cache.write(&name, "no".into(), options).await.unwrap());
                }
            }
            fill(&cache, "k").await;
            server.cli(&["SET", "k", "theirs"]);
            until_seen(&cache, "k", Some("theirs")).await;
            let another = format!("theirs again {change}");
            fill(&cache, "k").await;
            server.cli(&["SET", "k", &another]);
            until_seen(&cache, "k", Some(&another)).await;
        }
    }
}

#[test_support::test]
async fn ids_of_strangers_do_not_fill_the_servers_table() {
    let server = RedisServer::start();
    let cache = cache_of(open(RedisOptions::new(server.url())).await).await;
    cache.put("k", "v").await.unwrap();
    fill(&cache, "k").await;
    let tracked = || number_in(&server, "stats", "tracking_total_keys");
    let before = tracked();
    assert!(before >= 1);
    for batch in 0..100 {
        let names: Vec<Key> = (0..100).map(|n| key(&format!("no:{batch}:{n}"))).collect();
        let reads = names.iter().map(|name| cache.read(name));
        let read = futures_util::future::try_join_all(reads).await.unwrap();
        assert!(read.iter().all(Option::is_none));
    }
    assert!(tracked() <= before);
}

#[test_support::test]
async fn many_readers_of_one_missing_entry_make_one_read() {
    let server = RedisServer::start();
    let cache = cache_of(open(RedisOptions::new(server.url())).await).await;
    let before = count_of(&server, "get");
    let name = key("missing");
    let reads = (0..1_000).map(|_| cache.read(&name));
    futures_util::future::try_join_all(reads).await.unwrap();
    assert_eq!(count_of(&server, "get"), before + 1);
}

#[test_support::test]
async fn a_lost_connection_loses_no_change() {
    let server = RedisServer::start();
    let options = RedisOptions::new(server.url()).with_connections(2);
    let cache = cache_of(open(options).await).await;
    for round in 0..20 {
        let value = round.to_string();
        cache.put("k", "old").await.unwrap();
        fill(&cache, "k").await;
        server.cli(&["CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES"]);
        let changed = Instant::now();
        server.cli(&["SET", "k", &value]);
        until_seen(&cache, "k", Some(&value)).await;
        // Until then nothing else was possible, since the connection had to be made again.
        assert!(changed.elapsed() < Duration::from_secs(10));
    }
}

#[test_support::test]
async fn a_connection_that_has_gone_silent_serves_nothing_old() {
    let server = RedisServer::start();
    let address = server.address().parse().unwrap();
    let proxy = TcpProxy::start(address).await;
    let options = RedisOptions::new(format!("redis://127.0.0.1:{}", proxy.port()))
        .with_timeout(Duration::from_secs(2));
    let cache = cache_of(RedisDriver::open(options).await.unwrap()).await;
    cache.put("k", "old").await.unwrap();
    fill(&cache, "k").await;
    proxy.set(TcpFault::Stall);
    let changed = Instant::now();
    server.cli(&["SET", "k", "new"]);
    let mut last_old = changed;
    while changed.elapsed() < STALENESS * 4 {
        let begun = Instant::now();
        let read = tokio::time::timeout(STALENESS, cache.get("k")).await;
        if matches!(read, Ok(Ok(Some(value))) if value == "old") {
            last_old = begun;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let oldest = last_old - changed;
    assert!(oldest <= STALENESS, "{oldest:?}");
    proxy.set(TcpFault::None);
    until_seen(&cache, "k", Some("new")).await;
}

#[test_support::test]
async fn an_entry_expires_in_the_cache_on_time() {
    let cache = cache_of(open(RedisOptions::new(server().url()).with_prefix("expiry")).await).await;
    let ttl = Duration::from_millis(300);
    cache.put_with_ttl("k", "v", ttl).await.unwrap();
    let written = Instant::now();
    while cache.get("k").await.unwrap().is_some() {
        let lived = written.elapsed();
        // The server counts from when the write arrives, and this machine may be busy.
        assert!(lived < ttl + Duration::from_secs(5), "{lived:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(written.elapsed() + Duration::from_millis(100) >= ttl);
}

#[test_support::test]
async fn a_cache_over_replicas_or_a_server_that_does_not_track_is_refused() {
    let options = RedisOptions::new(server().url()).with_read_from(ReadFrom::Replica);
    // A single server has no replicas to read from.
    if let Ok(driver) = RedisDriver::open(options).await {
        let cache = NearCache::new(driver, NearCacheOptions::default()).await;
        assert_eq!(cache.err().unwrap().kind(), ErrorKind::Unsupported);
    }
    let server = RedisServer::start();
    let forbid = [
        "ACL",
        "SETUSER",
        "blind",
        "on",
        ">pass",
        "~*",
        "+@all",
        "-client|tracking",
    ];
    assert_eq!(server.cli(&forbid), "OK");
    let url = format!("redis://blind:pass@{}", server.address());
    let driver = open(RedisOptions::new(url)).await;
    let cache = NearCache::new(driver, NearCacheOptions::default()).await;
    let error = cache.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.to_string().contains("CLIENT TRACKING"), "{error}");
}

#[test_support::test]
async fn a_cache_over_a_client_of_the_application_hears_of_changes() {
    let server = RedisServer::start();
    let client = redis::Client::open(server.url()).unwrap();
    let driver = RedisDriver::from_client(client, RedisOptions::default()).await;
    let cache = cache_of(driver.unwrap()).await;
    cache.put("k", "old").await.unwrap();
    fill(&cache, "k").await;
    server.cli(&["SET", "k", "new"]);
    until_seen(&cache, "k", Some("new")).await;
}

/// Writes, reads, touches and removes at random by two caches on two sets of connections, until it is told to stop.
struct Players {
    recorder: Recorder,
    stop: Arc<AtomicBool>,
    tasks: tokio::task::JoinSet<()>,
}

impl Players {
    async fn start(options: impl Fn() -> RedisOptions) -> Self {
        let recorder = Recorder::new();
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = tokio::task::JoinSet::new();
        for process in 0..2 {
            let options = options()
                .with_connections(2)
                .with_timeout(Duration::from_secs(2));
            let cache = cache_of(RedisDriver::open(options).await.unwrap()).await;
            let driver = Arc::new(recorder.driver(cache));
            for caller in 0..4 {
                let (driver, stop) = (driver.clone(), stop.clone());
                tasks.spawn(async move {
                    let mut number = 0;
                    while !stop.load(Ordering::SeqCst) {
                        number += 1;
                        // A key is used no further after a while, so that unknown outcomes of it stay few.
                        let name = key(&format!("k:{}:{}", number / 200, fastrand::u32(..3)));
                        let value = format!("{process}-{caller}-{number}");
                        play(&*driver, &name, value).await;
                    }
                });
            }
        }
        Self {
            recorder,
            stop,
            tasks,
        }
    }

    /// Checks that no read was older than it may be, and nothing else was out of order.
    async fn finish(self, granularity: Duration) {
        self.stop.store(true, Ordering::SeqCst);
        self.tasks.join_all().await;
        let history = self.recorder.history();
        println!("{} operations", history.len());
        assert!(history.len() > 500, "{}", history.len());
        history
            .check_with_staleness(STALENESS + granularity)
            .unwrap();
    }
}

async fn play(driver: &impl Driver, name: &Key, value: String) {
    let entry = driver.read(name).await;
    let version = entry.ok().flatten().and_then(|entry| entry.version);
    let expiry = match fastrand::bool() {
        true => Expiry::Never,
        false => Expiry::after(Duration::from_millis(fastrand::u64(10..1_000))),
    };
    let options = WriteOptions::default().with_expiry(expiry);
    match fastrand::u32(..20) {
        0 => drop(driver.write(name, value.into(), options).await),
        1 => drop(driver.remove(name, RemoveOptions::default()).await),
        2..5 => {
            let condition = version.map_or(WriteCondition::IfAbsent, WriteCondition::IfVersion);
            let options = options.with_condition(condition);
            drop(driver.write(name, value.into(), options).await);
        }
        5 => drop(driver.touch(name, TouchOptions::to(expiry)).await),
        6 => {
            let options = TouchOptions::to(expiry).with_version(version);
            drop(driver.touch(name, options).await);
        }
        _ => {}
    }
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_of_two_processes_is_older_than_it_may_be() {
    for server in [RedisServer::start(), start_valkey()] {
        let players = Players::start(|| RedisOptions::new(server.url())).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        players.finish(Duration::ZERO).await;
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_it_may_be_while_connections_are_killed() {
    let server = RedisServer::start();
    let players = Players::start(|| RedisOptions::new(server.url())).await;
    for _ in 0..40 {
        server.cli(&["CLIENT", "KILL", "TYPE", "NORMAL", "SKIPME", "YES"]);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    players.finish(Duration::ZERO).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_it_may_be_while_the_server_is_paused() {
    let server = RedisServer::start();
    let players = Players::start(|| RedisOptions::new(server.url())).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.pause();
        tokio::time::sleep(STALENESS * 2).await;
        server.resume();
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    players.finish(Duration::ZERO).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_is_older_than_it_may_be_while_slots_move() {
    let servers = RedisCluster::start();
    let players = Players::start(|| on_cluster(&servers)).await;
    for round in 0..8 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let name = format!("k:{round}:{}", round % 3);
        let from = servers.master_of(&name);
        let masters: HashSet<usize> = ["a", "b", "c", "d", "e", "f"]
            .map(|key| servers.master_of(key))
            .into();
        let to = masters.into_iter().find(|place| *place != from).unwrap();
        servers.move_slot_of(&name, to);
    }
    players.finish(Duration::ZERO).await;
}

#[test_support::test]
async fn a_change_on_any_node_of_a_cluster_is_seen() {
    let cache = cache_of(open(on_cluster(cluster()).with_prefix("near")).await).await;
    let foreign = open(on_cluster(cluster()).with_prefix("near")).await;
    for number in 0..20 {
        let name = format!("k{number}");
        foreign.put(&name, "old").await.unwrap();
        fill(&cache, &name).await;
        foreign.put(&name, "new").await.unwrap();
        until_seen(&cache, &name, Some("new")).await;
    }
}

#[test_support::test(limit = 300)]
async fn after_a_failover_nothing_old_is_served() {
    let servers = RedisSentinels::start();
    let cache = cache_of(open(on_sentinels(&servers)).await).await;
    let foreign = open(on_sentinels(&servers)).await;
    cache.put("k", "old").await.unwrap();
    servers.wait_until_replicated();
    fill(&cache, "k").await;
    let old_primary = servers.primary().port();
    servers.fail_over();
    servers.wait_until_failed_over(old_primary);
    step("writing to the new primary");
    while foreign.put("k", "new").await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    step("waiting for the cache");
    loop {
        match cache.get("k").await {
            Ok(Some(value)) if value == "new" => break,
            _ => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

/// Sessions of one more server, which has a cache of its own.
async fn sessions_on(server: &RedisServer) -> SessionManager {
    let cache = cache_of(open(RedisOptions::new(server.url())).await).await;
    SessionManager::builder(cache)
        .commit_deadline(Duration::from_secs(30))
        .build()
        .unwrap()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn updates_of_one_session_by_two_servers_are_all_kept() {
    let server = RedisServer::start();
    let servers = [sessions_on(&server).await, sessions_on(&server).await];
    let session = servers[0].create();
    session.set("n", &0).unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let callers = (0..8).map(|caller| {
        let sessions = servers[caller % 2].clone();
        async move {
            for _ in 0..25 {
                let session = sessions.open(id).await.unwrap().unwrap();
                let add = |n: Option<u32>| n.unwrap_or(0) + 1;
                session.update("n", add).await.unwrap();
                assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
            }
        }
    });
    futures_util::future::join_all(callers).await;
    let stored = open(RedisOptions::new(server.url())).await;
    let session = SessionManager::new(stored).open(id).await.unwrap().unwrap();
    assert_eq!(session.get("n").await.unwrap(), Some(200));
}

#[test_support::test]
async fn a_logout_is_seen_by_another_server_in_time() {
    let server = RedisServer::start();
    let (one, other) = (sessions_on(&server).await, sessions_on(&server).await);
    for _ in 0..20 {
        let session = one.create();
        session.set("user", "ann").unwrap();
        session.save().await.unwrap();
        let id = session.id().unwrap();
        for _ in 0..3 {
            assert!(other.open(id).await.unwrap().is_some());
        }
        one.destroy(id).await.unwrap();
        let destroyed = Instant::now();
        while other.open(id).await.unwrap().is_some() {
            assert!(destroyed.elapsed() < STALENESS * 2);
            tokio::task::yield_now().await;
        }
        assert!(one.open(id).await.unwrap().is_none());
    }
}
