//! What callers are told when the server fails.

use std::time::{Duration, Instant};

use driver_postgres::{PostgresDriver, PostgresOptions};
use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind, Outcome, WriteOptions};
use test_support::{PostgresServer, TcpFault, TcpProxy};

use crate::support::{Database, WAITING, holding, key};

const TIMEOUT: Duration = Duration::from_secs(2);

async fn open(server: &PostgresServer) -> PostgresDriver {
    let options = PostgresOptions::new(server.url("postgres"));
    let options = options
        .with_timeout(Duration::from_secs(20))
        .with_sweep_interval(None);
    // Creating the table may take longer on a busy machine than what is tested may.
    PostgresDriver::open(options.clone())
        .await
        .unwrap()
        .close()
        .await
        .unwrap();
    PostgresDriver::open(options.with_timeout(TIMEOUT))
        .await
        .unwrap()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_is_an_error_in_time_and_its_return_is_noticed() {
    let mut server = PostgresServer::start_with(&["fsync=on", "synchronous_commit=on"]);
    let driver = open(&server).await;
    driver.put("k", "v").await.unwrap();
    server.kill();
    let started = Instant::now();
    let (read, write) = tokio::join!(driver.get("k"), driver.put("k", "w"));
    assert_eq!(read.unwrap_err().outcome(), Outcome::NotApplied);
    assert!(write.unwrap_err().is_transient());
    assert!(started.elapsed() < TIMEOUT + Duration::from_secs(1));
    server.restart();
    // Reads find a connection that works by themselves.
    let value = driver.get("k").await.unwrap().unwrap();
    assert!(value == "v" || value == "w", "{value:?}");
    driver.put("k", "x").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "x");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_server_holds_nobody_longer_than_the_timeout() {
    let server = PostgresServer::start();
    let driver = open(&server).await;
    driver.put("k", "v").await.unwrap();
    server.pause();
    let started = Instant::now();
    let keys: Vec<_> = (0..40).map(|number| key(&format!("k:{number}"))).collect();
    let writes = keys
        .iter()
        .map(|key| driver.write(key, "v".into(), WriteOptions::default()));
    let reads = keys.iter().map(|key| driver.read(key));
    let (writes, reads, list) = tokio::join!(
        join_all(writes),
        join_all(reads),
        driver.list(Default::default())
    );
    assert!(
        started.elapsed() < TIMEOUT + Duration::from_secs(1),
        "{:?}",
        started.elapsed()
    );
    for error in writes.into_iter().map(Result::unwrap_err) {
        assert!(error.is_transient(), "{error:?}");
    }
    for error in reads.into_iter().map(Result::unwrap_err) {
        assert_eq!(
            (error.is_transient(), error.outcome()),
            (true, Outcome::NotApplied)
        );
    }
    assert!(list.unwrap_err().is_transient());
    server.resume();
    let started = Instant::now();
    while driver.put("after", "v").await.is_err() {
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "it never recovers"
        );
    }
    assert_eq!(driver.get("after").await.unwrap().unwrap(), "v");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_is_unknown_for_a_write_and_repeated_for_a_read() {
    let database = Database::new();
    let server = (std::net::Ipv4Addr::LOCALHOST, database.server.port()).into();
    let proxy = TcpProxy::start(server).await;
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/{}",
        proxy.port(),
        database.name
    );
    let options = PostgresOptions::new(url)
        .with_timeout(Duration::from_secs(20))
        .with_sweep_interval(None);
    let driver = PostgresDriver::open(options).await.unwrap();
    driver.put("k", "v").await.unwrap();
    // The statement is at the server before its answer can be lost.
    let holder = holding(&database).await;
    let (error, ()) = tokio::join!(driver.put("k", "w"), async {
        database.until(WAITING, "t").await;
        proxy.set(TcpFault::LoseAnswers);
        holder.commit().await.unwrap();
        database
            .until("SELECT value FROM unstorage WHERE key = 'k'", "w")
            .await;
        proxy.set(TcpFault::None);
        proxy.cut();
    });
    let error = error.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::Unknown)
    );
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "w");
}

#[test_support::test]
async fn a_replica_is_refused_at_once() {
    let database = Database::new();
    database.open().await;
    let name = &database.name;
    database.psql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    let error = PostgresDriver::open(database.options()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("only reads"), "{error}");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_to_a_replica_is_survived() {
    let primary = PostgresServer::start();
    let driver = open(&primary).await;
    driver.put("k", "v").await.unwrap();
    let mut server = primary.replica();
    primary.kill();
    server.move_to(primary);
    // Not promoted yet.
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    let error = loop {
        // The first writes may meet the connections to the old primary.
        let error = driver.put("k", "w").await.unwrap_err();
        if error.outcome() == Outcome::NotApplied {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("is a replica"), "{error}");
    assert_eq!(server.psql("postgres", "SELECT pg_promote()"), "t");
    driver.put("k", "x").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "x");
    assert_eq!(server.psql("postgres", "SELECT value FROM unstorage"), "x");
}

#[test_support::test]
async fn a_server_that_accepts_only_reads_from_now_on_is_said() {
    let database = Database::new();
    let options = database.options().with_pool_size(3);
    let driver = PostgresDriver::open(options).await.unwrap();
    driver.put("k", "v").await.unwrap();
    let name = &database.name;
    database.psql(&format!(
        "ALTER DATABASE {name} SET default_transaction_read_only = on"
    ));
    database.psql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    let error = loop {
        // The first writes may meet the connections that were ended.
        let error = driver.put("k", "w").await.unwrap_err();
        if error.outcome() == Outcome::NotApplied {
            break error;
        }
    };
    assert!(error.to_string().contains("primary"), "{error:?}");
    assert!(error.is_transient());
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_server_without_a_free_connection_is_said() {
    let server =
        PostgresServer::start_with(&["max_connections=4", "superuser_reserved_connections=0"]);
    server.psql(
        "postgres",
        "CREATE ROLE visitor LOGIN; ALTER ROLE visitor CONNECTION LIMIT 1",
    );
    server.psql("postgres", "GRANT CREATE ON SCHEMA public TO visitor");
    let url = server.url("postgres").replace("postgres@", "visitor@");
    let options = PostgresOptions::new(url).with_timeout(Duration::from_secs(20));
    let driver = PostgresDriver::open(options.clone()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    let error = PostgresDriver::open(options).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::NotApplied)
    );
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[test_support::test]
async fn a_wrong_server_user_or_database_is_said_when_it_is_opened() {
    let server = PostgresServer::shared();
    let url = server.url("nowhere");
    let error = PostgresDriver::open(PostgresOptions::new(url))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let url = server.url("postgres").replace("postgres@", "nobody:hush@");
    let error = PostgresDriver::open(PostgresOptions::new(url))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert!(!format!("{error:?}").contains("hush"));
    let url = format!(
        "postgres://postgres@127.0.0.1:{}/x",
        test_support::free_port()
    );
    let error = PostgresDriver::open(PostgresOptions::new(url))
        .await
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::Unavailable, Outcome::NotApplied)
    );
}
