//! The cookies that a deploy has replaced are removed, and never the one that replaced them.

use std::sync::Arc;

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::header::COOKIE;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, web};
use driver_memory::MemoryDriver;
use session_actix::{Error, Session, SessionMiddleware};
use session_core::session::{CookieOptions, CookieSessionOptions, PreviousCookie, SessionManager};

use crate::support::Browser;

async fn set(session: Session) -> Result<&'static str, Error> {
    session.set("text", &"0123456789".repeat(400))?;
    Ok("set")
}

async fn logout(session: Session) -> Result<&'static str, Error> {
    session.destroy().await?;
    Ok("bye")
}

async fn app(
    manager: SessionManager,
) -> impl Service<Request, Response = ServiceResponse<impl MessageBody>, Error = actix_web::Error> {
    let app = App::new()
        .route("/", web::get().to(set))
        .route("/logout", web::get().to(logout))
        .wrap(SessionMiddleware::from_manager(manager));
    init_service(app).await
}

/// A `Set-Cookie` in short: `-` for a removal, then name, domain and path.
fn short(cookie: &str) -> String {
    let attribute = |name: &str| {
        cookie
            .split("; ")
            .find_map(|part| part.strip_prefix(name)?.strip_prefix('='))
    };
    let removal = if attribute("Max-Age") == Some("0") {
        "-"
    } else {
        ""
    };
    let name = cookie.split('=').next().unwrap();
    let domain = attribute("Domain").unwrap_or("host");
    format!("{removal}{name} {domain} {}", attribute("Path").unwrap())
}

fn replacing() -> CookieOptions {
    CookieOptions::default()
        .with_name("shop")
        .with_domain("example.com")
        .with_previous(PreviousCookie::default().with_name("sid"))
}

#[test_support::test(runtime = "actix")]
async fn previous_cookies_are_removed_with_each_set_and_each_removal() {
    let manager = SessionManager::builder(Arc::new(MemoryDriver::new())).cookie(replacing());
    let app = app(manager.build().unwrap()).await;
    let mut browser = Browser::default();
    let answer = browser.get(&app, "/").await;
    let cookies: Vec<_> = answer.set_cookies().into_iter().map(short).collect();
    let removed = ["-shop host /", "-sid example.com /", "-sid host /"];
    assert_eq!(cookies, [&removed[..], &["shop example.com /"]].concat());
    assert!(browser.cookie.is_some(), "the new cookie comes last");

    let answer = browser.get(&app, "/logout").await;
    let cookies: Vec<_> = answer.set_cookies().into_iter().map(short).collect();
    assert_eq!(cookies, [&removed[..], &["-shop example.com /"]].concat());
}

#[test_support::test(runtime = "actix")]
async fn previous_cookies_of_a_session_in_cookies_are_removed_with_all_their_parts() {
    let options = CookieSessionOptions::new(["correct horse battery staple, and 32 bytes"]);
    let manager = SessionManager::in_cookies(options.with_max_parts(3)).cookie(replacing());
    let app = app(manager.build().unwrap()).await;
    let request = |uri| TestRequest::with_uri(uri).insert_header((COOKIE, "sid.1=a; shop.2=b"));
    let answer = Browser::default().send(&app, request("/")).await;
    let cookies: Vec<_> = answer.set_cookies().into_iter().map(short).collect();
    let removed = [
        "-shop host /",
        "-shop.2 host /",
        "-sid example.com /",
        "-sid.1 example.com /",
        "-sid host /",
        "-sid.1 host /",
    ];
    let set = ["shop example.com /", "shop.1 example.com /"];
    let stale = ["-shop.2 example.com /"];
    assert_eq!(cookies, [&removed[..], &set, &stale].concat());
}
