//! Properties of all pages.

use reqwest::StatusCode;
use session_kit::drivers::{SqliteDriver, SqliteOptions};
use session_kit::{Driver, DriverExt};

use crate::browser::{Browser, Page};
use crate::html;
use crate::program::Site;

const PAGES: [&str; 5] = ["/", "/cart", "/login", "/logout", "/session"];

#[test_support::test]
async fn every_page_is_valid_for_anonymous_and_logged_in_visitors() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    for path in PAGES {
        let page = Browser::new().get(&server, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        html::check(&page.body);
    }
    browser.log_in(&server, "Ann").await;
    browser.add(&server, "teapot").await;
    for path in PAGES {
        let page = browser.get(&server, path).await;
        assert_eq!(page.status, StatusCode::OK, "{path}");
        html::check(&page.body);
        is_protected(&page);
        assert!(
            page.headers["cache-control"]
                .to_str()
                .unwrap()
                .contains("no-store"),
            "{path}"
        );
        assert!(page.shows("Logged in as"), "{path}");
    }
}

#[test_support::test]
async fn reading_pages_starts_no_session() {
    let site = Site::sqlite();
    let server = site.serve().await;
    for path in ["/cart", "/login", "/logout", "/session", "/nothing-here"] {
        assert!(
            !Browser::new().get(&server, path).await.sets_a_cookie(),
            "{path}"
        );
    }
}

#[test_support::test]
async fn the_session_page_shows_the_record_its_expiry_and_the_driver() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.visit(&server).await;
    browser.log_in(&server, "Ann").await;
    let page = browser.get(&server, "/session").await;
    assert!(page.shows("[&quot;Map&quot;,") && page.shows("&quot;Ann&quot;"));
    assert!(page.shows("<dd>visits, user</dd>"), "{}", page.body);
    assert!(page.shows("in 14 days"), "{}", page.body);
    assert!(page.shows("<dd id=\"driver\">sqlite</dd>"));
    assert!(page.shows("yes, against every writer"));
}

#[test_support::test]
async fn a_missing_page_is_a_404_page() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let page = Browser::new().get(&server, "/nothing-here").await;
    assert_eq!(page.status, StatusCode::NOT_FOUND);
    assert!(page.shows("Page not found"));
    html::check(&page.body);
    is_protected(&page);
}

#[test_support::test]
async fn the_stylesheet_and_the_icon_are_served_and_cacheable() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    let page = browser.get(&server, "/cart").await;
    for (attribute, media_type) in [
        ("rel=\"stylesheet\" href=\"", "text/css; charset=utf-8"),
        ("type=\"image/svg+xml\" href=\"", "image/svg+xml"),
    ] {
        let (_, rest) = page.body.split_once(attribute).unwrap();
        let (path, _) = rest.split_once('"').unwrap();
        let asset = browser.get(&server, path).await;
        assert_eq!(asset.status, StatusCode::OK, "{path}");
        assert_eq!(asset.headers["content-type"], media_type);
        let caching = asset.headers["cache-control"].to_str().unwrap();
        assert!(caching.contains("public") && caching.contains("immutable"));
        assert!(!asset.headers.contains_key("vary") && !asset.sets_a_cookie());
        assert_eq!(asset.headers["x-content-type-options"], "nosniff");
    }
}

#[test_support::test]
async fn a_session_that_cannot_be_stored_is_an_error_page_and_is_logged() {
    let site = Site::memory(1);
    let server = site.serve().await;
    Browser::new().visit(&server).await;

    let page = Browser::new().get(&server, "/").await;
    assert!(page.status.is_server_error(), "{}", page.status);
    assert!(!page.sets_a_cookie());
    assert!(
        !page.shows("max_entries") && !page.shows("memory"),
        "{}",
        page.body
    );
    html::check(&page.body);
    is_protected(&page);

    let log = server.stop().await.output;
    let logged = |line: &str| line.contains("ERROR") && line.contains("max_entries");
    assert!(log.lines().any(logged), "{log}");
}

#[test_support::test]
async fn a_corrupt_session_is_unchanged_until_the_visitor_starts_a_new_one() {
    let site = Site::sqlite();
    let server = site.serve().await;
    let browser = Browser::new();
    browser.log_in(&server, "Ann").await;
    let id = browser.id().unwrap();
    let options = SqliteOptions::new(site.path().join("sessions.db"));
    let driver = SqliteDriver::open(options).await.unwrap();
    driver.put(&id, "a shopping list").await.unwrap();

    for path in ["/", "/cart", "/login", "/logout", "/session"] {
        let page = browser.get(&server, path).await;
        assert_eq!(page.status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(page.shows("Start a new session") && !page.sets_a_cookie());
        assert!(!page.shows("shopping"), "{}", page.body);
        html::check(&page.body);
        is_protected(&page);
    }
    assert_eq!(driver.get(&id).await.unwrap().unwrap(), "a shopping list");

    let page = browser.post(&server, "/logout", &[]).await;
    assert!(page.shows("You are logged out."), "{}", page.body);
    assert_eq!(driver.get(&id).await.unwrap(), None);
    driver.close().await.unwrap();

    let log = server.stop().await.output;
    assert!(log.contains("ERROR") && !log.contains(&id), "{log}");
    assert!(!log.contains("shopping"), "{log}");
}

fn is_protected(page: &Page) {
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff");
    for inline in ["<style", " style=", "<script", " onclick="] {
        assert!(!page.shows(inline), "{inline} violates {policy}");
    }
}
