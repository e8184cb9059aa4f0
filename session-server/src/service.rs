use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::try_join;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body;
use session_core::storage::Storage;
use session_core::{
    Driver as _, Entry, Key, RemoveOptions, RemoveOutcome, Version, WriteCondition, WriteOptions,
    WriteOutcome,
};
use tower_service::Service;

use crate::answer::{self, Refusal};
use crate::authorization::{AccessKind, Authorization};
use crate::body::{self, BoxError, ResponseBody};
use crate::precondition::{self, Precondition, Tag};
use crate::target::Target;
use crate::{headers, listing};

/// How large the body of a request may be when nobody says: 8 MiB.
pub const DEFAULT_MAX_BODY: usize = 8 * 1_024 * 1_024;

/// How long a key may be when nobody says: 8 KiB.
pub const DEFAULT_MAX_KEY: usize = 8 * 1_024;

/// How long the body of a request may take when nobody says: 30 s.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A [`Storage`] as a tower service that speaks the protocol of unstorage's server; see the [crate](crate).
///
/// ```
/// use std::sync::Arc;
/// use axum::Router;
/// use driver_memory::MemoryDriver;
/// use session_core::storage::Storage;
/// use session_server::{Authorization, StorageService};
///
/// let storage = Storage::new(Arc::new(MemoryDriver::new()));
/// let service = StorageService::new(storage.prefix("public"), Authorization::open())
///     .with_max_body(64 * 1_024);
/// let app: Router = Router::new().fallback_service(service);
/// ```
///
/// A clone serves the same storage. It runs on tokio, with its timer enabled. A request whose client goes is dropped
/// wherever it is; that leaves the old value or the new one.
#[derive(Clone, Debug)]
pub struct StorageService(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    storage: Storage,
    authorization: Authorization,
    max_body: usize,
    max_key: usize,
    body_timeout: Duration,
}

impl StorageService {
    /// Serves `storage` to those whom `authorization` lets. No request reaches what lies beside it, so that
    /// [`Storage::prefix`] limits what is served.
    pub fn new(storage: Storage, authorization: Authorization) -> Self {
        Self(Arc::new(Settings {
            storage,
            authorization,
            max_body: DEFAULT_MAX_BODY,
            max_key: DEFAULT_MAX_KEY,
            body_timeout: DEFAULT_BODY_TIMEOUT,
        }))
    }

    /// Sets how many bytes the body of a request may have.
    #[must_use]
    pub fn with_max_body(mut self, max_body: usize) -> Self {
        Arc::make_mut(&mut self.0).max_body = max_body;
        self
    }

    /// Sets how many bytes a key may have.
    #[must_use]
    pub fn with_max_key(mut self, max_key: usize) -> Self {
        Arc::make_mut(&mut self.0).max_key = max_key;
        self
    }

    /// Sets how long the body of a request may take from its head to its end.
    #[must_use]
    pub fn with_body_timeout(mut self, body_timeout: Duration) -> Self {
        Arc::make_mut(&mut self.0).body_timeout = body_timeout;
        self
    }
}

impl<B> Service<Request<B>> for StorageService
where
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<BoxError>,
{
    type Response = Response<ResponseBody>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let settings = Arc::clone(&self.0);
        Box::pin(async move {
            let answer = settings.answer(request).await;
            Ok(answer.unwrap_or_else(Refusal::into_response))
        })
    }
}

impl Settings {
    async fn answer<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, Refusal>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let (request, body) = request.into_parts();
        let kind = match request.method {
            Method::GET | Method::HEAD => AccessKind::Read,
            Method::PUT | Method::DELETE => AccessKind::Write,
            ref other => return Err(Refusal::method(other)),
        };
        let target = Target::of(request.uri.path(), self.max_key)?;
        self.authorization
            .check(&request, kind, || target.name())
            .await?;
        match (&request.method, &target) {
            (&Method::GET, Target::Base(base)) => listing::answer(&self.storage, base).await,
            (&Method::GET, Target::Item(key)) => self.get(&request, key).await,
            (&Method::HEAD, target) => self.head(target).await,
            (&Method::DELETE, Target::Base(base)) => {
                if Precondition::of(&request.headers)? != Precondition::None {
                    return Err(Refusal::bad_request(
                        "what lies below a base has no entity tag",
                    ));
                }
                self.storage.clear(base.as_str()).await?;
                Ok(answer::done())
            }
            (&Method::DELETE, Target::Item(key)) => self.delete(&request, key).await,
            (_, target) => self.put(&request, &target.as_item()?, body).await,
        }
    }

    async fn get(&self, request: &Parts, key: &Key) -> Result<Response<ResponseBody>, Refusal> {
        // The version is that of the value which is read with it, and not what the metadata may find a moment later.
        let driver = self.storage.as_driver();
        let (entry, metadata) =
            try_join(driver.read(key), self.storage.metadata(key.as_str())).await?;
        let Entry { value, version, .. } = entry.ok_or_else(Refusal::not_found)?;
        let is_text =
            !headers::accepts_bytes(&request.headers) && std::str::from_utf8(&value).is_ok();
        let content_type = if is_text { answer::TEXT } else { answer::BYTES };
        let mut response = answer::success(content_type, ResponseBody::full(value));
        headers::describe(response.headers_mut(), &metadata.unwrap_or_default());
        precondition::describe(response.headers_mut(), version.as_ref());
        Ok(response)
    }

    async fn head(&self, target: &Target) -> Result<Response<ResponseBody>, Refusal> {
        let key = target.as_item().map_err(|_| Refusal::not_found())?;
        let metadata = self.storage.metadata(key.as_str()).await?;
        let metadata = metadata.ok_or_else(Refusal::not_found)?;
        let native = metadata.native.as_ref().ok_or_else(Refusal::not_found)?;
        let mut response = answer::success(answer::TEXT, ResponseBody::full(""));
        let headers = response.headers_mut();
        // Whether it is text is known of the value alone.
        headers.remove(CONTENT_TYPE);
        if let Some(size) = native.size {
            headers.insert(CONTENT_LENGTH, size.into());
        }
        headers::describe(headers, &metadata);
        precondition::describe(headers, native.version.as_ref());
        Ok(response)
    }

    async fn put<B>(
        &self,
        request: &Parts,
        key: &Key,
        body: B,
    ) -> Result<Response<ResponseBody>, Refusal>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let headers = &request.headers;
        // Before the body, which may be large.
        headers::expiry(headers)?;
        let precondition = Precondition::of(headers)?;
        let value = body::read(body, headers, self.max_body, self.body_timeout).await?;
        if !headers::sends_bytes(headers) && std::str::from_utf8(&value).is_err() {
            return Err(Refusal::bad_request(
                "a text is UTF-8; send bytes with the content type application/octet-stream",
            ));
        }
        // From now on, and not from when the body began.
        let options = WriteOptions::default()
            .with_expiry(headers::expiry(headers)?)
            .with_condition(match precondition {
                Precondition::None => WriteCondition::Always,
                Precondition::Absent => WriteCondition::IfAbsent,
                Precondition::Match(tag) => {
                    WriteCondition::IfVersion(self.version(key, tag).await?)
                }
            });
        let written = self.storage.set_raw_with(key.as_str(), value, options);
        match written.await? {
            WriteOutcome::Written { version, .. } => {
                let mut response = answer::done();
                precondition::describe(response.headers_mut(), version.as_ref());
                Ok(response)
            }
            _ => Err(Refusal::precondition()),
        }
    }

    async fn delete(&self, request: &Parts, key: &Key) -> Result<Response<ResponseBody>, Refusal> {
        match Precondition::of(&request.headers)? {
            Precondition::None => self.storage.remove(key.as_str()).await?,
            Precondition::Absent => {
                return Err(Refusal::bad_request("what is absent cannot be removed"));
            }
            Precondition::Match(tag) => {
                let options = RemoveOptions::if_version(self.version(key, tag).await?);
                match self.storage.as_driver().remove(key, options).await? {
                    RemoveOutcome::Removed => self.storage.remove_metadata(key.as_str()).await?,
                    _ => return Err(Refusal::precondition()),
                }
            }
        }
        Ok(answer::done())
    }

    /// The version that a tag stands for. One that is a hash can only be that of what is there now; should that change
    /// before it is acted on, the condition fails.
    async fn version(&self, key: &Key, tag: Tag) -> Result<Version, Refusal> {
        if let Some(version) = tag.version() {
            return Ok(version);
        }
        let metadata = self.storage.as_driver().metadata(key).await?;
        let version = metadata.and_then(|metadata| metadata.version);
        version
            .filter(|version| Tag::of(version) == tag)
            .ok_or_else(Refusal::precondition)
    }
}
