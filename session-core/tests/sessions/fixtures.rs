//! Stores, drivers and requests for the tests of what goes on around a commit.

use driver_memory::MemoryDriver;
use http::header::COOKIE;
use http::{HeaderMap, Method};
use parking_lot::Mutex;
use session_core::session::*;
use session_core::*;
use std::sync::Arc;
use std::time::Duration;

pub(crate) const MIN: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86400);

pub(crate) fn request(store: &SessionManager, id: SessionId) -> Session {
    let mut h = HeaderMap::new();
    h.insert(
        COOKIE,
        format!("{}={}", store.cookie_name(), id.expose())
            .parse()
            .unwrap(),
    );
    store.session_from_headers(&h)
}
pub(crate) async fn end(s: &Session) -> HeaderMap {
    let f = s.commit(http::StatusCode::OK).await;
    assert!(f.failure.is_none(), "{:?}", f.failure);
    let mut h = HeaderMap::new();
    f.headers.apply(&mut h);
    h
}
/// Ends a request whose changes were lost.
pub(crate) async fn lost(s: &Session) -> CommitResult {
    let result = s.commit(http::StatusCode::OK).await;
    assert_eq!(result.failure.as_ref().unwrap().status(), 409);
    result
}
pub(crate) async fn stored(store: &SessionManager) -> SessionId {
    let s = store.create();
    s.set("n", &1).unwrap();
    s.save().await.unwrap();
    s.id().unwrap()
}
pub(crate) fn mem() -> SessionManager {
    SessionManager::new(Arc::new(MemoryDriver::new()))
}
pub(crate) async fn inc(s: &Session) -> u32 {
    s.update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await
        .unwrap()
}

/// A memory driver with other capabilities, which is slow and remembers what it was asked.
pub(crate) struct AlteredMemory {
    pub(crate) inner: MemoryDriver,
    pub(crate) caps: Capabilities,
    pub(crate) ops: Mutex<Vec<&'static str>>,
    pub(crate) delay: Duration,
}
impl AlteredMemory {
    pub(crate) fn new(delay: Duration, f: impl FnOnce(&mut Capabilities)) -> Arc<Self> {
        Self::over(MemoryDriver::new(), delay, f)
    }
    pub(crate) fn over(
        inner: MemoryDriver,
        delay: Duration,
        f: impl FnOnce(&mut Capabilities),
    ) -> Arc<Self> {
        let mut caps = inner.capabilities();
        f(&mut caps);
        Arc::new(Self {
            inner,
            caps,
            ops: Mutex::default(),
            delay,
        })
    }
    pub(crate) fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.ops.lock())
    }
    pub(crate) async fn at(&self, op: &'static str) {
        self.ops.lock().push(op);
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
    }
}
#[async_trait]
impl Driver for AlteredMemory {
    fn name(&self) -> &str {
        "d"
    }
    fn capabilities(&self) -> Capabilities {
        self.caps.clone()
    }
    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.at("read").await;
        let mut e = self.inner.read(key).await?;
        if !self.caps.reports_expiry
            && let Some(e) = &mut e
        {
            e.expires_at = None
        }
        Ok(e)
    }
    async fn write(&self, key: &Key, value: Bytes, o: WriteOptions) -> Result<WriteOutcome> {
        self.at("write").await;
        self.inner.write(key, value, o).await
    }
    async fn remove(&self, key: &Key, o: RemoveOptions) -> Result<RemoveOutcome> {
        self.at("remove").await;
        self.inner.remove(key, o).await
    }
    async fn list(&self, o: ListOptions) -> Result<ListPage> {
        self.inner.list(o).await
    }
    async fn touch(&self, key: &Key, e: TouchOptions) -> Result<bool> {
        self.at("touch").await;
        self.inner.touch(key, e).await
    }
}
#[derive(Debug)]
pub(crate) struct SharedClock(pub(crate) Arc<ManualClock>);
impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}
pub(crate) fn clocked(
    f: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
) -> (SessionManager, Arc<ManualClock>, Arc<MemoryDriver>) {
    let clock = Arc::new(ManualClock::new(Timestamp::from_millis(1_700_000_000_000)));
    let d = Arc::new(MemoryDriver::new().with_clock(SharedClock(clock.clone())));
    (
        f(SessionManager::builder(d.clone()).clock(clock.clone()))
            .build()
            .unwrap(),
        clock,
        d,
    )
}

/// A request with these values of the session cookie.
pub(crate) fn with_cookies(store: &SessionManager, values: &[&str]) -> Session {
    let pairs: Vec<String> = values
        .iter()
        .map(|value| format!("{}={value}", store.cookie_name()))
        .collect();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, pairs.join("; ").parse().unwrap());
    store.session_from_request(&Method::POST, &headers)
}

/// A manager that keeps its events as text.
pub(crate) fn observed(driver: impl Driver) -> (SessionManager, Arc<Mutex<Vec<String>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&events);
    let store = SessionManager::builder(driver)
        .on_event(move |event| seen.lock().push(format!("{event:?}")))
        .build()
        .unwrap();
    (store, events)
}

pub(crate) async fn number(store: &SessionManager, id: SessionId) -> Option<u32> {
    store.open(id).await.unwrap()?.get("n").await.unwrap()
}
