//! Sessions that are too large for one cookie.

use session_core::ErrorKind;
use session_core::session::{CookieOptions, CookieRejection, CookieSessionOptions};

use crate::visitor::{Browser, SECRET, Site, set};

fn splitting(parts: u8) -> Site {
    let options = CookieSessionOptions::new([SECRET]).with_max_parts(parts);
    Site::with(options, |store| store)
}

fn text(length: usize) -> String {
    "0123456789".chars().cycle().take(length).collect()
}

#[test_support::test]
async fn more_than_4096_bytes_is_an_error_at_the_commit_and_changes_nothing() {
    let site = Site::new();
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    let before = browser.cookies.clone();
    let error = browser.try_visit(&site, set("text", text(4_000))).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("4096"), "{error}");
    assert!(error.to_string().contains("`max_parts`"), "{error}");
    assert_eq!(browser.cookies, before);
}

#[test_support::test]
async fn no_set_cookie_is_longer_than_4096_bytes_and_the_longest_is_nearly_that() {
    let site = splitting(3);
    let mut longest = 0;
    for length in (0..7_500).step_by(71).chain(2_700..3_000) {
        let mut browser = Browser::default();
        let cookies = browser.visit(&site, set("text", text(length))).await;
        for cookie in &cookies {
            assert!(cookie.len() <= 4_096, "{length}: {}", cookie.len());
            longest = longest.max(cookie.len());
        }
        let read = browser.read(&site, "text").await;
        assert_eq!(read.as_deref(), Some(&*text(length)), "{length}");
    }
    assert!(longest > 4_080, "{longest}");
}

#[test_support::test]
async fn the_attributes_count() {
    let path = format!("/{}", text(1_000));
    let site = Site::with(CookieSessionOptions::new([SECRET]), |store| {
        store.cookie(CookieOptions::default().with_name("sid").with_path(path))
    });
    let mut browser = Browser::default();
    assert!(
        browser
            .try_visit(&site, set("text", text(2_000)))
            .await
            .is_ok()
    );
    assert!(
        browser
            .try_visit(&site, set("text", text(2_400)))
            .await
            .is_err()
    );
}

#[test_support::test]
async fn a_large_session_is_split_and_put_together_again() {
    let site = splitting(3);
    let mut browser = Browser::default();
    let cookies = browser.visit(&site, set("text", text(8_000))).await;
    assert_eq!(cookies.len(), 3);
    for cookie in &cookies {
        assert!(
            cookie.contains("HttpOnly") && cookie.contains("Secure"),
            "{cookie}"
        );
    }
    let names: Vec<_> = browser.cookies.keys().cloned().collect();
    assert_eq!(names, ["sid", "sid.1", "sid.2"]);
    assert_eq!(browser.read(&site, "text").await, Some(text(8_000)));

    let error = browser.try_visit(&site, set("text", text(20_000))).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test_support::test]
async fn a_session_that_shrinks_takes_its_former_parts_away() {
    let site = splitting(4);
    let mut browser = Browser::default();
    browser.visit(&site, set("text", text(9_000))).await;
    assert_eq!(browser.cookies.len(), 4);
    browser.visit(&site, set("text", text(4_000))).await;
    assert_eq!(browser.cookies.len(), 2);
    assert_eq!(browser.read(&site, "text").await, Some(text(4_000)));
    browser.visit(&site, set("text", text(10))).await;
    assert_eq!(browser.cookies.len(), 1);
    assert_eq!(browser.read(&site, "text").await, Some(text(10)));
}

#[test_support::test]
async fn destroying_takes_all_parts_away() {
    let site = splitting(4);
    let mut browser = Browser::default();
    browser.visit(&site, set("text", text(9_000))).await;
    let cookies = browser
        .visit(&site, |session| async move { session.destroy().await })
        .await;
    assert_eq!(cookies.len(), 4);
    assert!(browser.cookies.is_empty());
}

#[test_support::test]
async fn a_missing_part_is_an_empty_session() {
    let site = splitting(4);
    let mut browser = Browser::default();
    browser.visit(&site, set("text", text(9_000))).await;
    for part in ["sid.1", "sid.2", "sid.3"] {
        let mut incomplete = browser.clone();
        incomplete.cookies.remove(part);
        assert_eq!(incomplete.read(&site, "text").await, None);
        assert_eq!(site.take_rejections(), [CookieRejection::Incomplete]);
    }
}

#[test_support::test]
async fn parts_of_different_sessions_or_times_do_not_mix() {
    let site = splitting(4);
    let mut browser = Browser::default();
    browser.visit(&site, set("text", text(9_000))).await;
    let before = browser.clone();
    browser.visit(&site, set("note", "a")).await;
    browser.visit(&site, set("note", "b")).await;
    for part in ["sid", "sid.1", "sid.2", "sid.3"] {
        let mut mixed = browser.clone();
        mixed
            .cookies
            .insert(part.to_owned(), before.cookies[part].clone());
        assert_eq!(mixed.read(&site, "text").await, None, "{part}");
        assert_eq!(site.take_rejections().len(), 1);
    }
    let mut swapped = browser.clone();
    let (one, two) = (
        browser.cookies["sid.1"].clone(),
        browser.cookies["sid.2"].clone(),
    );
    swapped.cookies.insert("sid.1".to_owned(), two);
    swapped.cookies.insert("sid.2".to_owned(), one);
    assert_eq!(swapped.read(&site, "text").await, None);
}

#[test_support::test]
async fn a_stale_part_beyond_the_last_one_does_no_harm_and_goes_with_the_next_write() {
    let site = splitting(4);
    let mut browser = Browser::default();
    browser.visit(&site, set("name", "Ann")).await;
    browser
        .cookies
        .insert("sid.3".to_owned(), "stale".to_owned());
    assert_eq!(browser.read(&site, "name").await.as_deref(), Some("Ann"));
    browser.visit(&site, set("note", "x")).await;
    assert_eq!(browser.cookies.len(), 1);

    let mut browser = Browser::with("sid.1", "stale");
    browser.visit(&site, set("name", "Ann")).await;
    assert_eq!(browser.cookies.keys().collect::<Vec<_>>(), ["sid"]);
}

#[test_support::test]
async fn parts_go_on_being_read_where_fewer_are_written() {
    let (many, few) = (splitting(4), splitting(1));
    let mut browser = Browser::default();
    browser.visit(&many, set("text", text(9_000))).await;
    assert_eq!(browser.read(&few, "text").await, Some(text(9_000)));
}
