//! What callers see while the server fails, and that all is well afterwards.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use driver_redis::{RedisDriver, RedisOptions};
use session_core::{Driver, DriverExt, ErrorKind, Outcome};
use test_support::{RedisCluster, RedisSentinels, RedisServer, TcpFault, TcpProxy};

use crate::load::{Load, Report};
use crate::support::{key, on_cluster, on_sentinels};

/// What the log of the tests shows with `--nocapture`.
fn told(fault: &str, report: &Report) {
    println!("{fault}: {report}");
}

fn with_timeout(options: RedisOptions, timeout: Duration) -> RedisOptions {
    options
        .with_timeout(timeout)
        .with_connect_timeout(timeout / 2)
}

async fn proxy_before(server: &RedisServer) -> TcpProxy {
    TcpProxy::start(SocketAddr::from((Ipv4Addr::LOCALHOST, server.port()))).await
}

async fn open_by(proxy: &TcpProxy) -> RedisDriver {
    let options = RedisOptions::new(format!("redis://127.0.0.1:{}", proxy.port()));
    let options = with_timeout(options, Duration::from_secs(1));
    RedisDriver::open(options).await.unwrap()
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_killed_and_started_again_loses_nothing_that_was_acknowledged() {
    let mut server = RedisServer::start_with(&["--appendonly", "yes", "--appendfsync", "always"]);
    let driver = RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap();
    let load = Load::start(driver, "n").await;
    for _ in 0..3 {
        server.kill();
        server.restart();
        load.until_all_count().await;
    }
    let report = load.finish().await;
    told("killed and started again, three times", &report);
    assert_eq!(report.lost, 0);
    assert!(report.slowest_call < Duration::from_secs(5));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_server_is_away_calls_fail_in_time_and_the_first_one_after_succeeds() {
    let mut server = RedisServer::start();
    let timeout = Duration::from_millis(500);
    let options = with_timeout(RedisOptions::new(server.url()), timeout);
    let driver = RedisDriver::open(options).await.unwrap();
    driver.put("k", "v").await.unwrap();
    server.kill();
    let away = Instant::now();
    // Before and after an outage counts as a long one.
    while away.elapsed() < 3 * timeout {
        let began = Instant::now();
        let error = driver.get("k").await.unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::Unavailable | ErrorKind::TimedOut
        ));
        assert!(
            began.elapsed() < timeout + Duration::from_millis(400),
            "{:?}",
            began.elapsed()
        );
        let error = driver.put("k", "w").await.unwrap_err();
        assert_eq!(error.outcome(), Outcome::NotApplied, "{error:?}");
    }
    server.restart();
    let back = Instant::now();
    assert_eq!(driver.get("k").await.unwrap(), None);
    println!(
        "the first call after the server was back took {:.2?}",
        back.elapsed()
    );
    assert!(back.elapsed() < Duration::from_secs(1));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_in_the_middle_of_a_pipeline_count_nothing_twice() {
    let server = RedisServer::start();
    let proxy = proxy_before(&server).await;
    let load = Load::start(open_by(&proxy).await, "n").await;
    for _ in 0..10 {
        // In the midst of an answer, a few milliseconds from now.
        proxy.set(TcpFault::CutAfter(20_011));
        proxy.cut();
        tokio::time::sleep(Duration::from_millis(100)).await;
        proxy.set(TcpFault::None);
        load.until_all_count().await;
    }
    let report = load.finish().await;
    told(
        "cut in the middle of a pipeline, ten times and more",
        &report,
    );
    assert_eq!(report.lost, 0);
    assert!(report.unknown > 0, "nothing was under way");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_are_lost_leave_their_writes_unknown() {
    let server = RedisServer::start();
    let proxy = proxy_before(&server).await;
    let load = Load::start(open_by(&proxy).await, "n").await;
    proxy.set(TcpFault::LoseAnswers);
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    proxy.set(TcpFault::None);
    load.until_all_count().await;
    let report = load.finish().await;
    told("answers lost for 1.5 s, with a timeout of 1 s", &report);
    assert_eq!(report.lost, 0);
    assert!(report.unknown > 0);
    assert!(report.slowest_call < Duration::from_millis(2_500));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_whose_call_has_timed_out_is_given_up() {
    let server = RedisServer::start();
    let proxy = proxy_before(&server).await;
    let driver = open_by(&proxy).await;
    proxy.set(TcpFault::LoseAnswers);
    let error = driver.put("k", "v").await.unwrap_err();
    assert_eq!(
        (error.kind(), error.outcome()),
        (ErrorKind::TimedOut, Outcome::Unknown)
    );
    proxy.set(TcpFault::None);
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    // The next one may have lost its first answers as well, so that there were more.
    let made = proxy.connections();
    assert!(made >= 2);
    // Callers that give up long before the timeout do not keep a dead connection either.
    proxy.set(TcpFault::Stall);
    let began = Instant::now();
    while proxy.connections() == made {
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it is not replaced"
        );
        let call = tokio::time::timeout(Duration::from_millis(50), driver.get("k"));
        let _gave_up = call.await;
    }
    assert!(began.elapsed() > Duration::from_secs(1));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_way_to_the_server_is_no_fault() {
    let server = RedisServer::start();
    let proxy = proxy_before(&server).await;
    let load = Load::start(open_by(&proxy).await, "n").await;
    proxy.set(TcpFault::Delay(Duration::from_millis(50)));
    load.until_all_count().await;
    let report = load.finish().await;
    told("50 ms on each way", &report);
    assert_eq!((report.lost, report.errors.len()), (0, 0));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_paused_holds_no_caller_longer_than_its_timeout() {
    let server = RedisServer::start();
    let options = with_timeout(RedisOptions::new(server.url()), Duration::from_secs(1));
    let load = Load::start(RedisDriver::open(options).await.unwrap(), "n").await;
    server.pause();
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.resume();
    let back = Instant::now();
    load.driver().get("k").await.unwrap();
    println!("the first call after the pause took {:.2?}", back.elapsed());
    assert!(back.elapsed() < Duration::from_secs(1));
    load.until_all_count().await;
    let report = load.finish().await;
    told("paused for 5 s, with a timeout of 1 s", &report);
    assert_eq!(report.lost, 0);
    assert!(report.slowest_call < Duration::from_millis(2_500));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_are_killed_come_back() {
    let server = RedisServer::start();
    let driver = RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap();
    let load = Load::start(driver, "n").await;
    for _ in 0..10 {
        server.cli(&["CLIENT", "KILL", "TYPE", "normal"]);
        load.until_all_count().await;
    }
    let report = load.finish().await;
    told("CLIENT KILL, ten times", &report);
    assert_eq!(report.lost, 0);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_the_server_forgets_are_sent_again() {
    let server = RedisServer::start();
    let driver = RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap();
    let load = Load::start(driver, "n").await;
    for _ in 0..10 {
        assert_eq!(server.cli(&["SCRIPT", "FLUSH"]), "OK");
        load.until_all_count().await;
    }
    let report = load.finish().await;
    told("SCRIPT FLUSH, ten times", &report);
    assert_eq!((report.lost, report.errors.len()), (0, 0));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_server_refuses_writes_and_serves_reads() {
    let server = RedisServer::start();
    let driver = RedisDriver::open(RedisOptions::new(server.url()))
        .await
        .unwrap();
    let load = Load::start(driver, "n").await;
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "1"]), "OK");
    let refused = load.driver().put("full", "v").await.unwrap_err();
    assert_eq!(
        (refused.kind(), refused.outcome()),
        (ErrorKind::Unavailable, Outcome::NotApplied)
    );
    assert!(refused.to_string().contains("maxmemory"), "{refused}");
    assert_eq!(load.driver().get("full").await.unwrap(), None);
    // What makes room is served.
    load.driver().delete("full").await.unwrap();
    assert_eq!(server.cli(&["CONFIG", "SET", "maxmemory", "0"]), "OK");
    load.until_all_count().await;
    let report = load.finish().await;
    told("maxmemory reached for a while", &report);
    assert_eq!((report.lost, report.unknown), (0, 0));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_that_give_up_leave_nothing_behind() {
    let server = RedisServer::start();
    let options = with_timeout(RedisOptions::new(server.url()), Duration::from_secs(1));
    let driver = RedisDriver::open(options).await.unwrap();
    server.pause();
    // Far more than fit into the queue and the buffers, none of which waits for its answer.
    let began = Instant::now();
    let value = vec![b'v'; 64 * 1024];
    for _ in 0..2_000 {
        let _gave_up =
            tokio::time::timeout(Duration::from_millis(1), driver.put("k", value.clone())).await;
    }
    println!(
        "2000 callers of 64 KiB gave up within {:.2?}",
        began.elapsed()
    );
    server.resume();
    let back = Instant::now();
    driver.put("k", "last").await.unwrap();
    assert!(
        back.elapsed() < Duration::from_secs(1),
        "{:?}",
        back.elapsed()
    );
    let peak = test_support::peak_memory();
    assert!(peak < 600 << 20, "the process had {peak} bytes at its peak");
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_by_sentinels_is_over_soon() {
    let mut servers = RedisSentinels::start();
    let driver = RedisDriver::open(on_sentinels(&servers)).await.unwrap();
    let load = Load::start(driver, "n").await;

    // One that was asked for: the old primary becomes a replica and says so.
    let before = servers.primary().port();
    servers.fail_over();
    servers.wait_until_failed_over(before);
    load.until_all_count().await;

    // One that was not.
    servers.wait_until_replicated();
    let before = servers.primary().port();
    servers.primary().kill();
    let killed = Instant::now();
    load.until_all_count().await;
    println!(
        "all callers wrote again {:.2?} after the primary was killed",
        killed.elapsed()
    );
    // The sentinel that is asked here may hear of it later than the driver.
    servers.wait_until_failed_over(before);
    servers.start_again_at(before);

    let report = load.finish().await;
    told(
        "two failovers by sentinels, the second after a kill",
        &report,
    );
    // What the old primary takes after the failover is lost, so it must not be asked for long.
    assert!(report.lost < report.done / 4, "{report}");
    assert!(report.slowest_call < Duration::from_secs(6));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_whose_master_is_killed_goes_on_with_its_replica() {
    let mut servers = RedisCluster::start();
    for node in servers.nodes() {
        // Otherwise the other masters refuse all keys once they have noticed, which a busy machine may do early.
        let serve = ["CONFIG", "SET", "cluster-require-full-coverage", "no"];
        assert_eq!(node.cli(&serve), "OK");
    }
    let driver = RedisDriver::open(on_cluster(&servers)).await.unwrap();
    let load = Load::start(driver, "n").await;
    let killed = servers.master_of("n:0");
    // What the other masters serve is served all the while.
    let elsewhere = (0..100)
        .map(|n| format!("other:{n}"))
        .find(|name| servers.master_of(name) != killed);
    let elsewhere = key(&elsewhere.unwrap());
    servers.nodes()[killed].kill();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(1) {
        let call = Instant::now();
        load.driver().read(&elsewhere).await.unwrap();
        assert!(
            call.elapsed() < Duration::from_millis(500),
            "{:?}",
            call.elapsed()
        );
    }
    load.until_all_count().await;
    println!(
        "all callers wrote again {:.2?} after a master was killed",
        began.elapsed()
    );
    assert!(began.elapsed() < Duration::from_secs(15));
    servers.nodes_mut()[killed].restart();
    servers.wait_until_healthy();
    load.until_all_count().await;
    let report = load.finish().await;
    told("a master of the cluster killed", &report);
    assert!(report.slowest_call < Duration::from_secs(6));
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_move_during_load_disturb_nobody() {
    let servers = RedisCluster::start();
    let driver = RedisDriver::open(on_cluster(&servers)).await.unwrap();
    let load = Load::start(driver, "n").await;
    let masters: Vec<usize> = ["a", "b", "c", "d", "e", "f"]
        .map(|key| servers.master_of(key))
        .to_vec();
    for number in (0..16).step_by(2) {
        let name = format!("n:{number}");
        let from = servers.master_of(&name);
        let to = masters.iter().find(|place| **place != from).unwrap();
        servers.move_slot_of(&name, *to);
        assert_eq!(servers.master_of(&name), *to);
    }
    load.until_all_count().await;
    let report = load.finish().await;
    told("eight slots moved", &report);
    assert_eq!((report.lost, report.errors.len()), (0, 0), "{report}");
}
