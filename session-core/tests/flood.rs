//! Clients that send requests of one session and disconnect at once, for ten seconds.
//!
//! It is a process of its own, since it measures the memory of the process.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::post;
use driver_memory::MemoryDriver;
use futures_util::future::join_all;
use session_core::session::{Session, SessionManager};
use session_core::{
    Bytes, Capabilities, Driver, Entry, Error, Key, ListOptions, ListPage, RemoveOptions,
    RemoveOutcome, Result, WriteOptions, WriteOutcome, async_trait,
};
use session_tower::SessionLayer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

const CLIENTS: usize = 50;
const FLOOD: Duration = Duration::from_secs(10);
/// The commit deadline and a second.
const LIMIT: Duration = Duration::from_secs(3);
const MEBIBYTE: u64 = 1024 * 1024;

/// A memory driver that is 5 ms away.
struct Distant(MemoryDriver);

impl Distant {
    async fn travel(&self) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[async_trait]
impl Driver for Distant {
    fn name(&self) -> &str {
        "distant"
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.travel().await;
        self.0.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.travel().await;
        self.0.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.travel().await;
        self.0.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.0.list(options).await
    }
}

async fn increment(session: Session) -> Result<(), Error> {
    session
        .update("n", |n: Option<u64>| n.unwrap_or(0) + 1)
        .await?;
    session.set("text", &"y".repeat(1_000))
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().await
}

/// Sends requests until the time is over, and disconnects after each without an answer.
async fn flood(address: SocketAddr, cookie: &str) {
    let request =
        format!("POST /increment HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\n\r\n");
    let started = Instant::now();
    while started.elapsed() < FLOOD {
        let Ok(mut client) = TcpStream::connect(address).await else {
            continue;
        };
        // The server may be busy: what matters is that it gets requests whose clients are gone.
        let _sent = client.write_all(request.as_bytes()).await;
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn ask(address: SocketAddr, path: &str, cookie: &str) -> String {
    let mut client = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    client.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_disconnect_at_once_cost_no_memory_and_delay_no_logout() {
    let manager = SessionManager::new(Arc::new(Distant(MemoryDriver::new())));
    let app = Router::new()
        .route("/increment", post(increment))
        .route("/logout", post(logout))
        .layer(SessionLayer::from_manager(manager.clone()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });

    let visitor = async |round: usize| {
        let session = manager.create();
        session.set("round", &round).unwrap();
        session.save().await.unwrap();
        format!(
            "{}={}",
            manager.cookie_name(),
            session.id().unwrap().expose()
        )
    };
    // The first flood lets the allocator grow to what the server needs for its connections.
    let mut memory = Vec::new();
    for round in 0..2 {
        let cookie = visitor(round).await;
        let clients = join_all((0..CLIENTS).map(|_| flood(address, &cookie)));
        let logout = async {
            tokio::time::sleep(FLOOD * 4 / 5).await;
            timeout(LIMIT, ask(address, "/logout", &cookie)).await
        };
        let (_, answer) = futures_util::future::join(clients, logout).await;
        let answer = answer.expect("a logout is answered within the commit deadline and a second");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains("Max-Age=0"), "{answer}");
        memory.push(test_support::memory());
    }
    let grown = memory[1].saturating_sub(memory[0]);
    assert!(grown < 20 * MEBIBYTE, "grew by {grown} bytes");
    manager.close(Duration::from_secs(10)).await.unwrap();
    server.abort();
}
