//! How entries are stored in the table, also together with other programs.

use std::time::Duration;

use session_core::{
    ConflictState, Cursor, Driver, DriverExt, ErrorKind, Expiry, ListOptions, Outcome, Prefix,
    RemoveOptions, RemoveOutcome, Timestamp, TouchOptions, Write, WriteOptions, WriteOutcome,
};
use test_support::HttpProxy;

use crate::support::{
    DYNALITE, MINISTACK, binary, client, item, key, number, open, options, put, text,
};

#[test_support::test]
async fn text_is_stored_as_text_and_everything_else_as_binary() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    driver.put("text", "Grüße").await.unwrap();
    driver.put("empty", "").await.unwrap();
    driver.put("binary", &b"\xff\x00"[..]).await.unwrap();
    let client = client(&url);
    for (name, expected) in [
        ("text", text("Grüße")),
        ("empty", text("")),
        ("binary", binary(b"\xff\x00")),
    ] {
        let item = item(&client, &table, name).await.unwrap();
        assert_eq!(item["value"], expected);
        assert_eq!(item.len(), 2, "{item:?}");
    }
}

#[test_support::test]
async fn an_item_has_its_expiry_in_seconds_and_milliseconds() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    let end = Timestamp::from_millis(4_102_444_800_001);
    let until = WriteOptions::default().with_expiry(Expiry::At(end));
    let _unconditional = driver.write(&key("k"), "v".into(), until).await.unwrap();
    let item = item(&client(&url), &table, "k").await.unwrap();
    assert_eq!(item["expires_at"], number(4_102_444_801));
    assert_eq!(item["expires_at_ms"], number(4_102_444_800_001));
}

#[test_support::test]
async fn the_expiry_that_another_program_sets_in_seconds_is_respected() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    let client = client(&url);
    let now = Timestamp::now().as_millis() / 1_000;
    let attributes = |name: &str, second| {
        [
            ("key", text(name)),
            ("value", text("theirs")),
            ("expires_at", number(second)),
            // Of an earlier end of ours, which an update left where it was.
            ("expires_at_ms", number(4_102_444_800_001)),
        ]
    };
    put(&client, &table, &attributes("ended", now)).await;
    put(&client, &table, &attributes("lives", now + 60)).await;

    assert_eq!(driver.get("ended").await.unwrap(), None);
    assert!(!driver.exists(&key("ended")).await.unwrap());
    let write = WriteOptions::if_absent();
    let first = driver.write(&key("ended"), "ours".into(), write).await;
    assert!(matches!(first.unwrap(), WriteOutcome::Written { .. }));

    let entry = driver.read(&key("lives")).await.unwrap().unwrap();
    assert_eq!(
        entry.expires_at,
        Some(Timestamp::from_millis((now + 60) * 1_000))
    );
    let write = WriteOptions::if_absent();
    let second = driver.write(&key("lives"), "ours".into(), write).await;
    assert!(matches!(second.unwrap(), WriteOutcome::Conflict(_)));
}

#[test_support::test]
async fn text_that_another_program_stored_as_binary_can_be_replaced_on_condition() {
    for url in [DYNALITE.url(), MINISTACK.url()] {
        let options = options(&url);
        let table = options.table.clone();
        let driver = open(options).await;
        let client = client(&url);
        for theirs in [&b"theirs"[..], b"", b"\xfftheirs"] {
            put(
                &client,
                &table,
                &[("key", text("k")), ("value", binary(theirs))],
            )
            .await;
            let entry = driver.read(&key("k")).await.unwrap().unwrap();
            assert_eq!(entry.value, theirs);
            let version = entry.version.unwrap();

            let removal = RemoveOptions::if_version(version.clone());
            assert_eq!(
                driver.remove(&key("k"), removal).await.unwrap(),
                RemoveOutcome::Removed
            );
            put(
                &client,
                &table,
                &[("key", text("k")), ("value", binary(theirs))],
            )
            .await;
            let write = WriteOptions::if_version(version.clone());
            let outcome = driver.write(&key("k"), "ours".into(), write).await.unwrap();
            assert!(
                matches!(outcome, WriteOutcome::Written { .. }),
                "{theirs:?}"
            );

            // The same bytes as text are another value to the table.
            if let Ok(same) = std::str::from_utf8(theirs) {
                put(
                    &client,
                    &table,
                    &[("key", text("k")), ("value", text(same))],
                )
                .await;
                let removal = RemoveOptions::if_version(version);
                let outcome = driver.remove(&key("k"), removal).await.unwrap();
                assert!(matches!(outcome, RemoveOutcome::Conflict(_)), "{same}");
            }
        }
    }
}

#[test_support::test]
async fn an_item_without_an_entry_is_an_error_and_left_unchanged() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    let client = client(&url);
    put(&client, &table, &[("key", text("none"))]).await;
    put(
        &client,
        &table,
        &[("key", text("number")), ("value", number(1))],
    )
    .await;
    for name in ["none", "number"] {
        let error = driver.read(&key(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptData);
        assert!(error.to_string().contains("`value`"), "{error}");
        let error = driver.read_many(&[key(name)]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::CorruptData);
        let write = WriteOptions::if_absent();
        let outcome = driver.write(&key(name), "v".into(), write).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Conflict(ConflictState::Unknown));
        assert!(item(&client, &table, name).await.is_some());
    }
}

#[test_support::test]
async fn a_touch_keeps_attributes_of_other_programs_and_sends_no_value() {
    let proxy = HttpProxy::start(&DYNALITE.url());
    let options = options(proxy.url());
    let table = options.table.clone();
    let driver = open(options).await;
    let client = client(&DYNALITE.url());
    let attributes = [
        ("key", text("k")),
        ("value", text("theirs")),
        ("note", text("keep")),
    ];
    put(&client, &table, &attributes).await;
    proxy.clear();
    let later = Expiry::after(Duration::from_secs(60));
    assert!(
        driver
            .touch(&key("k"), TouchOptions::to(later))
            .await
            .unwrap()
    );
    assert_eq!(proxy.count(), 1);
    let sent = String::from_utf8(proxy.seen()[0].body.to_vec()).unwrap();
    assert!(!sent.contains("theirs"), "{sent}");
    let touched = item(&client, &table, "k").await.unwrap();
    assert_eq!(
        (&touched["value"], &touched["note"]),
        (&text("theirs"), &text("keep"))
    );
    assert!(touched.contains_key("expires_at") && touched.contains_key("expires_at_ms"));

    assert!(
        driver
            .touch(&key("k"), TouchOptions::to(Expiry::Never))
            .await
            .unwrap()
    );
    let touched = item(&client, &table, "k").await.unwrap();
    assert_eq!(touched.len(), attributes.len());
}

#[test_support::test]
async fn the_longest_value_fits_with_the_longest_key_and_a_longer_one_is_not_sent() {
    let proxy = HttpProxy::start(&DYNALITE.url());
    let driver = open(options(proxy.url())).await;
    let capabilities = driver.capabilities();
    // As the documentation says.
    assert_eq!(capabilities.max_value_size, Some(407_479));
    let longest_key = key(&"k".repeat(capabilities.max_key_size.unwrap()));
    let longest = vec![0xff; capabilities.max_value_size.unwrap()];
    let until = WriteOptions::default().with_expiry(Expiry::At(Timestamp::from_millis(u64::MAX)));
    let written = driver.write(&longest_key, longest.clone().into(), until.clone());
    let WriteOutcome::Written { version, .. } = written.await.unwrap() else {
        panic!("it was written without a condition");
    };
    let again = WriteOptions::if_version(version.unwrap());
    let write = driver.write(&longest_key, longest.clone().into(), again);
    assert!(matches!(write.await.unwrap(), WriteOutcome::Written { .. }));

    proxy.clear();
    let too_long = [longest, vec![0xff]].concat();
    let write = Write::new(key("k"), too_long.clone()).with_options(until.clone());
    let mut results = driver.write_many(vec![write]).await;
    let alone = driver.write(&key("k"), too_long.into(), until).await;
    for result in [results.remove(0), alone] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }
    let too_long = key(&"k".repeat(capabilities.max_key_size.unwrap() + 1));
    let error = driver.read(&too_long).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(proxy.count(), 0);
}

#[test_support::test]
async fn a_miss_of_an_eventually_consistent_read_is_confirmed() {
    let proxy = HttpProxy::start(&DYNALITE.url());
    let options = options(proxy.url()).with_consistent_read(false);
    let driver = open(options).await;
    driver.put("k", "v").await.unwrap();
    let asked = || {
        let seen = proxy.seen();
        let bodies = seen
            .iter()
            .map(|seen| String::from_utf8(seen.body.to_vec()).unwrap());
        let consistent = bodies.map(|body| body.contains(r#""ConsistentRead":true"#));
        let consistent: Vec<bool> = consistent.collect();
        proxy.clear();
        consistent
    };
    asked();
    driver.read(&key("k")).await.unwrap().unwrap();
    assert_eq!(asked(), [false]);
    assert_eq!(driver.read(&key("missing")).await.unwrap(), None);
    assert_eq!(asked(), [false, true]);
    assert!(!driver.exists(&key("missing")).await.unwrap());
    assert_eq!(asked(), [false, true]);
    let found = driver.read_many(&[key("k"), key("missing")]).await.unwrap();
    assert!(found[0].is_some() && found[1].is_none());
    assert_eq!(asked(), [false, true]);
    driver.read_many(&[key("k")]).await.unwrap();
    assert_eq!(asked(), [false]);
    // What is not found there would stay.
    driver.clear(&Prefix::root()).await.unwrap();
    assert!(asked()[0]);
}

#[test_support::test]
async fn a_conflict_has_the_current_entry_if_the_server_returns_it() {
    for (url, tells) in [(DYNALITE.url(), false), (MINISTACK.url(), true)] {
        let driver = open(options(&url)).await;
        driver.put("k", "there").await.unwrap();
        let there = driver.read(&key("k")).await.unwrap().unwrap();
        let met = match tells {
            true => ConflictState::Present(there.clone()),
            false => ConflictState::Unknown,
        };
        let write = WriteOptions::if_absent();
        let outcome = driver.write(&key("k"), "new".into(), write).await.unwrap();
        assert_eq!(outcome, WriteOutcome::Conflict(met));

        let old = there.version.unwrap();
        driver.put("k", "changed").await.unwrap();
        let removal = RemoveOptions::if_version(old);
        let outcome = driver.remove(&key("k"), removal).await.unwrap();
        let RemoveOutcome::Conflict(current) = outcome else {
            panic!("the version has changed");
        };
        assert_eq!(
            matches!(current, ConflictState::Present(_)),
            tells,
            "{current:?}"
        );
    }
}

#[test_support::test]
async fn a_clear_removes_expired_items() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    driver
        .put_with_ttl("ends", "v", Duration::from_millis(1))
        .await
        .unwrap();
    driver.put("lives", "v").await.unwrap();
    while driver.exists(&key("ends")).await.unwrap() {
        tokio::task::yield_now().await;
    }
    let client = client(&url);
    assert!(item(&client, &table, "ends").await.is_some());
    driver.clear(&Prefix::root()).await.unwrap();
    for name in ["ends", "lives"] {
        assert_eq!(item(&client, &table, name).await, None);
    }
}

#[test_support::test]
async fn a_listing_skips_keys_that_are_not_normalised() {
    let (url, options) = (DYNALITE.url(), options(&DYNALITE.url()));
    let table = options.table.clone();
    let driver = open(options).await;
    let client = client(&url);
    for name in ["a::b", "/a", "a:", "a?b"] {
        put(
            &client,
            &table,
            &[("key", text(name)), ("value", text("theirs"))],
        )
        .await;
    }
    driver.put("a:b", "ours").await.unwrap();
    for prefix in [Prefix::root(), Prefix::new("a").unwrap()] {
        let page = driver.list(ListOptions::below(prefix)).await.unwrap();
        assert_eq!(page.keys, [key("a:b")]);
    }
}

#[test_support::test]
async fn a_foreign_cursor_is_an_error_or_a_position() {
    let driver = open(options(&DYNALITE.url())).await;
    driver.put("k", "v").await.unwrap();
    for cursor in ["", &"x".repeat(3_000)] {
        let options = ListOptions::default().after(Cursor::new(cursor));
        let error = driver.list(options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey);
    }
    let options = ListOptions::default().after(Cursor::new("\u{0}'; \u{10ffff}"));
    assert!(driver.list(options).await.unwrap().keys.len() <= 1);
}
