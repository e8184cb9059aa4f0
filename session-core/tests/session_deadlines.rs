//! No call of a session waits for another one for longer than the commit's deadline.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use http::{HeaderMap, HeaderValue, header::COOKIE};
use session_core::session::{Session, SessionId, SessionManager};
use session_core::{
    Bytes, Capabilities, Driver, Entry, ErrorKind, Key, ListOptions, ListPage, Outcome,
    RemoveOptions, RemoveOutcome, Result, Version, WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;

const DEADLINE: Duration = Duration::from_secs(2);

/// A driver that has a session under every key, and answers no write; and no read either, if it is `deaf`.
struct Stuck {
    deaf: bool,
}

#[async_trait]
impl Driver for Stuck {
    fn name(&self) -> &str {
        "stuck"
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.conditions = session_core::Conditions::All;
        capabilities
    }

    async fn read(&self, _key: &Key) -> Result<Option<Entry>> {
        if self.deaf {
            std::future::pending::<()>().await;
        }
        let record = r#"[["Map",1,2],"n",{"data":3},1]"#;
        Ok(Some(Entry::new(record).with_version(Version::from_u64(1))))
    }

    async fn write(&self, _: &Key, _: Bytes, _: WriteOptions) -> Result<WriteOutcome> {
        std::future::pending().await
    }

    async fn remove(&self, _: &Key, _: RemoveOptions) -> Result<RemoveOutcome> {
        std::future::pending().await
    }

    async fn list(&self, _: ListOptions) -> Result<ListPage> {
        std::future::pending().await
    }
}

/// A store, and the headers of a visitor who has a session in it.
fn visitor(deaf: bool) -> (SessionManager, HeaderMap) {
    let driver: Arc<dyn Driver> = Arc::new(Stuck { deaf });
    let store = SessionManager::builder(driver)
        .commit_deadline(DEADLINE)
        .build()
        .unwrap();
    let cookie = format!("{}={}", store.cookie_name(), SessionId::random().expose());
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, HeaderValue::from_str(&cookie).unwrap());
    (store, headers)
}

#[test_support::test(start_paused = true)]
async fn a_load_behind_one_that_hangs_ends_by_the_deadline() {
    let (store, headers) = visitor(true);
    let session = store.session_from_headers(&headers);
    let first = tokio::spawn({
        let session = session.clone();
        async move { session.get::<u32>("n").await }
    });
    tokio::task::yield_now().await;

    let started = Instant::now();
    let error = session.get::<u32>("n").await.unwrap_err();
    assert_eq!(started.elapsed(), DEADLINE);
    assert_eq!(error.kind(), ErrorKind::Contended);
    assert_eq!(error.outcome(), Outcome::NotApplied);
    first.abort();
}

#[test_support::test(start_paused = true)]
async fn commits_behind_one_that_hangs_end_by_the_deadline() {
    let (store, headers) = visitor(false);
    let session = || store.session_from_headers(&headers);
    let save = |session: Session| async move {
        session
            .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .await?;
        session.save().await
    };
    let first = tokio::spawn(save(session()));
    tokio::task::yield_now().await;

    let started = Instant::now();
    let errors = join_all((0..64).map(|_| save(session()))).await;
    assert_eq!(started.elapsed(), DEADLINE);
    for error in errors {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contended);
        assert_eq!(error.outcome(), Outcome::NotApplied);
    }

    let started = Instant::now();
    let error = session().destroy().await.unwrap_err();
    assert_eq!(started.elapsed(), DEADLINE);
    assert_eq!(error.kind(), ErrorKind::Contended);
    first.abort();
}
