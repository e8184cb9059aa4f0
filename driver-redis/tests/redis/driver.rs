//! What this driver does beyond the contract.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use driver_redis::{ReadFrom, RedisDriver, RedisOptions};
use session_core::{
    ConflictState, Driver, DriverExt, ErrorKind, Expiry, ListOptions, Prefix, RemoveOptions,
    RemoveOutcome, TouchOptions, Version, Write, WriteOptions, WriteOutcome,
};
use test_support::{RedisCluster, RedisSentinels, RedisServer, RedisTls, TcpFault, TcpProxy};

use crate::support::{calls, cluster, key, on_cluster, on_sentinels, start_valkey, tls};

async fn open(server: &RedisServer) -> RedisDriver {
    RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap()
}

/// Reads and writes a number `times` on condition, alone.
async fn count_up(driver: &RedisDriver, times: u64) {
    for _ in 0..times {
        crate::support::increment(driver, &key("n")).await;
    }
}

#[test_support::test]
async fn each_read_and_each_conditional_write_is_one_round_trip() {
    let server = RedisServer::start();
    let proxy = TcpProxy::start(([127, 0, 0, 1], server.port()).into()).await;
    let url = format!("redis://127.0.0.1:{}", proxy.port());
    let driver = RedisDriver::open(RedisOptions::new(url)).await.unwrap();
    // By which the driver learns what this server has.
    count_up(&driver, 2).await;
    let other = RemoveOptions::if_version(Version::from_bytes(b"other"));
    let met = driver.remove(&key("n"), other).await.unwrap();
    assert!(matches!(met, RemoveOutcome::Conflict(_)));
    let n = key("n");
    // So that what is sent together is not answered in between.
    proxy.set(TcpFault::Delay(Duration::from_millis(50)));
    let entry = in_one_round_trip(&proxy, driver.read(&n))
        .await
        .unwrap()
        .unwrap();
    let version = entry.version.unwrap();
    let write = |version| driver.write(&n, "3".into(), WriteOptions::if_version(version));
    let written = in_one_round_trip(&proxy, write(version.clone()))
        .await
        .unwrap();
    assert!(matches!(written, WriteOutcome::Written { .. }));
    // A conflict brings what is there.
    let met = in_one_round_trip(&proxy, write(version.clone()))
        .await
        .unwrap();
    assert!(
        matches!(met, WriteOutcome::Conflict(ConflictState::Present(entry)) if entry.value == "3")
    );
    let remove = driver.remove(&n, RemoveOptions::if_version(version));
    let met = in_one_round_trip(&proxy, remove).await.unwrap();
    assert!(matches!(
        met,
        RemoveOutcome::Conflict(ConflictState::Present(_))
    ));
    let touch = TouchOptions::to(Expiry::after(Duration::from_secs(60)));
    assert!(
        in_one_round_trip(&proxy, driver.touch(&n, touch))
            .await
            .unwrap()
    );
    let keys: Vec<_> = (0..100).map(|n| key(&format!("k{n}"))).collect();
    in_one_round_trip(&proxy, driver.read_many(&keys))
        .await
        .unwrap();
    in_one_round_trip(&proxy, driver.remove_many(&keys))
        .await
        .unwrap();
}

/// Checks that nothing of `call` waits for the answer to another part of it.
async fn in_one_round_trip<T>(proxy: &TcpProxy, call: impl Future<Output = T>) -> T {
    let before = proxy.round_trips();
    let result = call.await;
    assert_eq!(proxy.round_trips(), before + 1);
    result
}

#[test_support::test]
async fn redis_7_is_found_to_have_no_compare_and_set_and_runs_scripts() {
    let server = RedisServer::start();
    let driver = open(&server).await;
    count_up(&driver, 20).await;
    let entry = driver.read(&key("n")).await.unwrap().unwrap();
    assert_eq!(entry.value, "20");
    assert_eq!(calls(&server, "evalsha"), 19);
    assert_eq!(calls(&server, "eval"), 0);
    let version = entry.version.unwrap();
    let removed = driver
        .remove(&key("n"), RemoveOptions::if_version(version))
        .await
        .unwrap();
    assert_eq!(removed, RemoveOutcome::Removed);
}

#[test_support::test]
async fn valkey_9_is_found_to_compare_and_set_by_itself() {
    let server = start_valkey();
    let driver = open(&server).await;
    count_up(&driver, 20).await;
    let entry = driver.read(&key("n")).await.unwrap().unwrap();
    let version = entry.version.unwrap();
    let stale = RemoveOptions::if_version(Version::from_bytes(b"19"));
    let met = driver.remove(&key("n"), stale).await.unwrap();
    assert!(
        matches!(met, RemoveOutcome::Conflict(ConflictState::Present(entry)) if entry.value == "20")
    );
    let removed = driver
        .remove(&key("n"), RemoveOptions::if_version(version))
        .await
        .unwrap();
    assert_eq!(removed, RemoveOutcome::Removed);
    assert_eq!(calls(&server, "evalsha") + calls(&server, "eval"), 0);
    assert_eq!((calls(&server, "set"), calls(&server, "delifeq")), (20, 2));
}

#[test_support::test]
async fn a_conflict_tells_when_the_current_entry_expires() {
    for server in [RedisServer::start(), start_valkey()] {
        let driver = open(&server).await;
        driver
            .put_with_ttl("k", "v", Duration::from_secs(100))
            .await
            .unwrap();
        let version = Version::from_bytes(b"other");
        let options = WriteOptions::if_version(version);
        let outcome = driver.write(&key("k"), "w".into(), options).await.unwrap();
        let WriteOutcome::Conflict(ConflictState::Present(entry)) = outcome else {
            panic!("no conflict");
        };
        let there = driver.read(&key("k")).await.unwrap().unwrap();
        let apart =
            |a: session_core::Timestamp, b| a.saturating_since(b).max(b.saturating_since(a));
        assert!(
            apart(entry.expires_at.unwrap(), there.expires_at.unwrap()) < Duration::from_secs(1)
        );
        assert_eq!(entry.version, there.version);
    }
}

#[test_support::test]
async fn a_write_is_sent_with_what_remains_and_not_with_a_time() {
    let server = RedisServer::start();
    let driver = open(&server).await;
    driver
        .put_with_ttl("k", "v", Duration::from_secs(100))
        .await
        .unwrap();
    let left: i64 = server.cli(&["PTTL", "k"]).parse().unwrap();
    assert!((95_000..=100_000).contains(&left), "{left}");
    assert_eq!(server.cli(&["GET", "k"]), "v");
}

#[test_support::test]
async fn a_socket_of_the_file_system_serves_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("redis.sock");
    let path = path.to_str().unwrap();
    let server = RedisServer::start_with(&["--unixsocket", path]);
    let url = format!("unix://{path}?db=1");
    let driver = RedisDriver::open(RedisOptions::new(url)).await.unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(server.cli(&["-n", "1", "GET", "k"]), "v");
}

#[test_support::test]
async fn keys_of_other_types_are_neither_listed_nor_cleared() {
    let server = RedisServer::start();
    let driver = open(&server).await;
    server.cli(&["LPUSH", "queue", "job"]);
    driver.put("k", "v").await.unwrap();
    let page = driver.list(ListOptions::default()).await.unwrap();
    assert_eq!(page.keys, [key("k")]);
    driver.clear(&Prefix::root()).await.unwrap();
    assert_eq!(server.cli(&["KEYS", "*"]), "queue");
}

#[test_support::test]
async fn a_closed_driver_and_a_dropped_one_leave_no_connection() {
    let server = RedisServer::start();
    let options = || RedisOptions::new(server.url()).with_connections(4);
    let connections = || server.cli(&["CLIENT", "LIST"]).lines().count();
    let alone = connections();
    let closed = RedisDriver::open(options()).await.unwrap();
    closed.put("k", "v").await.unwrap();
    closed.close().await.unwrap();
    assert_eq!(closed.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    let dropped = RedisDriver::open(options()).await.unwrap();
    dropped.put("k", "v").await.unwrap();
    drop(dropped);
    let deadline = Instant::now() + Duration::from_secs(5);
    while connections() > alone {
        assert!(
            Instant::now() < deadline,
            "{}",
            server.cli(&["CLIENT", "LIST"])
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server without `DELIFEQ` repeats the start of its arguments in an error, which must be UTF-8.
#[test_support::test]
async fn a_first_removal_of_a_version_that_is_not_text_is_made() {
    let server = RedisServer::start();
    let driver = open(&server).await;
    let (key, value) = (key("k"), vec![0xff; 4]);
    let written = driver.write(&key, value.into(), WriteOptions::default());
    let WriteOutcome::Written { version, .. } = written.await.unwrap() else {
        panic!("a conflict");
    };
    let removal = RemoveOptions::default().with_version(version);
    let removed = driver.remove(&key, removal).await.unwrap();
    assert_eq!(removed, RemoveOutcome::Removed);
}

/// All keys, over as many pages as it takes, with something done after the first.
async fn list_with(driver: &RedisDriver, between: impl FnOnce()) -> BTreeSet<String> {
    let mut options = ListOptions::below(Prefix::new("l").unwrap()).with_limit(50);
    let mut keys = BTreeSet::new();
    let mut between = Some(between);
    loop {
        let page = driver.list(options.clone()).await.unwrap();
        keys.extend(page.keys.iter().map(|key| key.as_str().to_owned()));
        let Some(cursor) = page.next else {
            assert!(between.is_none(), "one page was enough");
            return keys;
        };
        if let Some(between) = between.take() {
            between();
        }
        options.cursor = Some(cursor);
    }
}

async fn fill(driver: &RedisDriver, count: usize) {
    let writes = (0..count).map(|n| Write::new(key(&format!("l:{n}")), "v"));
    for outcome in driver.write_many(writes.collect()).await {
        assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_misses_no_key_when_the_server_is_started_anew_meanwhile() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let driver = open(&server).await;
    fill(&driver, 1_000).await;
    let keys = list_with(&driver, || {
        server.kill();
        server.restart();
    })
    .await;
    assert_eq!(keys.len(), 1_000);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_misses_no_key_when_a_slot_moves_meanwhile() {
    let servers = RedisCluster::start();
    let driver = RedisDriver::open(on_cluster(&servers)).await.unwrap();
    fill(&driver, 1_000).await;
    let from = servers.master_of("l:1");
    let to = ["a", "b", "c"].map(|name| servers.master_of(name));
    let to = to.into_iter().find(|place| *place != from).unwrap();
    let keys = list_with(&driver, || servers.move_slot_of("l:1", to)).await;
    assert_eq!(keys.len(), 1_000);
    driver.clear(&Prefix::new("l").unwrap()).await.unwrap();
    for node in servers.nodes() {
        assert_eq!(node.cli(&["DBSIZE"]), "0");
    }
}

#[test_support::test]
async fn batches_go_to_the_nodes_that_have_their_keys() {
    let servers = cluster();
    let driver = RedisDriver::open(on_cluster(servers)).await.unwrap();
    let names: Vec<String> = (0..300).map(|n| format!("batch:{n}")).collect();
    let keys: Vec<_> = names.iter().map(|name| key(name)).collect();
    let writes = keys
        .iter()
        .map(|key| Write::new(key.clone(), key.as_str().to_owned()));
    for outcome in driver.write_many(writes.collect()).await {
        assert!(matches!(outcome.unwrap(), WriteOutcome::Written { .. }));
    }
    let read = driver.read_many(&keys).await.unwrap();
    for (entry, name) in read.into_iter().zip(&names) {
        assert_eq!(entry.unwrap().value, name.as_bytes().to_vec());
    }
    driver.remove_many(&keys).await.unwrap();
    assert!(
        driver
            .read_many(&keys)
            .await
            .unwrap()
            .iter()
            .all(Option::is_none)
    );
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_a_slot_on_its_way_are_found_at_either_end() {
    let servers = RedisCluster::start();
    let driver = RedisDriver::open(on_cluster(&servers)).await.unwrap();
    for name in ["{tag}stays", "{tag}goes"] {
        driver.put(name, "v").await.unwrap();
    }
    let from = servers.master_of("{tag}");
    let to = ["a", "b", "c"].map(|name| servers.master_of(name));
    let to = to.into_iter().find(|place| *place != from).unwrap();
    let slot = servers.nodes()[from].cli(&["CLUSTER", "KEYSLOT", "{tag}"]);
    servers.begin_to_move(&slot, from, to);
    servers.move_key("{tag}goes", from, to);
    for name in ["{tag}stays", "{tag}goes"] {
        let entry = driver.read(&key(name)).await.unwrap().unwrap();
        let options = WriteOptions::if_version(entry.version.unwrap());
        let outcome = driver.write(&key(name), "w".into(), options).await.unwrap();
        assert!(matches!(outcome, WriteOutcome::Written { .. }), "{name}");
    }
    let new = driver
        .write(&key("{tag}new"), "v".into(), WriteOptions::if_absent())
        .await
        .unwrap();
    assert!(matches!(new, WriteOutcome::Written { .. }));
    let keys = [
        key("{tag}stays"),
        key("{tag}goes"),
        key("{tag}new"),
        key("{tag}none"),
    ];
    let entries = driver.read_many(&keys).await.unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.is_some()).count(), 3);
    assert_eq!(
        servers.nodes()[to].cli(&["CLUSTER", "COUNTKEYSINSLOT", &slot]),
        "2"
    );
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn replicas_are_read_and_what_they_do_not_have_is_looked_for_at_the_primary() {
    let sentinels = RedisSentinels::start();
    let options = on_sentinels(&sentinels).with_read_from(ReadFrom::Replica);
    let driver = RedisDriver::open(options).await.unwrap();
    let primary = sentinels.primary();
    let is_replica = |server: &&RedisServer| server.port() != primary.port();
    let replica = sentinels.servers().iter().find(is_replica).unwrap();
    driver.put("k", "v").await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    while calls(replica, "get") == 0 {
        assert!(Instant::now() < deadline, "the replica is not read");
        assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    }
    // One that has fallen behind.
    assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    driver.put("new", "v").await.unwrap();
    assert_eq!(driver.get("new").await.unwrap().unwrap(), "v");
    let keys = [key("k"), key("new"), key("none")];
    let entries = driver.read_many(&keys).await.unwrap();
    assert_eq!(entries.iter().filter(|entry| entry.is_some()).count(), 2);
    assert!(driver.exists(&key("new")).await.unwrap());
    // One that is away.
    replica.kill();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_does_not_wait_for_its_server_finds_it_later() {
    let port = test_support::free_port();
    let options = RedisOptions::new(format!("redis://127.0.0.1:{port}")).with_pre_connect(false);
    let driver = RedisDriver::open(options).await.unwrap();
    let early = driver.put("k", "v");
    let server = async {
        tokio::task::spawn_blocking(move || RedisServer::start_at(port))
            .await
            .unwrap()
    };
    let (written, server) = futures_util::future::join(early, server).await;
    written.unwrap();
    assert_eq!(server.cli(&["GET", "k"]), "v");
}

/// The driver on a client of the application.
async fn from_client(url: String) -> RedisDriver {
    let client = driver_redis::redis::Client::open(url).unwrap();
    let options = RedisOptions::default().with_timeout(Duration::from_secs(1));
    RedisDriver::from_client(client, options).await.unwrap()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_the_application_serves_and_its_connections_are_made_again() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let driver = from_client(format!("{}/1", server.url())).await;
    count_up(&driver, 3).await;
    assert_eq!(server.cli(&["-n", "1", "GET", "n"]), "3");
    // An idle connection that ends is noticed, so that no write is lost on it.
    for round in 0..3 {
        server.restart();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !server
            .cli(&["CLIENT", "LIST"])
            .contains("lib-name=redis-rs")
            && !server.cli(&["CLIENT", "LIST"]).contains("cmd=script")
        {
            assert!(Instant::now() < deadline, "the driver does not come back");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        driver.put("k", round.to_string()).await.unwrap();
    }
    server.pause();
    let began = Instant::now();
    driver.put("k", "v").await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(2));
    server.resume();
    let deadline = Instant::now() + Duration::from_secs(5);
    while driver.put("k", "v").await.is_err() {
        assert!(Instant::now() < deadline);
    }
    driver.close().await.unwrap();
    assert_eq!(driver.get("k").await.unwrap_err().kind(), ErrorKind::Closed);
    let deadline = Instant::now() + Duration::from_secs(5);
    while server.cli(&["CLIENT", "LIST"]).contains("db=1") {
        assert!(Instant::now() < deadline, "a connection is left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[test_support::test]
async fn a_client_of_the_application_brings_its_own_tls() {
    use driver_redis::redis::{Client, TlsCertificates};
    let ca = tls().files().ca();
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(std::fs::read(ca).unwrap()),
    };
    let client = Client::build_with_tls(tls().url(), certificates).unwrap();
    let options = RedisOptions::default().with_prefix(RedisTls::BASE);
    let driver = RedisDriver::from_client(client, options).await.unwrap();
    count_up(&driver, 3).await;
    assert_eq!(driver.get("n").await.unwrap().unwrap(), "3");
    driver.delete("n").await.unwrap();
}

#[test_support::test]
async fn options_that_say_how_to_connect_contradict_a_client() {
    let client = driver_redis::redis::Client::open("redis://127.0.0.1:1").unwrap();
    let options = RedisOptions::default().with_password("secret");
    let error = RedisDriver::from_client(client, options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(error.to_string().contains("`password`"), "{error}");
}

#[test_support::test]
async fn a_server_without_resp3_is_served_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("redis.conf");
    std::fs::write(&file, "rename-command HELLO \"\"\n").unwrap();
    let server = RedisServer::start_with(&[file.to_str().unwrap()]);
    for driver in [open(&server).await, from_client(server.url()).await] {
        count_up(&driver, 3).await;
        let page = driver.list(ListOptions::default()).await.unwrap();
        assert_eq!(page.keys, [key("n")]);
        driver.clear(&Prefix::root()).await.unwrap();
    }
}

/// TLS of a whole deployment is asked for by the scheme of its nodes, and no password goes out in plain text.
#[test_support::test]
async fn a_node_whose_url_asks_for_tls_is_not_talked_to_in_plain_text() {
    let heard = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("rediss://{}", heard.local_addr().unwrap());
    let sentinel = driver_redis::Sentinel::new("main", [url.as_str()]).with_password("hush");
    for options in [
        RedisOptions::cluster([url.as_str()]).with_password("hush"),
        RedisOptions::sentinel(sentinel),
    ] {
        let options = options.with_pre_connect(false);
        let driver = RedisDriver::open(options).await.unwrap();
        let (mut stream, _) = heard.accept().await.unwrap();
        let mut record = [0; 3];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut record)
            .await
            .unwrap();
        // The handshake of TLS.
        assert_eq!(record[..2], [22, 3]);
        driver.close().await.unwrap();
    }
}
