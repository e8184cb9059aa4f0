//! The cookies that a deploy has replaced are removed, and never the one that replaced them.

use std::collections::BTreeMap;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::COOKIE;
use session_core::session::{CookieOptions, PreviousCookie};
use session_core::{Error, Outcome};
use session_tests::Probe;
use session_tower::{Session, SessionLayer};

use crate::support::{Answer, Browser, send};

async fn visits(session: Session) -> Result<String, Error> {
    let n = session
        .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(n.to_string())
}

async fn peek(session: Session) -> Result<String, Error> {
    Ok(format!("{:?}", session.get::<u32>("visits").await?))
}

async fn login(session: Session) -> Result<String, Error> {
    session.regenerate()?;
    visits(session).await
}

async fn logout(session: Session) -> Result<(), Error> {
    session.destroy().await
}

fn app(probe: &std::sync::Arc<Probe>, cookie: CookieOptions) -> Router {
    let sessions = SessionLayer::new(probe.clone()).with_cookie(cookie);
    Router::new()
        .route("/", get(visits))
        .route("/peek", get(peek))
        .route("/login", get(login))
        .route("/logout", get(logout))
        .layer(sessions.unwrap())
}

fn attribute<'c>(cookie: &'c str, name: &str) -> Option<&'c str> {
    cookie
        .split("; ")
        .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
}

/// The cookies of a browser by name, domain and path.
#[derive(Default)]
struct Jar(BTreeMap<(String, Option<String>, String), String>);

impl Jar {
    fn keep(&mut self, answer: &Answer) {
        for cookie in answer.set_cookies() {
            let (name, rest) = cookie.split_once('=').unwrap();
            let domain = attribute(cookie, "Domain").map(str::to_owned);
            let path = attribute(cookie, "Path").unwrap().to_owned();
            let key = (name.to_owned(), domain, path);
            match attribute(cookie, "Max-Age") {
                Some("0") => self.0.remove(&key),
                _ => self
                    .0
                    .insert(key, rest.split(';').next().unwrap().to_owned()),
            };
        }
    }

    async fn get(&mut self, app: &Router, uri: &str) -> Answer {
        let mut request = Browser::default().request(uri);
        for ((name, ..), value) in &self.0 {
            let pair = format!("{name}={value}").parse().unwrap();
            request.headers_mut().append(COOKIE, pair);
        }
        let answer = send(app, request).await;
        self.keep(&answer);
        answer
    }

    fn names(&self) -> Vec<String> {
        let describe = |(name, domain, path): &(String, Option<String>, String)| {
            format!("{name} {} {path}", domain.as_deref().unwrap_or("-"))
        };
        self.0.keys().map(describe).collect()
    }
}

#[test_support::test]
async fn a_cookie_of_the_host_alone_is_removed_when_a_deploy_adds_a_domain() {
    let probe = Probe::new();
    let plain = CookieOptions::default().with_name("sid");
    let mut jar = Jar::default();
    jar.get(&app(&probe, plain.clone()), "/").await;
    assert_eq!(jar.names(), ["sid - /"]);

    let deployed = app(&probe, plain.with_domain("example.com"));
    let answer = jar.get(&deployed, "/login").await;
    assert_eq!(jar.names(), ["sid example.com /"]);
    // The new cookie comes last, so that it stays in a browser that takes both for one.
    let cookies = answer.set_cookies();
    assert!(
        matches!(cookies[..], [old, new] if old.contains("Max-Age=0") && !new.contains("Max-Age"))
    );
    assert_eq!(jar.get(&deployed, "/peek").await.body, "Some(2)");

    let answer = jar.get(&deployed, "/logout").await;
    assert!(jar.names().is_empty());
    assert_eq!(answer.set_cookies().len(), 2);
}

#[test_support::test]
async fn previous_cookies_are_removed_with_each_set_and_each_removal() {
    let probe = Probe::new();
    let mut jar = Jar::default();
    for previous in [
        CookieOptions::default().with_name("sid"),
        CookieOptions::default().with_name("shop").with_path("/a"),
        CookieOptions::default()
            .with_name("shop")
            .with_domain("example.com"),
    ] {
        let mut visitor = Jar::default();
        visitor.get(&app(&probe, previous), "/").await;
        jar.0.append(&mut visitor.0);
    }
    assert_eq!(jar.names(), ["shop - /a", "shop example.com /", "sid - /"]);

    let previous = PreviousCookie::default;
    let deployed = app(
        &probe,
        CookieOptions::default()
            .with_name("shop")
            .with_previous(previous().with_name("sid"))
            .with_previous(previous().with_path("/a"))
            .with_previous(previous().with_domain("example.com")),
    );
    let before = jar.names().len();
    assert!(jar.get(&deployed, "/peek").await.set_cookies().is_empty());
    assert_eq!(jar.names().len(), before, "a request that only reads");
    jar.get(&deployed, "/login").await;
    assert_eq!(jar.names(), ["shop - /"]);
    let answer = jar.get(&deployed, "/logout").await;
    assert!(jar.names().is_empty());
    let cookies = answer.set_cookies();
    assert_eq!(cookies.len(), 4);
    for cookie in cookies {
        assert!(cookie.contains("Max-Age=0") && cookie.contains("Expires=Thu, 01 Jan 1970"));
        assert!(cookie.contains("HttpOnly") && cookie.contains("Secure"));
    }
}

#[test_support::test]
async fn a_failed_commit_removes_no_previous_cookie() {
    let probe = Probe::new();
    let cookie = CookieOptions::default().with_domain("example.com");
    let app = app(&probe, cookie);
    for (outcome, status) in [
        (Outcome::NotApplied, StatusCode::SERVICE_UNAVAILABLE),
        (Outcome::Unknown, StatusCode::INTERNAL_SERVER_ERROR),
    ] {
        probe.fail("write", outcome);
        let answer = Browser::default().get(&app, "/login").await;
        assert_eq!(answer.status, status);
        assert!(answer.set_cookies().is_empty());
    }
}
