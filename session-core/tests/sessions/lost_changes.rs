//! Changes that another request has made stale, or whose session is gone, are told.

use driver_memory::MemoryDriver;
use http::header::COOKIE;
use http::{HeaderMap, Method, StatusCode};
use session_core::session::*;
use test_support::step;

use crate::fixtures::*;

#[test_support::test]
async fn a_value_that_was_computed_from_an_old_one_is_stale() {
    let (store, events) = observed(MemoryDriver::new());
    let id = stored(&store).await;
    let (one, two) = (request(&store, id), request(&store, id));
    for session in [&one, &two] {
        let n: u32 = session.get("n").await.unwrap().unwrap();
        session.set("n", &(n + 1)).unwrap();
    }
    end(&one).await;
    lost(&two).await;
    assert_eq!(events.lock().as_slice(), ["Stale"]);
    assert_eq!(number(&store, id).await, Some(2));

    step("a handler that is told can repeat the change");
    let (one, two) = (request(&store, id), request(&store, id));
    let n: u32 = two.get("n").await.unwrap().unwrap();
    inc(&one).await;
    one.save().await.unwrap();
    two.set("n", &(n + 1)).unwrap();
    assert_eq!(two.save().await.unwrap(), SaveOutcome::Stale);
    let n: u32 = two.get("n").await.unwrap().unwrap();
    two.set("n", &(n + 1)).unwrap();
    assert_eq!(two.save().await.unwrap(), SaveOutcome::Written);
    end(&two).await;
    assert_eq!(number(&store, id).await, Some(4));
}

#[test_support::test]
async fn a_blind_set_and_a_set_of_another_value_are_never_stale() {
    let store = mem();
    let id = stored(&store).await;
    let (reader, blind) = (request(&store, id), request(&store, id));
    reader.get::<u32>("n").await.unwrap();
    reader.set("page", "cart").unwrap();
    blind.set("n", &7).unwrap();
    let other = request(&store, id);
    inc(&other).await;
    end(&other).await;
    end(&reader).await;
    end(&blind).await;
    assert_eq!(number(&store, id).await, Some(7));
}

#[test_support::test]
async fn a_value_that_this_request_wrote_itself_is_not_stale() {
    let store = mem();
    let id = stored(&store).await;
    let session = request(&store, id);
    session.get::<u32>("n").await.unwrap();
    session.set("n", &10).unwrap();
    session.save().await.unwrap();
    let other = request(&store, id);
    other.set("page", "home").unwrap();
    end(&other).await;
    session.set("n", &11).unwrap();
    end(&session).await;
    assert_eq!(number(&store, id).await, Some(11));
}

#[test_support::test]
async fn a_strict_session_is_stale_when_any_value_that_it_read_has_changed() {
    let store = mem();
    let id = stored(&store).await;
    for strict in [false, true] {
        let session = request(&store, id);
        if strict {
            session.strict().unwrap();
        }
        let n: u32 = session.get("n").await.unwrap().unwrap();
        session.set("copy", &n).unwrap();
        let other = request(&store, id);
        inc(&other).await;
        end(&other).await;
        let expected = if strict {
            SaveOutcome::Stale
        } else {
            SaveOutcome::Written
        };
        assert_eq!(session.save().await.unwrap(), expected);
    }
}

#[test_support::test]
async fn changes_beside_a_logout_or_a_login_are_told() {
    let store = mem();
    for logout in [true, false] {
        let id = stored(&store).await;
        let late = request(&store, id);
        inc(&late).await;
        let other = request(&store, id);
        if logout {
            other.destroy().await.unwrap();
        } else {
            other.regenerate().unwrap();
        }
        end(&other).await;
        assert!(!lost(&late).await.headers.sets_cookie());
    }
}

#[test_support::test]
async fn only_changes_that_matter_replace_a_response() {
    let store = mem();
    let change = async |method: Method, change: fn(&Session)| {
        let id = stored(&store).await;
        let mut headers = HeaderMap::new();
        headers.insert(
            COOKIE,
            format!("{}={}", store.cookie_name(), id.expose())
                .parse()
                .unwrap(),
        );
        let session = store.session_from_request(&method, &headers);
        session.get::<u32>("n").await.unwrap();
        store.destroy(id).await.unwrap();
        change(&session);
        let result = session.commit(StatusCode::OK).await;
        assert!(!result.headers.sets_cookie());
        result.failure.map(|failure| failure.status())
    };
    let set: fn(&Session) = |session| session.set("a", &1).unwrap();
    let remove: fn(&Session) = |session| session.remove("n").unwrap();
    let volatile: fn(&Session) = |session| session.set_volatile("page", "home").unwrap();
    assert_eq!(change(Method::POST, set).await, Some(StatusCode::CONFLICT));
    assert_eq!(
        change(Method::DELETE, set).await,
        Some(StatusCode::CONFLICT)
    );
    assert_eq!(change(Method::GET, set).await, None);
    assert_eq!(change(Method::HEAD, set).await, None);
    assert_eq!(change(Method::POST, remove).await, None);
    assert_eq!(change(Method::POST, volatile).await, None);
}

#[test_support::test]
async fn a_handler_that_was_told_by_save_answers_itself() {
    let store = mem();
    let id = stored(&store).await;
    let session = with_cookies(&store, &[id.expose()]);
    session.get::<u32>("n").await.unwrap();
    store.destroy(id).await.unwrap();
    session.set("a", &1).unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Gone);
    end(&session).await;
}

#[test_support::test]
async fn an_application_can_have_lost_changes_reported_only() {
    let store = SessionManager::builder(MemoryDriver::new())
        .on_lost_change(OnLostChange::Report)
        .build()
        .unwrap();
    let id = stored(&store).await;
    let session = request(&store, id);
    inc(&session).await;
    store.destroy(id).await.unwrap();
    end(&session).await;
}
