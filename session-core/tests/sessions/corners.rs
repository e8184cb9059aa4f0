//! What goes on at the same time as a commit, and what comes after one that went wrong.

use ::axum::{Router, body::Body, routing::get};
use conformance_tests::{Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use futures_util::{future::join_all, poll};
use http::header::{COOKIE, SET_COOKIE, VARY};
use http::{HeaderMap, Request};
use session_core::session::*;
use session_core::*;
use session_tower::{SessionLayer, Sessions};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};
use std::time::Duration;
use tower::ServiceExt;

use crate::fixtures::*;

#[test_support::test]
async fn a_regenerate_during_a_running_save_is_kept() {
    let d = AlteredMemory::new(Duration::from_millis(20), |_| {});
    let store = SessionManager::new(d);
    let id = stored(&store).await;
    let s = request(&store, id);
    s.set("a", &1).unwrap();
    let clone = s.clone();
    let mut save = Box::pin(async move { clone.save().await });
    assert!(poll!(&mut save).is_pending());
    s.regenerate().unwrap();
    s.set("user", "ann").unwrap();
    save.await.unwrap();
    end(&s).await;
    assert!(
        store.open(id).await.unwrap().is_none(),
        "old id still works after login"
    );
}
#[test_support::test]
async fn gone_is_gone_after_a_lost_answer() {
    let f = Faulty::new(MemoryDriver::new());
    let faults = f.faults();
    let store = SessionManager::new(Arc::new(f));
    let id = stored(&store).await;
    let s = request(&store, id);
    inc(&s).await;
    faults.next(Operation::Write, Fault::after(ErrorKind::TimedOut));
    s.save().await.unwrap_err();
    store.destroy(id).await.unwrap(); // logout elsewhere
    s.set("late", &1).unwrap();
    let out = s.save().await.unwrap();
    let h = end(&s).await;
    assert_eq!(
        (out, h.get(SET_COOKIE).is_some()),
        (SaveOutcome::Gone, false)
    );
}
#[test_support::test]
async fn a_logout_with_the_old_id_ends_what_the_session_became() {
    let store = mem();
    let id = stored(&store).await;
    let a = request(&store, id);
    a.get::<u32>("n").await.unwrap();
    a.regenerate().unwrap();
    end(&a).await;
    let b = request(&store, id);
    b.destroy().await.unwrap();
    assert!(end(&b).await.get(SET_COOKIE).is_some());
    assert!(store.open(a.id().unwrap()).await.unwrap().is_none());
}
#[test_support::test]
async fn a_regenerate_by_who_carries_the_old_id_begins_anew_with_what_it_set() {
    let store = mem();
    let id = stored(&store).await;
    let a = request(&store, id);
    a.get::<u32>("n").await.unwrap();
    a.regenerate().unwrap();
    end(&a).await;
    let b = request(&store, id);
    b.regenerate().unwrap();
    b.set("user", "bob").unwrap();
    assert!(end(&b).await.get(SET_COOKIE).is_some());
    let fresh = store.open(b.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(fresh.keys().await.unwrap(), ["user"]);
}
#[test_support::test]
async fn a_touch_does_not_stretch_a_tombstone() {
    let (store, clock, d) = clocked(|b| b);
    let id = stored(&store).await;
    clock.advance(2 * HOUR);
    let slow = request(&store, id);
    slow.get::<u32>("n").await.unwrap();
    let login = request(&store, id);
    login.regenerate().unwrap();
    end(&login).await;
    end(&slow).await;
    let left = d
        .read(&Key::new(id.expose()).unwrap())
        .await
        .unwrap()
        .unwrap()
        .expires_at
        .unwrap()
        .saturating_since(clock.now());
    assert!(left <= MIN, "{left:?}");
}
#[test_support::test]
async fn a_touch_does_not_undo_a_shorter_lifetime() {
    let (store, clock, d) = clocked(|b| b);
    let id = stored(&store).await;
    clock.advance(2 * HOUR);
    let slow = request(&store, id);
    slow.get::<u32>("n").await.unwrap();
    let other = request(&store, id);
    other.set_lifetime(Lifetime::idle(5 * MIN)).unwrap();
    end(&other).await;
    end(&slow).await;
    let left = d
        .read(&Key::new(id.expose()).unwrap())
        .await
        .unwrap()
        .unwrap()
        .expires_at
        .unwrap()
        .saturating_since(clock.now());
    assert!(left <= 5 * MIN, "{left:?}");
}
#[test_support::test]
async fn a_reload_beside_a_set_loses_no_update() {
    let store = mem();
    let id = stored(&store).await;
    let ours = request(&store, id);
    let other = ours.clone();
    let runs = Arc::new(AtomicUsize::new(0));
    let r = runs.clone();
    // Another thread's `set` on a clone, at the moment when reload replays.
    ours.update("n", move |n: Option<u32>| {
        if r.fetch_add(1, Ordering::SeqCst) == 1 {
            let o = other.clone();
            std::thread::spawn(move || o.set("x", &1).unwrap())
                .join()
                .unwrap();
        }
        n.unwrap_or(0) + 1
    })
    .await
    .unwrap();
    let theirs = store.open(id).await.unwrap().unwrap();
    theirs.set("n", &10).unwrap();
    theirs.save().await.unwrap();
    ours.reload().await.unwrap();
    ours.save().await.unwrap();
    assert_eq!(
        store
            .open(id)
            .await
            .unwrap()
            .unwrap()
            .get::<u32>("n")
            .await
            .unwrap(),
        Some(11)
    );
}
#[test_support::test]
async fn a_set_while_an_update_runs_is_not_lost() {
    let store = mem();
    let id = stored(&store).await;
    let ours = request(&store, id);
    let other = ours.clone();
    let has_set = AtomicBool::new(false);
    ours.update("n", move |n: Option<u32>| {
        if !has_set.swap(true, Ordering::SeqCst) {
            other.set("n", &100).unwrap();
        }
        n.unwrap_or(0) + 1
    })
    .await
    .unwrap();
    ours.save().await.unwrap();
    let n = store
        .open(id)
        .await
        .unwrap()
        .unwrap()
        .get::<u32>("n")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(n, 101);
}
#[test_support::test(start_paused = true)]
async fn fifty_commits_over_a_slow_backend_all_count() {
    let d = AlteredMemory::new(Duration::from_millis(30), |_| {});
    // They take turns, and the wait counts against the deadline.
    let store = SessionManager::builder(d.clone())
        .commit_deadline(Duration::from_secs(30))
        .build()
        .unwrap();
    let id = stored(&store).await;
    let errors: usize = join_all((0..50).map(|i| {
        let store = store.clone();
        async move {
            let s = request(&store, id);
            s.get::<u32>("n").await.unwrap();
            s.set(format!("k{i}"), &1).unwrap();
            s.commit(http::StatusCode::OK).await.failure.is_some() as usize
        }
    }))
    .await
    .into_iter()
    .sum();
    assert_eq!(errors, 0);
}
#[test_support::test(start_paused = true)]
async fn a_commit_waits_for_a_slow_one_until_its_deadline() {
    let f = Faulty::new(MemoryDriver::new());
    let faults = f.faults();
    let store = SessionManager::builder(f)
        .commit_deadline(Duration::from_secs(4))
        .build()
        .unwrap();
    let id = stored(&store).await;
    let (a, b) = (request(&store, id), request(&store, id));
    inc(&a).await;
    inc(&b).await;
    faults.next(Operation::Write, Fault::slow(Duration::from_secs(3)));
    let (x, y) = futures_util::future::join(a.save(), b.save()).await;
    x.unwrap();
    y.unwrap();
}
#[test_support::test]
async fn a_touch_interval_longer_than_the_idle_timeout_still_keeps_alive() {
    let (store, clock, _) = clocked(|b| b.idle_timeout(HOUR).touch_interval(2 * HOUR));
    let id = stored(&store).await;
    for _ in 0..4 {
        clock.advance(HOUR - MIN);
        let s = request(&store, id);
        assert_eq!(s.get::<u32>("n").await.unwrap(), Some(1));
        end(&s).await;
    }
}
#[test_support::test]
async fn a_touch_interval_longer_than_a_sessions_own_idle_timeout_keeps_it_alive() {
    let (store, clock, _) = clocked(|b| b.touch_interval(HOUR));
    let id = stored(&store).await;
    let s = request(&store, id);
    s.set_lifetime(Lifetime::idle(HOUR / 2)).unwrap();
    end(&s).await;
    for _ in 0..4 {
        clock.advance(HOUR / 2 - MIN);
        let s = request(&store, id);
        assert_eq!(s.get::<u32>("n").await.unwrap(), Some(1));
        end(&s).await;
    }
}
#[test_support::test]
async fn a_busy_session_keeps_its_persistent_cookie() {
    let (store, clock, _) = clocked(|b| b);
    let s = store.session_from_headers(&HeaderMap::new());
    s.set("n", &0).unwrap();
    s.set_lifetime(Lifetime::idle(HOUR).persistent()).unwrap();
    let h = end(&s).await;
    assert!(h[SET_COOKIE].to_str().unwrap().contains("Max-Age=3600"));
    let id = store.ids();
    let id: Vec<_> = futures_util::TryStreamExt::try_collect(id).await.unwrap();
    let id: SessionId = id[0];
    let mut cookie_until = clock.now().saturating_add(HOUR);
    for _ in 0..70 {
        clock.advance(MIN);
        assert!(
            clock.now() < cookie_until,
            "the browser dropped the cookie of a session used every minute"
        );
        let s = request(&store, id);
        inc(&s).await;
        if end(&s).await.get(SET_COOKIE).is_some() {
            cookie_until = clock.now().saturating_add(HOUR);
        }
    }
}
#[test_support::test]
async fn a_never_ending_session_renews_its_max_age() {
    let (store, clock, _) = clocked(|b| {
        b.idle_timeout(None)
            .cookie(CookieOptions::default().with_max_age(DAY))
    });
    let id = stored(&store).await;
    clock.advance(DAY / 2);
    let s = request(&store, id);
    inc(&s).await;
    assert!(end(&s).await.get(SET_COOKIE).is_some());
}
#[test_support::test]
async fn asking_for_the_id_makes_a_response_vary() {
    let store = mem();
    let id = stored(&store).await;
    let s = request(&store, id);
    assert!(s.id().is_some());
    assert!(end(&s).await.get(VARY).is_some());
}
#[test_support::test]
async fn reading_a_session_again_makes_a_response_vary() {
    let store = mem();
    let id = stored(&store).await;
    let s = request(&store, id);
    s.reload().await.unwrap();
    assert!(end(&s).await.get(VARY).is_some());
}
#[test_support::test]
async fn layers_that_enclose_one_another_have_one_session_each_cookie() {
    let named = |n: &str| {
        SessionManager::builder(Arc::new(MemoryDriver::new()))
            .cookie(CookieOptions::default().with_name(n))
            .build()
            .unwrap()
    };
    let (a, b) = (
        SessionLayer::from_manager(named("a")),
        SessionLayer::from_manager(named("b")),
    );
    let app = Router::new()
        .route(
            "/",
            get(|ss: Sessions| async move {
                for s in ss.iter() {
                    s.set("x", &1).unwrap();
                }
                ss.iter().count().to_string()
            }),
        )
        .layer(a.clone())
        .layer(b)
        .layer(a);
    let r = app
        .oneshot(Request::get("/").body(Body::empty()).unwrap())
        .await
        .unwrap();
    let c: Vec<_> = r
        .headers()
        .get_all(SET_COOKIE)
        .iter()
        .map(|v| v.to_str().unwrap().split('=').next().unwrap().to_owned())
        .collect();
    assert_eq!(c.len(), 2, "{c:?}");
}
#[test_support::test]
async fn an_outer_failure_keeps_the_inner_layers_certain_cookie() {
    let f = Faulty::new(MemoryDriver::new());
    let faults = f.faults();
    let outer = SessionManager::builder(Arc::new(f))
        .cookie(CookieOptions::default().with_name("outer"))
        .build()
        .unwrap();
    let inner = SessionManager::builder(Arc::new(MemoryDriver::new()))
        .cookie(CookieOptions::default().with_name("inner"))
        .build()
        .unwrap();
    let id = stored(&inner).await;
    let app = Router::new()
        .route(
            "/",
            get(|ss: Sessions| async move {
                ss.by_cookie("inner").unwrap().regenerate().unwrap();
                ss.by_cookie("outer").unwrap().set("x", &1).unwrap();
            }),
        )
        .layer(SessionLayer::from_manager(inner))
        .layer(SessionLayer::from_manager(outer));
    faults.always(Operation::Write, Fault::before(ErrorKind::Unavailable));
    let r = app
        .oneshot(
            Request::get("/")
                .header(COOKIE, format!("inner={}", id.expose()))
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .unwrap();
    assert_eq!(r.status(), 503);
    assert!(
        r.headers().get(SET_COOKIE).is_some(),
        "the old id is a tombstone and the new one never reached the browser"
    );
}
#[test_support::test]
async fn taking_a_flash_takes_no_other_of_its_name() {
    let store = mem();
    let s = store.create();
    s.flash("notice", "old").unwrap();
    s.save().await.unwrap();
    let id = s.id().unwrap();
    let b = request(&store, id);
    assert_eq!(
        b.take_flash::<String>("notice").await.unwrap().as_deref(),
        Some("old")
    );
    let a = request(&store, id);
    a.flash("notice", "new").unwrap();
    assert_eq!(a.save().await.unwrap(), SaveOutcome::Written);
    end(&b).await;
    assert_eq!(
        request(&store, id)
            .take_flash::<String>("notice")
            .await
            .unwrap()
            .as_deref(),
        Some("new")
    );
}
#[test_support::test]
async fn loading_a_session_that_goes_sets_no_cookie() {
    let store = mem();
    let id = stored(&store).await;
    let s = store.session_from_headers(&HeaderMap::new());
    assert!(s.load(id).await.unwrap());
    store.destroy(id).await.unwrap();
    s.set("x", &1).unwrap();
    assert!(!lost(&s).await.headers.sets_cookie());
}
#[test_support::test]
async fn a_regenerate_after_gone_survives_an_empty_save() {
    let store = mem();
    let id = stored(&store).await;
    let s = request(&store, id);
    s.get::<u32>("n").await.unwrap();
    store.destroy(id).await.unwrap();
    s.set("x", &1).unwrap();
    assert_eq!(s.save().await.unwrap(), SaveOutcome::Gone);
    s.regenerate().unwrap();
    s.save().await.unwrap();
    s.set("y", &1).unwrap();
    assert_eq!(s.save().await.unwrap(), SaveOutcome::Written);
}
#[test_support::test]
async fn a_lifetime_survives_an_empty_save() {
    let store = mem();
    let s = store.session_from_headers(&HeaderMap::new());
    s.set_lifetime(Lifetime::idle(HOUR).persistent()).unwrap();
    s.save().await.unwrap();
    s.set("x", &1).unwrap();
    assert!(
        end(&s).await[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age")
    );
}
#[test_support::test]
async fn a_driver_that_reports_no_expiry_is_not_written_by_reads() {
    let d = AlteredMemory::new(Duration::ZERO, |c| {
        c.reports_expiry = false;
        c.touch = false;
        c.conditions = Conditions::None;
    });
    let store = SessionManager::new(d.clone());
    let id = stored(&store).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        d.take();
        let s = request(&store, id);
        s.get::<u32>("n").await.unwrap();
        end(&s).await;
        all.push(d.take());
    }
    assert_eq!(all[2], ["read"], "{all:?}");
}
#[test_support::test]
async fn a_logout_with_the_old_id_ends_what_the_session_became_without_conditions() {
    let d = AlteredMemory::new(Duration::ZERO, |c| {
        c.touch = false;
        c.conditions = Conditions::None;
    });
    let store = SessionManager::new(d.clone());
    let id = stored(&store).await;
    let a = request(&store, id);
    a.regenerate().unwrap();
    end(&a).await;
    let b = request(&store, id);
    b.destroy().await.unwrap();
    assert!(end(&b).await.get(SET_COOKIE).is_some());
    assert!(store.open(a.id().unwrap()).await.unwrap().is_none());
}
#[test_support::test]
fn a_commit_dropped_outside_of_the_runtime_runs_to_its_end() {
    let rt = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let d = AlteredMemory::new(Duration::from_millis(20), |_| {});
    let store = SessionManager::new(d);
    let id = rt.block_on(stored(&store));
    let s = request(&store, id);
    rt.block_on(inc(&s));
    let mut finish = Box::pin(s.commit(http::StatusCode::OK));
    rt.block_on(async {
        assert!(poll!(&mut finish).is_pending());
    });
    drop(finish); // by a thread that is none of the runtime's
    let n = rt.block_on(async {
        tokio::time::sleep(Duration::from_millis(200)).await;
        store
            .open(id)
            .await
            .unwrap()
            .unwrap()
            .get::<u32>("n")
            .await
            .unwrap()
    });
    assert_eq!(n, Some(2));
}
#[test_support::test]
async fn deep_values_can_be_read_back() {
    for depth in 480..530 {
        let store = mem();
        let s = store.create();
        let mut v = Value::Null;
        for _ in 0..depth {
            v = Value::Array(vec![v]);
        }
        if s.set("v", &v).is_err() {
            continue;
        }
        if s.save().await.is_err() {
            continue;
        }
        let id = s.id().unwrap();
        let o = store
            .open(id)
            .await
            .unwrap_or_else(|e| panic!("{depth}: {e}"))
            .unwrap();
        o.get::<Value>("v")
            .await
            .unwrap_or_else(|e| panic!("{depth}: {e}"));
    }
}
#[test_support::test]
async fn a_lifetime_of_its_own_keeps_the_configured_absolute_timeout() {
    let (store, clock, d) = clocked(|b| b.absolute_timeout(DAY));
    let id = stored(&store).await;
    let s = request(&store, id);
    s.set_lifetime(Lifetime::idle(30 * DAY)).unwrap();
    end(&s).await;
    let left = d
        .read(&Key::new(id.expose()).unwrap())
        .await
        .unwrap()
        .unwrap()
        .expires_at
        .unwrap()
        .saturating_since(clock.now());
    assert!(left <= DAY, "{left:?}");
}
#[test_support::test]
async fn a_timeout_around_destroy_still_removes_the_cookie() {
    let d = AlteredMemory::new(Duration::from_millis(30), |_| {});
    let store = SessionManager::new(d);
    let id = stored(&store).await;
    let s = request(&store, id);
    s.get::<u32>("n").await.unwrap();
    assert!(
        tokio::time::timeout(Duration::from_millis(5), s.destroy())
            .await
            .is_err()
    );
    assert!(end(&s).await.get(SET_COOKIE).is_some());
}
#[test_support::test]
async fn regenerating_twice_gives_one_id() {
    let store = mem();
    let id = stored(&store).await;
    let s = request(&store, id);
    s.regenerate().unwrap();
    let one = s.id();
    s.regenerate().unwrap();
    assert_eq!(s.id(), one);
}
#[test_support::test]
async fn what_was_set_before_a_failed_logout_does_not_outlive_it() {
    let f = Faulty::new(MemoryDriver::new());
    let faults = f.faults();
    let store = SessionManager::new(Arc::new(f));
    let id = stored(&store).await;
    let s = request(&store, id);
    s.set("a", &1).unwrap();
    faults.next(Operation::Remove, Fault::after(ErrorKind::TimedOut));
    s.destroy().await.unwrap_err();
    assert!(
        !lost(&s).await.headers.sets_cookie(),
        "a new session with what was set before the logout"
    );
}

#[test_support::test]
async fn everything_that_a_session_did_survives_a_conflict() {
    let (store, clock, d) = clocked(|b| b);
    let first = store.create();
    let soon = Expiry::At(clock.now().saturating_add(HOUR));
    first.set_with("n", &1, soon).unwrap();
    first.flash("old", "taken").unwrap();
    first.save().await.unwrap();
    let id = first.id().unwrap();

    let ours = request(&store, id);
    inc(&ours).await;
    ours.flash("new", "put").unwrap();
    ours.take_flash::<String>("old").await.unwrap();
    ours.set_lifetime(Lifetime::idle(2 * DAY)).unwrap();
    let theirs = request(&store, id);
    theirs.set("other", &1).unwrap();
    end(&theirs).await;
    end(&ours).await;

    let last = store.open(id).await.unwrap().unwrap();
    assert_eq!(last.get("n").await.unwrap(), Some(2));
    assert_eq!(last.get("other").await.unwrap(), Some(1));
    assert_eq!(
        last.take_flash("new").await.unwrap(),
        Some("put".to_owned())
    );
    assert_eq!(last.take_flash::<String>("old").await.unwrap(), None);
    let entry = d
        .read(&Key::new(id.expose()).unwrap())
        .await
        .unwrap()
        .unwrap();
    let left = entry.expires_at.unwrap().saturating_since(clock.now());
    assert_eq!(left, 2 * DAY);
    clock.advance(HOUR + MIN);
    let later = store.open(id).await.unwrap().unwrap();
    assert_eq!(later.keys().await.unwrap(), ["other"]);
}

#[test_support::test(start_paused = true)]
async fn what_a_clone_sets_during_a_running_save_is_kept() {
    let store = SessionManager::new(AlteredMemory::new(Duration::from_millis(20), |_| {}));
    let id = stored(&store).await;
    let session = request(&store, id);
    session.set("a", &1).unwrap();
    let clone = session.clone();
    let mut save = Box::pin(clone.save());
    assert!(poll!(&mut save).is_pending());
    session.set("b", &2).unwrap();
    save.await.unwrap();
    end(&session).await;
    let last = store.open(id).await.unwrap().unwrap();
    assert_eq!(last.keys().await.unwrap(), ["n", "a", "b"]);
}

#[test_support::test]
async fn a_session_that_was_saved_and_destroyed_takes_its_cookie_along() {
    let store = mem();
    let session = store.session_from_headers(&HeaderMap::new());
    session.set("a", &1).unwrap();
    session.save().await.unwrap();
    session.destroy().await.unwrap();
    let headers = end(&session).await;
    let cookie = headers.get(SET_COOKIE).unwrap().to_str().unwrap();
    assert!(cookie.contains("Max-Age=0"), "{cookie}");
}

#[test_support::test]
async fn a_detached_handle_does_not_bring_a_session_back() {
    let store = mem();
    let id = stored(&store).await;
    let detached = request(&store, id).detach().unwrap();
    store.destroy(id).await.unwrap();
    detached.set("a", &1).unwrap();
    assert_eq!(detached.save().await.unwrap(), SaveOutcome::Gone);
    assert!(store.open(id).await.unwrap().is_none());
}

#[test_support::test]
async fn a_logout_that_read_before_a_regenerate_elsewhere_ends_the_session() {
    let store = mem();
    let id = stored(&store).await;
    let logout = request(&store, id);
    logout.get::<u32>("n").await.unwrap();
    let login = request(&store, id);
    login.regenerate().unwrap();
    end(&login).await;
    logout.destroy().await.unwrap();
    assert!(end(&logout).await.get(SET_COOKIE).is_some());
    assert!(store.open(login.id().unwrap()).await.unwrap().is_none());
}

#[test_support::test]
async fn giving_up_remember_me_sends_a_cookie_that_ends_with_the_browser() {
    let store = mem();
    let id = stored(&store).await;
    let remembered = request(&store, id);
    remembered
        .set_lifetime(Lifetime::idle(DAY).persistent())
        .unwrap();
    let headers = end(&remembered).await;
    assert!(
        headers[SET_COOKIE]
            .to_str()
            .unwrap()
            .contains("Max-Age=86400")
    );
    let forgotten = request(&store, id);
    forgotten.set_lifetime(Lifetime::configured()).unwrap();
    let headers = end(&forgotten).await;
    assert!(!headers[SET_COOKIE].to_str().unwrap().contains("Max-Age"));
}
