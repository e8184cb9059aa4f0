//! Sessions outside of requests, and what their handles do.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use driver_memory::MemoryDriver;
use futures_util::TryStreamExt;
use session_core::session::{SaveOutcome, Session, SessionId, SessionManager, TypedKey, Value};
use session_core::{DriverExt, ErrorKind, Expiry};

const CART: TypedKey<Vec<String>> = TypedKey::new("cart");

fn store() -> SessionManager {
    SessionManager::new(Arc::new(MemoryDriver::new()))
}

async fn stored(store: &SessionManager, fill: impl FnOnce(&Session)) -> SessionId {
    let session = store.create();
    fill(&session);
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    session.id().unwrap()
}

async fn open(store: &SessionManager, id: SessionId) -> Session {
    store.open(id).await.unwrap().unwrap()
}

#[test_support::test]
async fn sessions_are_listed_opened_and_destroyed_outside_of_requests() {
    let store = store();
    let mut ids = HashSet::new();
    for _ in 0..3 {
        ids.insert(stored(&store, |session| session.set("a", &1).unwrap()).await);
    }
    store
        .driver()
        .unwrap()
        .put("something-else", "x")
        .await
        .unwrap();
    let listed: HashSet<SessionId> = store.ids().try_collect().await.unwrap();
    assert_eq!(listed, ids);

    let first = *ids.iter().next().unwrap();
    store.destroy(first).await.unwrap();
    assert!(store.open(first).await.unwrap().is_none());
    store.destroy(first).await.unwrap();
    assert_eq!(store.ids().try_collect::<Vec<_>>().await.unwrap().len(), 2);
}

#[test_support::test]
async fn a_new_session_with_nothing_in_it_is_not_stored() {
    let store = store();
    let session = store.create();
    session.remove("a").unwrap();
    session.regenerate().unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
    assert!(
        store
            .ids()
            .try_collect::<Vec<_>>()
            .await
            .unwrap()
            .is_empty()
    );
}

#[test_support::test]
async fn an_unchanged_session_is_not_written() {
    let store = store();
    let id = stored(&store, |session| session.set("a", &1).unwrap()).await;
    let session = open(&store, id).await;
    session.set("a", &1).unwrap();
    session.remove("b").unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
}

#[test_support::test]
async fn values_of_all_kinds_come_back_as_they_were() {
    let store = store();
    let map = BTreeMap::from([("x".to_owned(), Some(1.5)), ("y".to_owned(), None)]);
    let id = stored(&store, |session| {
        session.set("map", &map).unwrap();
        session.set("text", "grüße 🎉").unwrap();
        session.set("list", &[1, 2, 3]).unwrap();
        session.set("flag", &true).unwrap();
        session.set("big", &(1_u64 << 53)).unwrap();
    })
    .await;
    let session = open(&store, id).await;
    assert_eq!(session.get("map").await.unwrap(), Some(map));
    assert_eq!(
        session.get("text").await.unwrap(),
        Some("grüße 🎉".to_owned())
    );
    assert_eq!(session.get("list").await.unwrap(), Some(vec![1, 2, 3]));
    assert_eq!(session.get("flag").await.unwrap(), Some(true));
    assert_eq!(session.get("big").await.unwrap(), Some(1_u64 << 53));
    assert_eq!(
        session.keys().await.unwrap(),
        ["map", "text", "list", "flag", "big"]
    );
    let entries = session.entries().await.unwrap();
    assert_eq!(entries[3], ("flag".to_owned(), Value::Bool(true)));
}

#[test_support::test]
async fn a_value_of_another_type_is_an_error_and_stays() {
    let store = store();
    let id = stored(&store, |session| session.set("a", "text").unwrap()).await;
    let session = open(&store, id).await;
    for error in [
        session.get::<u32>("a").await.unwrap_err(),
        session
            .update("a", |n: Option<u32>| n.unwrap_or(0))
            .await
            .unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::WrongType);
        assert!(!format!("{error:?}").contains("text\""), "{error:?}");
    }
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
    assert_eq!(session.get("a").await.unwrap(), Some("text".to_owned()));
}

#[test_support::test]
async fn what_cannot_be_encoded_or_named_is_an_error_and_changes_nothing() {
    let session = store().create();
    let unwritable = BTreeMap::from([("__proto__", 1)]);
    let error = session.set("a", &unwritable).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unserializable);
    for name in ["", "$session:flash", "$session:anything"] {
        assert_eq!(
            session.set(name, &1).unwrap_err().kind(),
            ErrorKind::InvalidKey
        );
        assert_eq!(
            session.get::<u32>(name).await.unwrap_err().kind(),
            ErrorKind::InvalidKey
        );
    }
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Unchanged);
}

#[test_support::test]
async fn a_typed_key_has_a_default_that_never_leaks() {
    let store = store();
    let add = |session: Session, item: &'static str| async move {
        session
            .update(CART, move |cart| {
                let mut cart = cart.unwrap_or_default();
                cart.push(item.to_owned());
                cart
            })
            .await
            .unwrap();
    };
    let session = store.create();
    assert!(session.get_or_default(CART).await.unwrap().is_empty());
    add(session.clone(), "tea").await;
    add(session.clone(), "cups").await;
    assert_eq!(session.get_or_default(CART).await.unwrap(), ["tea", "cups"]);
    assert!(
        store
            .create()
            .get_or_default(CART)
            .await
            .unwrap()
            .is_empty()
    );
}

#[test_support::test]
async fn an_update_keeps_the_expiry_of_its_value() {
    let store = store();
    let soon = Expiry::after(Duration::from_millis(60));
    let id = stored(&store, |session| {
        session.set_with("n", &1, soon).unwrap();
        session.set("other", &1).unwrap();
    })
    .await;
    let session = open(&store, id).await;
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await
        .unwrap();
    session.save().await.unwrap();
    assert_eq!(session.get("n").await.unwrap(), Some(2));
    let gone = async {
        while session.has("n").await.unwrap() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), gone)
        .await
        .unwrap();
    assert!(session.has("other").await.unwrap());
}

#[test_support::test]
async fn a_flash_is_taken_once_and_is_no_value() {
    let store = store();
    let id = stored(&store, |session| {
        session.flash("notice", "saved").unwrap();
        session.flash("other", &1).unwrap();
    })
    .await;
    let session = open(&store, id).await;
    assert!(session.keys().await.unwrap().is_empty());
    assert!(session.entries().await.unwrap().is_empty());
    assert!(!session.has("notice").await.unwrap());
    assert_eq!(session.get::<String>("notice").await.unwrap(), None);
    assert_eq!(
        session.take_flash("notice").await.unwrap(),
        Some("saved".to_owned())
    );
    assert_eq!(session.take_flash::<String>("notice").await.unwrap(), None);
    session.save().await.unwrap();

    let session = open(&store, id).await;
    assert_eq!(session.take_flash::<String>("notice").await.unwrap(), None);
    assert_eq!(session.take_flash("other").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_reload_keeps_what_was_not_saved_on_top_of_what_others_wrote() {
    let store = store();
    let id = stored(&store, |session| session.set("n", &1).unwrap()).await;
    let (ours, theirs) = (open(&store, id).await, open(&store, id).await);
    ours.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await
        .unwrap();
    theirs.set("n", &10).unwrap();
    theirs.set("new", &true).unwrap();
    theirs.save().await.unwrap();
    assert_eq!(ours.get("n").await.unwrap(), Some(2));
    ours.reload().await.unwrap();
    assert_eq!(ours.get("n").await.unwrap(), Some(11));
    assert!(ours.has("new").await.unwrap());
    assert_eq!(ours.save().await.unwrap(), SaveOutcome::Written);
    assert_eq!(theirs.get("n").await.unwrap(), Some(10));
}

#[test_support::test]
async fn what_is_gone_is_written_again_only_after_a_regenerate_and_alone() {
    let store = store();
    let id = stored(&store, |session| session.set("old", &1).unwrap()).await;
    let session = store.create();
    assert!(session.load(id).await.unwrap());
    store.destroy(id).await.unwrap();
    session.set("a", &1).unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Gone);
    session.set("b", &1).unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Gone);
    assert!(session.keys().await.unwrap().is_empty());

    session.regenerate().unwrap();
    session.set("c", &1).unwrap();
    assert_eq!(session.save().await.unwrap(), SaveOutcome::Written);
    assert_ne!(session.id(), Some(id));
    let fresh = open(&store, session.id().unwrap()).await;
    assert_eq!(fresh.keys().await.unwrap(), ["c"]);
}

#[test_support::test]
async fn loading_an_id_that_no_record_has_changes_nothing() {
    let session = store().create();
    session.set("a", &1).unwrap();
    assert!(!session.load(SessionId::random()).await.unwrap());
    assert_eq!(session.get("a").await.unwrap(), Some(1));
}

#[test_support::test]
async fn a_closed_store_is_an_error_and_never_an_empty_session() {
    let store = store();
    let id = stored(&store, |session| session.set("a", &1).unwrap()).await;
    store.close(Duration::from_secs(10)).await.unwrap();
    assert_eq!(store.open(id).await.unwrap_err().kind(), ErrorKind::Closed);
}
