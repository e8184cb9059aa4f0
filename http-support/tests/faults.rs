//! Faults between a client and a server: the kind and outcome of each error, what is retried, and that nothing hangs, uses
//! too much memory or leaks a secret.

// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};

use http_support::{
    ClientOptions, HeaderMap, HttpClient, Method, Response, StatusCode, header, secret_header,
};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Idempotency, Outcome, Result, RetryPolicy};
use test_support::{HttpFault, HttpProxy, Peer, free_port, peak_memory};

const TOKEN: &str = "t0ken-that-nobody-may-see";

/// A file server behind a proxy.
struct Server {
    proxy: HttpProxy,
    _peer: Peer,
}

impl Server {
    fn start() -> Self {
        let port = free_port();
        Self {
            proxy: HttpProxy::start(&format!("http://127.0.0.1:{port}")),
            _peer: Self::peer(port),
        }
    }

    fn peer(port: u16) -> Peer {
        let mut python = Command::new("python3");
        python.args(["-m", "http.server", "--bind", "127.0.0.1"]);
        python.arg(port.to_string());
        let peer = Peer::start(python);
        std::fs::write(peer.folder().join("book"), "once upon a time").unwrap();
        peer.wait_for_port(port);
        peer
    }

    fn client(&self) -> HttpClient {
        self.client_with(|_| {})
    }

    fn client_with(&self, change: impl FnOnce(&mut ClientOptions)) -> HttpClient {
        client(self.proxy.url(), change)
    }
}

fn client(url: &str, change: impl FnOnce(&mut ClientOptions)) -> HttpClient {
    let token = secret_header("token", "Bearer ", &TOKEN.into()).unwrap();
    let mut options = ClientOptions::new(url);
    options.headers = HeaderMap::from_iter([(header::AUTHORIZATION, token)]);
    options.retry.min_delay = Duration::from_millis(1);
    options.max_response = 1024 * 1024;
    change(&mut options);
    HttpClient::new(options).unwrap()
}

fn deadline() -> tokio::time::Instant {
    tokio::time::Instant::now() + DEFAULT_TIMEOUT
}

async fn read_as(client: &HttpClient, repeat: Idempotency) -> Result<Response> {
    let request = || client.request(Method::GET, "/book");
    let read = |response: Response| match response.status() {
        StatusCode::OK => Ok(response),
        _ => Err(response.error()),
    };
    client.call(deadline(), repeat, request, read).await
}

async fn read(client: &HttpClient) -> Result<Response> {
    read_as(client, Idempotency::Idempotent).await
}

fn assert_error(error: &Error, kind: ErrorKind, outcome: Outcome) {
    assert_eq!((error.kind(), error.outcome()), (kind, outcome), "{error}");
    let shown = format!("{error} {error:?}");
    assert!(!shown.contains(TOKEN), "{shown}");
    assert!(!shown.contains("book"), "{shown}");
}

#[test_support::test]
async fn a_response_comes_through() {
    let server = Server::start();
    let client = server.client();
    let response = read(&client).await.unwrap();
    assert_eq!(response.body(), "once upon a time");
    assert_eq!(response.header("content-length"), Some("16"));
    let [seen] = &server.proxy.seen()[..] else {
        panic!("one request was expected");
    };
    assert_eq!(
        seen.headers.get("authorization").unwrap(),
        &format!("Bearer {TOKEN}")
    );
    assert!(!seen.headers.contains_key("accept-encoding"));
    let missing = client.request(Method::GET, "/none");
    assert_eq!(
        client.send(missing, deadline()).await.unwrap().status(),
        StatusCode::NOT_FOUND
    );
    assert!(!format!("{client:?} {response:?}").contains(TOKEN));
}

#[test_support::test]
async fn statuses_have_the_kinds_and_outcomes_that_they_mean() {
    use ErrorKind::*;
    use Outcome::*;
    let server = Server::start();
    let client = server.client_with(|options| options.retry = RetryPolicy::never());
    for (status, kind, outcome) in [
        (301, Backend, Unknown),
        (400, Backend, NotApplied),
        (401, Unauthorized, NotApplied),
        (403, Unauthorized, NotApplied),
        (404, Backend, NotApplied),
        (405, Backend, NotApplied),
        (408, TimedOut, Unknown),
        (409, Backend, NotApplied),
        (413, TooLarge, NotApplied),
        (414, TooLarge, NotApplied),
        (429, RateLimited, NotApplied),
        (431, TooLarge, NotApplied),
        (500, Unavailable, Unknown),
        (501, Backend, NotApplied),
        (502, Unavailable, Unknown),
        (503, Unavailable, Unknown),
        (504, TimedOut, Unknown),
        (507, TooLarge, NotApplied),
        (599, Unavailable, Unknown),
    ] {
        server.proxy.next(HttpFault::status(status));
        let error = read(&client).await.unwrap_err();
        assert_error(&error, kind, outcome);
        assert!(error.to_string().contains(&status.to_string()), "{error}");
        assert!(!error.to_string().contains("the proxy says so"), "{error}");
    }
}

#[test_support::test]
async fn a_transient_failure_is_retried_where_that_is_safe() {
    let server = Server::start();
    let client = server.client_with(|options| options.timeout = Duration::from_secs(2));
    for fault in [
        HttpFault::Cut,
        HttpFault::LostAnswer,
        HttpFault::Truncated,
        HttpFault::Hang,
        HttpFault::HungAnswer,
        HttpFault::status(500),
        HttpFault::status(503),
        HttpFault::rate_limited(0),
    ] {
        server.proxy.clear();
        server.proxy.next(fault.clone());
        let response = read(&client).await.unwrap();
        assert_eq!(response.body(), "once upon a time", "{fault:?}");
        assert_eq!(server.proxy.count(), 2, "{fault:?}");
    }
}

#[test_support::test]
async fn a_conditional_request_that_may_have_been_applied_is_not_retried() {
    let server = Server::start();
    let client = server.client_with(|options| options.timeout = Duration::from_millis(500));
    for (fault, kind) in [
        (HttpFault::Cut, ErrorKind::Unavailable),
        (HttpFault::LostAnswer, ErrorKind::Unavailable),
        (HttpFault::Truncated, ErrorKind::Unavailable),
        (HttpFault::Hang, ErrorKind::TimedOut),
        (HttpFault::HungAnswer, ErrorKind::TimedOut),
        (HttpFault::status(500), ErrorKind::Unavailable),
        (HttpFault::status(503), ErrorKind::Unavailable),
    ] {
        // Also on a connection that was used before, and which therefore might be closed already.
        read(&client).await.unwrap();
        server.proxy.clear();
        server.proxy.next(fault.clone());
        let error = read_as(&client, Idempotency::NonIdempotent)
            .await
            .unwrap_err();
        assert_error(&error, kind, Outcome::Unknown);
        assert_eq!(server.proxy.count(), 1, "{fault:?}");
    }
    server.proxy.clear();
    server.proxy.next(HttpFault::rate_limited(0));
    read_as(&client, Idempotency::NonIdempotent).await.unwrap();
    assert_eq!(server.proxy.count(), 2);
}

#[test_support::test]
async fn a_server_that_is_not_running_has_applied_nothing() {
    let client = client(&format!("http://127.0.0.1:{}", free_port()), |options| {
        options.retry.attempts = 2;
    });
    let error = read_as(&client, Idempotency::NonIdempotent)
        .await
        .unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, Outcome::NotApplied);
}

#[test_support::test]
async fn a_server_that_accepts_no_connection_has_applied_nothing() {
    // A listener whose queue is full: connecting takes for ever.
    let listener = tokio::net::TcpSocket::new_v4().unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut queue = Vec::new();
    while let Ok(Ok(waiting)) = tokio::time::timeout(
        Duration::from_millis(200),
        tokio::net::TcpStream::connect(address),
    )
    .await
    {
        queue.push(waiting);
    }
    let client = client(&format!("http://{address}"), |options| {
        options.timeout = Duration::from_secs(1);
        options.retry = RetryPolicy::never();
    });
    let error = read(&client).await.unwrap_err();
    assert_error(&error, ErrorKind::Unavailable, Outcome::NotApplied);
}

#[test_support::test]
async fn a_wait_that_the_server_asks_for_is_respected_up_to_a_limit() {
    let server = Server::start();
    let client = server.client();
    server.proxy.next(HttpFault::rate_limited(1));
    let started = Instant::now();
    read(&client).await.unwrap();
    assert!(started.elapsed() >= Duration::from_secs(1));

    server.proxy.clear();
    server.proxy.next(HttpFault::rate_limited(3_600));
    let error = read(&client).await.unwrap_err();
    assert_error(&error, ErrorKind::RateLimited, Outcome::NotApplied);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3_600)));
    assert_eq!(server.proxy.count(), 1);
}

#[test_support::test]
async fn an_oversized_response_is_refused_and_not_buffered() {
    let server = Server::start();
    let client = server.client();
    for (fault, kind) in [
        (HttpFault::huge(1 << 30), ErrorKind::TooLarge),
        (HttpFault::endless(), ErrorKind::TooLarge),
        (HttpFault::gzip_bomb(), ErrorKind::Backend),
    ] {
        server.proxy.next(fault);
        let before = peak_memory();
        let error = read(&client).await.unwrap_err();
        assert_error(&error, kind, Outcome::Unknown);
        // The client and the proxy are one process here.
        assert!(peak_memory() - before < 32 << 20);
    }
    // Exactly as long as may be.
    let longest = 1024 * 1024;
    server.proxy.next(HttpFault::huge(longest));
    let response = read(&client).await.unwrap();
    assert_eq!(response.into_body().len() as u64, longest);
    server.proxy.next(HttpFault::huge(longest + 1));
    assert_error(
        &read(&client).await.unwrap_err(),
        ErrorKind::TooLarge,
        Outcome::Unknown,
    );
}

#[test_support::test]
async fn a_token_does_not_follow_a_redirect() {
    let server = Server::start();
    let elsewhere = HttpProxy::start("http://127.0.0.1:1");
    server
        .proxy
        .next(HttpFault::redirect(&format!("{}/book", elsewhere.url())));
    let error = read(&server.client()).await.unwrap_err();
    assert_error(&error, ErrorKind::Backend, Outcome::Unknown);
    assert_eq!(elsewhere.count(), 0);
}

#[test_support::test]
async fn a_response_that_is_not_json_is_an_error_that_does_not_quote_it() {
    let server = Server::start();
    let client = server.client();
    for fault in [
        HttpFault::garbage_json(),
        HttpFault::html(),
        HttpFault::answer(200, &[], ""),
        HttpFault::answer(200, &[], r#"{"secret-key": "secret-value"}"#),
    ] {
        server.proxy.next(fault);
        let response = read(&client).await.unwrap();
        let error = response.json::<Vec<String>>().unwrap_err();
        assert_error(&error, ErrorKind::Backend, Outcome::Unknown);
        assert!(!format!("{error:?}").contains("secret"), "{error:?}");
    }
}

#[test_support::test]
async fn a_restarted_server_is_used_again() {
    let port = free_port();
    let peer = Server::peer(port);
    let client = client(&format!("http://127.0.0.1:{port}"), |options| {
        options.retry = RetryPolicy::never();
    });
    read(&client).await.unwrap();
    peer.kill();
    let error = read(&client).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let _peer = Server::peer(port);
    read(&client).await.unwrap();
}
