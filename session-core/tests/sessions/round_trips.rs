//! A request costs no more operations than it needs.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use session_core::session::*;

use crate::fixtures::*;

#[test_support::test]
async fn a_request_costs_no_more_operations_than_it_needs() {
    let driver = AlteredMemory::new(Duration::ZERO, |_| {});
    let store = SessionManager::new(Arc::clone(&driver));
    let operations = async |session: &Session| {
        end(session).await;
        driver.take()
    };
    let anonymous = || store.session_from_headers(&HeaderMap::new());
    assert!(operations(&anonymous()).await.is_empty(), "untouched");

    let session = anonymous();
    session.get::<u32>("n").await.unwrap();
    assert!(operations(&session).await.is_empty(), "anonymous read");

    let session = anonymous();
    session.set("n", &1).unwrap();
    assert_eq!(operations(&session).await, ["write"], "first write");
    let id = session.id().unwrap();

    let session = request(&store, id);
    assert!(operations(&session).await.is_empty(), "untouched");
    session.get::<u32>("n").await.unwrap_or_default();
    driver.take();

    let session = request(&store, id);
    session.get::<u32>("n").await.unwrap();
    assert_eq!(operations(&session).await, ["read"], "read");

    let session = request(&store, id);
    inc(&session).await;
    assert_eq!(
        operations(&session).await,
        ["read", "write"],
        "read and write"
    );

    let session = request(&store, id);
    session.regenerate().unwrap();
    assert_eq!(
        operations(&session).await,
        ["read", "write", "write"],
        "regenerate"
    );
}
