//! Behaviours 36 to 38: configuration, URLs, and routes without sessions.

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{Request, StatusCode};
use serde_devalue::{Url, Value};
use session_tower::Session;

use crate::support::{ID, Site, answer, entry};

fn request() -> Request<Body> {
    Request::builder()
        .uri("/")
        .header("cookie", format!("astro-session={ID}"))
        .body(Body::empty())
        .unwrap()
}

#[test_support::test]
async fn b36_a_handler_that_needs_a_session_where_no_layer_is_says_what_to_do() {
    let app = Router::new().route("/", get(|_: Session| async { "never" }));
    let answer = answer(app, request()).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.body.contains(".layer("), "{}", answer.body);
}

#[test_support::test]
async fn b36_all_routes_of_a_layer_share_one_store() {
    let site = Site::new();
    let set = |session: Session| async move { session.set("user", "ann") };
    let first = site.anonymous(set).await.ok();
    let read = |session: Session| async move {
        Ok(session.get::<String>("user").await?.unwrap_or_default())
    };
    // Each request of the test is answered by a router and a clone of the layer of its own.
    assert_eq!(site.visitor(first.id(), read).await.ok().body, "ann");
    assert!(site.layer.manager().ptr_eq(site.layer.clone().manager()));
}

#[test_support::test]
async fn b37_a_url_survives_and_is_written_as_astro_writes_it() {
    const HREF: &str = "https://example.com/a%20b?q=1#h";
    let site = Site::new();
    let first = site
        .anonymous(|session: Session| async move { session.set("url", &Url::parse(HREF).unwrap()) })
        .await
        .ok();
    let record = site.record(first.id()).unwrap();
    let start = format!(
        r#"[["Map",1,2,5,6],"url",{{"data":3,"expires":-1}},["URL",4],"{HREF}","$session:lifetime","#
    );
    assert!(record.starts_with(&start), "{record}");

    let read = |session: Session| async move {
        assert!(matches!(session.get("url").await?, Some(Value::Url(_))));
        Ok(session.get::<Url>("url").await?.unwrap().to_string())
    };
    assert_eq!(site.visitor(first.id(), read).await.ok().body, HREF);
    // The form without a reducer is read as well.
    let plain = format!(r#"[["Map",1,2],"url",{{"data":3,"expires":-1}},["URL","{HREF}"]]"#);
    site.stored_by_astro(ID, &plain);
    assert_eq!(site.visitor(ID, read).await.ok().body, HREF);
    assert_eq!(
        entry(&record, "url"),
        entry(&site.record(first.id()).unwrap(), "url")
    );
}

#[test_support::test]
async fn b38_a_route_without_a_layer_has_no_session_and_can_say_so() {
    let site = Site::new();
    let handler = |session: Option<Session>| async move { session.is_some().to_string() };
    let app = Router::new()
        .route("/", get(handler))
        .layer(site.layer.clone())
        .route("/plain", get(handler));
    let with = answer(app.clone(), request()).await;
    assert_eq!(with.body, "true");

    let plain = Request::builder()
        .uri("/plain")
        .body(Body::empty())
        .unwrap();
    let without = answer(app, plain).await;
    assert_eq!(without.body, "false");
    assert!(without.cookies().is_empty());
    assert!(site.asked().is_empty());
}
