//! Commits of one session that wait are written together, within bounds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{join, join_all};
use session_core::session::*;
use session_core::*;

use crate::fixtures::*;

#[test_support::test]
async fn commits_of_one_session_that_wait_are_written_together() {
    let driver = AlteredMemory::new(Duration::from_millis(20), |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let id = stored(&store).await;
    let sessions: Vec<Session> = (0..20).map(|_| request(&store, id)).collect();
    join_all(sessions.iter().map(inc)).await;
    driver.take();
    join_all(sessions.iter().map(end)).await;
    let writes = driver.take();
    assert!(writes.len() <= 3, "{writes:?}");
    assert_eq!(number(&store, id).await, Some(21));
}

#[test_support::test]
async fn one_commit_that_fails_does_not_fail_those_that_are_written_with_it() {
    let driver = AlteredMemory::new(Duration::from_millis(20), |_| {});
    let store = SessionManager::builder(Arc::clone(&driver))
        .max_record_size(1_000)
        .build()
        .unwrap();
    let id = stored(&store).await;
    let sessions: Vec<Session> = (0..6).map(|_| request(&store, id)).collect();
    for (place, session) in sessions.iter().enumerate() {
        let limit = if place == 2 { 2 } else { 100 };
        session
            .try_update("n", move |n: Option<u32>| {
                let n = n.unwrap_or(0) + 1;
                assert!(place != 3 || n < 3, "as planned");
                (n <= limit).then_some(n).ok_or("too many")
            })
            .await
            .unwrap();
    }
    sessions[4].set("big", &"y".repeat(2_000)).unwrap();
    sessions[5].get::<u32>("n").await.unwrap();
    let results = join_all(sessions.iter().map(Session::save)).await;
    let outcome = |place: usize| match &results[place] {
        Ok(outcome) => format!("{outcome:?}"),
        Err(error) => format!("{:?}", error.kind()),
    };
    let outcomes: Vec<String> = (0..6).map(outcome).collect();
    assert_eq!(
        outcomes,
        [
            "Written", "Written", "Rejected", "Rejected", "TooLarge", "Written"
        ]
    );
    assert_eq!(number(&store, id).await, Some(4));
}

#[test_support::test]
async fn a_handle_whose_commit_was_written_with_others_can_go_on() {
    let driver = AlteredMemory::new(Duration::from_millis(20), |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let id = stored(&store).await;
    let sessions: Vec<Session> = (0..5).map(|_| request(&store, id)).collect();
    join_all(sessions.iter().map(inc)).await;
    join_all(
        sessions
            .iter()
            .map(|session| async { session.save().await.unwrap() }),
    )
    .await;
    for (place, session) in (2..).zip(&sessions) {
        let own: Option<u32> = session.get("n").await.unwrap();
        assert_eq!(
            own,
            Some(place),
            "its own number, and not that of a later commit"
        );
    }
    for (place, session) in sessions.iter().enumerate() {
        session.set("last", &place).unwrap();
        assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
        inc(session).await;
        end(session).await;
    }
    assert_eq!(number(&store, id).await, Some(11));
}

#[test_support::test]
async fn a_logout_goes_before_the_commits_that_wait_and_makes_them_gone() {
    let driver = AlteredMemory::new(Duration::from_millis(50), |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let id = stored(&store).await;
    let sessions: Vec<Session> = (0..10).map(|_| request(&store, id)).collect();
    join_all(sessions.iter().map(inc)).await;
    let logout = request(&store, id);
    driver.take();
    let commits = join_all(sessions.iter().map(Session::save));
    let (outcomes, ()) = join(commits, async { logout.destroy().await.unwrap() }).await;
    let outcomes: Vec<SaveOutcome> = outcomes.into_iter().map(Result::unwrap).collect();
    assert_eq!(outcomes[0], SaveOutcome::Written);
    assert!(
        outcomes[1..]
            .iter()
            .all(|outcome| *outcome == SaveOutcome::Gone)
    );
    assert_eq!(driver.take(), ["write", "read", "remove"]);
}

#[test_support::test]
async fn a_commit_that_was_given_up_while_it_waited_is_not_applied() {
    let driver = AlteredMemory::new(Duration::from_millis(50), |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let id = stored(&store).await;
    let (first, second) = (request(&store, id), request(&store, id));
    join(inc(&first), inc(&second)).await;
    let mut running = Box::pin(first.save());
    assert!(futures_util::poll!(&mut running).is_pending());
    {
        let mut waiting = Box::pin(second.save());
        assert!(futures_util::poll!(&mut waiting).is_pending());
    }
    running.await.unwrap();
    store.close(Duration::from_secs(10)).await.unwrap();
    assert_eq!(number(&SessionManager::new(driver), id).await, Some(2));
}

#[test_support::test]
async fn a_commit_that_has_begun_to_write_ends_although_its_client_has_gone() {
    let driver = AlteredMemory::new(Duration::from_millis(50), |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let id = stored(&store).await;
    let session = request(&store, id);
    inc(&session).await;
    {
        let mut running = Box::pin(session.save());
        assert!(futures_util::poll!(&mut running).is_pending());
    }
    store.close(Duration::from_secs(10)).await.unwrap();
    assert_eq!(number(&SessionManager::new(driver), id).await, Some(2));
}

#[test_support::test]
async fn at_most_a_mebibyte_of_changes_of_one_session_waits() {
    let driver = AlteredMemory::new(Duration::from_millis(200), |_| {});
    let store = SessionManager::builder(Arc::clone(&driver))
        .max_record_size(64 * 1024 * 1024)
        .build()
        .unwrap();
    let id = stored(&store).await;
    let refused = AtomicUsize::new(0);
    let text = "y".repeat(300 * 1024);
    let commits = (0..8).map(|place| {
        let session = request(&store, id);
        let (text, refused) = (&text, &refused);
        async move {
            session.get::<u32>("n").await.unwrap();
            session.set(format!("k{place}"), text).unwrap();
            if let Err(error) = session.save().await {
                assert_eq!(error.kind(), ErrorKind::Contended);
                assert_eq!(error.outcome(), Outcome::NotApplied);
                refused.fetch_add(1, Ordering::Relaxed);
            }
        }
    });
    join_all(commits).await;
    // One is written and three wait.
    assert_eq!(refused.load(Ordering::Relaxed), 4);
}
