//! A new id: logins, rotations, and logouts with an id from before.

use futures_util::StreamExt;
use futures_util::future::join;
use http::header::SET_COOKIE;
use session_core::session::*;
use test_support::step;

use crate::fixtures::*;

#[test_support::test]
async fn two_logins_with_one_id_both_stand() {
    let store = mem();
    let id = stored(&store).await;
    let logins: Vec<Session> = (0..2).map(|_| request(&store, id)).collect();
    for login in &logins {
        login.get::<u32>("n").await.unwrap();
        login.regenerate().unwrap();
        login.set("user", "ann").unwrap();
    }
    let (one, two) = join(end(&logins[0]), end(&logins[1])).await;
    for (headers, login) in [one, two].iter().zip(&logins) {
        let cookie = headers[SET_COOKIE].to_str().unwrap();
        let id = login.id().unwrap();
        assert!(cookie.contains(id.expose()));
        let session = store.open(id).await.unwrap().unwrap();
        assert_eq!(session.get::<String>("user").await.unwrap().unwrap(), "ann");
    }
    assert!(store.open(id).await.unwrap().is_none());

    step("a logout under the id from before ends both");
    request(&store, id).destroy().await.unwrap();
    for login in &logins {
        assert!(store.open(login.id().unwrap()).await.unwrap().is_none());
    }
}

#[test_support::test]
async fn a_login_after_the_logout_of_another_login_is_gone() {
    let store = mem();
    let id = stored(&store).await;
    let (first, second) = (request(&store, id), request(&store, id));
    second.get::<u32>("n").await.unwrap();
    first.regenerate().unwrap();
    end(&first).await;
    request(&store, id).destroy().await.unwrap();
    second.regenerate().unwrap();
    assert_eq!(second.save().await.unwrap(), SaveOutcome::Gone);
    let live = store.ids().filter(|id| {
        let id = *id.as_ref().unwrap();
        let store = store.clone();
        async move { store.open(id).await.unwrap().is_some() }
    });
    assert_eq!(live.count().await, 0);
}

#[test_support::test]
async fn requests_with_the_old_id_follow_a_rotation() {
    let store = mem();
    let id = stored(&store).await;
    let parallel = request(&store, id);
    inc(&parallel).await;
    let rotating = request(&store, id);
    rotating.rotate().unwrap();
    let cookie = end(&rotating).await;
    let new = rotating.id().unwrap();
    assert!(cookie[SET_COOKIE].to_str().unwrap().contains(new.expose()));

    step("a request that had read before writes to the new id");
    let cookie = end(&parallel).await;
    assert!(cookie[SET_COOKIE].to_str().unwrap().contains(new.expose()));
    assert_eq!(number(&store, new).await, Some(2));

    step("a request whose browser missed the new cookie reads, and gets it");
    let late = request(&store, id);
    assert_eq!(late.get("n").await.unwrap(), Some(2));
    assert_eq!(late.id(), Some(new));
    let cookie = end(&late).await;
    assert!(cookie[SET_COOKIE].to_str().unwrap().contains(new.expose()));

    step("a slow response does not bring back an id that a login replaced");
    let slow = request(&store, id);
    assert_eq!(slow.get("n").await.unwrap(), Some(2));
    let login = request(&store, new);
    login.regenerate().unwrap();
    end(&login).await;
    assert!(!end(&slow).await.contains_key(SET_COOKIE));
}

#[test_support::test]
async fn a_planted_id_is_not_carried_into_a_login() {
    let store = mem();
    let planted = stored(&store).await;
    let rotating = request(&store, planted);
    rotating.rotate().unwrap();
    end(&rotating).await;
    let login = request(&store, rotating.id().unwrap());
    login.regenerate().unwrap();
    login.set("user", "ann").unwrap();
    end(&login).await;
    for old in [planted, rotating.id().unwrap()] {
        let attacker = request(&store, old);
        assert_eq!(attacker.keys().await.unwrap(), Vec::<String>::new());
        attacker.set("seen", &true).unwrap();
        assert_eq!(attacker.save().await.unwrap(), SaveOutcome::Gone);
    }
}

#[test_support::test]
async fn a_login_beside_a_rotation_ends_both_ids() {
    let store = mem();
    let id = stored(&store).await;
    let (login, rotating) = (request(&store, id), request(&store, id));
    login.get::<u32>("n").await.unwrap();
    rotating.rotate().unwrap();
    rotating.set("page", "home").unwrap();
    end(&rotating).await;
    login.regenerate().unwrap();
    end(&login).await;
    for old in [id, rotating.id().unwrap()] {
        assert!(store.open(old).await.unwrap().is_none());
    }
    let session = store.open(login.id().unwrap()).await.unwrap().unwrap();
    assert_eq!(
        session.get::<String>("page").await.unwrap().unwrap(),
        "home"
    );
}

#[test_support::test]
async fn two_rotations_at_once_give_one_session() {
    let store = mem();
    let id = stored(&store).await;
    let both = [request(&store, id), request(&store, id)];
    for session in &both {
        session.get::<u32>("n").await.unwrap();
        session.rotate().unwrap();
        inc(session).await;
    }
    join(end(&both[0]), end(&both[1])).await;
    assert_eq!(both[0].id(), both[1].id());
    assert_eq!(number(&store, both[0].id().unwrap()).await, Some(3));
}

#[test_support::test]
async fn a_request_that_rotates_and_regenerates_regenerates() {
    let store = mem();
    let id = stored(&store).await;
    let session = request(&store, id);
    session.regenerate().unwrap();
    session.rotate().unwrap();
    end(&session).await;
    assert_eq!(request(&store, id).keys().await.unwrap().len(), 0);
}
