//! Listing and clearing 200,000 keys, and hostile requests, need little memory. It is measured in separate processes.

use std::process::Command;
use std::sync::Arc;

use driver_sqlite::{SqliteDriver, SqliteOptions};
use session_core::{Expiry, Key, Write, WriteOptions};
use session_storage::Storage;

use crate::client::{open, storage};
use crate::serving::Server;

/// The variable that tells a test that it runs in the measured process.
const MEASURED: &str = "SESSION_SERVER_TEST_MEASURED";

const KEYS: usize = 200_000;
const MOST: u64 = 100 << 20;

/// Runs the test `name` in a separate process, and returns the number that it prints.
fn measured(name: &str) -> u64 {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MEASURED, "1")
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    let line = said
        .lines()
        .find_map(|line| line.split("measured: ").nth(1))
        .unwrap();
    let measured = line.split_whitespace().next().unwrap().parse().unwrap();
    println!("{name}: {measured} bytes");
    measured
}

async fn fill(storage: &Storage) {
    let driver = storage.as_driver();
    let numbers: Vec<usize> = (0..KEYS).collect();
    for chunk in numbers.chunks(1_000) {
        let write = |number: &usize| {
            Write::new(
                Key::new(&format!("base:{number:08}")).unwrap(),
                "0123456789",
            )
            .with_options(WriteOptions::default().with_expiry(Expiry::Never))
        };
        for outcome in driver.write_many(chunk.iter().map(write).collect()).await {
            let _unconditional = outcome.unwrap();
        }
    }
}

fn request(method: &str, path: &str) -> Vec<u8> {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").into_bytes()
}

/// Counts the keys of a listing without storing them.
async fn count_listed(server: &Server) -> usize {
    use std::io::{Read, Write};
    let mut stream = server.connect();
    let counting = tokio::task::spawn_blocking(move || {
        stream.write_all(&request("GET", "/kv/base/")).unwrap();
        let (mut quotes, mut piece) = (0, [0; 4_096]);
        loop {
            match stream.read(&mut piece).unwrap() {
                0 => return quotes / 2,
                read => quotes += piece[..read].iter().filter(|byte| **byte == b'"').count(),
            }
        }
    });
    counting.await.unwrap()
}

async fn list_and_clear(storage: &Storage) {
    fill(storage).await;
    let server = Server::start(open(storage)).await;
    assert_eq!(count_listed(&server).await, KEYS);
    server.exchange(request("DELETE", "/kv/base/")).await;
    assert_eq!(count_listed(&server).await, 0);
    println!("measured: {}", test_support::peak_memory());
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_of_a_file_are_listed_and_cleared_in_little_memory() {
    if std::env::var_os(MEASURED).is_some() {
        let folder = tempfile::tempdir().unwrap();
        let options = SqliteOptions::new(folder.path().join("test.db"));
        let storage = Storage::new(Arc::new(SqliteDriver::open(options).await.unwrap()));
        list_and_clear(&storage).await;
        storage.close().await.unwrap();
        return;
    }
    let name = "memory::many_keys_of_a_file_are_listed_and_cleared_in_little_memory";
    assert!(measured(name) < MOST);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_keys_of_a_map_are_listed_and_cleared_in_little_memory_beside_it() {
    if std::env::var_os(MEASURED).is_some() {
        list_and_clear(&storage()).await;
        return;
    }
    let name = "memory::many_keys_of_a_map_are_listed_and_cleared_in_little_memory_beside_it";
    assert!(measured(name) < MOST);
}

/// How much the memory grows under gigabytes of requests, most of which are rejected.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_requests_leave_the_memory_flat() {
    const GROWTH: u64 = 16 << 20;
    if std::env::var_os(MEASURED).is_some() {
        let storage = storage();
        let server = Server::start(open(&storage).with_max_body(64 * 1_024)).await;
        let piece = vec![b'k'; 64 * 1_024];
        let flood = async |head: &'static str| {
            let (mut stream, piece) = (server.connect(), piece.clone());
            let flooding = tokio::task::spawn_blocking(move || {
                use std::io::Write;
                // 20 MiB, or as much as the server accepts.
                let _refused = stream
                    .write_all(head.as_bytes())
                    .and_then(|()| (0..320).try_for_each(|_| stream.write_all(&piece)));
            });
            flooding.await.unwrap();
        };
        let round = async || {
            for _ in 0..5 {
                flood("GET /kv/").await;
                flood("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nX-Ttl: ").await;
                flood("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20971520\r\n\r\n")
                    .await;
                flood("PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n1400000\r\n").await;
            }
        };
        round().await;
        let before = test_support::peak_memory();
        for _ in 0..4 {
            round().await;
        }
        println!("measured: {}", test_support::peak_memory() - before);
        return;
    }
    let grown = measured("memory::hostile_requests_leave_the_memory_flat");
    assert!(grown < GROWTH, "{grown} bytes");
}
