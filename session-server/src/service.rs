//! [`StorageService`]: its options, and how a request becomes calls to the storage.

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
use session_core::{
    DEFAULT_CLEAR_TIMEOUT, Driver as _, Entry, Error, Expiry, Key, Operations, RemoveOptions,
    RemoveOutcome, TouchOptions, Version, WriteCondition, WriteOptions, WriteOutcome,
};
use session_storage::Storage;
use tower_service::Service;

use crate::authorization::{AccessKind, AccessTarget, Authorization};
use crate::body::{self, BoxError, ResponseBody};
use crate::precondition::{self, EntityTag, Precondition};
use crate::response::{self, Rejection};
use crate::{headers, listing, target};

/// The maximum size of the body of a request by default: 8 MiB.
pub const DEFAULT_MAX_BODY: usize = 8 * 1_024 * 1_024;

/// The maximum length of a key by default: 8 KiB.
pub const DEFAULT_MAX_KEY: usize = 8 * 1_024;

/// The time limit for receiving the body of a request by default: 30 s.
pub const DEFAULT_BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The time limit of one operation of the storage by default: 30 s.
pub const DEFAULT_OPERATION_TIMEOUT: Duration = Duration::from_secs(30);

/// A tower service that serves a [`Storage`] with the protocol of unstorage's server; see the [crate](crate).
///
/// ```
/// use std::sync::Arc;
/// use axum::Router;
/// use driver_memory::MemoryDriver;
/// use session_storage::Storage;
/// use session_server::{Authorization, StorageService};
///
/// let storage = Storage::new(Arc::new(MemoryDriver::new()));
/// let service = StorageService::new(storage.prefix("public")?, Authorization::open())
///     .with_max_body(64 * 1_024);
/// let app: Router = Router::new().fallback_service(service);
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Clones serve the same storage. The service runs on a tokio runtime with a timer. If a client disconnects, its request is
/// dropped, which leaves the old value or the new one.
#[derive(Clone, Debug)]
pub struct StorageService(Arc<Settings>);

#[derive(Clone, Debug)]
struct Settings {
    storage: Storage,
    authorization: Authorization,
    max_body: usize,
    max_key: usize,
    body_timeout: Duration,
    /// For all operations but a clear.
    operations: Operations,
    clear_timeout: Duration,
}

impl StorageService {
    /// Serves `storage` to the clients that `authorization` allows.
    ///
    /// To serve a part of a storage, pass its [`Storage::prefix`]. No request can access keys outside of it.
    pub fn new(storage: Storage, authorization: Authorization) -> Self {
        Self(Arc::new(Settings {
            storage,
            authorization,
            max_body: DEFAULT_MAX_BODY,
            max_key: DEFAULT_MAX_KEY,
            body_timeout: DEFAULT_BODY_TIMEOUT,
            operations: Operations::new("session-server", DEFAULT_OPERATION_TIMEOUT),
            clear_timeout: DEFAULT_CLEAR_TIMEOUT,
        }))
    }

    /// Sets the maximum size of the body of a request, in bytes.
    #[must_use]
    pub fn with_max_body(mut self, max_body: usize) -> Self {
        Arc::make_mut(&mut self.0).max_body = max_body;
        self
    }

    /// Sets the maximum length of a key, in bytes.
    #[must_use]
    pub fn with_max_key(mut self, max_key: usize) -> Self {
        Arc::make_mut(&mut self.0).max_key = max_key;
        self
    }

    /// Sets the time limit for receiving the body of a request.
    #[must_use]
    pub fn with_body_timeout(mut self, body_timeout: Duration) -> Self {
        Arc::make_mut(&mut self.0).body_timeout = body_timeout;
        self
    }

    /// Sets the time limit of one operation: authorizing, reading, writing or removing an item, and reading one chunk of
    /// a listing. After it, the client gets status 504.
    ///
    /// A driver has a shorter timeout of its own. This one also limits the calls that a request makes in sequence, and
    /// drivers and hooks without a timeout.
    #[must_use]
    pub fn with_operation_timeout(mut self, timeout: Duration) -> Self {
        let settings = Arc::make_mut(&mut self.0);
        settings.operations = settings.operations.with_timeout(timeout);
        self
    }

    /// Sets the time limit for clearing a base; [`DEFAULT_CLEAR_TIMEOUT`] by default.
    #[must_use]
    pub fn with_clear_timeout(mut self, timeout: Duration) -> Self {
        Arc::make_mut(&mut self.0).clear_timeout = timeout;
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
            let response = settings.respond(request).await;
            Ok(response.unwrap_or_else(Rejection::into_response))
        })
    }
}

impl Settings {
    async fn respond<B>(&self, request: Request<B>) -> Result<Response<ResponseBody>, Rejection>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let (request, body) = request.into_parts();
        let kind = match request.method {
            Method::GET | Method::HEAD => AccessKind::Read,
            Method::PUT | Method::PATCH | Method::DELETE => AccessKind::Write,
            ref other => return Err(Rejection::method(other)),
        };
        let target = target::of(&request.method, request.uri.path(), self.max_key);
        let check = self
            .authorization
            .check(&request, kind, target.as_ref().ok());
        self.operations
            .read("authorize", async { Ok(check.await) })
            .await??;
        match (&request.method, &target?) {
            (&Method::GET, AccessTarget::Below(base)) => {
                listing::respond(&self.storage, &self.operations, base).await
            }
            (&Method::GET, AccessTarget::Item(key)) => self.get(&request, key).await,
            (&Method::HEAD, AccessTarget::Item(key)) => self.head(key).await,
            (&Method::DELETE, AccessTarget::Item(key)) => self.delete(&request, key).await,
            (&Method::PATCH, AccessTarget::Item(key)) => self.touch(&request, key).await,
            (_, AccessTarget::Item(key)) => self.put(&request, key, body).await,
            (_, AccessTarget::Below(base)) => {
                if Precondition::of(&request.headers)? != Precondition::None {
                    return Err(Rejection::bad_request(
                        "clearing a base cannot be conditional",
                    ));
                }
                let operations = self.operations.with_timeout(self.clear_timeout);
                let clear = self.storage.clear(base.as_str());
                operations.change("clear", clear).await?;
                Ok(response::ok())
            }
        }
    }

    async fn get(&self, request: &Parts, key: &Key) -> Result<Response<ResponseBody>, Rejection> {
        // The version must be that of this value. The one in the metadata may be newer.
        let driver = self.storage.as_driver();
        let read = try_join(driver.read(key), self.storage.metadata(key.as_str()));
        let (entry, metadata) = self.operations.read("get", read).await?;
        let Entry {
            value,
            version,
            expires_at,
            ..
        } = entry.ok_or_else(Rejection::not_found)?;
        let is_text =
            !headers::accepts_bytes(&request.headers) && std::str::from_utf8(&value).is_ok();
        let content_type = if is_text {
            response::TEXT
        } else {
            response::BYTES
        };
        let mut response = response::success(content_type, ResponseBody::full(value));
        headers::insert_metadata(response.headers_mut(), &metadata.unwrap_or_default());
        if self.reports_expiry(key)? {
            headers::insert_expiry(response.headers_mut(), expires_at);
        }
        precondition::insert_entity_tag(response.headers_mut(), key, version.as_ref());
        Ok(response)
    }

    async fn head(&self, key: &Key) -> Result<Response<ResponseBody>, Rejection> {
        let metadata = self.storage.metadata(key.as_str());
        let metadata = self.operations.read("head", metadata).await?;
        let metadata = metadata.ok_or_else(Rejection::not_found)?;
        let native = metadata.native.as_ref().ok_or_else(Rejection::not_found)?;
        let mut response = response::success(response::TEXT, ResponseBody::full(""));
        let headers = response.headers_mut();
        // Whether the value is text is not known without reading it.
        headers.remove(CONTENT_TYPE);
        if let Some(size) = native.size {
            headers.insert(CONTENT_LENGTH, size.into());
        }
        headers::insert_metadata(headers, &metadata);
        if self.reports_expiry(key)? {
            headers::insert_expiry(headers, native.expires_at);
        }
        precondition::insert_entity_tag(headers, key, native.version.as_ref());
        Ok(response)
    }

    async fn put<B>(
        &self,
        request: &Parts,
        key: &Key,
        body: B,
    ) -> Result<Response<ResponseBody>, Rejection>
    where
        B: Body,
        B::Error: Into<BoxError>,
    {
        let headers = &request.headers;
        // Checked before the body is read, which may be large.
        headers::expiry(headers)?;
        let precondition = Precondition::of(headers)?;
        let value = body::read(body, headers, self.max_body, self.body_timeout).await?;
        if !headers::sends_bytes(headers) && std::str::from_utf8(&value).is_err() {
            return Err(Rejection::bad_request(
                "a text must be UTF-8; send bytes with the content type application/octet-stream",
            ));
        }
        // Computed again: the time to live starts when the body is complete.
        let options = WriteOptions::default()
            .with_expiry(headers::expiry(headers)?)
            .with_condition(match precondition {
                Precondition::None => WriteCondition::Always,
                Precondition::Absent => WriteCondition::IfAbsent,
                Precondition::Match(tag) => {
                    WriteCondition::IfVersion(self.version(key, tag).await?)
                }
            })
            .with_raw(headers::sends_bytes(headers));
        let driver = self.storage.as_driver();
        let written = driver.write(key, value, options);
        match self.operations.change("put", written).await? {
            WriteOutcome::Written { version, .. } => {
                let mut response = response::ok();
                precondition::insert_entity_tag(response.headers_mut(), key, version.as_ref());
                Ok(response)
            }
            _ => Err(Rejection::precondition()),
        }
    }

    async fn delete(
        &self,
        request: &Parts,
        key: &Key,
    ) -> Result<Response<ResponseBody>, Rejection> {
        match Precondition::of(&request.headers)? {
            Precondition::None => {
                let removal = self.storage.remove(key.as_str());
                self.operations.change("delete", removal).await?;
            }
            Precondition::Absent => {
                return Err(Rejection::bad_request(
                    "a removal cannot have If-None-Match",
                ));
            }
            Precondition::Match(tag) => {
                let options = RemoveOptions::if_version(self.version(key, tag).await?);
                let removal = self.remove_if(key, options);
                if let RemoveOutcome::Conflict(_) =
                    self.operations.change("delete", removal).await?
                {
                    return Err(Rejection::precondition());
                }
            }
        }
        Ok(response::ok())
    }

    /// Changes when an item expires, and nothing else.
    async fn touch(&self, request: &Parts, key: &Key) -> Result<Response<ResponseBody>, Rejection> {
        let mut options = match headers::expiry(&request.headers)? {
            Expiry::Default => {
                return Err(Rejection::bad_request(
                    "PATCH needs x-ttl, a number of seconds or never",
                ));
            }
            expiry => TouchOptions::to(expiry),
        };
        match Precondition::of(&request.headers)? {
            Precondition::None => {}
            Precondition::Absent => {
                return Err(Rejection::bad_request("PATCH cannot have If-None-Match"));
            }
            Precondition::Match(tag) => {
                options = options.if_version(self.version(key, tag).await?);
            }
        }
        let driver = self.storage.as_driver();
        let touch = driver.touch(key, options);
        match self.operations.change("touch", touch).await? {
            true => Ok(response::ok()),
            false => Err(Rejection::not_found()),
        }
    }

    /// Whether the driver that holds `key` tells when an item expires.
    fn reports_expiry(&self, key: &Key) -> Result<bool, Rejection> {
        let mount = self.storage.mount_of(key.as_str())?;
        Ok(mount.driver().capabilities().reports_expiry)
    }

    /// Removes an item conditionally, and then its metadata.
    async fn remove_if(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome, Error> {
        let outcome = self.storage.as_driver().remove(key, options).await?;
        if outcome == RemoveOutcome::Removed {
            self.storage.remove_metadata(key.as_str()).await?;
        }
        Ok(outcome)
    }

    /// The version that a tag stands for: the current one, if it has that tag.
    ///
    /// If it changes before the operation, the condition fails.
    async fn version(&self, key: &Key, tag: EntityTag) -> Result<Version, Rejection> {
        let driver = self.storage.as_driver();
        let metadata = self
            .operations
            .read("metadata", driver.metadata(key))
            .await?;
        let version = metadata.and_then(|metadata| metadata.version);
        version
            .filter(|version| EntityTag::of(key, version) == tag)
            .ok_or_else(Rejection::precondition)
    }
}
