//! No change is lost among requests that run at the same time in one process.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::support::Browser;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use driver_memory::MemoryDriver;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use futures_util::future::join_all;
use session_core::Error;
use session_core::session::{Session, SessionManager};
use session_tower::SessionLayer;

const REQUESTS: usize = 50;

async fn set_own_key(session: Session, Path(key): Path<String>) -> Result<(), Error> {
    session.keys().await?;
    tokio::time::sleep(Duration::from_millis(5)).await;
    session.set(&key, &true)
}

async fn increment(session: Session) -> Result<String, Error> {
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    session.save().await?;
    let n: Option<u32> = session.get("n").await?;
    Ok(n.unwrap_or(0).to_string())
}

async fn keys(session: Session) -> Result<String, Error> {
    Ok(session.keys().await?.len().to_string())
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/set/{key}", get(set_own_key))
        .route("/increment", get(increment))
        .route("/keys", get(keys))
        .layer(sessions)
}

async fn nothing_is_lost(app: &Router) {
    let mut browser = Browser::default();
    browser.get(app, "/set/first").await;
    let sets = (0..REQUESTS).map(|n| browser.send(app, format!("/set/k{n}")));
    for answer in join_all(sets).await {
        assert_eq!(answer.status, 200);
    }
    let count = browser.get(app, "/keys").await.body;
    assert_eq!(count, (REQUESTS + 1).to_string());

    let increments = (0..REQUESTS).map(|_| browser.send(app, "/increment".to_owned()));
    let answers = join_all(increments).await;
    let distinct: HashSet<_> = answers.iter().map(|answer| &answer.body).collect();
    assert_eq!(distinct.len(), REQUESTS);
    assert!(distinct.contains(&REQUESTS.to_string()));
}

/// Without conditions this holds within a process alone, whose commits queue up and read once more.
#[test_support::test(flavor = "multi_thread")]
async fn nothing_is_lost_within_a_process_over_cloudflare_kv() {
    let store = SessionManager::builder(crate::support::cloudflare_kv())
        .commit_deadline(Duration::from_secs(60))
        .build();
    nothing_is_lost(&app(SessionLayer::from_manager(store.unwrap()))).await;
}

#[test_support::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_memory() {
    let driver = Arc::new(MemoryDriver::new());
    nothing_is_lost(&app(SessionLayer::new(driver))).await;
}

#[test_support::test(flavor = "multi_thread")]
async fn nothing_is_lost_over_sqlite() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions::new(folder.path().join("sessions.db"));
    let driver = Arc::new(SqliteDriver::open(options).await.unwrap());
    nothing_is_lost(&app(SessionLayer::new(driver))).await;
}
