//! Counts a visitor's visits, in whatever driver `session.toml` names.
//!
//! `cargo run -p session-kit --all-features --example visits` reads `session.toml` in the current folder and serves on
//! 127.0.0.1:3000, or on the address that it is given.

use axum::{Router, routing::get};
use session_kit::{Error, Session, SessionLayer};

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(format!("visit number {n}"))
}

async fn app() -> Result<Router, Error> {
    let sessions = SessionLayer::from_toml("session.toml").await?;
    Ok(Router::new().route("/", get(visits)).layer(sessions))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address = std::env::args().nth(1);
    let address = address.as_deref().unwrap_or("127.0.0.1:3000");
    let listener = tokio::net::TcpListener::bind(address).await?;
    println!("http://{}", listener.local_addr()?);
    axum::serve(listener, app().await?).await?;
    Ok(())
}
