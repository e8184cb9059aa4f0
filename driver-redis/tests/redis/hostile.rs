//! A server that sends what no server should: every call ends in time, timers stay on time, and memory stays bounded.
//!
//! It is a test program of its own, since it measures the memory of its process.

// Helpers of tests fail a test as tests do.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use driver_redis::{RedisDriver, RedisOptions};
use session_core::{
    Driver, DriverExt, Error, Key, ListOptions, Outcome, RemoveOptions, TouchOptions, Version,
    Write, WriteOptions,
};
use test_support::{RedisServer, step};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

const TIMEOUT: Duration = Duration::from_millis(500);

/// The contract: no call takes longer.
const LIMIT: Duration = Duration::from_millis(1_500);

/// How much the process may grow by, in KiB.
const MOST_MEMORY: u64 = 450 << 20;

/// What is sent in place of the answers of the server.
#[derive(Clone, Copy, Debug)]
enum Answers {
    /// Those of the server.
    Real,
    /// First these bytes, then those over and over.
    Flood(&'static [u8], &'static [u8]),
    /// The same, a byte every few milliseconds.
    Drip(&'static [u8], &'static [u8]),
}

const XS: &[u8] = &[b'x'; 16 * 1024];

const HOSTILE: [Answers; 13] = [
    Answers::Flood(b"$9223372036854775807\r\n", XS),
    Answers::Flood(b"$120000000\r\n", XS),
    Answers::Flood(b"+", XS),
    Answers::Flood(b"*9223372036854775807\r\n", b":1\r\n"),
    Answers::Flood(b"*1000000\r\n", b"*1000000\r\n"),
    Answers::Flood(b"%9223372036854775807\r\n", b":1\r\n"),
    Answers::Flood(b"", b"*1\r\n"),
    Answers::Flood(b"", b"+OK\r\n"),
    Answers::Flood(b"", b">2\r\n+invalidate\r\n*0\r\n"),
    Answers::Flood(b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    Answers::Flood(b"", b"\x00\xff"),
    Answers::Drip(b"$100000\r\n", b"x"),
    Answers::Drip(b"*100000\r\n", b":1\r\n"),
];

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hostile_server_costs_neither_time_nor_memory() {
    let server = RedisServer::start();
    let (answers, url) = proxy_before(&server).await;
    let driver = open(&url, TIMEOUT).await;
    driver.put("k", "v").await.unwrap();
    let timer = Timer::start();
    let before = test_support::memory();
    for hostile in HOSTILE {
        step(format!("{hostile:?}"));
        answers.send_replace(hostile);
        for _ in 0..3 {
            every_call_ends(&driver).await;
        }
        let lone = open(&url, TIMEOUT).await;
        assert!(lone.get("k").await.is_err(), "{hostile:?}");
        in_time("close", lone.close()).await.unwrap();
        answers.send_replace(Answers::Real);
        let back = Instant::now();
        while driver.get("k").await.is_err() {
            assert!(back.elapsed() < 2 * LIMIT, "{hostile:?}");
        }
    }
    // In so much time, replies without a limit would take gigabytes.
    let patient = open(&url, Duration::from_secs(5)).await;
    for hostile in HOSTILE.into_iter().take(3) {
        step(format!("{hostile:?}, for longer"));
        patient.put("k", "v").await.unwrap();
        answers.send_replace(hostile);
        assert!(patient.get("k").await.is_err(), "{hostile:?}");
        answers.send_replace(Answers::Real);
    }
    let grown = test_support::peak_memory().saturating_sub(before);
    println!(
        "the process grew by {} MiB at most, and a timer was late by {:?} at most",
        grown >> 20,
        timer.latest()
    );
    assert!(grown < MOST_MEMORY, "the process grew by {grown} bytes");
    assert!(timer.latest() < Duration::from_millis(500));
    answers.send_replace(HOSTILE[0]);
    in_time("close", driver.close()).await.unwrap();
}

async fn open(url: &str, timeout: Duration) -> RedisDriver {
    let options = RedisOptions::new(url).with_timeout(timeout);
    let options = options.with_pre_connect(false);
    RedisDriver::open(options).await.unwrap()
}

async fn in_time<T>(name: &str, call: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let result = call.await;
    assert!(began.elapsed() < LIMIT, "{name}: {:?}", began.elapsed());
    result
}

/// That every method ends in time, all at once. Its answer may be wrong, since the server makes it up.
async fn every_call_ends(driver: &RedisDriver) {
    let key = Key::new("other").unwrap();
    let keys = vec![key.clone(); 3];
    let writes = || vec![Write::new(key.clone(), "v"); 3];
    let version = Version::from_bytes(b"v");
    let if_version = || WriteOptions::if_version(version.clone());
    let removal = RemoveOptions::if_version(version.clone());
    let prefix = session_core::Prefix::root();
    let (_, _, written, _, _, _, _, _, _, _) = tokio::join!(
        in_time("read", driver.read(&key)),
        in_time(
            "write",
            driver.write(&key, "v".into(), WriteOptions::default())
        ),
        in_time(
            "conditional write",
            driver.write(&key, "w".into(), if_version())
        ),
        in_time("remove", driver.remove(&key, removal)),
        in_time("exists", driver.exists(&key)),
        in_time("touch", driver.touch(&key, TouchOptions::default())),
        in_time("list", driver.list(ListOptions::default())),
        in_time("read_many", driver.read_many(&keys)),
        in_time("write_many", driver.write_many(writes())),
        in_time("clear", driver.clear(&prefix)),
    );
    if let Err(error) = written {
        is_plain(&error);
    }
}

/// An error shows nothing of what was received.
fn is_plain(error: &Error) {
    let text = format!("{error:?}");
    assert!(!text.contains("xxx") && !text.contains("HTTP"), "{text}");
    assert!(matches!(
        error.outcome(),
        Outcome::NotApplied | Outcome::Unknown
    ));
}

/// A proxy before `server`, the answers that it gives, and its URL.
async fn proxy_before(server: &RedisServer) -> (watch::Sender<Answers>, String) {
    let (sender, answers) = watch::channel(Answers::Real);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let target = server.address();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&target).await.unwrap();
            connections.spawn(serve(client, server, answers.clone()));
            while connections.try_join_next().is_some() {}
        }
    });
    (sender, url)
}

async fn serve(client: TcpStream, server: TcpStream, mut answers: watch::Receiver<Answers>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = tokio::spawn(async move {
        let _ = tokio::io::copy(&mut from_client, &mut to_server).await;
    });
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let now = *answers.borrow_and_update();
        let sent = match now {
            Answers::Real => tokio::select! {
                read = from_server.read(&mut buffer) => match read {
                    Ok(read @ 1..) => to_client.write_all(&buffer[..read]).await,
                    _ => break,
                },
                _ = answers.changed() => continue,
            },
            Answers::Flood(first, again) => {
                let again = again.repeat(1 + 16 * 1024 / again.len());
                let flood = async {
                    to_client.write_all(first).await?;
                    loop {
                        to_client.write_all(&again).await?;
                    }
                };
                tokio::select! {
                    end = flood => end,
                    // What was begun cannot become an answer again.
                    _ = answers.changed() => break,
                }
            }
            Answers::Drip(first, again) => {
                let drip = async {
                    for byte in first.iter().chain(again.iter().cycle()) {
                        to_client.write_all(&[*byte]).await?;
                        tokio::time::sleep(Duration::from_millis(5)).await;
                    }
                    Ok(())
                };
                tokio::select! {
                    end = drip => end,
                    _ = answers.changed() => break,
                }
            }
        };
        if sent.is_err() {
            break;
        }
    }
    requests.abort();
}

/// A timer of the same runtime, and by how much it was late at most.
struct Timer {
    latest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
}

impl Timer {
    fn start() -> Self {
        let (latest, stop) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let (longest, ended) = (Arc::clone(&latest), Arc::clone(&stop));
        tokio::spawn(async move {
            const STEP: Duration = Duration::from_millis(5);
            while !ended.load(Ordering::Relaxed) {
                let began = Instant::now();
                tokio::time::sleep(STEP).await;
                let late = began.elapsed().saturating_sub(STEP).as_millis();
                longest.fetch_max(u64::try_from(late).unwrap(), Ordering::Relaxed);
            }
        });
        Self { latest, stop }
    }

    fn latest(&self) -> Duration {
        Duration::from_millis(self.latest.load(Ordering::Relaxed))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}
