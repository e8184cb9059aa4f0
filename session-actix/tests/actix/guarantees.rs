//! What the middleware promises for each kind of request and response; the same as `session-tower`'s `tests/layer/guarantees.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use actix_http::Request;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, COOKIE, VARY};
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, web};
use driver_memory::MemoryDriver;
use futures_util::FutureExt;
use parking_lot::Mutex;
use session_actix::{Session, SessionMiddleware, Sessions, TypedSession};
use session_core::session::{CookieOptions, CookieSessionOptions, OnCommitError, SessionManager};
use session_core::{Driver, Error, ErrorKind, Outcome, session_data};
use session_tests::Probe;

use crate::support::Browser;

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(n.to_string())
}

async fn peek(session: Session) -> Result<String, Error> {
    Ok(format!("{:?}", session.get::<u32>("visits").await?))
}

async fn failed(session: Session) -> Result<HttpResponse, Error> {
    session.set("note", "kept")?;
    Ok(HttpResponse::UnprocessableEntity().finish())
}

async fn failing(session: Session) -> Result<HttpResponse, actix_web::Error> {
    session.set("note", "kept").unwrap();
    Err(actix_web::error::ErrorForbidden("no"))
}

async fn public(session: Session) -> Result<HttpResponse, Error> {
    session.set("visits", &7_u32)?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CACHE_CONTROL, "public, max-age=60"));
    response.append_header(("x-two", "1"));
    response.append_header(("x-two", "2"));
    Ok(response.body("cached?"))
}

fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/", web::get().to(visits))
        .route("/", web::head().to(visits))
        .route("/peek", web::get().to(peek))
        .route("/untouched", web::get().to(async || "hello"))
        .route("/failed", web::get().to(failed))
        .route("/failing", web::get().to(failing))
        .route("/public", web::get().to(public));
}

async fn app(
    sessions: SessionMiddleware,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = actix_web::Error> {
    init_service(App::new().configure(routes).wrap(sessions)).await
}

fn memory() -> SessionMiddleware {
    SessionMiddleware::new(Arc::new(MemoryDriver::new()))
}

#[test_support::test(runtime = "actix")]
async fn a_session_lasts_from_one_request_to_the_next() {
    let app = app(memory()).await;
    let mut browser = Browser::default();
    let first = browser.get(&app, "/").await;
    assert_eq!(first.body, "1");
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(first.set_cookies()[0].contains(attribute));
    }
    let second = browser.get(&app, "/").await;
    assert_eq!(second.body, "2");
    assert!(second.set_cookies().is_empty());
    assert_eq!(Browser::default().get(&app, "/").await.body, "1");
}

#[test_support::test(runtime = "actix")]
async fn a_session_lives_in_the_cookie_alone() {
    let options = CookieSessionOptions::new(["correct horse battery staple, and 32 bytes"]);
    let store = SessionManager::in_cookies(options.with_max_parts(2)).build();
    let sessions = SessionMiddleware::from_manager(store.unwrap());
    let app = app(sessions.clone()).await;
    let mut browser = Browser::default();
    for visit in ["1", "2", "3"] {
        assert_eq!(browser.get(&app, "/").await.body, visit);
    }
    sessions
        .close(std::time::Duration::from_secs(10))
        .await
        .unwrap();
}

#[test_support::test(runtime = "actix")]
async fn a_request_costs_only_the_operations_that_it_needs() {
    let probe = Probe::new();
    let app = app(SessionMiddleware::new(probe.clone())).await;
    let mut browser = Browser::default();
    let cases: [(&str, &[&str]); 6] = [
        ("/untouched", &[]),
        ("/peek", &[]),
        ("/", &["write"]),
        ("/untouched", &[]),
        ("/peek", &["read"]),
        ("/", &["read", "write"]),
    ];
    for (uri, expected) in cases {
        let answer = browser.get(&app, uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}");
        assert_eq!(probe.take_operations(), expected, "{uri}");
    }
}

#[test_support::test(runtime = "actix")]
async fn only_a_response_that_depends_on_the_session_says_so() {
    let app = app(memory()).await;
    let mut browser = Browser::default();
    let untouched = browser.get(&app, "/untouched").await;
    assert!(untouched.headers.get(VARY).is_none());
    let anonymous = browser.get(&app, "/peek").await;
    assert_eq!(anonymous.headers.get(VARY).unwrap(), "cookie");
    assert!(anonymous.headers.get(CACHE_CONTROL).is_none());
}

#[test_support::test(runtime = "actix")]
async fn a_response_that_sets_the_cookie_is_private_and_keeps_its_other_headers() {
    let app = app(memory()).await;
    let answer = Browser::default().get(&app, "/public").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(
        answer.headers.get(CACHE_CONTROL).unwrap(),
        "private, max-age=60"
    );
    assert_eq!(answer.headers.get_all("x-two").count(), 2);
}

#[test_support::test(runtime = "actix")]
async fn changes_are_committed_whatever_the_status() {
    let probe = Probe::new();
    let app = app(SessionMiddleware::new(probe.clone())).await;
    for (uri, status) in [
        ("/failed", StatusCode::UNPROCESSABLE_ENTITY),
        ("/failing", StatusCode::FORBIDDEN),
    ] {
        let mut browser = Browser::default();
        let answer = browser.get(&app, uri).await;
        assert_eq!(answer.status, status);
        assert!(probe.stored(&browser.key()).await.is_some(), "{uri}");
    }
}

#[test_support::test(runtime = "actix")]
async fn a_failed_commit_can_be_configured_to_keep_the_response() {
    let probe = Probe::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let store = SessionManager::builder(probe.clone())
        .on_commit_error(OnCommitError::Keep)
        .on_event(move |event| seen.lock().push(event.to_string()))
        .build()
        .unwrap();
    let app = app(SessionMiddleware::from_manager(store)).await;
    probe.fail("write", Outcome::Unknown);
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "1"));
    assert!(answer.set_cookies().is_empty());
    assert_eq!(events.lock().len(), 1, "{events:?}");
}

#[test_support::test(runtime = "actix")]
async fn an_error_of_a_middleware_within_goes_on_and_nothing_is_committed() {
    let probe = Probe::new();
    let app = App::new()
        .configure(routes)
        .wrap_fn(|request, service| {
            let response = service.call(request);
            async move {
                let response: ServiceResponse<BoxBody> = response.await?;
                drop(response);
                Err::<ServiceResponse<BoxBody>, _>(actix_web::error::ErrorBadGateway("within"))
            }
        })
        .wrap(SessionMiddleware::new(probe.clone()));
    let app = init_service(app).await;
    let request = TestRequest::with_uri("/").to_request();
    let response: Result<ServiceResponse<_>, _> = app.call(request).await;
    let error = response.map(drop).unwrap_err();
    assert_eq!(error.to_string(), "within");
    assert!(probe.take_operations().is_empty());
}

#[test_support::test(runtime = "actix")]
async fn a_panic_of_the_handler_commits_nothing() {
    let probe = Probe::new();
    async fn handler(session: Session) -> &'static str {
        session.set("k", "v").unwrap();
        panic!("the handler fails");
    }
    let app = App::new()
        .route("/", web::get().to(handler))
        .wrap(SessionMiddleware::new(probe.clone()));
    let app = init_service(app).await;
    let response = app.call(TestRequest::with_uri("/").to_request());
    let outcome = std::panic::AssertUnwindSafe(response).catch_unwind().await;
    assert!(outcome.is_err());
    assert!(probe.take_operations().is_empty());
}

#[test_support::test(runtime = "actix")]
async fn the_same_middleware_twice_is_one() {
    let probe = Probe::new();
    let sessions = SessionMiddleware::new(probe.clone());
    let app = App::new()
        .configure(routes)
        .wrap(sessions.clone())
        .wrap(sessions);
    let app = init_service(app).await;
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(probe.take_operations(), ["write"]);
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

fn named(name: &str, driver: Arc<dyn Driver>) -> SessionMiddleware {
    let store =
        SessionManager::builder(driver).cookie(CookieOptions::default().with_name(name.to_owned()));
    SessionMiddleware::from_manager(store.build().unwrap())
}

#[test_support::test(runtime = "actix")]
async fn middlewares_with_cookies_of_different_names_keep_sessions_apart() {
    async fn handler(session: Session, sessions: Sessions) -> Result<String, Error> {
        let outer = sessions.by_cookie("outer").unwrap();
        outer.set("is", "outer")?;
        session.set("is", "inner")?;
        assert!(sessions.by_cookie("other").is_none());
        assert_eq!(sessions.iter().count(), 2);
        Ok(session.manager().cookie_name().to_owned())
    }
    let probe = Probe::new();
    let app = App::new()
        .route("/", web::get().to(handler))
        .wrap(named("inner", Arc::new(MemoryDriver::new())))
        .wrap(named("outer", probe.clone()));
    let app = init_service(app).await;
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!(answer.body, "inner");
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().any(|cookie| cookie.starts_with("inner=")));
    assert!(cookies.iter().any(|cookie| cookie.starts_with("outer=")));

    // What the inner one has stored is certain, whatever becomes of the outer one.
    probe.fail("write", Outcome::NotApplied);
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    let cookies = answer.set_cookies();
    assert!(matches!(cookies[..], [cookie] if cookie.starts_with("inner=")));
}

#[test_support::test(runtime = "actix")]
async fn clones_are_one_session_and_are_sealed_with_it() {
    let kept: Arc<Mutex<Option<Session>>> = Arc::default();
    let keep = Arc::clone(&kept);
    let handler = move |session: Session| {
        let keep = Arc::clone(&keep);
        async move {
            session.clone().set("visits", &1_u32).unwrap();
            *keep.lock() = Some(session.clone());
            format!("{:?}", session.get::<u32>("visits").await.unwrap())
        }
    };
    let app = App::new().route("/", web::get().to(handler)).wrap(memory());
    let app = init_service(app).await;
    assert_eq!(Browser::default().get(&app, "/").await.body, "Some(1)");
    let session = kept.lock().take().unwrap();
    let error = session.set("visits", &2_u32).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseStarted);
    assert_eq!(session.get::<u32>("visits").await.unwrap(), Some(1));
}

#[test_support::test(runtime = "actix")]
async fn the_cookie_is_found_in_headers_that_http_2_split() {
    let app = app(memory()).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let request = TestRequest::with_uri("/peek")
        .append_header((COOKIE, "theme=dark"))
        .append_header((COOKIE, browser.cookie.clone().unwrap()))
        .append_header((COOKIE, "last=1"));
    assert_eq!(browser.send(&app, request).await.body, "Some(1)");
}

#[test_support::test(runtime = "actix")]
async fn a_head_request_commits_as_its_get_would() {
    let app = app(memory()).await;
    let mut browser = Browser::default();
    let request = browser.request("/").method(actix_web::http::Method::HEAD);
    assert_eq!(browser.send(&app, request).await.set_cookies().len(), 1);
    assert_eq!(browser.get(&app, "/peek").await.body, "Some(1)");
}

#[test_support::test(runtime = "actix")]
async fn a_session_is_optional_on_a_route_without_the_middleware() {
    async fn optional(session: Option<Session>) -> String {
        session.is_none().to_string()
    }
    let app = App::new().route("/", web::get().to(optional));
    let app = init_service(app).await;
    assert_eq!(Browser::default().get(&app, "/").await.body, "true");
}

#[test_support::test(runtime = "actix")]
async fn a_commit_runs_to_its_end_when_the_client_has_gone_and_close_waits_for_it() {
    let probe = Probe::new();
    let sessions = SessionMiddleware::new(probe.clone());
    let app = app(sessions.clone()).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let key = browser.key();
    let before = probe.stored(&key).await;

    let permits = probe.writes.available_permits();
    probe.writes.forget_permits(permits);
    let begun = probe.writes_begun.load(Ordering::SeqCst);
    {
        let request = browser.request("/").to_request();
        let mut response = std::pin::pin!(app.call(request));
        while probe.writes_begun.load(Ordering::SeqCst) == begun {
            assert!(futures_util::poll!(&mut response).is_pending());
            tokio::task::yield_now().await;
        }
        // The client goes here, in the middle of the write.
    }
    let mut closing = std::pin::pin!(sessions.close(std::time::Duration::from_secs(10)));
    assert!(futures_util::poll!(&mut closing).is_pending());
    assert_eq!(probe.stored(&key).await, before);

    probe.writes.add_permits(10);
    closing.await.unwrap();
    assert_eq!(probe.take_operations().last(), Some(&"close"));
    assert_eq!(probe.writes_done.load(Ordering::SeqCst), begun + 1);
}

#[test_support::test(runtime = "actix")]
async fn a_handler_that_is_cut_off_commits_nothing() {
    async fn handler(session: Session) -> &'static str {
        session.set("k", "v").unwrap();
        std::future::pending().await
    }
    let probe = Probe::new();
    let app = App::new()
        .route("/", web::get().to(handler))
        .wrap(SessionMiddleware::new(probe.clone()));
    let app = init_service(app).await;
    let mut response = Box::pin(app.call(TestRequest::with_uri("/").to_request()));
    assert!(futures_util::poll!(&mut response).is_pending());
    drop(response);
    assert!(probe.take_operations().is_empty());
}

#[test_support::test(runtime = "actix")]
async fn a_cookie_that_was_certain_goes_out_with_a_failing_response() {
    let probe = Probe::new();
    let saving = probe.clone();
    let login = move |session: Session| {
        let saving = saving.clone();
        async move {
            session.regenerate()?;
            session.save().await?;
            saving.fail("write", Outcome::NotApplied);
            session.set("late", "change")?;
            Ok::<_, Error>("done")
        }
    };
    let app = App::new()
        .configure(routes)
        .route("/login", web::get().to(login))
        .wrap(SessionMiddleware::new(probe.clone()));
    let app = init_service(app).await;
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let old = browser.key();
    let answer = browser.get(&app, "/login").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.set_cookies().len(), 1);
    assert_ne!(browser.key(), old);
    probe.heal();
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

session_data! {
    struct Visitor {
        visits: u32 = 40,
    }
}

#[test_support::test(runtime = "actix")]
async fn a_typed_session_is_an_extractor_too() {
    async fn handler(session: TypedSession<Visitor>) -> Result<String, Error> {
        let visits = session.update(Visitor::visits, |visits| visits + 1).await?;
        assert_eq!(session.data().await?.visits, visits);
        Ok(visits.to_string())
    }
    let app = App::new().route("/", web::get().to(handler)).wrap(memory());
    let app = init_service(app).await;
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/").await.body, "41");
    assert_eq!(browser.get(&app, "/").await.body, "42");
    assert_eq!(Browser::default().get(&app, "/").await.body, "41");
}
