//! What is gone stays gone: a slow request revives no session, and follows none through a login to its new id.

use std::sync::Arc;

use crate::support::{Answer, Browser};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use driver_memory::MemoryDriver;
use futures_util::TryStreamExt;
use futures_util::future::join;
use session_core::session::{Session, SessionId, SessionManager};
use session_core::{Driver, Error};
use session_tower::SessionLayer;
use tokio::sync::Notify;

#[derive(Default)]
struct Signals {
    has_read: Notify,
    go_on: Notify,
}

async fn slow(State(signals): State<Arc<Signals>>, session: Session) -> Result<String, Error> {
    let user: Option<String> = session.get("user").await?;
    signals.has_read.notify_one();
    signals.go_on.notified().await;
    session.set("written", "late")?;
    Ok(user.unwrap_or_default())
}

async fn login(session: Session) -> Result<(), Error> {
    session.set("user", "ann")
}

async fn regenerate(session: Session) -> Result<(), Error> {
    session.regenerate()
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().await
}

async fn show(session: Session) -> Result<String, Error> {
    Ok(format!("{:?}", session.keys().await?))
}

fn app(driver: Arc<dyn Driver>) -> (Router, Arc<Signals>, SessionManager) {
    let signals = Arc::new(Signals::default());
    let store = SessionManager::new(driver);
    let app = Router::new()
        .route("/login", get(login))
        .route("/regenerate", get(regenerate))
        .route("/logout", get(logout))
        .route("/show", get(show))
        .route("/slow", get(slow))
        .layer(SessionLayer::from_manager(store.clone()))
        .with_state(Arc::clone(&signals));
    (app, signals, store)
}

/// Sends `/slow`, and while its handler waits, `meanwhile`.
async fn overtake(app: &Router, signals: &Signals, browser: &Browser, meanwhile: &str) -> Answer {
    let mut second = browser.clone();
    let (slow, ()) = join(browser.send(app, "/slow".to_owned()), async {
        signals.has_read.notified().await;
        second.get(app, meanwhile).await;
        signals.go_on.notify_one();
    })
    .await;
    slow
}

async fn a_logout_is_not_undone(driver: Arc<dyn Driver>) {
    let (app, signals, store) = app(driver);
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let id: SessionId = browser.id().parse().unwrap();

    let slow = overtake(&app, &signals, &browser, "/logout").await;
    assert_eq!((slow.status.as_u16(), slow.body.as_str()), (200, "ann"));
    assert!(slow.cookie.is_none());
    assert!(store.open(id).await.unwrap().is_none());
    assert_eq!(browser.get(&app, "/show").await.body, "[]");
}

#[test_support::test]
async fn a_request_that_ends_after_the_logout_does_not_revive_the_session() {
    a_logout_is_not_undone(Arc::new(MemoryDriver::new())).await;
}

async fn a_regenerate_is_not_undone(driver: Arc<dyn Driver>) {
    let (app, signals, store) = app(driver);
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let old: SessionId = browser.id().parse().unwrap();

    let slow = overtake(&app, &signals, &browser, "/regenerate").await;
    assert!(slow.cookie.is_none());
    assert!(store.open(old).await.unwrap().is_none());
    // What still carries the old id sees nothing, and changes nothing.
    let late = browser.get(&app, "/show").await;
    assert_eq!((late.body.as_str(), late.cookie), ("[]", None));
    let late = browser.get(&app, "/login").await;
    assert_eq!(late.cookie, None);
    // But a logout ends what the session became.
    let new: SessionId = id_other_than(&store, old).await;
    assert_eq!(
        browser.get(&app, "/logout").await.cookie.as_deref(),
        Some("")
    );
    assert!(store.open(new).await.unwrap().is_none());
}

/// The id that is not `old`, of the two that are stored.
async fn id_other_than(store: &SessionManager, old: SessionId) -> SessionId {
    let ids: Vec<SessionId> = store.ids().try_collect().await.unwrap();
    let mut others = ids.into_iter().filter(|id| *id != old);
    others.next().unwrap()
}

#[test_support::test]
async fn a_request_that_ends_after_a_regenerate_neither_follows_nor_throws_out() {
    a_regenerate_is_not_undone(Arc::new(MemoryDriver::new())).await;
}

/// Without conditions this holds within a process alone, whose commits queue up and read once more.
#[test_support::test]
async fn gone_stays_gone_within_a_process_over_cloudflare_kv() {
    let driver = crate::support::cloudflare_kv();
    a_logout_is_not_undone(Arc::clone(&driver)).await;
    a_regenerate_is_not_undone(driver).await;
}

#[test_support::test]
async fn a_regenerate_keeps_what_the_session_held_under_a_new_id() {
    let (app, _, store) = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let old = browser.id().to_owned();
    browser.get(&app, "/regenerate").await;
    assert_ne!(browser.id(), old);
    assert_eq!(browser.get(&app, "/show").await.body, r#"["user"]"#);
    assert!(store.open(old.parse().unwrap()).await.unwrap().is_none());
}

#[test_support::test]
async fn a_logout_takes_the_cookie_and_the_record() {
    let (app, _, store) = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    browser.get(&app, "/login").await;
    let id: SessionId = browser.id().parse().unwrap();
    let answer = browser.get(&app, "/logout").await;
    assert_eq!(answer.cookie.as_deref(), Some(""));
    assert_eq!(answer.headers["cache-control"], "private");
    assert!(store.open(id).await.unwrap().is_none());
}

#[test_support::test]
async fn an_id_that_no_record_has_is_never_adopted() {
    let (app, _, store) = app(Arc::new(MemoryDriver::new()));
    let planted = "11111111-1111-4111-8111-111111111111";
    let mut browser = Browser {
        cookie: format!("astro-session={planted}"),
    };
    assert!(browser.get(&app, "/show").await.cookie.is_none());
    browser.get(&app, "/login").await;
    assert_ne!(browser.id(), planted);
    assert!(
        store
            .open(planted.parse().unwrap())
            .await
            .unwrap()
            .is_none()
    );
}
