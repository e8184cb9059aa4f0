//! A site under test: its sessions in a driver that is watched, and a clock that stands still.

use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::response::IntoResponse;
use axum::routing::get;
use driver_memory::MemoryDriver;
use http::header::{COOKIE, SET_COOKIE};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use parking_lot::Mutex;
use serde_devalue::{Document, Value};
use session_core::session::{SessionEvent, SessionManager, SessionManagerBuilder};
use session_core::{
    Bytes, Capabilities, Clock, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage,
    ManualClock, RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions, WriteOptions,
    WriteOutcome, async_trait,
};
use session_tower::{ResponseError, Session, SessionLayer};
use tower::ServiceExt;

/// The id of a visitor who has been here before.
pub(crate) const ID: &str = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";

/// The time at which every test begins, in epoch milliseconds.
pub(crate) const START: u64 = 1_795_298_344_000;

/// What a record of ours ends with at the time [`START`], where nothing else begins it earlier.
pub(crate) const LIFETIME: &str = "$session:lifetime";

#[derive(Debug)]
struct Shared(Arc<ManualClock>);

impl Clock for Shared {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// A memory driver that notes what is asked of it, and fails where a test says so.
pub(crate) struct Watched {
    memory: MemoryDriver,
    asked: Mutex<Vec<&'static str>>,
    failing: Mutex<Option<Failing>>,
}

/// Which operation fails, and how often it works before that.
struct Failing {
    operation: &'static str,
    works: usize,
}

impl Watched {
    fn ask(&self, operation: &'static str) -> Result<()> {
        self.asked.lock().push(operation);
        match &mut *self.failing.lock() {
            Some(failing) if failing.operation == operation && failing.works == 0 => Err(
                Error::new(ErrorKind::Unavailable, "the test switched it off"),
            ),
            Some(failing) if failing.operation == operation => {
                failing.works -= 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[async_trait]
impl Driver for Watched {
    fn name(&self) -> &str {
        self.memory.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.memory.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.ask("read")?;
        self.memory.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.ask("write")?;
        self.memory.write(key, value, options).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.ask("remove")?;
        self.memory.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.memory.list(options).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.ask("touch")?;
        self.memory.touch(key, options).await
    }
}

/// An application whose every request has a session.
pub(crate) struct Site {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) layer: SessionLayer,
    driver: Arc<Watched>,
    events: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// A site with default settings.
    pub(crate) fn new() -> Self {
        Self::with(|settings| settings)
    }

    pub(crate) fn with(
        settings: impl FnOnce(SessionManagerBuilder) -> SessionManagerBuilder,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_millis(START)));
        let driver = Arc::new(Watched {
            memory: MemoryDriver::new().with_clock(Shared(Arc::clone(&clock))),
            asked: Mutex::default(),
            failing: Mutex::default(),
        });
        let events: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = Arc::clone(&events);
        let shared: Arc<dyn Driver> = driver.clone();
        let builder = SessionManager::builder(shared)
            .clock(clock.clone())
            .on_event(move |event: &SessionEvent<'_>| heard.lock().push(event.to_string()));
        let store = settings(builder).build().unwrap();
        Self {
            clock,
            layer: SessionLayer::from_manager(store),
            driver,
            events,
        }
    }

    /// A request without a cookie.
    pub(crate) async fn anonymous<F, Fut, R>(&self, handler: F) -> Answer
    where
        F: FnOnce(Session) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        self.visit(&[], handler).await
    }

    /// A request with the session cookie of `id`.
    pub(crate) async fn visitor<F, Fut, R>(&self, id: &str, handler: F) -> Answer
    where
        F: FnOnce(Session) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        self.visit(&[&format!("astro-session={id}")], handler).await
    }

    /// A request with these `cookie` headers, answered by `handler`.
    pub(crate) async fn visit<F, Fut, R>(&self, cookies: &[&str], handler: F) -> Answer
    where
        F: FnOnce(Session) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<R>> + Send + 'static,
        R: IntoResponse + 'static,
    {
        let app = Router::new()
            .route("/", get(handler))
            .layer(self.layer.clone());
        let mut request = Request::builder().uri("/");
        for cookie in cookies {
            request = request.header(COOKIE, *cookie);
        }
        answer(app, request.body(Body::empty()).unwrap()).await
    }

    /// Stores a record as Astro does: the text alone, without an end.
    pub(crate) fn stored_by_astro(&self, id: &str, record: &str) {
        let value = Bytes::copy_from_slice(record.as_bytes());
        let options = WriteOptions::default();
        let written = self.driver.memory.write_now(&key(id), value, options);
        assert!(matches!(written, Ok(WriteOutcome::Written { .. })));
    }

    /// Takes a record away behind everybody's back.
    pub(crate) fn removed_elsewhere(&self, id: &str) {
        let removed = self
            .driver
            .memory
            .remove_now(&key(id), RemoveOptions::default());
        assert!(matches!(removed, Ok(RemoveOutcome::Removed)));
    }

    /// The text that is stored under `id`.
    pub(crate) fn record(&self, id: &str) -> Option<String> {
        let entry = self.driver.memory.read_now(&key(id)).unwrap()?;
        Some(String::from_utf8(entry.value.to_vec()).unwrap())
    }

    /// When what is stored under `id` ends.
    pub(crate) fn end(&self, id: &str) -> Option<u64> {
        let entry = self.driver.memory.read_now(&key(id)).unwrap().unwrap();
        entry.expires_at.map(Timestamp::as_millis)
    }

    /// How many entries the store holds, tombstones included.
    pub(crate) fn count(&self) -> usize {
        self.driver.memory.entry_count()
    }

    /// What was asked of the driver since this was called last.
    pub(crate) fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.driver.asked.lock())
    }

    /// Makes every such operation fail from now on.
    pub(crate) fn fail(&self, operation: &'static str) {
        self.fail_after(0, operation);
    }

    /// Makes every such operation fail after the next few of its kind.
    pub(crate) fn fail_after(&self, works: usize, operation: &'static str) {
        *self.driver.failing.lock() = Some(Failing { operation, works });
    }

    /// Lets every operation work again.
    pub(crate) fn mend(&self) {
        *self.driver.failing.lock() = None;
    }

    /// What the store's hook was told of.
    pub(crate) fn events(&self) -> Vec<String> {
        self.events.lock().clone()
    }
}

fn key(id: &str) -> Key {
    Key::new(id).unwrap()
}

pub(crate) async fn answer(app: Router, request: Request<Body>) -> Answer {
    let response = app.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let error = parts
        .extensions
        .get::<ResponseError>()
        .map(|error| error.0.kind());
    let body = body.collect().await.unwrap().to_bytes();
    Answer {
        status: parts.status,
        headers: parts.headers,
        error,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

/// A response as the browser sees it, and the error that the handler gave.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) error: Option<ErrorKind>,
    pub(crate) body: String,
}

impl Answer {
    /// Every `Set-Cookie` header.
    pub(crate) fn cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE).iter();
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }

    /// The attributes of the one cookie that is set, its name and value first.
    pub(crate) fn attributes(&self) -> Vec<&str> {
        let [cookie] = self.cookies()[..] else {
            panic!("{} cookies: {:?}", self.cookies().len(), self.cookies());
        };
        cookie.split("; ").collect()
    }

    /// The id in the one cookie that is set.
    pub(crate) fn id(&self) -> &str {
        let (_, id) = self.attributes()[0].split_once('=').unwrap();
        assert_ne!(id, "deleted");
        id
    }

    /// Whether the one cookie that is set takes the cookie away from the browser.
    pub(crate) fn forgets(&self) -> bool {
        self.attributes()[0] == "astro-session=deleted"
    }

    /// The answer, given that the handler did not fail.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("cookies", &self.cookies())
            .field("error", &self.error)
            .field("body", &self.body)
            .finish()
    }
}

/// The entries of a record: each name, be it a text or not, with what stands under it.
pub(crate) fn entries(record: &str) -> Vec<(Value, Value)> {
    let document = Document::parse(record.as_bytes().to_vec()).unwrap();
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for entry in document.root().map_entries().unwrap() {
        let (name, value) = entry.unwrap();
        let (name, value) = (name.to_value().unwrap(), value.to_value().unwrap());
        // As in a JavaScript Map, of two entries with one name the later counts, in the place of the earlier.
        match entries.iter_mut().find(|(earlier, _)| *earlier == name) {
            Some((_, earlier)) => *earlier = value,
            None => entries.push((name, value)),
        }
    }
    entries
}

/// The names of a record's entries in their order.
pub(crate) fn names(record: &str) -> Vec<String> {
    let entries = entries(record).into_iter();
    entries
        .map(|(name, _)| match name {
            Value::String(name) => name.to_string_lossy().into_owned(),
            other => format!("{other:?}"),
        })
        .collect()
}

/// What stands under `name` in a record.
pub(crate) fn entry(record: &str, name: &str) -> Option<Value> {
    let mut entries = entries(record).into_iter();
    entries
        .find(|(found, _)| *found == Value::from(name))
        .map(|(_, entry)| entry)
}
