//! A server whose sessions several processes share in one SQLite file.
//!
//! `cargo run -p session-kit --features sqlite --example shared_file -- sessions.db` prints the address that it
//! serves on; start it as often as you like. `/increment` counts, `/set/KEY` reads the session, waits a moment and
//! sets a key, `/keys` says how many keys there are.

use std::time::Duration;

use axum::extract::Path;
use axum::{Router, routing::get};
use session_kit::config::SessionConfig;
use session_kit::{Error, Session, SessionLayer};
use tokio::net::TcpListener;

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

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("give the path of a file")?;
    let config = SessionConfig::new("sqlite").with_option("path", path);
    let sessions = SessionLayer::from_config(&config).await?;
    let app = Router::new()
        .route("/increment", get(increment))
        .route("/set/{key}", get(set))
        .route("/keys", get(keys))
        .layer(sessions);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}
