//! The layer around and within the layers of tower-http.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use driver_memory::MemoryDriver;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderName, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use session_core::session::SessionManager;
use session_core::{Bytes, Driver, Error, Outcome};
use session_tests::Probe;
use session_tower::{Session, SessionLayer};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;
use tower_http::map_response_body::MapResponseBodyLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;

use crate::support::{Browser, send};

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(format!("visit {n:>100}"))
}

/// Changes the session and then takes longer than any timeout.
async fn never_ends(session: Session) -> Result<(), Error> {
    session.set("saved", "by the handler")?;
    session.save().await?;
    session.set("visits", &7_u32)?;
    std::future::pending().await
}

fn timeout(limit: Duration) -> TimeoutLayer {
    TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, limit)
}

/// An application with the common layers of tower-http on both sides of the session layer.
fn app(sessions: SessionLayer) -> Router {
    let header = SetResponseHeaderLayer::overriding(
        HeaderName::from_static("x-layer"),
        HeaderValue::from_static("there"),
    );
    let layers = ServiceBuilder::new()
        .layer(TraceLayer::new_for_http())
        .layer(CompressionLayer::new())
        .layer(timeout(Duration::from_secs(60)))
        .layer(CatchPanicLayer::new())
        .layer(CorsLayer::permissive())
        .layer(header.clone())
        .layer(sessions)
        // Its body has no default.
        .layer(TraceLayer::new_for_http())
        .layer(header)
        .layer(CorsLayer::permissive())
        .layer(CatchPanicLayer::new())
        .layer(timeout(Duration::from_secs(60)))
        .layer(CompressionLayer::new());
    Router::new().route("/", get(visits)).layer(layers)
}

#[test_support::test]
async fn sessions_last_with_the_common_layers_around_and_within() {
    let app = app(SessionLayer::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    for n in 1..=3 {
        let answer = browser.get(&app, "/").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.body, format!("visit {n:>100}"));
        assert_eq!(answer.headers["x-layer"], "there");
    }
    let mut request = browser.request("/");
    let gzip = HeaderValue::from_static("gzip");
    request.headers_mut().insert(ACCEPT_ENCODING, gzip);
    let answer = send(&app, request).await;
    assert_eq!(answer.headers[CONTENT_ENCODING], "gzip");
    assert_ne!(answer.body, format!("visit {:>100}", 4));
}

#[test_support::test]
async fn a_failed_commit_is_empty_with_the_common_layers_around_and_within() {
    let probe = Probe::new();
    let app = app(SessionLayer::new(probe.clone()));
    probe.fail("write", Outcome::NotApplied);
    let mut request = Browser::default().request("/");
    let gzip = HeaderValue::from_static("gzip");
    request.headers_mut().insert(ACCEPT_ENCODING, gzip);
    let answer = send(&app, request).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body, "");
    assert!(answer.set_cookies().is_empty());
}

#[test_support::test]
async fn a_body_without_default_goes_through_unchanged() {
    struct NoDefault(Full<Bytes>);

    let inner = service_fn(async |request: Request<Body>| {
        let session = request.extensions().get::<Session>().unwrap();
        session.set("k", "v").unwrap();
        Ok::<_, Infallible>(Response::new(NoDefault(Full::from("hello"))))
    });
    let probe = Probe::new();
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(probe.clone()))
        .layer(TraceLayer::new_for_http())
        .layer(MapResponseBodyLayer::new(|NoDefault(body)| body))
        .service(inner);
    let request = || Browser::default().request("/");
    let body = service
        .clone()
        .oneshot(request())
        .await
        .unwrap()
        .into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(5));
    assert!(!http_body::Body::is_end_stream(&body));
    assert_eq!(body.collect().await.unwrap().to_bytes(), "hello");

    probe.fail("write", Outcome::Unknown);
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body = response.into_body();
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(0));
    assert!(http_body::Body::is_end_stream(&body));
    assert!(body.collect().await.unwrap().to_bytes().is_empty());
}

fn slow(sessions: SessionLayer) -> Router {
    Router::new()
        .route("/slow", get(never_ends))
        .route(
            "/visits",
            get(|session: Session| async move {
                let saved = session.has("saved").await?;
                let visits = session.get::<u32>("visits").await?;
                Ok::<_, Error>(format!("{saved} {visits:?}"))
            }),
        )
        .layer(
            ServiceBuilder::new()
                .layer(sessions)
                .layer(timeout(Duration::from_millis(20))),
        )
}

#[test_support::test]
async fn a_timeout_within_the_layer_commits_what_the_handler_had_done_until_then() {
    let app = slow(SessionLayer::new(MemoryDriver::new()));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/slow").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(browser.get(&app, "/visits").await.body, "true Some(7)");
}

#[test_support::test]
async fn commit_when_leaves_out_what_a_handler_had_half_done() {
    let manager = SessionManager::builder(MemoryDriver::new())
        .commit_when(|status| !status.is_server_error())
        .build();
    let app = slow(SessionLayer::from_manager(manager.unwrap()));
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/slow").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    // What the handler saved by itself is stored, and its cookie was sent.
    assert_eq!(browser.get(&app, "/visits").await.body, "true None");
}

#[test_support::test]
async fn a_timeout_around_the_layer_commits_nothing() {
    let driver = std::sync::Arc::new(MemoryDriver::new());
    let app = Router::new()
        .route(
            "/",
            get(|session: Session| async move {
                session.set("visits", &7_u32).unwrap();
                std::future::pending::<()>().await;
            }),
        )
        .layer(SessionLayer::new(driver.clone()))
        .layer(timeout(Duration::from_millis(20)));
    let answer = Browser::default().get(&app, "/").await;
    assert_eq!(answer.status, StatusCode::GATEWAY_TIMEOUT);
    assert!(answer.set_cookies().is_empty());
    let page = driver.list(session_core::ListOptions::default()).await;
    assert!(page.unwrap().keys.is_empty());
}
