//! Behaviours 1 to 10: identity and cookie.

use std::time::Duration;

use session_core::ErrorKind;
use session_core::session::{CookieOptions, SameSite, SessionId, SessionManager};
use session_tower::{Session, SessionLayer};

use crate::support::{Answer, ID, Site, entry};

async fn sets_a_value(session: Session) -> session_core::Result<()> {
    session.set("user", "ann")
}

/// What a new session's cookie looks like with these settings.
async fn cookie_of(options: CookieOptions) -> Answer {
    let site = Site::with(|settings| settings.cookie(options));
    site.anonymous(sets_a_value).await.ok()
}

#[test_support::test]
async fn b01_the_cookie_is_called_astro_session_unless_it_is_given_a_name() {
    let by_default = cookie_of(CookieOptions::default()).await;
    assert!(by_default.attributes()[0].starts_with("astro-session="));
    let named = cookie_of(CookieOptions::default().with_name("shop")).await;
    assert!(named.attributes()[0].starts_with("shop="));
    assert!(CookieOptions::default().with_name("").validate().is_err());
}

#[test_support::test]
async fn b02_the_cookie_is_lax_secure_and_always_http_only() {
    for options in [
        CookieOptions::default(),
        CookieOptions::default().with_secure(false),
        CookieOptions::default().with_same_site(SameSite::Strict),
    ] {
        let answer = cookie_of(options.clone()).await;
        assert!(answer.attributes().contains(&"HttpOnly"), "{options:?}");
    }
    let plain = cookie_of(CookieOptions::default().with_secure(false)).await;
    assert!(!plain.attributes().contains(&"Secure"));
    let strict = cookie_of(CookieOptions::default().with_same_site(SameSite::Strict)).await;
    assert!(strict.attributes().contains(&"SameSite=Strict"));
}

#[test_support::test]
async fn b03_the_cookie_has_the_attributes_that_astro_gives_it() {
    let answer = cookie_of(CookieOptions::default()).await;
    let mut attributes = answer.attributes();
    attributes.remove(0);
    attributes.sort_unstable();
    assert_eq!(attributes, ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
}

#[test_support::test]
async fn b03_only_a_configured_max_age_is_sent_and_a_value_ttl_is_not() {
    let site = Site::with(|settings| settings.value_ttl(Duration::from_secs(60)));
    let answer = site.anonymous(sets_a_value).await.ok();
    assert!(!answer.cookies()[0].contains("Max-Age"));

    let week = Duration::from_secs(7 * 24 * 60 * 60);
    let options = CookieOptions::default()
        .with_max_age(week)
        .with_domain("example.org")
        .with_path("/shop");
    let answer = cookie_of(options).await;
    // The other one removes a cookie of the host alone, from before the domain was configured.
    assert_eq!(answer.cookies().len(), 2);
    let cookie = answer.cookies().pop().unwrap();
    for attribute in ["Max-Age=604800", "Domain=example.org", "Path=/shop"] {
        assert!(cookie.split("; ").any(|part| part == attribute), "{cookie}");
    }
}

#[test_support::test]
async fn b04_destroying_takes_the_cookie_away_from_a_browser_that_has_one() {
    let site = Site::new();
    site.stored_by_astro(ID, r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#);
    let answer = site
        .visitor(
            ID,
            |session: Session| async move { session.destroy().await },
        )
        .await
        .ok();
    assert!(answer.forgets());
    let attributes = answer.attributes();
    for attribute in [
        "Path=/",
        "Expires=Thu, 01 Jan 1970 00:00:00 GMT",
        "Max-Age=0",
        "HttpOnly",
        "Secure",
        "SameSite=Lax",
    ] {
        assert!(attributes.contains(&attribute), "{attributes:?}");
    }
}

#[test_support::test]
async fn b04_a_browser_without_a_cookie_is_told_nothing() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move { session.destroy().await })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert!(site.asked().is_empty());
}

#[test]
fn b05_a_cookie_name_that_browsers_refuse_is_an_error_when_it_is_configured() {
    let site = Site::new();
    for name in ["", "a b", "a;b", "a=b", "ä"] {
        let options = CookieOptions::default().with_name(name);
        let driver = site.layer.manager().driver().unwrap().clone();
        let built = SessionManager::builder(driver).cookie(options).build();
        assert_eq!(
            built.unwrap_err().kind(),
            ErrorKind::InvalidConfig,
            "{name}"
        );
    }
    // Astro has letters, digits, `-` and `_`; the prefixes that browsers know are among these.
    for name in ["my-session_1", "__Host-session", "a.b"] {
        let options = CookieOptions::default().with_name(name);
        assert!(options.validate().is_ok(), "{name}");
    }
}

#[test_support::test]
async fn b06_an_id_is_a_version_4_uuid() {
    let site = Site::new();
    let answer = site.anonymous(sets_a_value).await.ok();
    let id: SessionId = answer.id().parse().unwrap();
    assert_eq!(id.expose().as_bytes()[14], b'4');
    assert_eq!(id.expose(), id.expose().to_ascii_lowercase());
    assert!(site.record(id.expose()).is_some());
}

#[test_support::test]
async fn b06_a_cookie_that_is_no_such_id_is_never_a_key_of_the_store() {
    for cookie in [
        "hello-world",
        "",
        "../../etc/passwd",
        "2ed6657d-e927-11ee-9c3a-0242ac120002",
        "6f1c2d34-5e6f-4a7b-cc9d-0e1f2a3b4c5d",
    ] {
        let site = Site::new();
        let answer = site
            .visitor(cookie, |session: Session| async move {
                assert!(session.id().is_none());
                assert_eq!(session.get::<String>("user").await?, None);
                session.set("user", "ann")
            })
            .await
            .ok();
        assert_ne!(answer.id(), cookie);
        assert_eq!(site.count(), 1, "{cookie}");
        assert_eq!(site.asked(), ["write"], "{cookie}");
    }
}

#[test_support::test]
async fn b06_destroying_with_such_a_cookie_removes_nothing_but_the_cookie() {
    let site = Site::new();
    let answer = site
        .visitor("hello-world", |session: Session| async move {
            session.destroy().await
        })
        .await
        .ok();
    assert!(answer.forgets());
    assert!(site.asked().is_empty());
}

#[test_support::test]
async fn b06_an_id_in_upper_case_is_another_key() {
    let upper = ID.to_ascii_uppercase();
    let site = Site::new();
    site.stored_by_astro(ID, r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#);
    site.stored_by_astro(
        &upper,
        r#"[["Map",1,2],"user",{"data":3,"expires":-1},"bob"]"#,
    );
    for (id, user) in [(ID, "ann"), (&*upper, "bob")] {
        let answer = site.visitor(id, reads_the_user).await.ok();
        assert_eq!(answer.body, user);
    }
}

async fn reads_the_user(session: Session) -> session_core::Result<String> {
    Ok(session.get("user").await?.unwrap_or_default())
}

#[test_support::test]
async fn b07_the_cookie_is_found_as_astro_finds_it_or_after_a_stale_one() {
    let site = Site::new();
    site.stored_by_astro(ID, r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#);
    let other = "00000000-0000-4000-8000-000000000000";
    let percent = ID.replacen('6', "%36", 1);
    for (cookies, user) in [
        (vec![format!("a=1; astro-session={ID}; b=2")], "ann"),
        (vec![format!("a=1;astro-session= {ID} ;b=2")], "ann"),
        (vec!["a=1".to_owned(), format!("astro-session={ID}")], "ann"),
        (vec![format!("astro-session={percent}")], "ann"),
        (
            vec![format!("astro-session={ID}; astro-session={other}")],
            "ann",
        ),
        (
            vec![format!("astro-session={other}; astro-session={ID}")],
            "ann",
        ),
        (
            vec![format!("astro-session=nonsense; astro-session={ID}")],
            "ann",
        ),
        (vec![format!("astro-session=\"{ID}\"")], ""),
        (vec![format!("xastro-session={ID}")], ""),
    ] {
        let headers: Vec<&str> = cookies.iter().map(String::as_str).collect();
        let answer = site.visit(&headers, reads_the_user).await.ok();
        assert_eq!(answer.body, user, "{cookies:?}");
    }
}

#[test_support::test]
async fn b08_only_what_makes_a_session_sets_the_cookie() {
    let site = Site::new();
    let first = site.anonymous(sets_a_value).await.ok();
    let id = first.id();

    let read = site.visitor(id, reads_the_user).await.ok();
    assert_eq!(read.body, "ann");
    assert!(read.cookies().is_empty());

    let removed = site
        .visitor(
            id,
            |session: Session| async move { session.remove("other") },
        )
        .await
        .ok();
    assert!(removed.cookies().is_empty());
}

#[test_support::test]
async fn b08_a_browser_that_has_the_cookie_does_not_get_it_again() {
    let site = Site::new();
    let first = site.anonymous(sets_a_value).await.ok();
    let changed = site
        .visitor(first.id(), |session: Session| async move {
            session.set("user", "bob")
        })
        .await
        .ok();
    assert!(changed.cookies().is_empty());
    assert_eq!(site.visitor(first.id(), reads_the_user).await.body, "bob");
}

#[test_support::test]
async fn b08_a_cookie_with_a_max_age_is_sent_again_when_the_session_is_kept_alive() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let cookie = CookieOptions::default().with_max_age(7 * DAY);
    let site = Site::with(|settings| settings.cookie(cookie));
    let first = site.anonymous(sets_a_value).await.ok();

    let soon = site.visitor(first.id(), reads_the_user).await.ok();
    assert!(soon.cookies().is_empty());
    site.clock.advance(DAY);
    let later = site.visitor(first.id(), reads_the_user).await.ok();
    assert_eq!(later.id(), first.id());
    assert!(later.attributes().contains(&"Max-Age=604800"));

    let set = |session: Session| async move { session.set("visits", &1) };
    let written = site.visitor(first.id(), set).await.ok();
    assert_eq!(written.id(), first.id());
    assert!(written.attributes().contains(&"Max-Age=604800"));
}

#[test_support::test]
async fn b09_an_unknown_id_is_never_adopted() {
    let site = Site::new();
    let answer = site.visitor(ID, sets_a_value).await.ok();
    assert_ne!(answer.id(), ID);
    assert_eq!(site.record(ID), None);
    let record = site.record(answer.id()).unwrap();
    assert!(entry(&record, "user").is_some());
    assert_eq!(site.count(), 1);
}

#[test_support::test]
async fn b09_a_read_under_an_unknown_id_writes_nothing_and_sets_nothing() {
    let site = Site::new();
    let answer = site.visitor(ID, reads_the_user).await.ok();
    assert!(answer.cookies().is_empty());
    assert_eq!(site.count(), 0);
    assert_eq!(site.asked(), ["read"]);
}

#[test_support::test]
async fn b10_the_id_is_there_before_anything_is_read_and_provisional_until_then() {
    let site = Site::new();
    site.stored_by_astro(ID, r#"[["Map"]]"#);
    let known = site
        .visitor(ID, |session: Session| async move {
            assert_eq!(session.id().unwrap().expose(), ID);
            Ok(())
        })
        .await
        .ok();
    assert!(known.cookies().is_empty());
    assert!(site.asked().is_empty());

    let unknown = "00000000-0000-4000-8000-000000000000";
    site.visitor(unknown, |session: Session| async move {
        assert!(session.id().is_some());
        assert!(!session.has("user").await?);
        assert!(session.id().is_none());
        Ok(())
    })
    .await
    .ok();
    site.anonymous(|session: Session| async move {
        assert!(session.id().is_none());
        session.set("user", "ann")?;
        session.save().await?;
        assert!(session.id().is_some());
        Ok(())
    })
    .await
    .ok();
}

/// What the layer is made of is the driver alone, so its cookie is the default one.
#[test]
fn b01_a_layer_made_of_a_driver_has_the_default_name() {
    let site = Site::new();
    let layer = SessionLayer::new(site.layer.manager().driver().unwrap().clone());
    assert_eq!(layer.manager().cookie_name(), "astro-session");
}
