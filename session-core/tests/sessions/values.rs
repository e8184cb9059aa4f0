//! Taking, clearing and refusing values, beside other requests that change the same session.

use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use session_core::session::{SaveOutcome, Session, SessionId, SessionManager, TypedKey};
use session_core::{Clock, ErrorKind, ManualClock, Outcome, Timestamp};

const CREDIT: TypedKey<u32> = TypedKey::new("credit");
const VISITS: TypedKey<u32> = TypedKey::new("visits").with_default(|| 7);

fn manager() -> SessionManager {
    SessionManager::new(MemoryDriver::new())
}

async fn stored(manager: &SessionManager, fill: impl FnOnce(&Session)) -> SessionId {
    let session = manager.create();
    fill(&session);
    session.save().await.unwrap();
    session.id().unwrap()
}

async fn open(manager: &SessionManager, id: SessionId) -> Session {
    manager.open(id).await.unwrap().unwrap()
}

fn spend(amount: u32) -> impl Fn(Option<u32>) -> Result<u32, &'static str> + Send + Sync {
    move |credit| {
        let credit = credit.unwrap_or(0);
        credit.checked_sub(amount).ok_or("not enough credit")
    }
}

#[test_support::test]
async fn a_typed_key_is_accepted_wherever_a_name_is() {
    let session = manager().create();
    assert_eq!(session.get_or_default(VISITS).await.unwrap(), 7);
    session.set(CREDIT, &5).unwrap();
    assert!(session.has(CREDIT).await.unwrap());
    assert!(session.has("credit").await.unwrap());
    session.remove(CREDIT).unwrap();
    assert!(!session.has(CREDIT).await.unwrap());
    assert_eq!(session.get_or_default(CREDIT).await.unwrap(), 0);
}

#[test_support::test]
async fn take_returns_the_value_and_removes_it() {
    let manager = manager();
    let id = stored(&manager, |session| session.set(CREDIT, &5).unwrap()).await;
    let session = open(&manager, id).await;
    assert_eq!(session.take(CREDIT).await.unwrap(), Some(5));
    assert_eq!(session.take(CREDIT).await.unwrap(), None);
    session.save().await.unwrap();
    assert_eq!(open(&manager, id).await.get(CREDIT).await.unwrap(), None);
}

#[test_support::test]
async fn take_leaves_a_value_of_another_type_alone() {
    let manager = manager();
    let id = stored(&manager, |session| session.set("credit", "five").unwrap()).await;
    let session = open(&manager, id).await;
    let error = session.take(CREDIT).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
    assert!(open(&manager, id).await.has("credit").await.unwrap());
}

#[test_support::test]
async fn clear_removes_what_the_session_has_at_the_commit_and_keeps_what_is_set_later() {
    let manager = manager();
    let id = stored(&manager, |session| {
        session.set("old", &1).unwrap();
        session.flash("notice", "hello").unwrap();
    })
    .await;
    let session = open(&manager, id).await;
    session.set("before", &2).unwrap();
    session.clear().unwrap();
    session.set("after", &3).unwrap();
    for name in ["old", "before"] {
        assert_eq!(session.get::<u32>(name).await.unwrap(), None, "{name}");
    }
    assert_eq!(session.take_flash::<String>("notice").await.unwrap(), None);
    assert_eq!(session.keys().await.unwrap(), ["after"]);

    // Another request sets a value between the clear and its commit.
    let other = open(&manager, id).await;
    other.set("meanwhile", &4).unwrap();
    other.save().await.unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);

    let fresh = open(&manager, id).await;
    assert_eq!(fresh.keys().await.unwrap(), ["after"]);
    assert_eq!(fresh.take_flash::<String>("notice").await.unwrap(), None);
}

#[test_support::test]
async fn an_update_after_a_clear_starts_without_the_old_value_also_on_a_newer_record() {
    let manager = manager();
    let id = stored(&manager, |session| session.set(CREDIT, &5).unwrap()).await;
    let session = open(&manager, id).await;
    session.clear().unwrap();
    let add_one = |credit: Option<u32>| credit.unwrap_or(0) + 1;
    assert_eq!(session.update(CREDIT, add_one).await.unwrap(), 1);
    let other = open(&manager, id).await;
    other.set(CREDIT, &50).unwrap();
    other.save().await.unwrap();
    session.save().await.unwrap();
    assert_eq!(open(&manager, id).await.get(CREDIT).await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_refused_update_changes_nothing_and_keeps_its_reason() {
    let manager = manager();
    let id = stored(&manager, |session| session.set(CREDIT, &5).unwrap()).await;
    let session = open(&manager, id).await;
    assert_eq!(session.try_update(CREDIT, spend(3)).await.unwrap(), 2);
    let error = session.try_update(CREDIT, spend(3)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    let reason = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(reason, "not enough credit");
    session.save().await.unwrap();
    assert_eq!(open(&manager, id).await.get(CREDIT).await.unwrap(), Some(2));
}

#[test_support::test]
async fn an_update_that_is_refused_on_a_newer_record_fails_the_commit() {
    let manager = manager();
    let id = stored(&manager, |session| session.set(CREDIT, &5).unwrap()).await;
    let first = open(&manager, id).await;
    let second = open(&manager, id).await;
    for session in [&first, &second] {
        assert_eq!(session.try_update(CREDIT, spend(3)).await.unwrap(), 2);
        session.set("shipped", &true).unwrap();
    }
    first.save().await.unwrap();
    let error = second.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(open(&manager, id).await.get(CREDIT).await.unwrap(), Some(2));
}

#[derive(Debug)]
struct SharedClock(Arc<ManualClock>);

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

#[test_support::test]
async fn a_session_knows_when_it_was_created_and_when_it_expires() {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let start = Timestamp::from_millis(1_700_000_000_000);
    let clock = Arc::new(ManualClock::new(start));
    let driver = MemoryDriver::new().with_clock(SharedClock(Arc::clone(&clock)));
    let manager = SessionManager::builder(driver)
        .clock(clock.clone())
        .idle_timeout(HOUR)
        .build()
        .unwrap();
    let session = manager.create();
    assert_eq!(session.created_at().await.unwrap(), None);
    assert_eq!(session.expires_at().await.unwrap(), None);
    session.set(CREDIT, &1).unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();

    clock.advance(HOUR / 2);
    let session = open(&manager, id).await;
    assert_eq!(session.created_at().await.unwrap(), Some(start));
    let expires_at = start.saturating_add(HOUR / 2).saturating_add(HOUR);
    assert_eq!(session.expires_at().await.unwrap(), Some(expires_at));
}
