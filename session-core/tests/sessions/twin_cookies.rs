//! A browser that sends several cookies of one name.

use conformance_tests::{Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use futures_util::StreamExt;
use http::header::SET_COOKIE;
use session_core::session::*;
use session_core::*;

use crate::fixtures::*;

#[test_support::test]
async fn a_stale_cookie_of_the_name_does_not_hide_the_session() {
    let store = mem();
    let id = stored(&store).await;
    let unknown = SessionId::random();
    let gone = stored(&store).await;
    store.destroy(gone).await.unwrap();
    for stale in [unknown.expose(), gone.expose(), "junk", ""] {
        let session = with_cookies(&store, &[stale, id.expose()]);
        assert_eq!(session.get("n").await.unwrap(), Some(1), "{stale}");
        assert_eq!(session.id(), Some(id));
    }
}

#[test_support::test]
async fn a_login_beside_a_stale_cookie_changes_the_session_that_exists() {
    let store = mem();
    let id = stored(&store).await;
    let session = with_cookies(&store, &[SessionId::random().expose(), id.expose()]);
    session.set("user", "ann").unwrap();
    end(&session).await;
    assert_eq!(store.ids().count().await, 1, "no orphan record");
    let session = store.open(id).await.unwrap().unwrap();
    assert_eq!(session.get::<String>("user").await.unwrap().unwrap(), "ann");
}

#[test_support::test]
async fn a_logout_ends_the_sessions_of_all_cookies_of_the_name() {
    let (store, events) = observed(MemoryDriver::new());
    let (one, two) = (stored(&store).await, stored(&store).await);
    let session = with_cookies(&store, &["junk", one.expose(), two.expose()]);
    assert_eq!(session.get("n").await.unwrap(), Some(1));
    assert!(events.lock()[0].contains("SeveralSessions"));
    session.destroy().await.unwrap();
    assert!(end(&session).await.contains_key(SET_COOKIE));
    for id in [one, two] {
        assert!(store.open(id).await.unwrap().is_none());
    }
}

#[test_support::test]
async fn an_error_of_one_of_several_cookies_is_an_error() {
    let driver = Faulty::new(MemoryDriver::new());
    let faults = driver.faults();
    let store = SessionManager::new(driver);
    let id = stored(&store).await;
    let session = with_cookies(&store, &[SessionId::random().expose(), id.expose()]);
    faults.always(Operation::ReadMany, Fault::before(ErrorKind::Unavailable));
    assert!(session.get::<u32>("n").await.is_err());
}
