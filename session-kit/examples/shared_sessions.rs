//! A server of which several share their sessions, in whatever driver a TOML file names.
//!
//! `cargo run -p session-kit --all-features --example shared_sessions -- session.toml` prints the address that it
//! serves on; start it as often as you like. `/increment` counts, `/set/KEY` reads the session, waits a moment and
//! sets a key, `/keys` says how many keys there are, `/logout` destroys the session. `/slow` reads the session,
//! and sets a key only when `/slow/finish` was asked for as often; `/slow/started` answers when it has read.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::{Router, routing::get};
use session_kit::{Error, Session, SessionLayer};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

async fn increment(session: Session) -> Result<String, Error> {
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    session.save().await?;
    let n: Option<u32> = session.get("n").await?;
    Ok(n.unwrap_or(0).to_string())
}

async fn set(session: Session, Path(key): Path<String>) -> Result<(), Error> {
    session.keys().await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    session.set(&key, &true)
}

async fn keys(session: Session) -> Result<String, Error> {
    Ok(session.keys().await?.len().to_string())
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().await
}

/// What the slow requests of this server have come to, as permits that others wait for.
struct Slow {
    started: Semaphore,
    finish: Semaphore,
}

async fn slow(State(slow): State<Arc<Slow>>, session: Session) -> Result<String, Error> {
    let keys = session.keys().await?.len();
    slow.started.add_permits(1);
    pass(&slow.finish).await;
    session.set("late", &true)?;
    Ok(keys.to_string())
}

async fn pass(permits: &Semaphore) {
    if let Ok(permit) = permits.acquire().await {
        permit.forget();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let config = std::env::args().nth(1).ok_or("give the path of a TOML")?;
    let sessions = SessionLayer::from_toml(config).await?;
    let slow_requests = Arc::new(Slow {
        started: Semaphore::new(0),
        finish: Semaphore::new(0),
    });
    let started = async |State(slow): State<Arc<Slow>>| pass(&slow.started).await;
    let finish = async |State(slow): State<Arc<Slow>>| slow.finish.add_permits(1);
    let app = Router::new()
        .route("/increment", get(increment))
        .route("/set/{key}", get(set))
        .route("/keys", get(keys))
        .route("/logout", get(logout))
        .route("/slow", get(slow))
        .route("/slow/started", get(started))
        .route("/slow/finish", get(finish))
        .layer(sessions)
        .with_state(slow_requests);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
