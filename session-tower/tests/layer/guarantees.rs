//! What the layer promises for each kind of request and response.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::get;
use driver_memory::MemoryDriver;
use futures_util::FutureExt;
use http::header::{CACHE_CONTROL, COOKIE, SET_COOKIE, VARY};
use http::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use session_core::session::{CookieOptions, OnCommitError, SessionManager};
use session_core::{Driver, Error, ErrorKind, Outcome};
use session_tests::Probe;
use session_tower::{Session, SessionLayer, Sessions};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::support::{Browser, send};

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(n.to_string())
}

async fn peek(session: Session) -> Result<String, Error> {
    Ok(format!("{:?}", session.get::<u32>("visits").await?))
}

fn routes() -> Router {
    Router::new()
        .route("/", get(visits))
        .route("/peek", get(peek))
        .route("/untouched", get(|| async { "hello" }))
        .route(
            "/failed",
            get(|session: Session| async move {
                session.set("note", "kept")?;
                Ok::<_, Error>(StatusCode::UNPROCESSABLE_ENTITY)
            }),
        )
        .route(
            "/public",
            get(|session: Session| async move {
                session.set("visits", &7_u32)?;
                Ok::<_, Error>(([(CACHE_CONTROL, "public, max-age=60")], "cached?"))
            }),
        )
}

fn app(driver: Arc<dyn Driver>) -> Router {
    routes().layer(SessionLayer::new(driver))
}

#[test_support::test]
async fn a_session_lasts_from_one_request_to_the_next() {
    let app = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    assert_eq!(browser.get(&app, "/").await.body, "1");
    let second = browser.get(&app, "/").await;
    assert_eq!(second.body, "2");
    assert!(
        second.set_cookies().is_empty(),
        "the browser has the cookie already"
    );
    assert_eq!(Browser::default().get(&app, "/").await.body, "1");
}

#[test_support::test]
async fn a_request_costs_only_the_operations_that_it_needs() {
    let probe = Probe::new();
    let app = app(probe.clone()).route(
        "/regenerate",
        get(|session: Session| async move {
            session.get::<u32>("visits").await?;
            session.regenerate()
        })
        .layer(SessionLayer::new(probe.clone())),
    );
    let mut browser = Browser::default();
    let cases: [(&str, &[&str]); 7] = [
        ("/untouched", &[]),
        ("/peek", &[]),
        ("/", &["write"]),
        ("/untouched", &[]),
        ("/peek", &["read"]),
        ("/", &["read", "write"]),
        ("/regenerate", &["read", "write", "write"]),
    ];
    for (uri, expected) in cases {
        let answer = browser.get(&app, uri).await;
        assert_eq!(answer.status, StatusCode::OK, "{uri}");
        assert_eq!(probe.take_operations(), expected, "{uri}");
    }
}

#[test_support::test]
async fn only_a_response_that_depends_on_the_session_says_so() {
    let app = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    let untouched = browser.get(&app, "/untouched").await;
    assert!(untouched.headers.get(VARY).is_none());
    let anonymous = browser.get(&app, "/peek").await;
    assert_eq!(anonymous.headers[VARY], "cookie");
    assert!(anonymous.headers.get(CACHE_CONTROL).is_none());
}

#[test_support::test]
async fn a_response_that_sets_the_cookie_is_private() {
    let app = app(Arc::new(MemoryDriver::new()));
    let answer = Browser::default().get(&app, "/public").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(answer.headers[CACHE_CONTROL], "private, max-age=60");
}

#[test_support::test]
async fn changes_are_committed_whatever_the_status() {
    let probe = Probe::new();
    let app = app(probe.clone());
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/failed").await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(probe.stored(&browser.key()).await.is_some());
}

#[test_support::test]
async fn a_failed_commit_can_be_configured_to_keep_the_response() {
    let probe = Probe::new();
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let store = SessionManager::builder(probe.clone())
        .on_commit_error(OnCommitError::Keep)
        .on_event(move |event| seen.lock().push(event.to_string()))
        .build()
        .unwrap();
    let app = routes().layer(SessionLayer::from_manager(store));
    probe.fail("write", Outcome::Unknown);
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!((answer.status, answer.body.as_str()), (StatusCode::OK, "1"));
    assert!(answer.set_cookies().is_empty());
    let events = events.lock();
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(events[0].contains("could not be written"), "{events:?}");
}

#[test_support::test]
async fn an_error_of_the_inner_service_goes_on_and_nothing_is_committed() {
    let probe = Probe::new();
    let service =
        SessionLayer::new(probe.clone()).layer(service_fn(async |request: Request<Body>| {
            let session = request.extensions().get::<Session>().unwrap();
            session.set("k", "v").unwrap();
            Err::<Response<Body>, _>("inner")
        }));
    let error = service
        .oneshot(Browser::default().request("/"))
        .await
        .unwrap_err();
    assert_eq!(error, "inner");
    assert!(probe.take_operations().is_empty());
}

#[test_support::test]
async fn a_panic_of_the_handler_commits_nothing() {
    let probe = Probe::new();
    let service = SessionLayer::new(probe.clone()).layer(service_fn(
        async |request: Request<Body>| -> Result<Response<Body>, Infallible> {
            let session = request.extensions().get::<Session>().unwrap();
            session.set("k", "v").unwrap();
            panic!("the handler fails");
        },
    ));
    let response = service.oneshot(Browser::default().request("/"));
    let outcome = std::panic::AssertUnwindSafe(response).catch_unwind().await;
    assert!(outcome.is_err());
    assert!(probe.take_operations().is_empty());
}

#[test_support::test]
async fn the_same_layer_twice_is_one() {
    let probe = Probe::new();
    let layer = SessionLayer::new(probe.clone());
    let app = routes().layer(layer.clone()).layer(layer);
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/").await;
    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(probe.take_operations(), ["write"]);
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

#[test_support::test]
async fn layers_with_cookies_of_different_names_keep_sessions_apart() {
    let named = |name: &str| {
        let store = SessionManager::builder(Arc::new(MemoryDriver::new()))
            .cookie(CookieOptions::default().with_name(name))
            .build();
        SessionLayer::from_manager(store.unwrap())
    };
    let handler = |session: Session, sessions: Sessions| async move {
        let outer = sessions.by_cookie("outer").unwrap();
        outer.set("is", "outer")?;
        session.set("is", "inner")?;
        assert!(sessions.by_cookie("other").is_none());
        assert_eq!(sessions.iter().count(), 2);
        Ok::<_, Error>(session.manager().cookie_name().to_owned())
    };
    let app = Router::new()
        .route("/", get(handler))
        .layer(named("inner"))
        .layer(named("outer"));
    let answer = send(&app, Browser::default().request("/")).await;
    assert_eq!(answer.body, "inner");
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 2);
    assert!(cookies.iter().any(|cookie| cookie.starts_with("inner=")));
    assert!(cookies.iter().any(|cookie| cookie.starts_with("outer=")));
}

#[test_support::test]
async fn clones_are_one_session_and_are_sealed_with_it() {
    let kept: Arc<Mutex<Option<Session>>> = Arc::default();
    let handler = |State(kept): State<Arc<Mutex<Option<Session>>>>, session: Session| async move {
        session.clone().set("visits", &1_u32).unwrap();
        *kept.lock() = Some(session.clone());
        format!("{:?}", session.get::<u32>("visits").await.unwrap())
    };
    let app = Router::new()
        .route("/", get(handler))
        .layer(SessionLayer::new(Arc::new(MemoryDriver::new())))
        .with_state(Arc::clone(&kept));
    assert_eq!(Browser::default().get(&app, "/").await.body, "Some(1)");

    let session = kept.lock().take().unwrap();
    let error = session.set("visits", &2_u32).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResponseStarted);
    for error in [
        session.remove("visits").unwrap_err(),
        session.regenerate().unwrap_err(),
        session.destroy().await.unwrap_err(),
        session.save().await.unwrap_err(),
        session
            .update("visits", |n: Option<u32>| n.unwrap_or(0))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::ResponseStarted);
    }
    assert_eq!(session.get::<u32>("visits").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_detached_handle_saves_after_the_response() {
    let kept: Arc<Mutex<Vec<Session>>> = Arc::default();
    let handler = |State(kept): State<Arc<Mutex<Vec<Session>>>>, session: Session| async move {
        let known = session.detach();
        session.set("visits", &1_u32)?;
        session.save().await?;
        kept.lock().push(session.detach()?);
        Ok::<_, Error>(format!("{:?}", known.map_err(|error| error.kind()).err()))
    };
    let store = SessionManager::new(Arc::new(MemoryDriver::new()));
    let app = Router::new()
        .route("/", get(handler))
        .route("/peek", get(peek))
        .layer(SessionLayer::from_manager(store))
        .with_state(Arc::clone(&kept));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/").await;
    assert_eq!(answer.body, "Some(Unsupported)", "the client had no id yet");

    let detached = kept.lock().pop().unwrap();
    detached.set("visits", &5_u32).unwrap();
    detached.save().await.unwrap();
    assert_eq!(browser.get(&app, "/peek").await.body, "Some(5)");
    assert_eq!(
        detached.regenerate().unwrap_err().kind(),
        ErrorKind::Unsupported
    );
}

#[test_support::test]
async fn the_cookie_is_found_in_headers_that_http_2_split() {
    let app = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let request = Request::get("/peek")
        .header(COOKIE, "theme=dark")
        .header(COOKIE, browser.cookie.clone().unwrap())
        .header(COOKIE, "last=1")
        .body(Body::empty())
        .unwrap();
    assert_eq!(send(&app, request).await.body, "Some(1)");
}

#[test_support::test]
async fn a_head_request_commits_as_its_get_would() {
    let app = app(Arc::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    let mut request = browser.request("/");
    *request.method_mut() = Method::HEAD;
    let answer = send(&app, request).await;
    assert_eq!(answer.body, "");
    let cookie = answer.set_cookies()[0]
        .split(';')
        .next()
        .unwrap()
        .to_owned();
    browser.cookie = Some(cookie);
    assert_eq!(browser.get(&app, "/peek").await.body, "Some(1)");
}

#[test_support::test]
async fn an_upgrade_carries_the_cookie_in_its_101() {
    let handler = |session: Session| async move {
        session.set("visits", &1_u32).unwrap();
        StatusCode::SWITCHING_PROTOCOLS
    };
    let app = Router::new()
        .route("/", get(handler))
        .layer(SessionLayer::new(Arc::new(MemoryDriver::new())));
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
    assert_eq!(answer.set_cookies().len(), 1);
}

#[test_support::test]
async fn a_session_is_optional_on_a_route_without_the_layer() {
    let optional = Router::new().route(
        "/",
        get(|session: Option<Session>| async move { session.is_none().to_string() }),
    );
    assert_eq!(Browser::default().get(&optional, "/").await.body, "true");
}

#[test_support::test]
async fn a_commit_runs_to_its_end_when_the_client_has_gone_and_close_waits_for_it() {
    let probe = Probe::new();
    let layer = SessionLayer::new(probe.clone());
    let app = routes().layer(layer.clone());
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let key = browser.key();
    let before = probe.stored(&key).await;

    probe
        .writes
        .forget_permits(probe.writes.available_permits());
    let begun = probe.writes_begun.load(Ordering::SeqCst);
    {
        let mut service = app.clone();
        let mut response = std::pin::pin!(Service::call(&mut service, browser.request("/")));
        while probe.writes_begun.load(Ordering::SeqCst) == begun {
            assert!(futures_util::poll!(&mut response).is_pending());
            tokio::task::yield_now().await;
        }
        // The client goes here, in the middle of the write.
    }
    let mut closing = std::pin::pin!(layer.close(Duration::from_secs(10)));
    assert!(futures_util::poll!(&mut closing).is_pending());
    assert_eq!(probe.stored(&key).await, before);

    probe.writes.add_permits(10);
    closing.await.unwrap();
    assert_eq!(probe.take_operations().last(), Some(&"close"));
    assert_eq!(probe.writes_done.load(Ordering::SeqCst), begun + 1);
}

#[test_support::test]
async fn a_handler_that_is_cut_off_commits_nothing() {
    let probe = Probe::new();
    let app = Router::new()
        .route(
            "/",
            get(|session: Session| async move {
                session.set("k", "v").unwrap();
                std::future::pending::<()>().await;
            }),
        )
        .layer(SessionLayer::new(probe.clone()));
    let mut response = Box::pin(app.oneshot(Browser::default().request("/")));
    assert!(futures_util::poll!(&mut response).is_pending());
    drop(response);
    assert!(probe.take_operations().is_empty());
}

#[test_support::test]
async fn a_cookie_that_was_certain_goes_out_with_a_failing_response() {
    let probe = Probe::new();
    let saving = probe.clone();
    let app = Router::new()
        .route("/", get(visits))
        .route(
            "/login",
            get(move |session: Session| async move {
                session.regenerate()?;
                session.save().await?;
                saving.fail("write", Outcome::NotApplied);
                session.set("late", "change")
            }),
        )
        .layer(SessionLayer::new(probe.clone()));
    let mut browser = Browser::default();
    browser.get(&app, "/").await;
    let old = browser.key();
    let answer = browser.get(&app, "/login").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers.get_all(SET_COOKIE).iter().count(), 1);
    assert_ne!(browser.key(), old);
    probe.heal();
    assert_eq!(browser.get(&app, "/").await.body, "2");
}

#[test_support::test]
async fn a_layer_takes_its_cookie_and_lifetimes() {
    let layer = SessionLayer::new(MemoryDriver::new())
        .with_cookie(CookieOptions::default().with_name("shop"))
        .and_then(|layer| layer.with_idle_timeout(Duration::from_secs(60)))
        .and_then(|layer| layer.with_absolute_timeout(None))
        .unwrap();
    let settings = layer.manager().settings();
    assert_eq!(settings.idle_timeout, Some(Duration::from_secs(60)));
    assert_eq!(settings.absolute_timeout, None);
    let answer = Browser::default().get(&routes().layer(layer), "/").await;
    assert!(answer.set_cookies()[0].starts_with("shop="));
}

#[test_support::test]
async fn a_layer_refuses_settings_that_do_not_fit() {
    let layer = || SessionLayer::new(MemoryDriver::new());
    for refused in [
        layer().with_cookie(CookieOptions::default().with_name("a b")),
        layer().with_idle_timeout(Duration::ZERO),
        layer().with_absolute_timeout(Duration::ZERO),
    ] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidConfig);
    }
}
