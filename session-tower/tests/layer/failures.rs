//! The responses to requests whose session could not be read or written.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use driver_memory::MemoryDriver;
use http::header::{CACHE_CONTROL, RETRY_AFTER};
use http::{Method, Request, StatusCode};
use session_core::session::{OnLostChange, SessionManager};
use session_core::{Driver, Error, ErrorKind, Outcome};
use session_tests::Probe;
use session_tower::{CommitError, ResponseError, Session, SessionLayer};
use tower::ServiceExt;

use crate::support::{Answer, Browser, send};

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(n.to_string())
}

async fn set(session: Session) -> Result<&'static str, Error> {
    session.set("visits", &7_u32)?;
    Ok("set")
}

async fn login(session: Session) -> Result<&'static str, Error> {
    session.regenerate()?;
    session.set("user", "ann")?;
    Ok("welcome")
}

/// Changes its session although somebody has destroyed it in the meantime.
async fn beside_a_logout(session: Session) -> Result<&'static str, Error> {
    session.get::<u32>("visits").await?;
    if let Some(id) = session.id() {
        session.manager().destroy(id).await?;
    }
    session.set("visits", &8_u32)?;
    Ok("done")
}

fn app(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/", get(visits))
        .route("/set", get(set))
        .route("/login", get(login))
        .route("/gone", get(beside_a_logout).post(beside_a_logout))
        .layer(sessions)
}

/// The response is empty and is not cached. It has no cookie, and a Retry-After only if `again`.
fn check_failure(answer: &Answer, status: StatusCode, again: bool) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.body, "");
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.headers);
    assert_eq!(answer.headers[CACHE_CONTROL], "no-store");
    let retry_after = answer.headers.get(RETRY_AFTER);
    assert_eq!(retry_after.is_some(), again, "{:?}", answer.headers);
}

#[test_support::test]
async fn a_commit_that_was_certainly_not_applied_is_a_503_with_retry_after() {
    let probe = Probe::new();
    let app = app(SessionLayer::new(probe.clone()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let before = probe.stored(&browser.key()).await;

    probe.fail("write", Outcome::NotApplied);
    for uri in ["/", "/set", "/login"] {
        let answer = browser.get(&app, uri).await;
        check_failure(&answer, StatusCode::SERVICE_UNAVAILABLE, true);
        assert_eq!(answer.headers[RETRY_AFTER], "1");
        let answer = Browser::default().get(&app, uri).await;
        check_failure(&answer, StatusCode::SERVICE_UNAVAILABLE, true);
    }
    let response = app.clone().oneshot(browser.request("/")).await.unwrap();
    let CommitError(error) = response.extensions().get().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(probe.stored(&browser.key()).await, before);

    probe.heal();
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

#[test_support::test]
async fn a_commit_that_may_have_been_applied_is_a_500_that_no_proxy_sends_again() {
    let probe = Probe::new();
    let app = app(SessionLayer::new(probe.clone()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    probe.fail("write", Outcome::Unknown);
    for uri in ["/", "/set", "/login"] {
        let answer = browser.get(&app, uri).await;
        check_failure(&answer, StatusCode::INTERNAL_SERVER_ERROR, false);
        let answer = Browser::default().get(&app, uri).await;
        check_failure(&answer, StatusCode::INTERNAL_SERVER_ERROR, false);
    }
}

#[test_support::test]
async fn a_failed_load_is_a_503_and_never_leads_to_a_write() {
    let probe = Probe::new();
    let app = app(SessionLayer::new(probe.clone()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let before = probe.stored(&browser.key()).await;
    probe.take_operations();
    // A read changes nothing, whatever the driver says of its outcome.
    for outcome in [Outcome::NotApplied, Outcome::Unknown] {
        probe.fail("read", outcome);
        // The first reads in the handler, the others in the commit.
        for uri in ["/", "/set", "/login"] {
            let answer = browser.get(&app, uri).await;
            check_failure(&answer, StatusCode::SERVICE_UNAVAILABLE, true);
        }
    }
    assert!(!probe.take_operations().contains(&"write"));
    assert_eq!(probe.stored(&browser.key()).await, before);
}

#[test_support::test]
async fn changes_that_were_lost_are_a_409_unless_the_method_is_safe() {
    let app = app(SessionLayer::new(MemoryDriver::new()));
    for (method, status) in [
        (Method::POST, StatusCode::CONFLICT),
        (Method::GET, StatusCode::OK),
        (Method::HEAD, StatusCode::OK),
    ] {
        let mut browser = Browser::default();
        browser.get(&app, "/").await;
        let mut request = browser.request("/gone");
        *request.method_mut() = method.clone();
        let answer = send(&app, request).await;
        assert_eq!(answer.status, status, "{method}");
        assert!(answer.set_cookies().is_empty());
        if status == StatusCode::CONFLICT {
            check_failure(&answer, status, false);
        }
    }
}

#[test_support::test]
async fn changes_that_were_lost_can_be_reported_only() {
    let manager = SessionManager::builder(MemoryDriver::new())
        .on_lost_change(OnLostChange::Report)
        .build();
    let app = app(SessionLayer::from_manager(manager.unwrap()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let mut request = browser.request("/gone");
    *request.method_mut() = Method::POST;
    let answer = send(&app, request).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "done"));
}

#[test_support::test]
async fn an_error_of_a_handler_has_the_response_of_a_failed_commit() {
    async fn fails(request: Request<Body>) -> Error {
        match request.uri().path() {
            "/away" => Error::new(ErrorKind::Unavailable, "a secret of the server")
                .with_outcome(Outcome::NotApplied),
            "/unknown" => Error::new(ErrorKind::TimedOut, "a secret of the server"),
            "/stale" => Error::new(ErrorKind::Stale, "a secret of the server"),
            _ => Error::new(ErrorKind::WrongType, "a secret of the server"),
        }
    }
    let app = Router::new()
        .fallback(fails)
        .layer(SessionLayer::new(Arc::new(MemoryDriver::new())));
    for (uri, status, again) in [
        ("/away", StatusCode::SERVICE_UNAVAILABLE, true),
        ("/unknown", StatusCode::INTERNAL_SERVER_ERROR, false),
        ("/stale", StatusCode::CONFLICT, false),
        ("/type", StatusCode::INTERNAL_SERVER_ERROR, false),
    ] {
        let request = || Browser::default().request(uri);
        check_failure(&send(&app, request()).await, status, again);
        let response = app.clone().oneshot(request()).await.unwrap();
        let ResponseError(error) = response.extensions().get().unwrap();
        assert_eq!(error.http_status(), status);
    }
}

#[test_support::test]
async fn the_cookie_of_an_inner_layer_goes_out_when_the_outer_one_fails() {
    let probe = Probe::new();
    let named = |name: &str, driver: Arc<dyn Driver>| {
        let cookie = session_core::CookieOptions::default().with_name(name);
        SessionLayer::new(driver).with_cookie(cookie).unwrap()
    };
    let handler = |sessions: session_tower::Sessions| async move {
        for session in sessions.iter() {
            session.set("k", "v")?;
        }
        Ok::<_, Error>("done")
    };
    let app = Router::new()
        .route("/", get(handler))
        .layer(named("inner", Arc::new(MemoryDriver::new())))
        .layer(named("outer", probe.clone()));
    probe.fail("write", Outcome::NotApplied);
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let cookies = answer.set_cookies();
    assert!(matches!(cookies[..], [cookie] if cookie.starts_with("inner=")));
    assert_eq!(answer.headers[CACHE_CONTROL], "private, no-store");
}
