//! Behaviours 29 to 35: what a commit does to the store.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::StatusCode;
use session_core::ErrorKind;
use session_core::session::{OnCommitError, SaveOutcome, SessionId};
use session_tower::Session;
use tokio::sync::Barrier;

use crate::support::{ID, LIFETIME, Site, names};

const ANN: &str = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"ann"]"#;
const OTHER_ID: &str = "00000000-0000-4000-8000-000000000000";

async fn reads_the_user(session: Session) -> session_core::Result<String> {
    Ok(session.get("user").await?.unwrap_or_default())
}

#[test_support::test]
async fn b29_a_session_is_written_once_and_only_if_it_changed() {
    let site = Site::with(|settings| settings.idle_timeout(None));
    site.stored_by_astro(ID, ANN);
    site.visitor(ID, reads_the_user).await.ok();
    assert_eq!(site.asked(), ["read"]);
    site.visitor(
        ID,
        |session: Session| async move { session.set("user", "ann") },
    )
    .await
    .ok();
    assert_eq!(site.asked(), ["read"]);
    assert_eq!(site.record(ID).unwrap(), ANN);

    site.visitor(ID, |session: Session| async move {
        session.set("user", "bob")?;
        session.set("visits", &1)?;
        session.remove("nothing")
    })
    .await
    .ok();
    assert_eq!(site.asked(), ["read", "write"]);
}

#[test_support::test]
async fn b29_requests_at_the_same_time_all_keep_their_changes() {
    const REQUESTS: usize = 20;
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    let all_have_read = Arc::new(Barrier::new(REQUESTS));
    let requests = (0..REQUESTS).map(|n| {
        let all_have_read = Arc::clone(&all_have_read);
        site.visitor(ID, move |session: Session| async move {
            session.get::<String>("user").await?;
            all_have_read.wait().await;
            session
                .update("visits", |n: Option<u32>| n.unwrap_or(0) + 1)
                .await?;
            session.set(format!("key{n}"), &n)
        })
    });
    for answer in join_all(requests).await {
        answer.ok();
    }
    let answer = site
        .visitor(ID, |session: Session| async move {
            assert_eq!(session.keys().await?.len(), 2 + REQUESTS);
            Ok(session.get::<u32>("visits").await?.unwrap().to_string())
        })
        .await
        .ok();
    assert_eq!(answer.body, REQUESTS.to_string());
}

#[test_support::test]
async fn b29_a_record_that_astro_writes_meanwhile_keeps_its_changes_and_gets_ours() {
    let site = Arc::new(Site::new());
    site.stored_by_astro(ID, ANN);
    let astro = Arc::clone(&site);
    site.visitor(ID, move |session: Session| async move {
        assert!(session.has("user").await?);
        astro.stored_by_astro(
            ID,
            r#"[["Map",1,2],"cart",{"data":3,"expires":-1},[4],"hat"]"#,
        );
        session.set("visits", &1)
    })
    .await
    .ok();
    assert_eq!(
        names(&site.record(ID).unwrap()),
        ["cart", "visits", LIFETIME]
    );
}

#[test_support::test]
async fn b29_a_session_that_was_destroyed_meanwhile_stays_destroyed() {
    let site = Arc::new(Site::new());
    site.stored_by_astro(ID, ANN);
    let elsewhere = Arc::clone(&site);
    let answer = site
        .visitor(ID, move |session: Session| async move {
            assert!(session.has("user").await?);
            elsewhere.removed_elsewhere(ID);
            session.set("visits", &1)?;
            assert_eq!(session.save().await?, SaveOutcome::Gone);
            Ok(())
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert_eq!(site.count(), 0);
}

#[test_support::test]
async fn b30_a_write_that_fails_fails_the_response_without_a_cookie() {
    let site = Site::new();
    site.fail("write");
    let answer = site
        .anonymous(|session: Session| async move {
            session.set("user", "ann")?;
            Ok("Welcome!")
        })
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.body, "");
    assert!(answer.cookies().is_empty());
    assert_eq!(site.events().len(), 1, "{:?}", site.events());
}

#[test_support::test]
async fn b30_the_response_can_be_kept_instead() {
    let site = Site::with(|settings| settings.on_commit_error(OnCommitError::Keep));
    site.fail("write");
    let answer = site
        .anonymous(|session: Session| async move {
            session.set("user", "ann")?;
            Ok("Welcome!")
        })
        .await
        .ok();
    assert_eq!(answer.body, "Welcome!");
    assert!(answer.cookies().is_empty());
    assert_eq!(site.events().len(), 1, "{:?}", site.events());
}

#[test_support::test]
async fn b30_a_removal_that_fails_is_an_error_of_destroy() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.fail("remove");
    let answer = site
        .visitor(
            ID,
            |session: Session| async move { session.destroy().await },
        )
        .await;
    assert_eq!(answer.error, Some(ErrorKind::Unavailable));
    assert!(answer.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), ANN);
}

#[test_support::test]
async fn b31_a_session_that_was_emptied_is_still_there() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.visitor(ID, |session: Session| async move { session.remove("user") })
        .await
        .ok();
    assert_eq!(names(&site.record(ID).unwrap()), [LIFETIME]);
    let answer = site
        .visitor(ID, |session: Session| async move {
            assert!(session.keys().await?.is_empty());
            session.set("user", "bob")
        })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert_eq!(names(&site.record(ID).unwrap()), [LIFETIME, "user"]);
}

#[test_support::test]
async fn b32_destroy_removes_the_record_at_once_and_the_cookie_with_the_response() {
    for reads_first in [true, false] {
        let site = Arc::new(Site::new());
        site.stored_by_astro(ID, ANN);
        let store = Arc::clone(&site);
        let answer = site
            .visitor(ID, move |session: Session| async move {
                if reads_first {
                    session.get::<String>("user").await?;
                }
                session.destroy().await?;
                assert_eq!(store.record(ID), None);
                assert_eq!(session.get::<String>("user").await?, None);
                Ok(())
            })
            .await
            .ok();
        assert!(answer.forgets());
        assert_eq!(site.count(), 0);
    }
}

#[test_support::test]
async fn b32_what_is_set_after_destroy_goes_to_a_new_session() {
    for sets_first in [true, false] {
        let site = Site::new();
        site.stored_by_astro(ID, ANN);
        let answer = site
            .visitor(ID, move |session: Session| async move {
                if sets_first {
                    session.set("before", &1)?;
                }
                session.destroy().await?;
                session.set("after", &1)
            })
            .await
            .ok();
        assert_ne!(answer.id(), ID);
        assert_eq!(
            names(&site.record(answer.id()).unwrap()),
            ["after", LIFETIME]
        );
        assert_eq!(site.count(), 1);
    }
}

#[test_support::test]
async fn b32_set_destroy_set_without_a_cookie_gives_the_cookie_of_what_is_stored() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move {
            session.set("before", &1)?;
            session.destroy().await?;
            session.set("after", &1)
        })
        .await
        .ok();
    assert_eq!(
        names(&site.record(answer.id()).unwrap()),
        ["after", LIFETIME]
    );
    assert_eq!(site.count(), 1);
}

#[test_support::test]
async fn b33_regenerate_moves_the_session_to_a_new_id() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    let answer = site
        .visitor(ID, |session: Session| async move {
            session.regenerate()?;
            assert_eq!(session.get::<String>("user").await?.as_deref(), Some("ann"));
            Ok(session.id().unwrap().expose().to_owned())
        })
        .await
        .ok();
    assert_ne!(answer.id(), ID);
    assert_eq!(answer.id(), answer.body);
    assert_eq!(
        site.visitor(answer.id(), reads_the_user).await.ok().body,
        "ann"
    );
}

#[test_support::test]
async fn b33_the_old_id_is_no_session_for_astro_and_for_us_until_its_grace_is_over() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.visitor(ID, |session: Session| async move { session.regenerate() })
        .await
        .ok();
    let tombstone = site.record(ID).unwrap();
    assert_eq!(
        tombstone.parse::<f64>(),
        Ok(0.0),
        "Astro reads it as no session"
    );
    let late = site
        .visitor(ID, |session: Session| async move {
            assert_eq!(session.get::<String>("user").await?, None);
            session.set("user", "eve")
        })
        .await
        .ok();
    assert!(late.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), tombstone);

    site.clock.advance(Duration::from_secs(60));
    assert_eq!(site.record(ID), None);
}

#[test_support::test]
async fn b33_the_new_record_is_written_before_the_old_one_goes() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.fail("write");
    let answer = site
        .visitor(ID, |session: Session| async move { session.regenerate() })
        .await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), ANN);
}

#[test_support::test]
async fn b33_a_move_whose_old_record_stays_is_undone_and_fails() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.fail_after(1, "write");
    let answer = site
        .visitor(ID, |session: Session| async move { session.regenerate() })
        .await;
    // Nobody knows whether the tombstone was written.
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(answer.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), ANN);
    assert_eq!(site.count(), 1);
    assert_eq!(site.events().len(), 1, "{:?}", site.events());
}

#[test_support::test]
async fn b33_without_a_session_there_is_nothing_to_move() {
    let site = Site::new();
    let answer = site
        .anonymous(|session: Session| async move { session.regenerate() })
        .await
        .ok();
    assert!(answer.cookies().is_empty());
    assert!(site.asked().is_empty());
    assert_eq!(site.count(), 0);
}

#[test_support::test]
async fn b34_regenerate_of_a_session_that_cannot_be_loaded_loses_nothing() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    site.fail("read");
    let answer = site.visitor(ID, logs_bob_in).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.cookies().is_empty());
    assert_eq!(site.record(ID).unwrap(), ANN);
    assert_eq!(site.count(), 1);
}

#[test_support::test]
async fn b34_regenerate_of_a_session_that_cannot_be_parsed_starts_with_an_empty_one() {
    let site = Site::new();
    site.stored_by_astro(ID, "hello");
    let answer = site.visitor(ID, logs_bob_in).await.ok();
    assert_eq!(
        names(&site.record(answer.id()).unwrap()),
        ["user", LIFETIME]
    );
    assert_eq!(site.record(ID).unwrap().parse::<f64>(), Ok(0.0));
}

async fn logs_bob_in(session: Session) -> Result<(), session_core::Error> {
    session.regenerate()?;
    session.set("user", "bob")
}

#[test_support::test]
async fn b35_load_takes_the_session_of_an_id_and_drops_what_was_not_saved() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    let answer = site
        .anonymous(|session: Session| async move {
            session.set("user", "eve")?;
            assert!(session.load(ID.parse()?).await?);
            Ok(session.get::<String>("user").await?.unwrap())
        })
        .await
        .ok();
    assert_eq!(answer.body, "ann");
    assert_eq!(answer.id(), ID);
    assert_eq!(site.record(ID).unwrap(), ANN);
}

#[test_support::test]
async fn b35_loading_what_is_not_there_changes_nothing() {
    let site = Site::new();
    site.stored_by_astro(ID, ANN);
    let answer = site
        .visitor(ID, |session: Session| async move {
            session.set("visits", &1)?;
            assert!(!session.load(OTHER_ID.parse()?).await?);
            Ok(session.get::<String>("user").await?.unwrap())
        })
        .await
        .ok();
    assert_eq!(answer.body, "ann");
    assert!(answer.cookies().is_empty());
    assert_eq!(
        names(&site.record(ID).unwrap()),
        ["user", "visits", LIFETIME]
    );
    assert_eq!(site.count(), 1);
}

#[test]
fn b35_only_an_id_can_be_loaded() {
    for text in ["my/custom:id", "", "2ed6657d-e927-11ee-9c3a-0242ac120002"] {
        let error = text.parse::<SessionId>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidKey, "{text}");
    }
}
