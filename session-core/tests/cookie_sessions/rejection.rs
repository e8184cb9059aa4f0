//! Cookies that are not taken: an empty session, a report, and never an error.

use std::time::Duration;

use session_core::session::{CookieFormat, CookieOptions, CookieRejection, CookieSessionOptions};

use crate::visitor::{Browser, OTHER_SECRET, SECRET, Site, set};

async fn rejected(site: &Site, value: &str) -> Vec<CookieRejection> {
    let browser = Browser::with("sid", value);
    assert_eq!(browser.read(site, "name").await, None, "{value}");
    site.take_rejections()
}

#[test_support::test]
async fn each_kind_of_bad_cookie_is_an_empty_session_and_is_reported_as_what_it_is() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let good = browser.value().to_owned();
    let (version, rest) = good.split_once('.').unwrap();
    assert_eq!(version, "v1");

    let forged = Site::with(CookieSessionOptions::new([OTHER_SECRET]), |store| store);
    let mut other = Browser::default();
    other.visit(&forged, set("name", "Ann")).await;

    let long = format!("v1.1.{}", "A".repeat(100_000));
    let cut = &good[..good.len() - 3];
    for (value, expected) in [
        ("", CookieRejection::Malformed),
        ("hello", CookieRejection::Malformed),
        ("v1.", CookieRejection::Malformed),
        ("v1.1.", CookieRejection::Malformed),
        ("v1.0.AAAA", CookieRejection::Malformed),
        ("v1.1.*", CookieRejection::Malformed),
        (&format!("{good}="), CookieRejection::Malformed),
        (&long, CookieRejection::Malformed),
        (cut, CookieRejection::Forged),
        (other.value(), CookieRejection::Forged),
        (&format!("v2.{rest}"), CookieRejection::UnknownFormat),
        ("eyJhbGciOiJub25lIn0.e30.", CookieRejection::UnknownFormat),
        (
            "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d",
            CookieRejection::Malformed,
        ),
        (
            &good.replacen("v1.1.", "v1.2.", 1),
            CookieRejection::Incomplete,
        ),
    ] {
        assert_eq!(rejected(&site, value).await, [expected], "{value}");
    }
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));

    site.clock.advance(Duration::from_secs(15 * 24 * 60 * 60));
    assert_eq!(rejected(&site, &good).await, [CookieRejection::Expired]);
}

#[test_support::test]
async fn a_cookie_is_good_under_its_own_name_only() {
    let site = Site::new();
    let renamed = Site::with(CookieSessionOptions::new([SECRET]), |store| {
        store.cookie(CookieOptions::default().with_name("admin"))
    });
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let moved = Browser::with("admin", browser.value());
    assert_eq!(moved.read(&renamed, "name").await, None);
    assert_eq!(renamed.take_rejections(), [CookieRejection::Forged]);
}

#[test_support::test]
async fn a_format_that_is_not_accepted_is_not_read() {
    let jwt = CookieSessionOptions::new([SECRET]).with_format(CookieFormat::AstroSession);
    let (signed, sealed) = (Site::with(jwt, |store| store), Site::new());
    let mut browser = Browser::default();
    browser.visit(&signed, set("name", "Ann")).await;
    assert_eq!(browser.read(&sealed, "name").await, None);
    assert_eq!(sealed.take_rejections(), [CookieRejection::UnknownFormat]);

    let both = CookieSessionOptions::new([SECRET]).with_accepted(CookieFormat::AstroSession);
    let both = Site::with(both, |store| store);
    assert_eq!(browser.read(&both, "name").await.as_deref(), Some("Ann"));
    browser.visit(&both, set("note", "moved")).await;
    assert!(
        browser.value().starts_with("v1."),
        "it is sealed from now on"
    );
    assert_eq!(browser.read(&sealed, "name").await.as_deref(), Some("Ann"));
}

#[test_support::test]
async fn a_bad_cookie_is_replaced_when_something_is_set_and_taken_away_by_destroy() {
    let site = Site::new();
    let mut browser = Browser::with("sid", "nonsense");
    browser.visit(&site, set("name", "Ann")).await;
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));

    let mut browser = Browser::with("sid", "nonsense");
    browser
        .visit(&site, |session| async move { session.destroy().await })
        .await;
    assert!(browser.cookies.is_empty());
}

#[test_support::test]
async fn a_cookie_that_nobody_asks_for_is_not_opened() {
    let site = Site::new();
    let mut browser = Browser::with("sid", "nonsense");
    browser.visit(&site, |_| std::future::ready(Ok(()))).await;
    assert!(site.take_rejections().is_empty());
}
