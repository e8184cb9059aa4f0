//! How long sessions and their values live.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use driver_memory::MemoryDriver;
use session_core::session::{
    CookieOptions, Lifetime, Session, SessionManager, SessionManagerBuilder,
};
use session_core::{Clock, Driver, Error, Expiry, ManualClock, Timestamp};
use session_tower::SessionLayer;

use crate::support::Browser;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Debug)]
struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

async fn set(session: Session) -> Result<(), Error> {
    session.set("k", "v")
}

async fn show(session: Session) -> Result<String, Error> {
    Ok(session.get("k").await?.unwrap_or_default())
}

async fn remember(session: Session) -> Result<(), Error> {
    session.set("k", "v")?;
    session.set_lifetime(
        Lifetime::idle(30 * DAY)
            .with_absolute(60 * DAY)
            .persistent(),
    )
}

async fn short(session: Session) -> Result<(), Error> {
    let clock = session.manager().now();
    session.set_with("k", "v", Expiry::At(clock.saturating_add(MINUTE)))
}

struct Setup {
    app: Router,
    clock: Arc<ManualClock>,
    driver: Arc<MemoryDriver>,
    store: SessionManager,
}

impl Setup {
    fn new(configure: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let driver = Arc::new(MemoryDriver::new().with_clock(Shared(Arc::clone(&clock))));
        let builder = SessionManager::builder(driver.clone()).clock(clock.clone());
        let store = configure(builder).build().unwrap();
        let app = Router::new()
            .route("/set", get(set))
            .route("/show", get(show))
            .route("/remember", get(remember))
            .route("/short", get(short))
            .layer(SessionLayer::from_manager(store.clone()));
        Self {
            app,
            clock,
            driver,
            store,
        }
    }

    async fn end_of(&self, browser: &Browser) -> Option<Duration> {
        let key = session_core::Key::new(browser.id()).unwrap();
        let entry = self.driver.read(&key).await.unwrap()?;
        Some(entry.expires_at?.saturating_since(self.clock.now()))
    }
}

#[test_support::test]
async fn a_session_ends_without_activity() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    setup.clock.advance(HOUR - MINUTE);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "v");
    setup.clock.advance(HOUR - MINUTE);
    assert_eq!(
        browser.get(&setup.app, "/show").await.body,
        "v",
        "reading is activity"
    );
    setup.clock.advance(HOUR);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
}

#[test_support::test]
async fn a_read_moves_the_end_once_an_interval() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR).touch_interval(10 * MINUTE));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    setup.clock.advance(9 * MINUTE);
    browser.get(&setup.app, "/show").await;
    assert_eq!(setup.end_of(&browser).await, Some(51 * MINUTE));
    setup.clock.advance(MINUTE);
    browser.get(&setup.app, "/show").await;
    assert_eq!(setup.end_of(&browser).await, Some(HOUR));
}

#[test_support::test]
async fn a_session_ends_at_its_deadline_whatever_its_activity() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR).absolute_timeout(3 * HOUR));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    for _ in 0..5 {
        setup.clock.advance(HOUR / 2);
        assert_eq!(browser.get(&setup.app, "/show").await.body, "v");
    }
    setup.clock.advance(HOUR / 2);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
}

#[test_support::test]
async fn a_deadline_holds_where_a_foreign_writer_cleared_the_expiry() {
    let setup = Setup::new(|store| store.absolute_timeout(HOUR));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    let key = session_core::Key::new(browser.id()).unwrap();
    let entry = setup.driver.read(&key).await.unwrap().unwrap();
    let options = session_core::WriteOptions::default().with_expiry(Expiry::Never);
    let _written = setup
        .driver
        .write(&key, entry.value, options)
        .await
        .unwrap();
    setup.clock.advance(HOUR);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
}

#[test_support::test]
async fn a_record_that_never_ends_is_given_an_end() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR));
    let id = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
    let record = r#"[["Map",1,2],"k",{"data":3,"expires":-1},"v"]"#;
    session_core::DriverExt::put(&*setup.driver, id, record)
        .await
        .unwrap();
    let mut browser = Browser {
        cookie: format!("astro-session={id}"),
    };
    assert_eq!(browser.get(&setup.app, "/show").await.body, "v");
    assert_eq!(setup.end_of(&browser).await, Some(HOUR));
}

#[test_support::test]
async fn a_value_ends_and_its_record_a_minute_later() {
    let setup = Setup::new(|store| store);
    let mut browser = Browser::default();
    browser.get(&setup.app, "/short").await;
    assert_eq!(setup.end_of(&browser).await, Some(2 * MINUTE));
    setup.clock.advance(MINUTE + Duration::from_millis(1));
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
    assert!(
        setup
            .store
            .open(browser.id().parse().unwrap())
            .await
            .unwrap()
            .is_some()
    );
}

#[test_support::test]
async fn values_have_a_default_time_to_live() {
    let setup = Setup::new(|store| store.value_ttl(MINUTE));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    assert_eq!(browser.get(&setup.app, "/show").await.body, "v");
    setup.clock.advance(MINUTE + Duration::from_millis(1));
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
}

#[test_support::test]
async fn a_remembered_session_keeps_its_own_lifetime_and_sends_max_age_anew() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR));
    let mut browser = Browser::default();
    let answer = browser.get(&setup.app, "/remember").await;
    let max_age = |answer: &crate::support::Answer| {
        let cookie = answer
            .headers
            .get("set-cookie")?
            .to_str()
            .unwrap()
            .to_owned();
        let (_, rest) = cookie.split_once("Max-Age=")?;
        rest.split(';').next().unwrap().parse::<u64>().ok()
    };
    assert_eq!(max_age(&answer), Some((30 * DAY).as_secs()));
    setup.clock.advance(20 * DAY);
    let answer = browser.get(&setup.app, "/show").await;
    assert_eq!(answer.body, "v");
    assert_eq!(max_age(&answer), Some((30 * DAY).as_secs()));
    setup.clock.advance(25 * DAY);
    let answer = browser.get(&setup.app, "/show").await;
    assert_eq!(
        max_age(&answer),
        Some((15 * DAY).as_secs()),
        "the deadline is nearer"
    );
    setup.clock.advance(15 * DAY);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "");
}

#[test_support::test]
async fn a_lifetime_of_its_own_can_be_given_up() {
    let setup = Setup::new(|store| store.idle_timeout(HOUR));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/remember").await;
    let session = setup
        .store
        .open(browser.id().parse().unwrap())
        .await
        .unwrap()
        .unwrap();
    session.set_lifetime(Lifetime::configured()).unwrap();
    session.save().await.unwrap();
    assert_eq!(setup.end_of(&browser).await, Some(HOUR));
}

#[test_support::test]
async fn a_configured_max_age_is_sent_anew_when_the_end_moves() {
    let setup = Setup::new(|store| {
        store
            .idle_timeout(HOUR)
            .touch_interval(MINUTE)
            .cookie(CookieOptions::default().with_max_age(DAY))
    });
    let mut browser = Browser::default();
    assert!(browser.get(&setup.app, "/set").await.cookie.is_some());
    assert!(browser.get(&setup.app, "/show").await.cookie.is_none());
    setup.clock.advance(MINUTE);
    assert!(browser.get(&setup.app, "/show").await.cookie.is_some());
}

#[test_support::test]
async fn never_is_to_be_had() {
    let setup = Setup::new(|store| store.idle_timeout(None));
    let mut browser = Browser::default();
    browser.get(&setup.app, "/set").await;
    assert_eq!(setup.end_of(&browser).await, None);
    setup.clock.advance(10_000 * DAY);
    assert_eq!(browser.get(&setup.app, "/show").await.body, "v");
}
