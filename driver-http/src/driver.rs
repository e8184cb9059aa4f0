use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_support::{HttpClient, Method, RequestBuilder, Response, StatusCode, header};
use session_core::{
    Bytes, Capabilities, Conditions, ConflictState, DEFAULT_CLEAR_TIMEOUT, Driver, Entry, Error,
    ErrorKind, Idempotency, Key, ListOptions, ListPage, Listing, Operations, Outcome, Prefix,
    RemoveOptions, RemoveOutcome, Result, Timestamp, TouchOptions, Version, Write, WriteCondition,
    WriteOptions, WriteOutcome, async_trait,
};
use tokio::time::Instant;

use crate::condition::Condition;
use crate::names::Names;
use crate::value::Body;
use crate::{Dialect, HttpOptions, path, value};

const NAME: &str = "http";
const RAW: &str = "application/octet-stream";
const TEXT: &str = "text/plain;charset=UTF-8";

/// The text with which both versions of unstorage report a missing item.
const NOT_FOUND: &[u8] = b"KV value not found";

/// By how much an entry may outlive its expiry on a server that takes fractions of a second: the server counts from when
/// the write arrives.
const WRITE_LATENCY: Duration = Duration::from_millis(100);

/// The longest time to live that is sent, 8,000 years. Redis refuses one that ends after the year 292 million, and then
/// keeps nothing.
const LONGEST_TTL: Duration = Duration::from_secs(8_000 * 366 * 86_400);

/// How many entries a clear removes within one timeout, each with its metadata.
const CLEAR_CHUNK: usize = 50;

/// How many bytes a response without a value has at most.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// How many keys a listing has at most.
const MAX_LISTED: usize = 1_000_000;

/// How many requests of a batch run concurrently.
const CONCURRENCY: usize = 16;

/// A driver that keeps entries on a server which speaks unstorage's HTTP protocol.
///
/// See the [crate documentation](crate) for what the server can and cannot do.
pub struct HttpDriver {
    /// For responses with values and listings.
    client: HttpClient,
    /// For all other responses.
    answers: HttpClient,
    operations: Operations,
    prefix: Prefix,
    dialect: Dialect,
    ttl: Option<Duration>,
    closed: AtomicBool,
}

impl HttpDriver {
    /// Opens the driver. It sends nothing.
    ///
    /// If an option is wrong, the error is of kind [`InvalidConfig`](ErrorKind::InvalidConfig).
    pub fn open(options: HttpOptions) -> Result<Self> {
        let operations = Operations::new(NAME, options.timeout);
        let client = options.client().and_then(HttpClient::new);
        let prefix = Prefix::from_option(options.prefix.as_deref().unwrap_or_default());
        let client = operations.name("open", client)?;
        Ok(Self {
            answers: client.limited_to(MAX_ANSWER_BYTES),
            client,
            prefix: operations.name("open", prefix)?,
            operations,
            dialect: options.dialect,
            ttl: options.ttl,
            closed: AtomicBool::new(false),
        })
    }

    /// The deadline of an operation that begins now.
    fn deadline(&self) -> Instant {
        Instant::now() + self.operations.timeout()
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Closed,
                "the driver was closed; open a new one",
            )),
        }
    }

    /// The path of `key`; an error if the driver was closed.
    fn path(&self, key: &Key) -> Result<String> {
        self.check_open()?;
        path::item(&self.prefix.join(key))
    }

    async fn get(&self, deadline: Instant, path: &str, as_raw: bool) -> Result<Option<Entry>> {
        let request = || {
            let request = self.client.request(Method::GET, path);
            match as_raw {
                true => request.header(header::ACCEPT, RAW),
                false => request,
            }
        };
        let read = |response: Response| match response.status() {
            StatusCode::OK => {
                let (version, expiry) = (version_of(&response), expiry_of(&response));
                let mut entry = Entry::new(value::read(response.into_body(), self.dialect));
                if self.is_session_server() {
                    entry.version = version;
                    entry.expires_at = expiry?;
                }
                Ok(Some(entry))
            }
            _ if is_missing(&response) => Ok(None),
            _ => Err(response.error()),
        };
        self.client
            .call(deadline, Idempotency::Idempotent, request, read)
            .await
    }

    async fn read_item(&self, deadline: Instant, key: &Key) -> Result<Option<Entry>> {
        let path = self.path(key)?;
        let mut last_text = None;
        loop {
            let raw = self.get(deadline, &path, true).await?;
            if raw.is_some() || self.dialect == Dialect::SessionServer {
                return Ok(raw);
            }
            // Some backends store raw bytes apart from text, so a raw read misses text. On all others, the item was
            // written in between, and the server parses text: `1.10` becomes `1.1`. Ask again until that is ruled out.
            let text = self.get(deadline, &path, false).await?;
            if text.is_none() || text == last_text {
                return Ok(text);
            }
            last_text = text;
        }
    }

    async fn write_item(
        &self,
        deadline: Instant,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let path = self.path(key)?;
        let Some(condition) = self.condition(&options.condition)? else {
            return Ok(WriteOutcome::Conflict(ConflictState::Unknown));
        };
        let expires_at = options.expiry.resolve(self.ttl, Timestamp::now());
        let is_expired = expires_at.is_some_and(|at| at <= Timestamp::now());
        if is_expired && condition == Condition::Absent {
            return Ok(match self.exists_item(deadline, key, &path).await? {
                true => WriteOutcome::Conflict(ConflictState::Unknown),
                false => self.written_expired(),
            });
        }
        if is_expired {
            // Writing an entry that has already expired is the same as removing the key.
            return Ok(match self.delete(deadline, &path, &condition).await? {
                true => self.written_expired(),
                false => WriteOutcome::Conflict(ConflictState::Unknown),
            });
        }
        let (body, content_type) = match Body::of(value, self.dialect)? {
            Body::Text(text) => (text, TEXT),
            Body::Raw(bytes) => (bytes, RAW),
        };
        let request = || {
            let request = self.answers.request(Method::PUT, &path);
            let request = request.header(header::CONTENT_TYPE, content_type);
            let request = self.with_ttl(condition.add_to(request), expires_at);
            request.body(body.clone())
        };
        let read = |response: Response| match response.status() {
            StatusCode::PRECONDITION_FAILED => Ok(WriteOutcome::Conflict(ConflictState::Unknown)),
            status if status.is_success() => {
                Ok(WriteOutcome::written(self.written_version(&response)?))
            }
            _ => Err(self.refused(&response, &condition)),
        };
        self.answers
            .call(deadline, condition.repeat(), request, read)
            .await
    }

    /// Removes an item and returns whether the condition held.
    async fn delete(&self, deadline: Instant, path: &str, condition: &Condition) -> Result<bool> {
        let request = || condition.add_to(self.answers.request(Method::DELETE, path));
        let read = |response: Response| match response.status() {
            StatusCode::PRECONDITION_FAILED => Ok(false),
            _ if response.is_success() || is_missing(&response) => Ok(true),
            _ => Err(self.refused(&response, condition)),
        };
        self.answers
            .call(deadline, condition.repeat(), request, read)
            .await
    }

    async fn exists_item(&self, deadline: Instant, key: &Key, path: &str) -> Result<bool> {
        let request = || self.answers.request(Method::HEAD, path);
        let read = |response: Response| match response.status() {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(response.error()),
        };
        // A response to `HEAD` has no body, so a "not found" may come from a proxy.
        match self
            .answers
            .call(deadline, Idempotency::Idempotent, request, read)
            .await?
        {
            true => Ok(true),
            false => Ok(self.read_item(deadline, key).await?.is_some()),
        }
    }

    async fn remove_item(&self, deadline: Instant, key: &Key) -> Result<()> {
        let path = self.path(key)?;
        self.delete(deadline, &path, &Condition::Always)
            .await
            .map(drop)
    }

    fn is_session_server(&self) -> bool {
        self.dialect == Dialect::SessionServer
    }

    /// The condition in the server's form; `None` if it can never hold.
    fn condition(&self, condition: &WriteCondition) -> Result<Option<Condition>> {
        match condition {
            WriteCondition::Always => Ok(Some(Condition::Always)),
            _ if !self.is_session_server() => Err(Error::unsupported(NAME, "conditional write")),
            WriteCondition::IfAbsent => Ok(Some(Condition::Absent)),
            WriteCondition::IfVersion(version) => Ok(Condition::of(version)),
        }
    }

    /// The error of a response that refuses a change.
    fn refused(&self, response: &Response, condition: &Condition) -> Error {
        if response.status() == StatusCode::NOT_IMPLEMENTED && *condition != Condition::Always {
            return Error::new(
                ErrorKind::Unsupported,
                "the server's own driver does not support conditional writes; configure another driver there",
            );
        }
        response.error()
    }

    fn written_version(&self, response: &Response) -> Result<Option<Version>> {
        match version_of(response) {
            _ if !self.is_session_server() => Ok(None),
            Some(version) => Ok(Some(version)),
            None => Err(Error::new(
                ErrorKind::Backend,
                "the server stored the value but returned no version; check that it is a `session-server` over a driver with \
                 conditions",
            )),
        }
    }

    /// The outcome of a write of an entry that has already expired. Its version matches no entry.
    fn written_expired(&self) -> WriteOutcome {
        let version = self
            .is_session_server()
            .then(|| Version::from_bytes(b"expired"));
        WriteOutcome::written(version)
    }

    async fn touch_item(
        &self,
        deadline: Instant,
        key: &Key,
        options: TouchOptions,
    ) -> Result<bool> {
        let path = self.path(key)?;
        if !self.is_session_server() {
            return Err(Error::unsupported(NAME, "touch"));
        }
        let condition = match &options.if_version {
            None => Condition::Always,
            Some(version) => match Condition::of(version) {
                Some(condition) => condition,
                None => return Ok(false),
            },
        };
        let expires_at = options.expiry.resolve(self.ttl, Timestamp::now());
        if expires_at.is_some_and(|at| at <= Timestamp::now()) {
            return Ok(self.exists_item(deadline, key, &path).await?
                && self.delete(deadline, &path, &condition).await?);
        }
        let request = || {
            let request = condition.add_to(self.answers.request(Method::PATCH, &path));
            self.with_ttl(request, expires_at)
        };
        let read = |response: Response| match response.status() {
            StatusCode::PRECONDITION_FAILED => Ok(false),
            _ if response.is_success() => Ok(true),
            _ if is_missing(&response) => Ok(false),
            _ => Err(response.error()),
        };
        self.answers
            .call(deadline, condition.repeat(), request, read)
            .await
    }

    /// Sends the remaining time to live in seconds, with fractions if the server takes them.
    fn with_ttl(&self, request: RequestBuilder, expires_at: Option<Timestamp>) -> RequestBuilder {
        let Some(expires_at) = expires_at else {
            return match self.is_session_server() {
                // Otherwise the default of the server's driver would count.
                true => request.header("x-ttl", "never"),
                false => request,
            };
        };
        let left = expires_at
            .saturating_since(Timestamp::now())
            .min(LONGEST_TTL)
            .as_millis()
            .max(1);
        match self.dialect {
            Dialect::SessionServer => {
                request.header("x-ttl", format!("{}.{:03}", left / 1_000, left % 1_000))
            }
            Dialect::V1 | Dialect::V2 => request.header("x-ttl", left.div_ceil(1_000).to_string()),
        }
    }

    async fn list_all(&self, deadline: Instant, options: ListOptions) -> Result<ListPage> {
        self.check_open()?;
        let path = path::listing(&self.prefix.join_prefix(&options.prefix), self.dialect)?;
        let request = || self.client.request(Method::GET, &path);
        let read = |response: Response| match response.status() {
            StatusCode::OK => response.json_with(Names {
                root: &self.prefix,
                prefix: &options.prefix,
                left: MAX_LISTED,
            }),
            _ => Err(response.error()),
        };
        let keys = self
            .client
            .call(deadline, Idempotency::Idempotent, request, read)
            .await?;
        Ok(ListPage::new(keys, None))
    }
}

/// Whether unstorage responded that the item is missing. A "not found" of a proxy is an error instead.
fn is_missing(response: &Response) -> bool {
    response.status() == StatusCode::NOT_FOUND
        && response
            .body()
            .windows(NOT_FOUND.len())
            .any(|part| part == NOT_FOUND)
}

/// Each key behind that of its metadata, which is not listed.
fn with_metadata(keys: &[Key]) -> Result<Vec<Key>> {
    let mut all = Vec::with_capacity(keys.len() * 2);
    for key in keys {
        all.push(Key::new(&format!("{}$", key.as_str()))?);
        all.push(key.clone());
    }
    Ok(all)
}

/// When an item expires, as `session-server` says.
fn expiry_of(response: &Response) -> Result<Option<Timestamp>> {
    match response.header("x-ttl-ms") {
        Some("never") => Ok(None),
        left => {
            let left = left.and_then(|left| left.parse().ok());
            let left = left.map(Duration::from_millis).ok_or_else(|| {
                Error::new(
                    ErrorKind::Backend,
                    "the server does not say when the value expires; check that it is a `session-server` over a driver \
                     that reports expiry",
                )
            })?;
            Ok(Some(Timestamp::now().saturating_add(left)))
        }
    }
}

/// The version of an item: its entity tag.
fn version_of(response: &Response) -> Option<Version> {
    let tag = response.header(header::ETAG.as_str())?;
    Some(Version::from_bytes(tag.as_bytes()))
}

#[async_trait]
impl Driver for HttpDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        let is_session_server = self.is_session_server();
        let (conditions, expiry_granularity) = match is_session_server {
            false => (Conditions::None, Duration::from_secs(1)),
            true => (Conditions::All, WRITE_LATENCY),
        };
        Capabilities::default()
            .with_conditions(conditions)
            .with_native_expiry(true)
            .with_expiry_granularity(expiry_granularity)
            .with_reports_expiry(is_session_server)
            .with_touch(is_session_server)
            .with_listing(Listing::ExactlyOnce)
            .with_unlisted_metadata(true)
            .with_batch(true)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let read = self.read_item(self.deadline(), key);
        self.operations.read("read", read).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let write = self.write_item(self.deadline(), key, value, options);
        self.operations.change("write", write).await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let remove = async {
            let path = self.path(key)?;
            let condition = match &options.if_version {
                None => Some(Condition::Always),
                Some(_) if !self.is_session_server() => {
                    return Err(Error::unsupported(NAME, "conditional removal"));
                }
                Some(version) => Condition::of(version),
            };
            let removed = match condition {
                Some(condition) => self.delete(self.deadline(), &path, &condition).await?,
                None => false,
            };
            Ok(match removed {
                true => RemoveOutcome::Removed,
                false => RemoveOutcome::Conflict(ConflictState::Unknown),
            })
        };
        self.operations.change("remove", remove).await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        let list = self.list_all(self.deadline(), options);
        self.operations.read("list", list).await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let touch = self.touch_item(self.deadline(), key, options);
        self.operations.change("touch", touch).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let exists = async {
            let path = self.path(key)?;
            self.exists_item(self.deadline(), key, &path).await
        };
        self.operations.read("exists", exists).await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let deadline = self.deadline();
        let reads = stream::iter(keys.to_vec())
            .map(|key| async move { self.read_item(deadline, &key).await })
            .buffered(CONCURRENCY);
        self.operations.read("read_many", reads.try_collect()).await
    }

    /// Each write has a result and a timeout of its own, so there is no timer around all of them.
    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let deadline = self.deadline();
        let mut outcomes: Vec<Option<Result<WriteOutcome>>> = Vec::new();
        outcomes.resize_with(writes.len(), || None);
        // Writes to one key run one after another, in their order.
        let mut by_key: HashMap<Key, Vec<(usize, Write)>> = HashMap::new();
        for (index, write) in writes.into_iter().enumerate() {
            let key = write.key.clone();
            by_key.entry(key).or_default().push((index, write));
        }
        let writing = by_key.into_values().map(|writes| async {
            let mut done = Vec::with_capacity(writes.len());
            for (index, write) in writes {
                let written = self.write_item(deadline, &write.key, write.value, write.options);
                done.push((index, written.await));
            }
            done
        });
        let mut writing = stream::iter(writing).buffer_unordered(CONCURRENCY);
        while let Some(done) = writing.next().await {
            for (index, outcome) in done {
                if let Some(slot) = outcomes.get_mut(index) {
                    *slot = Some(self.operations.name("write_many", outcome));
                }
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let deadline = self.deadline();
        let removals = stream::iter(keys.to_vec())
            .map(|key| async move { self.remove_item(deadline, &key).await })
            .buffer_unordered(CONCURRENCY);
        // Each removal ends by the deadline, and knows better than a timer around all of them whether it was sent.
        let removed = Operations::combine(removals.collect::<Vec<_>>().await);
        self.operations.name("remove_many", removed)
    }

    /// Lists and removes. The listing, and each chunk of removals, has the timeout of an operation.
    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        let clear = async {
            let page = self.list(ListOptions::below(prefix.clone())).await?;
            for keys in page.keys.chunks(CLEAR_CHUNK) {
                let removed = self.remove_many(&with_metadata(keys)?).await;
                removed.map_err(|error| error.with_outcome(Outcome::Unknown))?;
            }
            Ok(())
        };
        let operations = self.operations.with_timeout(DEFAULT_CLEAR_TIMEOUT);
        operations.change("clear", clear).await
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

impl fmt::Debug for HttpDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpDriver")
            .field("client", &self.client)
            .field("prefix", &self.prefix)
            .field("dialect", &self.dialect)
            .field("ttl", &self.ttl)
            .finish_non_exhaustive()
    }
}
