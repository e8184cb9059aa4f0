//! A visit to the shop in Chromium, with sessions in SQLite and in the cookie.

use fantoccini::cookies::Cookie;

use crate::chromium::Chromium;
use crate::program::{Server, Site};

const ADD_A_KITE: &str = "form[action='/cart/add']:has(input[value='kite'])";

async fn log_in(browser: &Chromium, server: &Server) {
    browser.go(server, "/login").await;
    browser.picture("login").await;
    browser.write("#name", "Ann").await;
    browser.write("#password", "please").await;
    browser.click("form.card button").await;
    let notice = browser.text("p.notice.problem").await;
    assert!(notice.contains("Wrong password"), "{notice}");

    browser.write("#password", "open sesame").await;
    browser.click("form.card button").await;
    assert_eq!(browser.text("p.user").await, "Logged in as Ann");
    assert_eq!(browser.text("p.notice").await, "Welcome, Ann!");
    browser.picture("logged-in").await;

    browser.go(server, "/login").await;
    assert_eq!(browser.text("h1").await, "Hello, Ann");
    assert!(
        !browser.has("p.notice").await,
        "a flash message is shown once"
    );
}

async fn fill_the_cart(browser: &Chromium, server: &Server) {
    browser.go(server, "/cart").await;
    for (product, items) in [("teapot", "1"), ("kite", "2"), ("teapot", "3")] {
        let button = format!("//form[@action='/cart/add'][input[@value='{product}']]/button");
        browser.click_on(&button).await;
        // Wait for the page after the redirect.
        browser.find("p.notice").await;
        assert_eq!(browser.text("#items").await, items);
        browser.go(server, "/cart").await;
    }
    browser.picture("cart").await;
}

async fn look_around(browser: &Chromium, server: &Server, driver: &str) {
    browser.go(server, "/").await;
    assert_eq!(browser.text("#visits").await, "1");
    browser.picture("counter").await;
    browser.go(server, "/session").await;
    assert_eq!(browser.text("#driver").await, driver);
    browser.picture("session").await;
}

async fn log_out(browser: &Chromium, server: &Server) {
    browser.go(server, "/logout").await;
    browser.picture("logout").await;
    browser.click("form[action='/logout'] button").await;
    assert_eq!(browser.text("p.notice").await, "You are logged out.");
    assert!(!browser.has("p.user").await);
    browser.picture("logged-out").await;
    browser.go(server, "/cart").await;
    assert!(browser.has("p.empty").await);
}

fn assert_attributes(cookie: &Cookie<'_>, secure: bool, same_site: &str) {
    assert_eq!(cookie.http_only(), Some(true));
    assert_eq!(cookie.secure().unwrap_or(false), secure);
    assert_eq!(cookie.path(), Some("/"));
    let found = cookie.same_site().map(|same_site| same_site.to_string());
    assert_eq!(found.as_deref(), Some(same_site));
}

#[test_support::test(flavor = "multi_thread")]
async fn in_sqlite_a_cart_survives_a_restart_and_two_tabs_lose_nothing() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Chromium::start("sqlite").await;
    log_in(&browser, &server).await;
    let cookie = browser.cookie().await;
    assert_attributes(&cookie, false, "Lax");
    assert!(
        cookie.expires_datetime().is_none(),
        "it is a session cookie"
    );
    fill_the_cart(&browser, &server).await;
    look_around(&browser, &server, "sqlite").await;

    assert!(server.stop().await.status.success());
    let server = site.serve().await;
    browser.go(&server, "/cart").await;
    assert_eq!(browser.text("#items").await, "3");
    assert_eq!(browser.text("p.user").await, "Logged in as Ann");

    browser
        .send_from_two_tabs(&server, "/cart", ADD_A_KITE, 5)
        .await;
    browser.go(&server, "/cart").await;
    assert_eq!(browser.text("#items").await, "13");

    log_out(&browser, &server).await;
    assert_ne!(browser.cookie().await.value(), cookie.value());
    browser.end().await;
    assert!(server.stop().await.status.success());
}

#[test_support::test(flavor = "multi_thread")]
async fn in_the_cookie_a_cart_survives_a_restart_and_a_logout_empties_it() {
    let site = Site::new(
        "driver = 'cookie'\n\
         cookie = { name = 'demo-session', same_site = 'strict', secure = true, max_age = 3600 }\n\
         options = { secret = { env = 'SESSION_SECRET' } }\n",
    );
    let server = site.serve().await;
    let browser = Chromium::start("cookie").await;
    log_in(&browser, &server).await;
    let cookie = browser.cookie().await;
    // Browsers treat loopback as secure, even without HTTPS.
    assert_attributes(&cookie, true, "Strict");
    assert!(cookie.expires_datetime().is_some(), "it has a Max-Age");
    fill_the_cart(&browser, &server).await;
    look_around(&browser, &server, "cookie").await;

    assert!(server.stop().await.status.success());
    let server = site.serve().await;
    browser.go(&server, "/cart").await;
    assert_eq!(browser.text("#items").await, "3");
    assert_eq!(browser.text("p.user").await, "Logged in as Ann");

    log_out(&browser, &server).await;
    browser.end().await;
    assert!(server.stop().await.status.success());
}
