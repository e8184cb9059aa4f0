//! What the server refuses has a kind, says what to do, was not done, and is no miss.

use std::time::Duration;

use driver_redis::{RedisDriver, RedisOptions, Tls, TlsOptions};
use session_core::{Driver, DriverExt, Error, ErrorKind, Outcome};
use test_support::{RedisCluster, RedisServer, RedisTls};

use crate::support::{cluster, on_sentinels, on_tls, sentinels, server, tls};

/// A short time to wait, where waiting is in vain.
const SHORT: Duration = Duration::from_millis(500);

async fn fails_to_open(options: RedisOptions) -> Error {
    let options = options.with_timeout(SHORT);
    let error = RedisDriver::open(options).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(
        (error.driver(), error.operation()),
        (Some("redis"), Some("open"))
    );
    error
}

async fn open(options: RedisOptions) -> RedisDriver {
    let options = options.with_timeout(SHORT);
    RedisDriver::open(options).await.unwrap()
}

/// That the write of a key is refused so, and that a read of it is an error too where reads are refused.
async fn refuses_a_write(driver: &RedisDriver, kind: ErrorKind, text: &str) {
    let error = driver.put("secret-key", "secret-value").await.unwrap_err();
    is(&error, kind, text);
}

fn is(error: &Error, kind: ErrorKind, text: &str) {
    assert_eq!(
        (error.kind(), error.outcome()),
        (kind, Outcome::NotApplied),
        "{error:?}"
    );
    assert!(error.to_string().contains(text), "{error}");
    assert!(!format!("{error:?}").contains("secret"), "{error:?}");
}

#[test_support::test]
async fn a_wrong_password_a_missing_one_and_one_too_many_are_told_apart() {
    let server = RedisServer::start_with(&["--requirepass", "right"]);
    for (password, text) in [
        (Some("wrong-secret"), "rejected `username` and `password`"),
        (None, "requires a password"),
    ] {
        let mut options = RedisOptions::new(server.url());
        options.password = password.map(Into::into);
        let error = fails_to_open(options).await;
        is(&error, ErrorKind::Unauthorized, text);
    }
    let options = RedisOptions::new(self::server().url()).with_password("secret");
    is(
        &fails_to_open(options).await,
        ErrorKind::Unauthorized,
        "password",
    );
}

#[test_support::test]
async fn a_password_that_is_taken_away_while_the_driver_runs_is_told_and_one_that_is_given_back_is_taken()
 {
    let server = RedisServer::start();
    let driver = open(RedisOptions::new(server.url())).await;
    server.cli(&["CONFIG", "SET", "requirepass", "new"]);
    server.cli(&["-a", "new", "CLIENT", "KILL", "TYPE", "normal"]);
    let error = loop {
        match driver.get("k").await {
            Ok(_) => tokio::task::yield_now().await,
            Err(error) => break error,
        }
    };
    is(&error, ErrorKind::Unauthorized, "requires a password");
    server.cli(&["-a", "new", "CONFIG", "SET", "requirepass", ""]);
    let deadline = std::time::Instant::now() + Duration::from_secs(5);
    while driver.get("k").await.is_err() {
        assert!(std::time::Instant::now() < deadline);
    }
}

#[test_support::test]
async fn what_the_acl_forbids_is_told() {
    let options = on_tls(tls()).with_prefix("other");
    let driver = open(options).await;
    refuses_a_write(&driver, ErrorKind::Unauthorized, "its ACL must allow").await;
    let error = driver.get("k").await.unwrap_err();
    is(&error, ErrorKind::Unauthorized, "its ACL must allow");
}

#[test_support::test]
async fn a_server_whose_certificate_is_not_trusted_is_not_talked_to() {
    let strangers = test_support::TlsFiles::new();
    for (ca, server_name) in [
        (Some(strangers.ca()), None),
        (
            Some(tls().files().ca()),
            Some("elsewhere.example".to_owned()),
        ),
        (None, None),
    ] {
        let mut options = TlsOptions::new();
        options.ca = ca;
        options.server_name = server_name;
        let options = on_tls(tls()).with_tls(Tls::On(options));
        is(
            &fails_to_open(options).await,
            ErrorKind::Unavailable,
            "certificate",
        );
    }
}

#[test_support::test]
async fn a_server_that_wants_a_certificate_gets_it() {
    let server = RedisTls::start_with_client_certificates();
    let error = fails_to_open(on_tls(&server)).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    let files = server.files();
    let options = TlsOptions::new()
        .with_ca(files.ca())
        .with_client_certificate(files.client_certificate(), files.client_key());
    let options = on_tls(&server).with_tls(Tls::On(options));
    open(options).await.put("k", "v").await.unwrap();
}

#[test_support::test]
async fn plain_text_to_a_server_that_wants_tls_is_an_error_and_the_other_way_round() {
    let plain = RedisOptions::new(format!("redis://localhost:{}", tls().server().port()));
    let error = fails_to_open(plain).await;
    assert!(error.to_string().contains("`tls`"), "{error}");
    let url = server().url().replace("redis://", "rediss://");
    let error = fails_to_open(RedisOptions::new(url)).await;
    assert!(error.to_string().contains("`tls`"), "{error}");
}

#[test_support::test]
async fn a_replica_takes_no_writes() {
    let servers = sentinels();
    let primary = servers.primary().port();
    let replica = servers
        .servers()
        .iter()
        .find(|server| server.port() != primary)
        .unwrap();
    let driver = open(RedisOptions::new(replica.url())).await;
    refuses_a_write(&driver, ErrorKind::Unavailable, "is a replica").await;
    assert_eq!(driver.get("k").await.unwrap(), None);
}

#[test_support::test]
async fn sentinels_that_do_not_know_the_name_are_an_error_that_says_so() {
    let mut options = on_sentinels(sentinels());
    options.sentinel.as_mut().unwrap().name = "other".to_owned();
    let error = fails_to_open(options).await;
    is(
        &error,
        ErrorKind::Unavailable,
        "know no primary named `other`",
    );
}

#[test_support::test]
async fn one_node_of_a_cluster_alone_is_a_mistake_in_the_configuration() {
    let driver = open(RedisOptions::new(cluster().nodes()[0].url())).await;
    let mut moved = 0;
    for n in 0..20 {
        if let Err(error) = driver.put(&format!("k{n}"), "v").await {
            is(
                &error,
                ErrorKind::InvalidConfig,
                "list some of its nodes in `cluster`",
            );
            moved += 1;
        }
    }
    assert!(moved > 0);
    let not_one = RedisOptions::cluster([server().address()]);
    is(
        &fails_to_open(not_one).await,
        ErrorKind::InvalidConfig,
        "is not a node of a cluster",
    );
}

#[test_support::test]
async fn a_cluster_that_is_down_is_unavailable() {
    let servers = RedisCluster::start();
    let driver = open(crate::support::on_cluster(&servers)).await;
    driver.put("k", "v").await.unwrap();
    // Without the slot of the key nobody serves any.
    let slot = servers.nodes()[0].cli(&["CLUSTER", "KEYSLOT", "k"]);
    for node in servers.nodes() {
        node.cli(&["CLUSTER", "DELSLOTS", &slot]);
    }
    let error = driver.get("k").await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut),
        "{error:?}"
    );
    refuses_one_of(&driver, &[ErrorKind::Unavailable, ErrorKind::TimedOut]).await;
}

async fn refuses_one_of(driver: &RedisDriver, kinds: &[ErrorKind]) {
    let error = driver.put("k", "w").await.unwrap_err();
    assert!(kinds.contains(&error.kind()), "{error:?}");
    assert_eq!(error.outcome(), Outcome::NotApplied);
}

#[test_support::test]
async fn a_key_of_another_type_is_left_as_it_is() {
    let server = server();
    server.cli(&["LPUSH", "errors:list", "secret"]);
    let driver = open(RedisOptions::new(server.url())).await;
    let error = driver.get("errors:list").await.unwrap_err();
    is(&error, ErrorKind::CorruptData, "is not a string");
    let listed = crate::support::key("errors:list");
    let error = driver
        .read_many(std::slice::from_ref(&listed))
        .await
        .unwrap_err();
    is(&error, ErrorKind::CorruptData, "is not a string");
    let version = session_core::Version::from_bytes(b"secret");
    let options = session_core::WriteOptions::if_version(version);
    let error = driver
        .write(&listed, "v".into(), options)
        .await
        .unwrap_err();
    is(&error, ErrorKind::CorruptData, "is not a string");
    assert_eq!(server.cli(&["LRANGE", "errors:list", "0", "-1"]), "secret");
}

#[test_support::test]
async fn a_full_server_says_so_to_each_kind_of_write() {
    let server = RedisServer::start();
    let driver = open(RedisOptions::new(server.url())).await;
    driver.put("k", "v").await.unwrap();
    let entry = driver
        .read(&crate::support::key("k"))
        .await
        .unwrap()
        .unwrap();
    server.cli(&["CONFIG", "SET", "maxmemory", "1"]);
    refuses_a_write(&driver, ErrorKind::Unavailable, "`maxmemory`").await;
    let options = session_core::WriteOptions::if_version(entry.version.unwrap());
    let error = driver
        .write(&crate::support::key("k"), "w".into(), options)
        .await
        .unwrap_err();
    is(&error, ErrorKind::Unavailable, "`maxmemory`");
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_server_that_may_not_write_and_one_without_replicas_say_so() {
    let server = RedisServer::start_with(&["--min-replicas-to-write", "1"]);
    let driver = open(RedisOptions::new(server.url())).await;
    refuses_a_write(&driver, ErrorKind::Unavailable, "accepts no writes").await;
}

#[test_support::test]
async fn a_server_that_reads_its_data_is_waited_for() {
    let mut server = RedisServer::start_with(&[
        "--appendonly",
        "yes",
        "--key-load-delay",
        "200",
        "--loading-process-events-interval-bytes",
        "1024",
    ]);
    for n in 0..50 {
        server.cli(&[
            "EVAL",
            "for i = 1, 100 do redis.call('SET', KEYS[1] .. i, ARGV[1]) end",
            "1",
            &format!("k{n}:"),
            "v",
        ]);
    }
    let driver = RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap();
    server.start_again();
    assert_eq!(driver.get("k0:1").await.unwrap().unwrap(), "v");
    assert_eq!(driver.get("k49:100").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_server_that_has_no_such_database_or_no_room_for_clients_says_so() {
    let server = RedisServer::start_with(&["--databases", "2"]);
    let options = RedisOptions::new(server.url()).with_db(2);
    let error = fails_to_open(options).await;
    assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    server.cli(&["CONFIG", "SET", "maxclients", "1"]);
    let driver = open(RedisOptions::new(server.url())).await;
    let error = fails_to_open(RedisOptions::new(server.url())).await;
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
    driver.close().await.unwrap();
}

#[test_support::test]
async fn what_is_no_redis_is_an_error() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
            let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
        }
    });
    let error = fails_to_open(RedisOptions::new(format!("redis://127.0.0.1:{port}"))).await;
    assert!(
        matches!(error.kind(), ErrorKind::Backend | ErrorKind::Unavailable),
        "{error:?}"
    );
}
