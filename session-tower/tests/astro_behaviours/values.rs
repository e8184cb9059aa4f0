//! Behaviours 19 to 28: reading and writing values.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use serde_devalue::{Date, Object, Value};
use session_core::session::Session;
use session_core::{Clock, ErrorKind, Expiry, Timestamp};

use crate::support::{ID, LIFETIME, START, Site, entry, names};

const TWO: &str =
    r#"[["Map",1,2,4,5],"a",{"data":3,"expires":-1},1,"b",{"data":6,"expires":-1},2]"#;

#[test_support::test]
async fn b19_values_are_read_and_listed_by_name() {
    let site = Site::new();
    site.stored_by_astro(
        ID,
        r#"[["Map",1,2,4,5],"user",{"data":3,"expires":-1},"ann","gone",{"data":-1,"expires":-1}]"#,
    );
    site.visitor(ID, |session: Session| async move {
        assert_eq!(session.get::<String>("user").await?.as_deref(), Some("ann"));
        assert_eq!(session.get::<String>("nothing").await?, None);
        assert!(!session.has("nothing").await?);
        // An undefined that is stored is there.
        assert!(session.has("gone").await?);
        assert_eq!(session.get::<Option<String>>("gone").await?, Some(None));
        assert_eq!(session.get::<Value>("gone").await?, Some(Value::Undefined));
        session.set("new", &true)?;
        assert_eq!(session.keys().await?, ["user", "gone", "new"]);
        let entries = [
            ("user".to_owned(), Value::from("ann")),
            ("gone".to_owned(), Value::Undefined),
            ("new".to_owned(), Value::from(true)),
        ];
        assert_eq!(session.entries().await?, entries);
        Ok(())
    })
    .await
    .ok();
}

#[test_support::test]
async fn b19_a_value_of_another_type_is_an_error_that_destroys_nothing() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    let answer = site
        .visitor(ID, |session: Session| async move {
            let error = session.get::<String>("a").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WrongType);
            Ok(session.get::<u32>("a").await?.unwrap().to_string())
        })
        .await
        .ok();
    assert_eq!(answer.body, "1");
    assert_eq!(site.record(ID).unwrap(), TWO);
}

#[test_support::test]
async fn b20_what_get_gives_is_a_copy() {
    let site = Site::new();
    site.stored_by_astro(
        ID,
        r#"[["Map",1,2],"cart",{"data":3,"expires":-1},[4],"shoe"]"#,
    );
    site.visitor(ID, |session: Session| async move {
        let mut cart: Vec<String> = session.get("cart").await?.unwrap();
        cart.push("hat".to_owned());
        assert_eq!(session.get::<Vec<String>>("cart").await?.unwrap(), ["shoe"]);
        // Something else that is written does not take the change along.
        session.set("other", &1)
    })
    .await
    .ok();
    site.visitor(ID, |session: Session| async move {
        assert_eq!(session.get::<Vec<String>>("cart").await?.unwrap(), ["shoe"]);
        session
            .update("cart", |cart: Option<Vec<String>>| {
                let mut cart = cart.unwrap_or_default();
                cart.push("hat".to_owned());
                cart
            })
            .await?;
        Ok(())
    })
    .await
    .ok();
    site.visitor(ID, |session: Session| async move {
        let cart: Vec<String> = session.get("cart").await?.unwrap();
        assert_eq!(cart, ["shoe", "hat"]);
        Ok(())
    })
    .await
    .ok();
}

#[test_support::test]
async fn b21_set_keeps_the_value_that_it_was_given() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            let mut cart = vec!["shoe"];
            session.set("cart", &cart)?;
            cart.push("hat");
            Ok(())
        })
        .await
        .ok();
    let record = site.record(answer.id()).unwrap();
    let cart = member(&entry(&record, "cart").unwrap(), "data");
    assert_eq!(cart, Value::Array(vec!["shoe".into()]));
}

#[test_support::test]
async fn b22_a_value_needs_a_name() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            for error in [
                session.set("", &1).unwrap_err(),
                session.remove("").unwrap_err(),
                session.get::<u32>("").await.unwrap_err(),
                session.has("").await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidKey);
            }
            Ok(())
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert!(site.asked().is_empty());
}

#[test_support::test]
async fn b22_the_names_of_our_own_entries_are_refused() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    let answer = site
        .visitor(ID, |session: Session| async move {
            for name in ["$session:flash", LIFETIME, "$session:"] {
                let error = session.set(name, &1).unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidKey, "{name}");
            }
            session.flash("notice", "Welcome back!")
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    let record = site.record(ID).unwrap();
    assert_eq!(names(&record), ["a", "b", "$session:flash", LIFETIME]);
    site.visitor(ID, |session: Session| async move {
        assert_eq!(session.keys().await?, ["a", "b"]);
        assert_eq!(session.entries().await?.len(), 2);
        let notice: Option<String> = session.take_flash("notice").await?;
        assert_eq!(notice.as_deref(), Some("Welcome back!"));
        Ok(())
    })
    .await
    .ok();
    assert_eq!(names(&site.record(ID).unwrap()), ["a", "b", LIFETIME]);
}

#[test_support::test]
async fn b23_a_value_that_cannot_be_written_is_an_error_of_set_and_changes_nothing() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            let value = BTreeMap::from([("__proto__", 1)]);
            let error = session.set("bad", &value).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unserializable);
            assert!(error.to_string().contains("`bad`"), "{error}");
            assert!(std::error::Error::source(&error).is_some());
            assert!(!session.has("bad").await?);
            Ok(())
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert!(site.asked().is_empty());
}

#[test_support::test]
async fn b24_the_ttl_of_a_call_goes_before_the_configured_one() {
    let minute = Duration::from_secs(60);
    let site = Site::with(|settings| settings.value_ttl(minute));
    let hour = Expiry::At(site.clock.now().saturating_add(60 * minute));
    let answer = site
        .anonymous(move |session: Session| async move {
            session.set("configured", &1)?;
            session.set_with("asked", &1, hour)?;
            session.set_with("never", &1, Expiry::Never)
        })
        .await
        .ok();
    let record = site.record(answer.id()).unwrap();
    for (name, expires) in [
        ("configured", millis(START + 60_000)),
        ("asked", millis(START + 3_600_000)),
        ("never", Value::Undefined),
    ] {
        let entry = entry(&record, name).unwrap();
        assert_eq!(member(&entry, "expires"), expires, "{name}");
    }

    site.clock.advance(2 * minute);
    site.visitor(answer.id(), |session: Session| async move {
        assert_eq!(session.keys().await?, ["asked", "never"]);
        Ok(())
    })
    .await
    .ok();
}

#[test_support::test]
async fn b24_a_value_that_ends_now_lasts_for_this_millisecond() {
    let site = Site::new();
    let now = Expiry::At(site.clock.now());
    let answer = site
        .anonymous(move |session: Session| async move { session.set_with("user", "ann", now) })
        .await
        .ok();
    for there in [true, false] {
        site.visitor(answer.id(), move |session: Session| async move {
            assert_eq!(session.has("user").await?, there);
            Ok(())
        })
        .await
        .ok();
        site.clock.advance(Duration::from_millis(1));
    }
}

#[test_support::test]
async fn b24_reading_does_not_move_the_end_of_a_value_and_update_keeps_it() {
    let site = Site::with(|settings| settings.value_ttl(Duration::from_secs(60)));
    let answer = site
        .anonymous(|session: Session| async move { session.set("visits", &1) })
        .await
        .ok();
    site.clock.advance(Duration::from_secs(30));
    site.visitor(answer.id(), |session: Session| async move {
        session
            .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
            .await?;
        Ok(())
    })
    .await
    .ok();
    let record = site.record(answer.id()).unwrap();
    let visits = entry(&record, "visits").unwrap();
    assert_eq!(member(&visits, "data"), Value::from(2));
    assert_eq!(member(&visits, "expires"), millis(START + 60_000));
}

#[test_support::test]
async fn b24_a_session_as_a_whole_ends_for_want_of_activity() {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    assert_eq!(site.end(ID), None);
    let reads = |session: Session| async move {
        Ok(session.get::<u32>("a").await?.unwrap_or(0).to_string())
    };

    // What Astro wrote without an end is given one by the first request that reads it.
    assert_eq!(site.visitor(ID, reads).await.ok().body, "1");
    assert_eq!(site.record(ID).unwrap(), TWO);
    for _ in 0..3 {
        let fortnight = site.clock.now().saturating_add(14 * DAY);
        assert_eq!(site.end(ID), Some(fortnight.as_millis()));
        site.clock.advance(13 * DAY);
        assert_eq!(site.visitor(ID, reads).await.ok().body, "1");
    }
    site.clock.advance(14 * DAY);
    assert_eq!(site.visitor(ID, reads).await.ok().body, "0");
    assert_eq!(site.record(ID), None);
}

#[test_support::test]
async fn b25_an_entry_is_always_data_and_expires_in_this_order() {
    let site = Site::new();
    let later = Expiry::At(Timestamp::from_millis(START + 1));
    let answer = site
        .anonymous(move |session: Session| async move {
            session.set("user", "ann")?;
            session.set_with("brief", "ann", later)
        })
        .await
        .ok();
    let record = site.record(answer.id()).unwrap();
    let start = format!(
        r#"[["Map",1,2,4,5,7,8],"user",{{"data":3,"expires":-1}},"ann","brief",{{"data":3,"expires":6}},{},"$session:lifetime","#,
        START + 1
    );
    assert!(record.starts_with(&start), "{record}");
}

#[test_support::test]
async fn b25_what_we_add_has_the_shape_that_astro_carries_along() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move { session.flash("notice", &Date::from_millis(0)) })
        .await
        .ok();
    let record = site.record(answer.id()).unwrap();
    let wire = format!(
        r#"[["Map",1,2,6,7],"$session:flash",{{"data":3,"expires":-1}},["Map",4,5],"notice",["Date","1970-01-01T00:00:00.000Z"],"$session:lifetime",{{"data":8,"expires":-1}},{{"created":9}},{START}]"#
    );
    assert_eq!(record, wire);
}

#[test_support::test]
async fn b26_a_value_is_removed_whether_it_was_read_before_or_not() {
    for reads_first in [true, false] {
        let site = Site::new();
        site.stored_by_astro(ID, TWO);
        let answer = site
            .visitor(ID, move |session: Session| async move {
                if reads_first {
                    assert!(session.has("a").await?);
                }
                session.remove("a")?;
                assert!(!session.has("a").await?);
                assert_eq!(session.get::<u32>("a").await?, None);
                session.remove("nothing")
            })
            .await
            .ok();
        assert!(answer.cookies().is_empty());
        assert_eq!(names(&site.record(ID).unwrap()), ["b", LIFETIME]);
    }
}

#[test_support::test]
async fn b26_what_is_set_and_removed_again_is_not_stored() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    for cookies in [&[][..], &[&*format!("astro-session={ID}")]] {
        site.visit(cookies, |session: Session| async move {
            session.set("c", &3)?;
            session.remove("c")
        })
        .await
        .ok();
        assert_eq!(site.record(ID).unwrap(), TWO);
        assert_eq!(site.count(), 1);
    }
}

#[test_support::test]
async fn b26_removing_what_is_not_there_writes_nothing() {
    let site = Site::with(|settings| settings.idle_timeout(None));
    site.stored_by_astro(ID, TWO);
    site.visitor(
        ID,
        |session: Session| async move { session.remove("nothing") },
    )
    .await
    .ok();
    assert_eq!(site.record(ID).unwrap(), TWO);
    assert_eq!(site.asked(), ["read"]);
}

#[test_support::test]
async fn b27_a_value_that_is_removed_and_set_again_is_stored() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    site.visitor(ID, |session: Session| async move {
        session.remove("a")?;
        session.set("a", &10)?;
        assert_eq!(session.get::<u32>("a").await?, Some(10));
        Ok(())
    })
    .await
    .ok();
    let record = site.record(ID).unwrap();
    assert_eq!(names(&record), ["a", "b", LIFETIME]);
    assert_eq!(
        member(&entry(&record, "a").unwrap(), "data"),
        Value::from(10)
    );
}

#[test_support::test]
async fn b27_what_was_removed_before_destroy_or_load_is_not_removed_after_it() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    let answer = site
        .anonymous(|session: Session| async move {
            session.remove("a")?;
            assert!(session.load(ID.parse()?).await?);
            session.set("c", &3)
        })
        .await
        .ok();
    assert_eq!(answer.id(), ID);
    assert_eq!(names(&site.record(ID).unwrap()), ["a", "b", "c", LIFETIME]);
}

#[test_support::test]
async fn b28_removing_without_a_session_writes_nothing() {
    let site = Site::new();
    for cookies in [
        &[][..],
        &["astro-session=00000000-0000-4000-8000-000000000000"],
    ] {
        let answer = site
            .visit(
                cookies,
                |session: Session| async move { session.remove("user") },
            )
            .await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.cookies().is_empty());
        assert_eq!(site.count(), 0);
    }
}

#[test_support::test]
async fn b28_reading_after_destroy_writes_nothing() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    let answer = site
        .visitor(ID, |session: Session| async move {
            session.destroy().await?;
            assert_eq!(session.get::<u32>("a").await?, None);
            Ok(())
        })
        .await
        .ok();
    assert!(answer.forgets());
    assert_eq!(site.count(), 0);
}

fn member(entry: &Value, name: &str) -> Value {
    let Value::Object(members) = entry else {
        panic!("{entry:?} is no object");
    };
    let members: &Object = members;
    members.get(name).unwrap().clone()
}

fn millis(millis: u64) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "it lies far below 2^53")]
    let millis = millis as f64;
    Value::from(millis)
}
