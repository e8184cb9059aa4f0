//! Sessions and cookies in use are renewed, and limits hold.

use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use http::header::SET_COOKIE;
use session_core::session::*;
use session_core::*;
use test_support::step;

use crate::fixtures::*;

#[test_support::test]
async fn an_active_visitor_keeps_a_cookie_with_a_short_max_age() {
    for idle in [Some(DAY), None] {
        let (store, clock, _) = clocked(|builder| {
            builder
                .cookie(CookieOptions::default().with_max_age(30 * MIN))
                .idle_timeout(idle)
        });
        let id = stored(&store).await;
        let mut renewed = 0;
        for _ in 0..24 {
            clock.advance(5 * MIN);
            let session = request(&store, id);
            session.get::<u32>("n").await.unwrap();
            renewed += usize::from(end(&session).await.contains_key(SET_COOKIE));
        }
        // Every 7.5 minutes, on the next page.
        assert_eq!(renewed, 12, "{idle:?}");
    }
}

#[test_support::test]
async fn an_active_visitor_keeps_a_cookie_that_lasts_for_ever() {
    let (store, clock, _) = clocked(|builder| builder);
    let session = store.create();
    session.set("n", &1).unwrap();
    session
        .set_lifetime(Lifetime::never().persistent())
        .unwrap();
    session.save().await.unwrap();
    let id = session.id().unwrap();
    let mut renewed = 0;
    for _ in 0..5 {
        clock.advance(50 * DAY);
        let session = request(&store, id);
        session.get::<u32>("n").await.unwrap();
        renewed += usize::from(end(&session).await.contains_key(SET_COOKIE));
    }
    assert_eq!(renewed, 2, "within the 400 days that browsers keep it");
}

#[test_support::test]
async fn a_slow_response_does_not_renew_a_cookie_whose_session_has_moved() {
    let (store, clock, _) =
        clocked(|builder| builder.cookie(CookieOptions::default().with_max_age(30 * MIN)));
    let id = stored(&store).await;
    clock.advance(20 * MIN);
    let slow = request(&store, id);
    slow.get::<u32>("n").await.unwrap();
    let login = request(&store, id);
    login.regenerate().unwrap();
    end(&login).await;
    assert!(!end(&slow).await.contains_key(SET_COOKIE));
}

#[test_support::test]
async fn a_lowered_absolute_timeout_ends_sessions_that_exist() {
    let (store, clock, _) = clocked(|builder| builder);
    let id = stored(&store).await;
    let remembered = store.create();
    remembered.set("n", &1).unwrap();
    remembered
        .set_lifetime(Lifetime::idle(30 * DAY).with_absolute(365 * DAY))
        .unwrap();
    remembered.save().await.unwrap();
    let lower = |max: Option<Duration>| {
        let mut settings = store.settings().clone();
        settings.absolute_timeout = Some(8 * HOUR);
        settings.max_lifetime = max;
        store.with_settings(settings).unwrap()
    };
    clock.advance(7 * HOUR);
    assert_eq!(number(&lower(None), id).await, Some(1));
    clock.advance(2 * HOUR);
    assert_eq!(number(&lower(None), id).await, None);

    step("what the visitor was given stays, unless it is capped");
    let remembered = remembered.id().unwrap();
    assert_eq!(number(&lower(None), remembered).await, Some(1));
    assert_eq!(number(&lower(Some(8 * HOUR)), remembered).await, None);
}

#[test_support::test]
async fn a_record_of_astro_gets_the_absolute_timeout_from_its_first_visit_on() {
    let (store, clock, driver) = clocked(|builder| builder.absolute_timeout(8 * HOUR));
    let id = SessionId::random();
    let record = r#"[["Map",1,2],"n",{"data":3,"expires":-1},1]"#;
    driver.put(id.expose(), record).await.unwrap();
    for expected in [Some(1), Some(1), None] {
        let session = request(&store, id);
        assert_eq!(session.get::<u32>("n").await.unwrap(), expected);
        end(&session).await;
        clock.advance(5 * HOUR);
    }
}

#[test_support::test]
async fn a_session_that_is_only_read_stays_alive_over_every_kind_of_driver() {
    let kinds: [fn(&mut Capabilities); 4] = [
        |_| {},
        |capabilities| capabilities.touch = false,
        |capabilities| capabilities.reports_expiry = false,
        |capabilities| {
            capabilities.touch = false;
            capabilities.reports_expiry = false;
            capabilities.conditions = Conditions::None;
        },
    ];
    for kind in kinds {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
        let memory = MemoryDriver::new().with_clock(SharedClock(Arc::clone(&clock)));
        let driver = AlteredMemory::over(memory, Duration::ZERO, kind);
        let store = SessionManager::builder(Arc::clone(&driver))
            .clock(clock.clone())
            .idle_timeout(HOUR)
            .build()
            .unwrap();
        let id = stored(&store).await;
        driver.take();
        for _ in 0..20 {
            clock.advance(10 * MIN);
            let session = request(&store, id);
            assert_eq!(
                session.get("n").await.unwrap(),
                Some(1),
                "{:?}",
                driver.caps
            );
            end(&session).await;
        }
        let operations = driver.take();
        let changes = operations
            .iter()
            .filter(|operation| **operation != "read")
            .count();
        // Without a touch, at half of the timeout only.
        let most = if driver.caps.touch && driver.caps.reports_expiry {
            20
        } else {
            7
        };
        assert!(changes <= most, "{changes} changes: {:?}", driver.caps);
    }
}

#[test_support::test]
async fn a_read_does_not_end_a_session_whose_values_have_expired() {
    let (store, clock, driver) = clocked(|builder| builder);
    let id = SessionId::random();
    let expired = clock.now().as_millis() - 3_600_000;
    let record = format!(r#"[["Map",1,2],"n",{{"data":3,"expires":4}},1,{expired}]"#);
    driver.put(id.expose(), record).await.unwrap();
    let session = request(&store, id);
    assert_eq!(session.get::<u32>("n").await.unwrap(), None);
    end(&session).await;
    assert!(driver.get(id.expose()).await.unwrap().is_some());
}
