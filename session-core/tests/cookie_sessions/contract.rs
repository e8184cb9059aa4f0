//! What a session does, whether it is in a cookie or in a driver, and where the cookie makes a difference.

use std::time::Duration;

use session_core::ErrorKind;
use session_core::session::{
    CookieOptions, CookieSessionOptions, Lifetime, SaveOutcome, SessionId, SessionManager,
};

use crate::visitor::{Browser, OTHER_SECRET, SECRET, Site, set};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[test_support::test]
async fn a_session_lasts_from_one_request_to_the_next() {
    let site = Site::new();
    let mut browser = Browser::default();
    let cookies = browser.visit(&site, set("name", "Ann")).await;
    assert_eq!(cookies.len(), 1);
    for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
        assert!(cookies[0].contains(attribute), "{cookies:?}");
    }
    assert!(!cookies[0].contains("Max-Age"), "{cookies:?}");
    assert!(
        !cookies[0].contains("Ann"),
        "the visitor can read it: {cookies:?}"
    );
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
    assert_eq!(Browser::default().read(&site, "name").await, None);
}

#[test_support::test]
async fn what_is_only_read_sets_no_cookie() {
    let site = Site::new();
    let mut browser = Browser::default();
    let read = |session: session_core::session::Session| async move {
        session.get::<String>("name").await?;
        session.set("name", "Ann")
    };
    let only_read = |session: session_core::session::Session| async move {
        session.get::<String>("name").await.map(drop)
    };
    assert!(browser.visit(&site, only_read).await.is_empty());
    assert_eq!(browser.visit(&site, read).await.len(), 1);
    assert!(browser.visit(&site, only_read).await.is_empty());
    assert!(
        browser.visit(&site, read).await.is_empty(),
        "the same value changes nothing"
    );
    let untouched = |_| std::future::ready(Ok(()));
    assert!(browser.visit(&site, untouched).await.is_empty());
}

#[test_support::test]
async fn the_same_session_never_looks_the_same() {
    let site = Site::new();
    let (mut one, mut other) = (Browser::default(), Browser::default());
    one.visit(&site, set("name", "Ann")).await;
    other.visit(&site, set("name", "Ann")).await;
    assert_ne!(one.value(), other.value());
}

#[test_support::test]
async fn updates_removals_and_flashes_work_as_in_a_driver() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser
        .visit(&site, |session| async move {
            session.set("gone", &1)?;
            session.flash("notice", "Welcome!")?;
            let count = session
                .update("count", |count: Option<u32>| count.unwrap_or(0) + 1)
                .await?;
            assert_eq!(count, 1);
            Ok(())
        })
        .await;
    browser
        .visit(&site, |session| async move {
            session.remove("gone")?;
            assert_eq!(
                session.take_flash::<String>("notice").await?.as_deref(),
                Some("Welcome!")
            );
            session
                .update("count", |count: Option<u32>| count.unwrap_or(0) + 1)
                .await?;
            assert_eq!(session.keys().await?, ["count"]);
            Ok(())
        })
        .await;
    browser
        .visit(&site, |session| async move {
            assert_eq!(session.take_flash::<String>("notice").await?, None);
            assert_eq!(session.get::<u32>("count").await?, Some(2));
            assert!(!session.has("gone").await?);
            Ok(())
        })
        .await;
}

#[test_support::test]
async fn destroying_takes_the_cookie_away_and_what_comes_after_is_a_new_session() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let before = browser.clone();
    let cookies = browser
        .visit(&site, |session| async move { session.destroy().await })
        .await;
    assert_eq!(cookies.len(), 1);
    assert!(cookies[0].contains("Max-Age=0"), "{cookies:?}");
    assert!(browser.cookies.is_empty());

    // What the documentation warns of: whoever kept the cookie still has the session.
    assert_eq!(before.read(&site, "name").await.as_deref(), Some("Ann"));

    let mut browser = before;
    browser
        .visit(&site, |session| async move {
            session.destroy().await?;
            session.set("note", "new")
        })
        .await;
    assert_eq!(browser.read(&site, "name").await, None);
    assert_eq!(browser.read(&site, "note").await.as_deref(), Some("new"));
}

#[test_support::test]
async fn of_two_concurrent_responses_the_later_wins() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let mut tab = browser.clone();
    let later = browser.visit(&site, set("a", "1")).await;
    tab.visit(&site, set("b", "2")).await;
    tab.keep(&later[0]);
    assert_eq!(tab.read(&site, "a").await.as_deref(), Some("1"));
    assert_eq!(tab.read(&site, "b").await, None);
}

#[test_support::test]
async fn a_session_ends_for_want_of_activity_and_activity_keeps_it() {
    let site = Site::with(CookieSessionOptions::new([SECRET]), |store| {
        store.idle_timeout(DAY)
    });
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    for _ in 0..5 {
        site.clock.advance(DAY * 3 / 4);
        let cookies = browser
            .visit(&site, |session| async move {
                assert!(session.has("name").await?);
                Ok(())
            })
            .await;
        assert_eq!(cookies.len(), 1, "the end moves");
    }
    site.clock.advance(DAY);
    assert_eq!(browser.read(&site, "name").await, None);
}

#[test_support::test]
async fn an_absolute_timeout_holds_whatever_the_activity() {
    let site = Site::with(CookieSessionOptions::new([SECRET]), |store| {
        store.absolute_timeout(2 * DAY)
    });
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    site.clock.advance(DAY * 3 / 2);
    browser.visit(&site, set("note", "still there")).await;
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
    site.clock.advance(DAY / 2);
    assert_eq!(browser.read(&site, "name").await, None);
}

#[test_support::test]
async fn a_session_without_timeouts_ends_after_400_days() {
    let site = Site::with(CookieSessionOptions::new([SECRET]), |store| {
        store.idle_timeout(None)
    });
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    site.clock.advance(399 * DAY);
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
    site.clock.advance(DAY);
    assert_eq!(browser.read(&site, "name").await, None);
}

#[test_support::test]
async fn a_persistent_session_gives_its_cookie_a_max_age() {
    let site = Site::new();
    let cookies = Browser::default()
        .visit(&site, |session| async move {
            session.set("name", "Ann")?;
            session.set_lifetime(Lifetime::idle(30 * DAY).persistent())
        })
        .await;
    assert!(cookies[0].contains("Max-Age=2592000"), "{cookies:?}");
}

#[test_support::test]
async fn an_old_secret_reads_and_the_first_one_writes() {
    let old = Site::new();
    let both = Site::with(CookieSessionOptions::new([OTHER_SECRET, SECRET]), |store| {
        store
    });
    let new = Site::with(CookieSessionOptions::new([OTHER_SECRET]), |store| store);
    let mut browser = Browser::default();
    browser.visit(&old, set("name", "Ann")).await;
    assert_eq!(browser.read(&new, "name").await, None);
    assert_eq!(browser.read(&both, "name").await.as_deref(), Some("Ann"));
    browser.visit(&both, set("note", "moved")).await;
    assert_eq!(browser.read(&new, "name").await.as_deref(), Some("Ann"));
    assert_eq!(browser.read(&old, "name").await, None);
}

#[test_support::test]
async fn regenerate_seals_it_anew_and_keeps_what_is_in_it() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let before = browser.value().to_owned();
    browser
        .visit(&site, |session| async move {
            session.regenerate()?;
            assert_eq!(session.id(), None);
            Ok(())
        })
        .await;
    assert_ne!(browser.value(), before);
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
}

#[test_support::test]
async fn saving_in_the_handler_is_seen_by_it_and_by_the_browser() {
    let site = Site::new();
    let mut browser = Browser::default();
    let cookies = browser
        .visit(&site, |session| async move {
            session.set("a", "1")?;
            assert_eq!(session.save().await?, SaveOutcome::Written);
            assert_eq!(session.save().await?, SaveOutcome::Unchanged);
            assert_eq!(session.get::<String>("a").await?.as_deref(), Some("1"));
            session.set("b", "2")
        })
        .await;
    assert_eq!(cookies.len(), 1);
    assert_eq!(browser.read(&site, "a").await.as_deref(), Some("1"));
    assert_eq!(browser.read(&site, "b").await.as_deref(), Some("2"));
}

#[test_support::test]
async fn what_needs_a_store_on_the_server_is_refused() {
    let site = Site::new();
    assert!(site.store.driver().is_none());
    let id = SessionId::random();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let session = site.store.session_from_headers(&browser.headers());
    for error in [
        site.store.open(id).await.unwrap_err(),
        site.store.destroy(id).await.unwrap_err(),
        session.load(id).await.unwrap_err(),
        session.detach().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(
        session.get::<String>("name").await.unwrap().as_deref(),
        Some("Ann")
    );
}

#[test_support::test]
async fn a_session_for_a_unit_test_needs_no_request() {
    let site = Site::new();
    let session = site.store.create();
    session.set("name", "Ann").unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    assert_eq!(
        session.get::<String>("name").await.unwrap().as_deref(),
        Some("Ann")
    );
}

#[test]
fn a_missing_or_short_secret_is_refused() {
    let too_many = CookieSessionOptions::new([SECRET]).with_max_parts(10);
    for options in [
        CookieSessionOptions::new(Vec::<String>::new()),
        CookieSessionOptions::new(["not-secret"]),
        CookieSessionOptions::new([SECRET, "31 bytes are one less than that"]),
        CookieSessionOptions::new([SECRET]).with_max_parts(0),
        too_many,
    ] {
        let error = SessionManager::in_cookies(options).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(!format!("{error} {error:?}").contains("not-secret"));
    }
}

#[test]
fn nothing_shows_a_secret() {
    let options = CookieSessionOptions::new([SECRET]);
    assert!(!format!("{options:?}").contains("horse"));
    let store = SessionManager::in_cookies(options)
        .cookie(CookieOptions::default())
        .build()
        .unwrap();
    assert!(!format!("{store:?}").contains("horse"));
}
