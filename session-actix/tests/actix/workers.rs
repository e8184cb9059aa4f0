//! The real server, whose workers are threads with a runtime each.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_web::{App, HttpServer, web};
use driver_memory::MemoryDriver;
use session_actix::{Error, Session, SessionMiddleware};
use session_tests::Probe;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn visits(session: Session) -> Result<String, Error> {
    // A session is `Send`: it may go to another thread and come back.
    let on_another_thread = tokio::task::spawn(async move {
        let n = session
            .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
            .await?;
        session.save().await?;
        Ok::<_, Error>(n)
    });
    Ok(on_another_thread.await.unwrap()?.to_string())
}

fn serve(sessions: SessionMiddleware) -> (SocketAddr, actix_web::dev::Server) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let app = move || {
        App::new()
            .route("/", web::get().to(visits))
            .route("/set", web::get().to(set))
            .wrap(sessions.clone())
    };
    let server = HttpServer::new(app)
        .workers(2)
        .disable_signals()
        .listen(listener)
        .unwrap();
    (address, server.run())
}

async fn set(session: Session) -> Result<&'static str, Error> {
    session.set("name", "Ann")?;
    Ok("set")
}

async fn begin(address: SocketAddr, path: &str, cookie: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\ncookie: {cookie}\r\nconnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn get(address: SocketAddr, path: &str, cookie: &str) -> String {
    let mut answer = String::new();
    let mut stream = begin(address, path, cookie).await;
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn cookie_in(answer: &str) -> String {
    let (_, rest) = answer.split_once("set-cookie: ").unwrap();
    rest.split(';').next().unwrap().to_owned()
}

#[test_support::test(runtime = "actix")]
async fn requests_to_all_workers_at_the_same_time_lose_nothing() {
    const VISITS: usize = 40;
    let sessions = SessionMiddleware::new(Arc::new(MemoryDriver::new()));
    let (address, server) = serve(sessions.clone());
    let handle = server.handle();
    let running = tokio::spawn(server);
    let cookie = cookie_in(&get(address, "/", "").await);
    let visits = (1..VISITS).map(|_| get(address, "/", &cookie));
    for answer in futures_util::future::join_all(visits).await {
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    let last = get(address, "/", &cookie).await;
    assert!(last.ends_with(&format!("\r\n{}", VISITS + 1)), "{last}");
    handle.stop(true).await;
    running.await.unwrap().unwrap();
    sessions
        .close(std::time::Duration::from_secs(10))
        .await
        .unwrap();
}

#[test_support::test(runtime = "actix")]
async fn a_commit_outlives_its_client_and_the_worker_that_began_it() {
    let probe = Probe::new();
    let sessions = SessionMiddleware::new(probe.clone());
    let (address, server) = serve(sessions.clone());
    let handle = server.handle();
    let running = tokio::spawn(server);

    let permits = probe.writes.available_permits();
    probe.writes.forget_permits(permits);
    let stream = begin(address, "/set", "").await;
    while probe.writes_begun.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    drop(stream);
    // Not gracefully: the worker's own tasks end with it.
    handle.stop(false).await;
    running.await.unwrap().unwrap();
    assert_eq!(probe.writes_done.load(Ordering::SeqCst), 0);

    let mut closing = std::pin::pin!(sessions.close(std::time::Duration::from_secs(10)));
    assert!(futures_util::poll!(&mut closing).is_pending());
    probe.writes.add_permits(10);
    closing.await.unwrap();
    assert_eq!(probe.writes_done.load(Ordering::SeqCst), 1);
}
