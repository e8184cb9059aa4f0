//! A browser for an application in this process, and a driver to look at and to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use actix_http::Request;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{COOKIE, HeaderMap, SET_COOKIE};
use actix_web::test::{TestRequest, read_body};
use driver_memory::MemoryDriver;
use parking_lot::Mutex;
use session_core::{
    Bytes, Capabilities, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, Outcome,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::Semaphore;

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn set_cookies(&self) -> Vec<&str> {
        let cookies = self.headers.get_all(SET_COOKIE);
        cookies.map(|cookie| cookie.to_str().unwrap()).collect()
    }
}

/// A visitor who keeps the cookie that the last response set.
#[derive(Default)]
pub(crate) struct Browser {
    pub(crate) cookie: Option<String>,
}

impl Browser {
    pub(crate) fn request(&self, uri: &str) -> TestRequest {
        let request = TestRequest::with_uri(uri);
        match &self.cookie {
            Some(cookie) => request.insert_header((COOKIE, cookie.as_str())),
            None => request,
        }
    }

    pub(crate) async fn get<S, B>(&mut self, app: &S, uri: &str) -> Answer
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
        B: MessageBody,
    {
        self.send(app, self.request(uri)).await
    }

    pub(crate) async fn send<S, B>(&mut self, app: &S, request: TestRequest) -> Answer
    where
        S: Service<Request, Response = ServiceResponse<B>, Error = actix_web::Error>,
        B: MessageBody,
    {
        let response = app.call(request.to_request()).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = read_body(response).await;
        let answer = Answer {
            status,
            headers,
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        for cookie in answer.set_cookies() {
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!cookie.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        answer
    }

    pub(crate) fn key(&self) -> Key {
        let (_, id) = self.cookie.as_deref().unwrap().split_once('=').unwrap();
        Key::new(id).unwrap()
    }
}

/// A memory driver that counts its operations, fails them on demand, and waits before writes on demand.
pub(crate) struct Probe {
    inner: MemoryDriver,
    operations: Mutex<Vec<&'static str>>,
    fail: Mutex<Option<(&'static str, Outcome)>>,
    /// Writes take a permit each.
    pub(crate) writes: Semaphore,
    pub(crate) writes_begun: AtomicUsize,
    pub(crate) writes_done: AtomicUsize,
}

impl Probe {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: MemoryDriver::new(),
            operations: Mutex::default(),
            fail: Mutex::default(),
            writes: Semaphore::new(Semaphore::MAX_PERMITS),
            writes_begun: AtomicUsize::new(0),
            writes_done: AtomicUsize::new(0),
        })
    }

    /// The operations since the last call.
    pub(crate) fn take_operations(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.operations.lock())
    }

    /// Lets every `operation` fail from now on, without being applied.
    pub(crate) fn fail(&self, operation: &'static str, outcome: Outcome) {
        *self.fail.lock() = Some((operation, outcome));
    }

    pub(crate) fn heal(&self) {
        *self.fail.lock() = None;
    }

    fn begin(&self, operation: &'static str) -> Result<()> {
        self.operations.lock().push(operation);
        match *self.fail.lock() {
            Some((failing, outcome)) if failing == operation => {
                Err(Error::new(ErrorKind::Unavailable, "the backend is away")
                    .with_outcome(outcome)
                    .with_context("probe", operation))
            }
            _ => Ok(()),
        }
    }

    pub(crate) async fn stored(&self, key: &Key) -> Option<Bytes> {
        let entry = self.inner.read(key).await.unwrap();
        entry.map(|entry| entry.value)
    }
}

#[async_trait]
impl Driver for Probe {
    fn name(&self) -> &str {
        "probe"
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.begin("read")?;
        self.inner.read(key).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.begin("write")?;
        self.writes_begun.fetch_add(1, Ordering::SeqCst);
        let _permit = self.writes.acquire().await.unwrap();
        let outcome = self.inner.write(key, value, options).await?;
        self.writes_done.fetch_add(1, Ordering::SeqCst);
        Ok(outcome)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.begin("remove")?;
        self.inner.remove(key, options).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.begin("list")?;
        self.inner.list(options).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.begin("touch")?;
        self.inner.touch(key, options).await
    }

    async fn close(&self) -> Result<()> {
        self.begin("close")?;
        self.inner.close().await
    }
}
