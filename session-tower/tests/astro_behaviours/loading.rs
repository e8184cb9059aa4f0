//! Behaviours 11 to 18: when and how a record is read.

use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use serde_devalue::Value;
use session_core::{ErrorKind, Expiry, Timestamp};
use session_tower::Session;

use crate::support::{ID, LIFETIME, START, Site, entries, entry, names};

const ANN: &str = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#;
const TWO: &str =
    r#"[["Map",1,2,4,5],"a",{"data":3,"expires":-1},1,"b",{"data":6,"expires":-1},2]"#;

async fn reads_the_user(session: Session) -> session_core::Result<String> {
    Ok(session.get("user").await?.unwrap_or_default())
}

#[test_support::test]
async fn b11_nothing_is_read_until_it_is_needed() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.visitor(ID, |_: Session| async { Ok(()) }).await.ok();
    assert!(site.asked().is_empty());

    let answer = site.visitor(ID, reads_the_user).await.ok();
    assert_eq!(answer.body, "ann");
    assert_eq!(site.asked().first(), Some(&"read"));
}

#[test_support::test]
async fn b12_without_a_cookie_nothing_is_read() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            assert_eq!(session.get::<String>("user").await?, None);
            assert!(!session.has("user").await?);
            assert!(session.keys().await?.is_empty());
            assert!(session.entries().await?.is_empty());
            Ok(())
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert!(site.asked().is_empty());
}

#[test_support::test]
async fn b12_a_first_value_costs_one_write_and_no_read() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            session.set("user", "ann")?;
            Ok(session.get::<String>("user").await?.unwrap())
        })
        .await
        .ok();
    assert_eq!(answer.body, "ann");
    assert_eq!(site.asked(), ["write"]);
}

#[test_support::test]
async fn b13_changes_made_before_the_record_is_read_lie_on_top_of_it() {
    let site = Site::new();
    site.stored_by_astro(ID, TWO);
    site.visitor(ID, |session: Session| async move {
        session.set("a", &10)?;
        session.set("c", &3)?;
        session.remove("b")?;
        assert_eq!(session.get::<u32>("a").await?, Some(10));
        assert!(!session.has("b").await?);
        assert_eq!(session.keys().await?, ["a", "c"]);
        Ok(())
    })
    .await
    .ok();
    assert_eq!(names(&site.record(ID).unwrap()), ["a", "c", LIFETIME]);
}

#[test_support::test]
async fn b13_the_order_of_the_entries_does_not_depend_on_what_was_read_first() {
    let mut records = Vec::new();
    for reads_first in [true, false] {
        let site = Site::new();
        site.stored_by_astro(ID, TWO);
        site.visitor(ID, move |session: Session| async move {
            if reads_first {
                session.get::<u32>("a").await?;
            }
            session.set("c", &3)?;
            session.set("b", &20)
        })
        .await
        .ok();
        records.push(site.record(ID).unwrap());
    }
    assert_eq!(names(&records[0]), ["a", "b", "c", LIFETIME]);
    assert_eq!(records[0], records[1]);
}

#[test_support::test]
async fn b14_a_record_is_read_once_a_request_whether_it_is_there_or_not() {
    let site = Site::with(|settings| settings.idle_timeout(None));
    site.stored_by_astro(ID, ANN);
    for id in [ID, "00000000-0000-4000-8000-000000000000"] {
        site.visitor(id, |session: Session| async move {
            for _ in 0..3 {
                session.get::<String>("user").await?;
            }
            let gets = (0..3).map(|_| session.get::<String>("other"));
            join_all(gets)
                .await
                .into_iter()
                .collect::<Result<Vec<_>, _>>()?;
            Ok(())
        })
        .await
        .ok();
        assert_eq!(site.asked(), ["read"]);
    }
}

#[test_support::test]
async fn b14_two_first_gets_at_the_same_time_read_once() {
    let site = Site::with(|settings| settings.idle_timeout(None));
    site.stored_by_astro(ID, ANN);
    site.visitor(ID, |session: Session| async move {
        let (one, other) =
            tokio::join!(session.get::<String>("user"), session.get::<String>("user"));
        assert_eq!(one?, other?);
        Ok(())
    })
    .await
    .ok();
    assert_eq!(site.asked(), ["read"]);
}

#[test_support::test]
async fn b15_a_value_ends_after_its_last_millisecond() {
    let site = Site::with(|settings| settings.idle_timeout(None));
    let record = format!(
        r#"[["Map",1,2],"user",{{"data":3,"expires":4}},"ann",{}]"#,
        START + 1
    );
    site.stored_by_astro(ID, &record);
    for user in ["ann", "ann", ""] {
        assert_eq!(site.visitor(ID, reads_the_user).await.ok().body, user);
        site.clock.advance(Duration::from_millis(1));
    }
}

#[test_support::test]
async fn b15_a_value_that_has_ended_stays_stored_until_something_else_is_written() {
    let record = format!(
        r#"[["Map",1,2,5,6],"old",{{"data":3,"expires":4}},1,{},"user",{{"data":7,"expires":-1}},"ann"]"#,
        START - 1
    );
    let site = Site::new();
    site.stored_by_astro(ID, &record);
    site.visitor(ID, |session: Session| async move {
        assert!(!session.has("old").await?);
        assert_eq!(session.keys().await?, ["user"]);
        Ok(())
    })
    .await
    .ok();
    assert_eq!(site.record(ID).unwrap(), record);

    site.visitor(ID, |session: Session| async move { session.set("new", &1) })
        .await
        .ok();
    assert_eq!(names(&site.record(ID).unwrap()), ["user", "new", LIFETIME]);
}

#[test_support::test]
async fn b15_a_value_that_is_set_with_an_end_in_the_past_can_be_read_in_the_same_request() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    let past = Expiry::At(Timestamp::from_millis(START - 1));
    site.visitor(ID, move |session: Session| async move {
        session.set_with("brief", &1, past)?;
        assert_eq!(session.get::<u32>("brief").await?, Some(1));
        Ok(())
    })
    .await
    .ok();
    site.visitor(ID, |session: Session| async move {
        assert!(!session.has("brief").await?);
        Ok(())
    })
    .await
    .ok();
}

#[test_support::test]
async fn b15_only_a_number_ends_a_value() {
    let site = Site::new();
    for (expires, there) in [
        ("null", true),
        (r#""1""#, true),
        ("-1", true),
        ("-3", true),
        ("-4", true),
        ("-5", false),
        ("1", false),
    ] {
        // The sentinels stand in place of an index; the others have an entry of their own.
        let record = if expires.starts_with('-') {
            format!(r#"[["Map",1,2],"user",{{"data":3,"expires":{expires}}},"ann"]"#)
        } else {
            format!(r#"[["Map",1,2],"user",{{"data":3,"expires":4}},"ann",{expires}]"#)
        };
        site.stored_by_astro(ID, &record);
        let answer = site.visitor(ID, reads_the_user).await.ok();
        assert_eq!(!answer.body.is_empty(), there, "{record}");
    }
}

#[test_support::test]
async fn b16_what_javascript_takes_as_false_is_no_session() {
    for stored in [
        "",
        " ",
        "false",
        "False",
        "0",
        "nan",
        "NaN",
        "null",
        "undefined",
        "\"\"",
    ] {
        let site = Site::new();
        site.stored_by_astro(ID, stored);
        let answer = site
            .visitor(ID, |session: Session| async move {
                assert_eq!(session.get::<String>("user").await?, None);
                session.set("user", "ann")
            })
            .await
            .ok();
        assert_ne!(answer.id(), ID, "{stored:?}");
        assert_eq!(site.record(ID).unwrap(), stored);
    }
}

#[test_support::test]
async fn b16_another_form_of_zero_is_a_session_that_moved_and_takes_no_changes() {
    let site = Site::new();
    site.stored_by_astro(ID, "0e1");
    let answer = site
        .visitor(ID, |session: Session| async move {
            assert_eq!(session.get::<String>("user").await?, None);
            session.set("user", "ann")
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), "0e1");
    assert_eq!(site.count(), 1);
    assert_eq!(site.events().len(), 1, "{:?}", site.events());
}

#[test_support::test]
async fn b16_white_space_in_a_record_means_nothing() {
    for stored in [
        format!(" \n{ANN}\n"),
        "[[\"Map\", 1, 2], \"user\",\n {\"expires\": -1, \"data\": 3}, \"ann\"]".to_owned(),
    ] {
        let site = Site::new();
        site.stored_by_astro(ID, &stored);
        assert_eq!(site.visitor(ID, reads_the_user).await.ok().body, "ann");
    }
}

#[test_support::test]
async fn b16_a_byte_order_mark_or_a_prototype_is_refused() {
    let site = Site::new();
    for stored in [
        format!("\u{feff}{ANN}"),
        r#"[["Map",1,2],"user",{"data":3,"expires":-1},{"__proto__":4},"x"]"#.to_owned(),
    ] {
        site.stored_by_astro(ID, &stored);
        let answer = site.visitor(ID, reads_the_user).await;
        assert!(answer.error.is_some(), "{stored}");
        assert_eq!(site.record(ID).unwrap(), stored);
    }
}

#[test_support::test]
async fn b17_a_record_that_cannot_be_read_is_an_error_and_stays_as_it_is() {
    for stored in [
        r#"[["Map",1,2],"a""#,
        r#"[["Map",1,9],"a"]"#,
        "[[1],2]",
        r#"[{"a":1},2]"#,
        "-1",
        "hello",
    ] {
        let site = Site::new();
        site.stored_by_astro(ID, stored);
        let read = site.visitor(ID, reads_the_user).await;
        assert_eq!(read.status, StatusCode::INTERNAL_SERVER_ERROR, "{stored}");
        assert_eq!(read.error, Some(ErrorKind::CorruptData), "{stored}");
        assert!(read.cookies().is_empty());

        let written = site
            .visitor(
                ID,
                |session: Session| async move { session.set("user", "ann") },
            )
            .await;
        assert_eq!(
            written.status,
            StatusCode::INTERNAL_SERVER_ERROR,
            "{stored}"
        );
        assert!(written.cookies().is_empty());
        assert_eq!(site.record(ID).unwrap(), stored);
    }
}

#[test_support::test]
async fn b17_destroying_a_record_that_cannot_be_read_is_how_to_be_rid_of_it() {
    let site = Site::new();
    site.stored_by_astro(ID, "hello");
    let answer = site
        .visitor(ID, |session: Session| async move {
            assert!(session.get::<String>("user").await.is_err());
            session.destroy().await?;
            session.set("user", "ann")
        })
        .await
        .ok();
    assert_ne!(answer.id(), ID);
    assert_eq!(site.record(ID), None);
    assert_eq!(site.count(), 1);
}

#[test_support::test]
async fn b18_an_error_of_the_store_comes_out_as_it_is() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.fail("read");
    let answer = site.visitor(ID, reads_the_user).await;
    assert_eq!(answer.error, Some(ErrorKind::Unavailable));
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.cookies().is_empty());
    assert_eq!(site.events().len(), 1, "{:?}", site.events());

    site.mend();
    assert_eq!(site.visitor(ID, reads_the_user).await.ok().body, "ann");
}

#[test_support::test]
async fn b18_entries_of_a_foreign_shape_are_kept_as_they_are() {
    // A text, a null, one with a field more, one without an end, one under a number, and one of ours.
    let stored = r#"[["Map",1,2,3,4,5,6,10,11,12,13],"text","just text","null",null,"more",{"data":7,"expires":-1,"by":8},7,["Set",9],9,"bare",{"data":7},42,{"data":7,"expires":-1}]"#;
    let site = Site::new();
    site.stored_by_astro(ID, stored);
    site.visitor(ID, |session: Session| async move {
        for name in ["text", "null"] {
            assert!(session.has(name).await?, "{name}");
            assert_eq!(session.get::<Value>(name).await?, None, "{name}");
        }
        for name in ["more", "bare"] {
            assert_eq!(session.get::<u32>(name).await?, Some(7), "{name}");
        }
        assert_eq!(session.get::<u32>("42").await?, None);
        session.set("user", "ann")
    })
    .await
    .ok();

    let record = site.record(ID).unwrap();
    assert_eq!(entries(stored)[..], entries(&record)[..5]);
    assert!(entry(&record, "user").is_some());
}
