//! The responses to requests whose session could not be read or written, and to requests that were cut off.

use std::sync::Arc;
use std::time::Duration;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::{CACHE_CONTROL, RETRY_AFTER};
use actix_web::http::{Method, StatusCode};
use actix_web::test::init_service;
use actix_web::{App, HttpRequest, HttpResponse, web};
use driver_memory::MemoryDriver;
use session_actix::{CommitError, Session, SessionMiddleware};
use session_core::session::{OnLostChange, SessionManager};
use session_core::{Error, ErrorKind, Outcome};
use session_tests::Probe;

use crate::support::{Answer, Browser};

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

/// Changes the session and then takes longer than any timeout.
async fn never_ends(session: Session) -> Result<&'static str, Error> {
    session.set("saved", "by the handler")?;
    session.save().await?;
    session.set("visits", &7_u32)?;
    std::future::pending().await
}

async fn fails(request: HttpRequest) -> Result<&'static str, Error> {
    Err(match request.path() {
        "/away" => Error::new(ErrorKind::Unavailable, "a secret of the server")
            .with_outcome(Outcome::NotApplied),
        "/unknown" => Error::new(ErrorKind::TimedOut, "a secret of the server"),
        "/stale" => Error::new(ErrorKind::Stale, "a secret of the server"),
        _ => Error::new(ErrorKind::WrongType, "a secret of the server"),
    })
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(visits))
        .route("/set", web::get().to(set))
        .route("/login", web::get().to(login))
        .route("/gone", web::to(beside_a_logout))
        .default_service(web::to(fails));
}

async fn app(
    sessions: SessionMiddleware,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = actix_web::Error> {
    init_service(App::new().configure(routes).wrap(sessions)).await
}

/// The response is empty and is not cached. It has no cookie, and a Retry-After only if `again`.
fn check_failure(answer: &Answer, status: StatusCode, again: bool) {
    assert_eq!(answer.status, status);
    assert_eq!(answer.body, "");
    assert!(answer.set_cookies().is_empty(), "{:?}", answer.headers);
    let caching: Vec<_> = answer.headers.get_all(CACHE_CONTROL).collect();
    assert_eq!(caching, ["no-store"]);
    let retry_after = answer.headers.get(RETRY_AFTER);
    assert_eq!(retry_after.is_some(), again, "{:?}", answer.headers);
}

#[test_support::test(runtime = "actix")]
async fn a_commit_that_was_certainly_not_applied_is_a_503_with_retry_after() {
    let probe = Probe::new();
    let app = app(SessionMiddleware::new(probe.clone())).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let before = probe.stored(&browser.key()).await;

    probe.fail("write", Outcome::NotApplied);
    for uri in ["/", "/set", "/login"] {
        let answer = browser.get(&app, uri).await;
        check_failure(&answer, StatusCode::SERVICE_UNAVAILABLE, true);
        let answer = Browser::default().get(&app, uri).await;
        check_failure(&answer, StatusCode::SERVICE_UNAVAILABLE, true);
    }
    let response = app.call(browser.request("/").to_request()).await.unwrap();
    let kind = response
        .response()
        .extensions()
        .get()
        .map(|CommitError(error)| error.kind());
    assert_eq!(kind, Some(ErrorKind::Unavailable));
    assert_eq!(probe.stored(&browser.key()).await, before);

    probe.heal();
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

#[test_support::test(runtime = "actix")]
async fn a_commit_that_may_have_been_applied_is_a_500_that_no_proxy_sends_again() {
    let probe = Probe::new();
    let app = app(SessionMiddleware::new(probe.clone())).await;
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

#[test_support::test(runtime = "actix")]
async fn a_failed_load_is_a_503_and_never_leads_to_a_write() {
    let probe = Probe::new();
    let app = app(SessionMiddleware::new(probe.clone())).await;
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

#[test_support::test(runtime = "actix")]
async fn changes_that_were_lost_are_a_409_unless_the_method_is_safe() {
    let app = app(SessionMiddleware::new(MemoryDriver::new())).await;
    for (method, status) in [
        (Method::POST, StatusCode::CONFLICT),
        (Method::GET, StatusCode::OK),
        (Method::HEAD, StatusCode::OK),
    ] {
        let mut browser = Browser::default();
        browser.get(&app, "/").await;
        let request = browser.request("/gone").method(method.clone());
        let answer = browser.send(&app, request).await;
        assert_eq!(answer.status, status, "{method}");
        assert!(answer.set_cookies().is_empty());
        if status == StatusCode::CONFLICT {
            check_failure(&answer, status, false);
        }
    }
}

#[test_support::test(runtime = "actix")]
async fn changes_that_were_lost_can_be_reported_only() {
    let manager = SessionManager::builder(MemoryDriver::new())
        .on_lost_change(OnLostChange::Report)
        .build();
    let app = app(SessionMiddleware::from_manager(manager.unwrap())).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let request = browser.request("/gone").method(Method::POST);
    let answer = browser.send(&app, request).await;
    assert_eq!((answer.status, &*answer.body), (StatusCode::OK, "done"));
}

#[test_support::test(runtime = "actix")]
async fn an_error_of_a_handler_has_the_response_of_a_failed_commit() {
    let app = app(SessionMiddleware::new(MemoryDriver::new())).await;
    for (uri, status, again) in [
        ("/away", StatusCode::SERVICE_UNAVAILABLE, true),
        ("/unknown", StatusCode::INTERNAL_SERVER_ERROR, false),
        ("/stale", StatusCode::CONFLICT, false),
        ("/type", StatusCode::INTERNAL_SERVER_ERROR, false),
    ] {
        let answer = Browser::default().get(&app, uri).await;
        check_failure(&answer, status, again);
    }
}

/// A handler with a limit for what it does.
async fn slow(session: Session) -> HttpResponse {
    match tokio::time::timeout(Duration::from_millis(20), never_ends(session)).await {
        Ok(_) => HttpResponse::Ok().finish(),
        Err(_) => HttpResponse::GatewayTimeout().finish(),
    }
}

/// What is stored after a request to [`slow`].
async fn after_a_timeout(manager: SessionManager) -> String {
    let shows = |session: Session| async move {
        let saved = session.has("saved").await?;
        let visits = session.get::<u32>("visits").await?;
        Ok::<_, Error>(format!("{saved} {visits:?}"))
    };
    let app = App::new()
        .route("/slow", web::get().to(slow))
        .route("/visits", web::get().to(shows))
        .wrap(SessionMiddleware::from_manager(manager));
    let app = init_service(app).await;
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/slow").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    browser.get(&app, "/visits").await.body
}

#[test_support::test(runtime = "actix")]
async fn a_response_of_a_timeout_commits_what_the_handler_had_done_until_then() {
    let manager = SessionManager::new(Arc::new(MemoryDriver::new()));
    assert_eq!(after_a_timeout(manager).await, "true Some(7)");
}

#[test_support::test(runtime = "actix")]
async fn commit_when_leaves_out_what_a_handler_had_half_done() {
    let manager = SessionManager::builder(MemoryDriver::new())
        .commit_when(|status| !status.is_server_error())
        .build();
    // What the handler saved by itself is stored, and its cookie was sent.
    assert_eq!(after_a_timeout(manager.unwrap()).await, "true None");
}
