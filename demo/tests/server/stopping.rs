//! Graceful shutdown with SIGTERM and Ctrl-C.

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::browser::{Browser, COOKIE};
use crate::program::{Server, Site};

const FORM: &str = "product=teapot";

/// Starts a request that adds a teapot to the cart. Its handler waits for the form.
async fn begin(server: &Server, browser: &Browser) -> TcpStream {
    let head = format!(
        "POST /cart/add HTTP/1.1\r\nHost: {}\r\nCookie: {COOKIE}={}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nExpect: 100-continue\r\n\r\n",
        server.address(),
        browser.id().unwrap(),
        FORM.len(),
    );
    let mut connection = TcpStream::connect(server.address()).await.unwrap();
    connection.write_all(head.as_bytes()).await.unwrap();
    // The server requests the body when the handler reads it.
    let mut interim = [0; 25];
    connection.read_exact(&mut interim).await.unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");
    connection
}

#[test_support::test]
async fn a_running_request_finishes_during_shutdown_and_is_saved() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.visit(&server).await;

    let mut connection = begin(&server, &browser).await;
    server.signal(Signal::TERM);
    while TcpStream::connect(server.address()).await.is_ok() {
        tokio::task::yield_now().await;
    }

    connection.write_all(FORM.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 303 See Other\r\n"), "{answer}");
    assert!(server.wait().await.status.success());

    let server = site.serve().await;
    assert_eq!(browser.items(&server).await, 1);
}

#[test_support::test]
async fn a_request_that_hangs_does_not_block_shutdown() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.visit(&server).await;
    let connection = begin(&server, &browser).await;

    let exit = server.stop().await;
    assert!(exit.status.success(), "{}", exit.output);
    assert!(exit.output.contains("cut off"), "{}", exit.output);
    drop(connection);
}

#[test_support::test]
async fn ctrl_c_exits_with_success() {
    let site = Site::sqlite();
    let server = site.serve().await;
    // An idle keep-alive connection must not block shutdown.
    let browser = Browser::new();
    browser.visit(&server).await;
    server.signal(Signal::INT);
    let exit = server.wait().await;
    assert!(exit.status.success(), "{}", exit.output);
}
