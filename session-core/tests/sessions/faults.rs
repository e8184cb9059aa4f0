//! A backend that fails: every error is told, nothing is written twice, and nothing that is stored is lost.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{Fault, Faults, Faulty, Operation};
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::session::{SaveOutcome, Session, SessionId, SessionManager};

use crate::fixtures::request;
use session_core::{
    Bytes, Capabilities, Conditions, Driver, Entry, ErrorKind, Key, ListOptions, ListPage,
    ManualClock, Outcome, RemoveOptions, RemoveOutcome, Result, Timestamp, WriteOptions,
    WriteOutcome, async_trait,
};

struct Setup {
    store: SessionManager,
    faults: Faults,
    events: Arc<Mutex<Vec<String>>>,
}

impl Setup {
    fn new() -> Self {
        let driver = Faulty::new(MemoryDriver::new());
        let faults = driver.faults();
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let seen = Arc::clone(&events);
        let store = SessionManager::builder(Arc::new(driver))
            .max_record_size(1_000)
            .on_event(move |event| seen.lock().push(format!("{event:?}")))
            .build()
            .unwrap();
        Self {
            store,
            faults,
            events,
        }
    }

    /// A stored session in which `n` is 1.
    async fn session(&self) -> (SessionId, Session) {
        let session = self.store.create();
        session.set("n", &1).unwrap();
        assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
        let id = session.id().unwrap();
        (id, self.open(id).await)
    }

    async fn open(&self, id: SessionId) -> Session {
        self.store.open(id).await.unwrap().unwrap()
    }

    async fn n(&self, id: SessionId) -> Option<u32> {
        self.open(id).await.get("n").await.unwrap()
    }
}

async fn increment(session: &Session) -> Result<u32> {
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await
}

#[test_support::test]
async fn an_update_whose_answer_was_lost_is_an_error_and_is_never_applied_twice() {
    let setup = Setup::new();
    let (id, session) = setup.session().await;
    increment(&session).await.unwrap();
    setup
        .faults
        .next(Operation::Write, Fault::after(ErrorKind::TimedOut));
    let error = session.save().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
    assert_eq!(setup.n(id).await, Some(2));
    assert_eq!(session.get("n").await.unwrap(), Some(2), "it is read anew");
}

#[test_support::test]
async fn an_update_that_was_certainly_not_applied_can_be_saved_again() {
    let setup = Setup::new();
    let (id, session) = setup.session().await;
    increment(&session).await.unwrap();
    setup.faults.next(
        Operation::Write,
        Fault::before(ErrorKind::Unavailable).with_outcome(Outcome::NotApplied),
    );
    assert_eq!(
        session.save().await.unwrap_err().outcome(),
        Outcome::NotApplied
    );
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    assert_eq!(setup.n(id).await, Some(2));
}

#[test_support::test]
async fn a_failed_load_is_an_error_of_each_read_until_it_works() {
    let setup = Setup::new();
    let (id, _) = setup.session().await;
    let session = setup.store.create();
    assert!(session.load(id).await.unwrap());
    setup
        .faults
        .always(Operation::Read, Fault::before(ErrorKind::Unavailable));
    let error = session.reload().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(setup.events.lock()[0].contains("LoadFailed"));
    setup.faults.clear();
    assert_eq!(session.get("n").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_failed_destroy_is_an_error_and_the_session_is_still_there() {
    let setup = Setup::new();
    let (id, session) = setup.session().await;
    setup.faults.next(
        Operation::Remove,
        Fault::before(ErrorKind::Unavailable).with_outcome(Outcome::NotApplied),
    );
    assert!(session.destroy().await.is_err());
    assert_eq!(session.get("n").await.unwrap(), Some(1));
    session.destroy().await.unwrap();
    assert!(setup.store.open(id).await.unwrap().is_none());
}

#[test_support::test]
async fn a_login_tries_again_when_the_old_record_could_not_be_replaced() {
    let setup = Setup::new();
    let (old, session) = setup.session().await;
    let session = request(session.manager(), old);
    session.regenerate().unwrap();
    let new = session.id().unwrap();
    // The second write is the tombstone.
    setup
        .faults
        .next(Operation::Write, Fault::slow(Duration::ZERO));
    setup
        .faults
        .next(Operation::Write, Fault::before(ErrorKind::Unavailable));
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    assert_eq!(session.id(), Some(new));
    assert_eq!(setup.n(new).await, Some(1));
    assert!(setup.store.open(old).await.unwrap().is_none());
}

#[test_support::test]
async fn a_tombstone_whose_answer_was_lost_is_recognised() {
    let setup = Setup::new();
    let (old, session) = setup.session().await;
    let session = request(session.manager(), old);
    session.regenerate().unwrap();
    setup
        .faults
        .next(Operation::Write, Fault::slow(Duration::ZERO));
    setup
        .faults
        .next(Operation::Write, Fault::after(ErrorKind::TimedOut));
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    assert_eq!(setup.n(session.id().unwrap()).await, Some(1));
    assert!(setup.store.open(old).await.unwrap().is_none());
}

#[test_support::test]
async fn a_login_fails_and_leaves_nothing_behind_when_the_old_record_cannot_be_replaced() {
    let setup = Setup::new();
    let (old, session) = setup.session().await;
    let session = request(session.manager(), old);
    session.regenerate().unwrap();
    let new = session.id().unwrap();
    setup
        .faults
        .next(Operation::Write, Fault::slow(Duration::ZERO));
    setup
        .faults
        .next(Operation::Write, Fault::before(ErrorKind::Unauthorized));
    let error = session.save().await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(setup.n(old).await, Some(1), "the visitor keeps the session");
    assert!(setup.store.open(new).await.unwrap().is_none());
}

#[test_support::test]
async fn a_failed_touch_is_reported_and_harms_nothing() {
    let setup = Setup::new();
    let store = SessionManager::builder(setup.store.driver().unwrap().clone())
        .idle_timeout(Duration::from_secs(3_600))
        .on_event({
            let events = Arc::clone(&setup.events);
            move |event| events.lock().push(format!("{event:?}"))
        })
        .build()
        .unwrap();
    // Written with an end 14 days off, so an hour is far from it.
    let (id, _) = setup.session().await;
    let session = store.open(id).await.unwrap().unwrap();
    setup
        .faults
        .next(Operation::Touch, Fault::before(ErrorKind::Unavailable));
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
    assert!(setup.events.lock()[0].contains("TouchFailed"));
    assert_eq!(setup.n(id).await, Some(1));
}

#[test_support::test]
async fn a_record_over_the_limit_is_refused_and_the_old_one_stays() {
    let setup = Setup::new();
    let (id, session) = setup.session().await;
    session.set("big", &"x".repeat(1_000)).unwrap();
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    assert_eq!(setup.open(id).await.keys().await.unwrap(), ["n"]);
    session.remove("big").unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
}

/// A memory driver that lacks something.
struct Lacking {
    inner: MemoryDriver,
    capabilities: Capabilities,
    always_conflicts: bool,
}

impl Lacking {
    fn new(change: impl FnOnce(&mut Capabilities)) -> Self {
        let inner = MemoryDriver::new();
        let mut capabilities = inner.capabilities();
        change(&mut capabilities);
        Self {
            inner,
            capabilities,
            always_conflicts: false,
        }
    }
}

#[async_trait]
impl Driver for Lacking {
    fn name(&self) -> &str {
        "lacking"
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities.clone()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let conditional = options.condition != Default::default();
        assert!(!conditional || self.capabilities.conditions != Conditions::None);
        if self.always_conflicts && self.inner.exists(key).await? {
            return Ok(WriteOutcome::Conflict(session_core::ConflictState::Unknown));
        }
        self.inner.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        assert!(options.if_version.is_none() || self.capabilities.conditions != Conditions::None);
        self.inner.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.inner.list(options).await
    }
}

#[test_support::test(start_paused = true)]
async fn a_session_that_others_change_again_and_again_is_given_up_at_the_deadline() {
    let driver = Lacking {
        always_conflicts: true,
        ..Lacking::new(|_| {})
    };
    let store = SessionManager::new(Arc::new(driver));
    let session = store.create();
    session.set("n", &1).unwrap();
    session.save().await.unwrap();
    session.set("n", &2).unwrap();
    let started = tokio::time::Instant::now();
    let error = session.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Contended);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    let waited = started.elapsed();
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
    assert!(waited < Duration::from_secs(3), "{waited:?}");
}

#[test_support::test]
async fn without_conditions_the_later_writer_wins_but_reads_again_right_before() {
    let driver = Lacking::new(|capabilities| {
        capabilities.conditions = Conditions::None;
        capabilities.touch = false;
    });
    let store = SessionManager::new(Arc::new(driver));
    let first = store.create();
    first.set("n", &0).unwrap();
    first.save().await.unwrap();
    let id = first.id().unwrap();
    let sessions: Vec<Session> = futures_util::future::join_all((0..20).map(|_| store.open(id)))
        .await
        .into_iter()
        .map(|session| session.unwrap().unwrap())
        .collect();
    let saves = sessions.iter().map(|session| async {
        increment(session).await.unwrap();
        session.save().await.unwrap()
    });
    futures_util::future::join_all(saves).await;
    let last = store.open(id).await.unwrap().unwrap();
    assert_eq!(last.get("n").await.unwrap(), Some(20));

    last.destroy().await.unwrap();
    assert!(store.open(id).await.unwrap().is_none());
}

#[test_support::test]
async fn a_driver_that_cannot_touch_writes_the_record_again_at_half_of_the_idle_timeout() {
    let driver = Arc::new(Lacking::new(|capabilities| capabilities.touch = false));
    let clock = Arc::new(ManualClock::new(Timestamp::now()));
    let store = SessionManager::builder(driver.clone())
        .clock(clock.clone())
        .build()
        .unwrap();
    let session = store.create();
    session.set("n", &1).unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let key = Key::new(id.expose()).unwrap();
    let before = driver.read(&key).await.unwrap().unwrap();

    let day = Duration::from_secs(24 * 60 * 60);
    let expiry = async || {
        let session = store.open(id).await.unwrap().unwrap();
        assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
        assert_eq!(session.get("n").await.unwrap(), Some(1));
        driver
            .read(&key)
            .await
            .unwrap()
            .unwrap()
            .expires_at
            .unwrap()
    };
    clock.advance(6 * day);
    assert_eq!(expiry().await, before.expires_at.unwrap());
    clock.advance(2 * day);
    assert_eq!(
        expiry().await.saturating_since(before.expires_at.unwrap()),
        8 * day
    );
    clock.advance(6 * day);
    assert_eq!(
        expiry().await.saturating_since(before.expires_at.unwrap()),
        8 * day
    );
}
