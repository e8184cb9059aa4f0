use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use session_core::{Driver, Error, Key, ListOptions, Prefix, RemoveOptions, Write, WriteOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// By how much a call may outlast its timeout.
const TOLERANCE: Duration = Duration::from_secs(1);

/// What is sent in response to whatever arrives on a connection.
#[derive(Clone, Copy, Debug)]
enum Answer {
    /// First the head, then the part over and over, as fast as it is read.
    Flood(&'static str, &'static str),
    /// The same, a byte every few milliseconds.
    Drip(&'static str, &'static str),
}

const OK: &str = "HTTP/1.1 200 OK\r\n\r\n";

const HOSTILE: [Answer; 18] = [
    Answer::Flood(
        "HTTP/1.1 200 OK\r\ncontent-length: 9223372036854775807\r\n\r\n",
        "x",
    ),
    Answer::Flood("HTTP/1.1 200 OK\r\ncontent-length: 60000000\r\n\r\n", "x"),
    Answer::Flood(
        "HTTP/1.1 200 OK\r\ncontent-length: 60000000\r\n\r\n[",
        "[],",
    ),
    Answer::Flood(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "3\r\n\"\",\r\n",
    ),
    Answer::Flood(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "7fffffffffffffff\r\n",
    ),
    Answer::Flood("HTTP/1.1 500 No\r\n\r\n", "x"),
    Answer::Flood("HTTP/1.1 404 No\r\n\r\n", "KV value not found"),
    Answer::Flood("HTTP/1.1 400 No\r\n\r\n{\"error\":\"", "ERR "),
    Answer::Flood(OK, "["),
    Answer::Flood(OK, "{\"result\":"),
    Answer::Flood("HTTP/1.1 200 OK\r\nx: ", "x"),
    Answer::Flood("", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nOK"),
    Answer::Flood("", "\0\u{7f}"),
    Answer::Flood("", "+OK\r\n"),
    Answer::Drip("HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n", "["),
    Answer::Drip(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
        "1\r\nx\r\n",
    ),
    Answer::Drip("HTTP/1.1 200 OK\r\nx: ", "x"),
    Answer::Drip("", "HTTP/1.1 100 Continue\r\n\r\n"),
];

/// Opens a driver with `open`, which gets the URL of a server that responds as no server should, and calls its methods.
///
/// Each call must end within `timeout` and a second more.
pub async fn hostile_http<D, Opening>(timeout: Duration, open: impl FnOnce(String) -> Opening)
where
    D: Driver,
    Opening: Future<Output = D>,
{
    let (sender, port) = std::sync::mpsc::channel();
    let answer = Arc::new(Mutex::new(Answer::Flood("", "")));
    let current = Arc::clone(&answer);
    // On a thread of its own, so that only the driver is timed.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            sender.send(listener.local_addr().unwrap().port()).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = *current.lock();
                tokio::spawn(respond(stream, answer));
            }
        });
    });
    let driver = open(format!("http://127.0.0.1:{}", port.recv().unwrap())).await;
    for hostile in HOSTILE {
        crate::step(format!("{hostile:?}"));
        *answer.lock() = hostile;
        call_all(&driver, timeout, hostile).await;
    }
    let started = Instant::now();
    let _error = driver.close().await;
    assert!(started.elapsed() < timeout + TOLERANCE);
}

async fn respond(mut stream: TcpStream, answer: Answer) {
    let mut request = vec![0; 64 * 1024];
    let Ok(1..) = stream.read(&mut request).await else {
        return;
    };
    match answer {
        Answer::Flood(head, part) => {
            let part = part.repeat((16 * 1024 / part.len().max(1)).max(1));
            let mut written = stream.write_all(head.as_bytes()).await;
            while written.is_ok() && !part.is_empty() {
                written = stream.write_all(part.as_bytes()).await;
            }
        }
        Answer::Drip(head, part) => {
            let mut written = stream.write_all(head.as_bytes()).await;
            let mut bytes = part.as_bytes().iter().cycle();
            while let (Ok(()), Some(byte)) = (&written, bytes.next()) {
                tokio::time::sleep(Duration::from_millis(5)).await;
                written = stream.write_all(&[*byte]).await;
            }
        }
    }
}

async fn call_all(driver: &dyn Driver, timeout: Duration, hostile: Answer) {
    let key = Key::new("k").unwrap();
    let write = || Write::new(key.clone(), "value");
    macro_rules! calls {
        ($($name:literal: $call:expr,)*) => {$(
            let started = Instant::now();
            let result: Result<(), Error> = $call;
            let took = started.elapsed();
            assert!(took < timeout + TOLERANCE, "{hostile:?}: {} took {took:?}: {result:?}", $name);
        )*};
    }
    calls! {
        "read": driver.read(&key).await.map(drop),
        "exists": driver.exists(&key).await.map(drop),
        "metadata": driver.metadata(&key).await.map(drop),
        "list": driver.list(ListOptions::default()).await.map(drop),
        "write": driver.write(&key, "value".into(), WriteOptions::default()).await.map(drop),
        "remove": driver.remove(&key, RemoveOptions::default()).await.map(drop),
        "read_many": driver.read_many(std::slice::from_ref(&key)).await.map(drop),
        "write_many": driver.write_many(vec![write()]).await.into_iter().try_for_each(|written| written.map(drop)),
        "remove_many": driver.remove_many(std::slice::from_ref(&key)).await,
        "clear": driver.clear(&Prefix::new("p").unwrap()).await,
    }
}
