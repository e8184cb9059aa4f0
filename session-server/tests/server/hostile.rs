//! Hostile requests over a socket: each gets a clear response, or the connection is closed.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};

use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::TryStreamExt;
use session_core::Key;
use session_server::StorageService;
use session_storage::Storage;

use crate::client::{open, storage};
use crate::serving::Server;

/// The status of a response.
fn status(answer: &str) -> u16 {
    let status = answer.split(' ').nth(1);
    status
        .unwrap_or_else(|| panic!("no status in {answer:?}"))
        .parse()
        .unwrap()
}

fn request(method: &str, path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

async fn names(storage: &Storage) -> Vec<String> {
    let keys: Vec<Key> = storage.keys("").try_collect().await.unwrap();
    let mut names: Vec<String> = keys.iter().map(|key| key.as_str().to_owned()).collect();
    names.sort();
    names
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_path_escapes_the_base() {
    let storage = storage();
    storage.set("secret", "s").await.unwrap();
    storage.set("public-not", "s").await.unwrap();
    let server = Server::start(open(&storage.prefix("public").unwrap())).await;
    for path in [
        "/kv/../secret",
        "/kv/..%2Fsecret",
        "/kv/%2e%2e/secret",
        "/kv/..%5csecret",
        "/kv/..:secret",
        "/kv/:secret",
        "/kv//secret",
        "/kv/-not",
        "/kv/%3Asecret",
        "/kv/./secret",
        "/kv/x/../../secret",
    ] {
        let answer = server.exchange(request("GET", path, "")).await;
        assert_eq!(status(&answer), 404, "{path}");
        let answer = server.exchange(request("PUT", path, "x")).await;
        assert_eq!(status(&answer), 200, "{path}");
        let answer = server.exchange(request("DELETE", path, "")).await;
        assert_eq!(status(&answer), 200, "{path}");
    }
    for path in ["/kv/..:", "/kv/../", "/kv/..%2f/"] {
        for method in ["DELETE", "GET"] {
            let answer = server.exchange(request(method, path, "")).await;
            assert_eq!(status(&answer), 400, "{method} {path}");
        }
    }
    for path in ["/kv/", "/kv/-not/", "/kv//"] {
        let answer = server.exchange(request("DELETE", path, "")).await;
        assert_eq!(status(&answer), 200, "{path}");
        let answer = server.exchange(request("GET", path, "")).await;
        assert!(answer.ends_with("[]"), "{path}: {answer}");
    }
    assert_eq!(names(&storage).await, ["public-not", "secret"]);
    // Outside of the path of the service.
    for path in ["/secret", "/", "/kvsecret"] {
        let answer = server.exchange(request("GET", path, "")).await;
        assert_eq!(status(&answer), 404, "{path}");
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn invalid_keys_are_rejected() {
    let storage = storage();
    let server = Server::start(open(&storage)).await;
    for path in [
        "/kv/a%3Fb",
        "/kv/%ff%fe",
        "/kv/a%2F",
        "/kv/%2F",
        "/kv/%c0%af",
    ] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let answer = server.exchange(request(method, path, "")).await;
            assert_eq!(status(&answer), 400, "{method} {path}");
        }
    }
    let answer = server.exchange(request("GET", "/kv/a\0b", "")).await;
    assert_eq!(status(&answer), 400);
    assert!(names(&storage).await.is_empty());
}

/// NUL terminates strings in C, but not keys.
#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn nul_is_a_character_of_a_key_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("test.db"));
    let sqlite = Storage::new(Arc::new(SqliteDriver::open(options).await.unwrap()));
    for storage in [storage(), sqlite] {
        storage.set("a", "short").await.unwrap();
        let server = Server::start(open(&storage)).await;
        let answer = server.exchange(request("PUT", "/kv/a%00b", "v")).await;
        assert_eq!(status(&answer), 200);
        assert_eq!(names(&storage).await, ["a", "a\0b"]);
        let answer = server.exchange(request("DELETE", "/kv/a%00/", "")).await;
        assert_eq!(status(&answer), 200);
        let answer = server.exchange(request("GET", "/kv/", "")).await;
        assert!(answer.contains("a\\u0000b"), "{answer}");
        let answer = server.exchange(request("DELETE", "/kv/a%00b", "")).await;
        assert_eq!(status(&answer), 200);
        assert_eq!(storage.get::<String>("a").await.unwrap().unwrap(), "short");
        assert_eq!(names(&storage).await, ["a"]);
        storage.close().await.unwrap();
    }
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_are_too_long_are_rejected_whatever_their_length() {
    let storage = storage();
    let server = Server::start(open(&storage)).await;
    let longest = "k".repeat(session_server::DEFAULT_MAX_KEY);
    let answer = server
        .exchange(request("PUT", &format!("/kv/{longest}"), "v"))
        .await;
    assert_eq!(status(&answer), 200);
    for length in [session_server::DEFAULT_MAX_KEY + 8, 60_000] {
        let path = format!("/kv/{}", "k".repeat(length));
        let answer = server.exchange(request("PUT", &path, "v")).await;
        assert_eq!(status(&answer), 414, "{length}");
    }
    // A head that is far too long is rejected before it is read. Unread data may cut off the response.
    let path = format!("/kv/{}", "k".repeat(10 << 20));
    let answer = server.exchange(request("PUT", &path, "v")).await;
    assert!(
        answer.is_empty() || [414, 431].contains(&status(&answer)),
        "{answer}"
    );
    assert_eq!(names(&storage).await.len(), 1);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_methods_are_rejected() {
    let storage = storage();
    storage.set("k", "v").await.unwrap();
    let server = Server::start(open(&storage)).await;
    for method in ["POST", "OPTIONS", "TRACE", "LINK", "BREW", "G"] {
        let answer = server.exchange(request(method, "/kv/k", "x")).await;
        assert_eq!(status(&answer), 405, "{method}");
        assert!(
            answer
                .to_ascii_lowercase()
                .contains("allow: get, head, put, patch, delete"),
            "{answer}"
        );
    }
    assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), "v");
}

fn with_limits(storage: &Storage) -> StorageService {
    open(storage)
        .with_max_body(1_000)
        .with_body_timeout(Duration::from_millis(300))
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_too_large_are_rejected_declared_or_not() {
    let storage = storage();
    let server = Server::start(with_limits(&storage)).await;
    let fitting = "x".repeat(1_000);
    assert_eq!(
        status(&server.exchange(request("PUT", "/kv/k", &fitting)).await),
        200
    );
    let large = "y".repeat(1_001);
    assert_eq!(
        status(&server.exchange(request("PUT", "/kv/k", &large)).await),
        413
    );
    // The response arrives although no byte of the body was sent.
    let head = "PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 99999999999\r\n\r\n";
    assert_eq!(status(&server.exchange(head.into()).await), 413);
    let chunks = "3e9\r\n".to_owned() + &large + "\r\n0\r\n\r\n";
    let head = "PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(
        status(&server.exchange((head.to_owned() + &chunks).into()).await),
        413
    );
    assert_eq!(storage.get_raw("k").await.unwrap().unwrap(), fitting);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_and_incomplete_bodies_store_nothing() {
    let storage = storage();
    let server = Server::start(with_limits(&storage)).await;
    let head = b"PUT /kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n";
    let mut stream = server.connect();
    let answer = tokio::task::spawn_blocking(move || {
        let begun = Instant::now();
        stream.write_all(head).unwrap();
        let mut slow = stream.try_clone().unwrap();
        let dripping = std::thread::spawn(move || {
            while slow.write_all(b"x").is_ok() && begun.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answer = vec![0; 12];
        stream.read_exact(&mut answer).unwrap();
        let took = begun.elapsed();
        drop(stream);
        dripping.join().unwrap();
        assert!(took < Duration::from_secs(15), "{took:?}");
        String::from_utf8(answer).unwrap()
    });
    assert_eq!(status(&answer.await.unwrap()), 408);

    let mut stream = server.connect();
    tokio::task::spawn_blocking(move || {
        stream.write_all(head).unwrap();
        stream.write_all(b"half").unwrap();
    })
    .await
    .unwrap();
    // The server still works.
    let answer = server.exchange(request("PUT", "/kv/other", "v")).await;
    assert_eq!(status(&answer), 200);
    assert_eq!(names(&storage).await, ["other"]);
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_disconnects_during_a_huge_listing_blocks_nothing() {
    let storage = storage();
    let items = (0..50_000).map(|number| (format!("a-rather-long-name:{number:08}"), 1));
    for result in storage.set_many(items).await {
        result.unwrap();
    }
    let server = Server::start(open(&storage)).await;
    for _ in 0..20 {
        let mut stream = server.connect();
        tokio::task::spawn_blocking(move || {
            stream.write_all(&request("GET", "/kv/", "")).unwrap();
            let mut first = [0; 100];
            stream.read_exact(&mut first).unwrap();
        })
        .await
        .unwrap();
    }
    let answer = server.exchange(request("GET", "/kv/", "")).await;
    assert_eq!(answer.matches("a-rather-long-name/").count(), 50_000);
}
