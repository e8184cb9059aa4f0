use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use http_support::{Answer, HttpClient, Method, RequestBuilder, StatusCode, header};
use session_core::{
    Bytes, Capabilities, Conditions, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage,
    Listing, Prefix, RemoveOptions, RemoveOutcome, Repeat, Result, Timestamp, Write,
    WriteCondition, WriteOptions, WriteOutcome, async_trait,
};

use crate::value::Body;
use crate::{Dialect, HttpOptions, path, value};

const NAME: &str = "http";
const RAW: &str = "application/octet-stream";
const TEXT: &str = "text/plain;charset=UTF-8";

/// What unstorage says of an item that is not there, in both versions.
const NOT_FOUND: &[u8] = b"KV value not found";

/// How many requests of a batch run at the same time.
const AT_ONCE: usize = 16;

/// Entries on a server that speaks unstorage's HTTP protocol.
///
/// See the [crate documentation](crate) for what can be expected of the server.
pub struct HttpDriver {
    client: HttpClient,
    prefix: Prefix,
    dialect: Dialect,
    ttl: Option<Duration>,
    closed: AtomicBool,
}

impl HttpDriver {
    /// Sets the driver up; nothing is sent.
    ///
    /// An error of kind [`InvalidConfig`](ErrorKind::InvalidConfig) says what is wrong with the options.
    pub fn open(options: HttpOptions) -> Result<Self> {
        let client = options.client().and_then(HttpClient::new);
        Ok(Self {
            client: in_operation("open", client)?,
            prefix: options
                .prefix
                .as_deref()
                .map(Prefix::new)
                .unwrap_or_default(),
            dialect: options.dialect,
            ttl: options.ttl,
            closed: AtomicBool::new(false),
        })
    }

    fn check_open(&self) -> Result<()> {
        match self.closed.load(Ordering::Acquire) {
            false => Ok(()),
            true => Err(Error::new(
                ErrorKind::Closed,
                "the driver was closed; open another",
            )),
        }
    }

    /// The path of `key`, if the driver is open.
    fn path(&self, key: &Key) -> Result<String> {
        self.check_open()?;
        path::item(&self.prefix.join(key))
    }

    async fn get(&self, path: &str, as_raw: bool) -> Result<Option<Bytes>> {
        let request = || {
            let request = self.client.request(Method::GET, path);
            match as_raw {
                true => request.header(header::ACCEPT, RAW),
                false => request,
            }
        };
        let read = |answer: Answer| match answer.status() {
            StatusCode::OK => Ok(Some(answer.into_body())),
            _ if is_missing(&answer) => Ok(None),
            _ => Err(answer.error()),
        };
        self.client.call(Repeat::Always, request, read).await
    }

    async fn read_item(&self, key: &Key) -> Result<Option<Entry>> {
        let path = self.path(key)?;
        let body = match self.get(&path, true).await? {
            Some(body) => Some(body),
            None => self.get(&path, false).await?,
        };
        Ok(body.map(|body| Entry::new(value::read(body, self.dialect))))
    }

    async fn write_item(
        &self,
        key: &Key,
        value: Bytes,
        options: WriteOptions,
    ) -> Result<WriteOutcome> {
        let path = self.path(key)?;
        if options.condition != WriteCondition::Always {
            return Err(Error::unsupported(NAME, "conditional write"));
        }
        let end = options.expiry.resolve(self.ttl, Timestamp::now());
        let (body, content_type) = match Body::of(value, self.dialect)? {
            Body::Text(text) => (text, TEXT),
            Body::Raw(bytes) => (bytes, RAW),
        };
        let request = || match seconds_until(end) {
            // What has ended before it is there is as good as removed.
            Some(0) => self.client.request(Method::DELETE, &path),
            left => {
                let request = self.client.request(Method::PUT, &path);
                let request = request.header(header::CONTENT_TYPE, content_type);
                with_ttl(request, left).body(body.clone())
            }
        };
        self.client.call(Repeat::Always, request, done).await?;
        Ok(WriteOutcome::Written { version: None })
    }

    async fn remove_item(&self, key: &Key) -> Result<()> {
        let path = self.path(key)?;
        let request = || self.client.request(Method::DELETE, &path);
        self.client.call(Repeat::Always, request, done).await
    }

    async fn list_all(&self, options: ListOptions) -> Result<ListPage> {
        self.check_open()?;
        let path = path::base(&self.prefix.join_prefix(&options.prefix))?;
        let request = || self.client.request(Method::GET, &path);
        let read = |answer: Answer| match answer.status() {
            StatusCode::OK => answer.json(),
            _ => Err(answer.error()),
        };
        let names: Vec<String> = self.client.call(Repeat::Always, request, read).await?;
        let keys = names
            .iter()
            .filter_map(|name| path::listed(name, self.dialect))
            .filter_map(|key| self.prefix.strip(&key))
            .filter(|key| options.prefix.contains(key));
        Ok(ListPage {
            keys: keys.collect(),
            next: None,
        })
    }
}

/// Whether the answer says that there is no such item, and nothing else between says that there is no such page.
fn is_missing(answer: &Answer) -> bool {
    answer.status() == StatusCode::NOT_FOUND
        && answer
            .body()
            .windows(NOT_FOUND.len())
            .any(|part| part == NOT_FOUND)
}

fn done(answer: Answer) -> Result<()> {
    match answer.is_success() || is_missing(&answer) {
        true => Ok(()),
        false => Err(answer.error()),
    }
}

/// What remains of an entry's life now, in whole seconds, rounded up; `None` is for ever.
fn seconds_until(end: Option<Timestamp>) -> Option<u128> {
    let left = end?.saturating_since(Timestamp::now());
    Some(left.as_millis().div_ceil(1_000))
}

fn with_ttl(request: RequestBuilder, seconds: Option<u128>) -> RequestBuilder {
    match seconds {
        Some(seconds) => request.header("x-ttl", seconds.to_string()),
        None => request,
    }
}

#[async_trait]
impl Driver for HttpDriver {
    fn name(&self) -> &str {
        NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            conditions: Conditions::None,
            native_expiry: true,
            expiry_granularity: Duration::from_secs(1),
            listing: Listing::ExactlyOnce,
            batch: true,
            ..Capabilities::default()
        }
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        in_operation("read", self.read_item(key).await)
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        in_operation("write", self.write_item(key, value, options).await)
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        if options.if_version.is_some() {
            return Err(Error::unsupported(NAME, "conditional removal"));
        }
        in_operation("remove", self.remove_item(key).await)?;
        Ok(RemoveOutcome::Removed)
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        in_operation("list", self.list_all(options).await)
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        let exists = async {
            let path = self.path(key)?;
            let request = || self.client.request(Method::HEAD, &path);
            let read = |answer: Answer| match answer.status() {
                StatusCode::OK => Ok(true),
                StatusCode::NOT_FOUND => Ok(false),
                _ => Err(answer.error()),
            };
            // An answer to `HEAD` has no text that says whose "not found" it is.
            match self.client.call(Repeat::Always, request, read).await? {
                true => Ok(true),
                false => Ok(self.read_item(key).await?.is_some()),
            }
        };
        in_operation("exists", exists.await)
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        let reads = stream::iter(keys.to_vec())
            .map(|key| async move { self.read_item(&key).await })
            .buffered(AT_ONCE);
        let read = reads.try_collect();
        in_operation("read_many", read.await)
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let mut outcomes: Vec<Option<Result<WriteOutcome>>> = Vec::new();
        outcomes.resize_with(writes.len(), || None);
        // Those to one key follow each other.
        let mut by_key: HashMap<Key, Vec<(usize, Write)>> = HashMap::new();
        for (place, write) in writes.into_iter().enumerate() {
            let key = write.key.clone();
            by_key.entry(key).or_default().push((place, write));
        }
        let writing = by_key.into_values().map(|writes| async {
            let mut done = Vec::with_capacity(writes.len());
            for (place, write) in writes {
                let written = self.write_item(&write.key, write.value, write.options);
                done.push((place, written.await));
            }
            done
        });
        let mut writing = stream::iter(writing).buffer_unordered(AT_ONCE);
        while let Some(done) = writing.next().await {
            for (place, outcome) in done {
                if let Some(slot) = outcomes.get_mut(place) {
                    *slot = Some(in_operation("write_many", outcome));
                }
            }
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        let removals = stream::iter(keys.to_vec())
            .map(|key| async move { self.remove_item(&key).await })
            .buffer_unordered(AT_ONCE);
        let removed = removals.try_collect();
        in_operation("remove_many", removed.await)
    }

    async fn close(&self) -> Result<()> {
        self.closed.store(true, Ordering::Release);
        Ok(())
    }
}

fn in_operation<T>(operation: &'static str, result: Result<T>) -> Result<T> {
    result.map_err(|error| error.with_context(NAME, operation))
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
