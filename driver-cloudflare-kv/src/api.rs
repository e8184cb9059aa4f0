use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http_support::header::CONTENT_TYPE;
use http_support::{
    Bounded, ClientOptions, HttpClient, Method, RequestBuilder, Response, SharedError, StatusCode,
};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use session_core::{Error, ErrorKind, Idempotency, Key, Result};
use tokio::time::Instant;

use crate::config::CloudflareKvOptions;
use crate::error::{is_missing_key, refused};
use crate::protocol::{BulkGet, BulkResult, Envelope, Found, ListedKey, Pair, Values};
use crate::stored::KeyMetadata;

/// Characters that have no special meaning in a URL are not encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// The limits of the size of a page.
const MIN_PAGE_SIZE: usize = 10;
const MAX_PAGE_SIZE: usize = 1_000;

/// How many bytes a response with up to a thousand names has at most, each of 512 bytes, with its metadata of 1,024 bytes
/// and JSON's escapes.
const MAX_LIST_BYTES: usize = 8 * 1024 * 1024;

/// How many bytes other responses without values have at most.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The REST API of one namespace.
pub(crate) struct Api {
    /// For responses with values.
    client: HttpClient,
    /// For responses with names and metadata.
    lists: HttpClient,
    /// For all other responses.
    answers: HttpClient,
}

/// What is stored with the value of a key.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) metadata: KeyMetadata,
    /// Seconds since 1970.
    pub(crate) expiration: Option<f64>,
}

/// A page of a listing, and the cursor of the next one.
pub(crate) struct Page {
    pub(crate) keys: Vec<ListedKey>,
    pub(crate) next: Option<String>,
}

impl Api {
    pub(crate) fn new(options: &CloudflareKvOptions) -> Result<Self> {
        let client = ClientOptions::new(options.url()?)
            .with_headers(options.credentials()?)
            .with_timeout(options.timeout)
            .with_retry(options.retry)
            .with_client(options.client.clone());
        let client = HttpClient::new(client)?;
        Ok(Self {
            lists: client.limited_to(MAX_LIST_BYTES),
            answers: client.limited_to(MAX_ANSWER_BYTES),
            client,
        })
    }

    /// Reads several keys, as text.
    pub(crate) async fn bulk_get(
        &self,
        deadline: Instant,
        keys: &[&Key],
    ) -> Result<HashMap<String, Option<Found>>> {
        let body = json(&BulkGet {
            keys: keys.iter().map(|key| key.as_str()).collect(),
            r#type: "text",
            with_metadata: true,
        });
        let request = || self.bulk_request(Method::POST, "/bulk/get", body.clone());
        let read = |response| envelope::<Values>(&response)?.result();
        let found = self
            .client
            .call(deadline, Idempotency::Idempotent, request, read)
            .await?;
        Ok(found.values)
    }

    /// Writes several keys. `pair` builds the pair of a key for each attempt.
    pub(crate) async fn bulk_put<'a>(
        &self,
        deadline: Instant,
        keys: &[&'a str],
        pair: impl Fn(&'a str) -> Option<Pair<'a>> + Send + Sync,
    ) -> Vec<Result<()>> {
        self.bulk_change(deadline, Method::PUT, "/bulk", keys, |left| {
            json(&left.iter().filter_map(|key| pair(key)).collect::<Vec<_>>())
        })
        .await
    }

    /// Removes several keys, some of which may be absent.
    pub(crate) async fn bulk_delete(&self, deadline: Instant, keys: &[&str]) -> Vec<Result<()>> {
        self.bulk_change(deadline, Method::POST, "/bulk/delete", keys, |left| {
            json(&left)
        })
        .await
    }

    /// Changes all of `keys`, and retries those that Cloudflare reports as unsuccessful. The results are in the order of
    /// `keys`.
    async fn bulk_change<'a>(
        &self,
        deadline: Instant,
        method: Method,
        path: &str,
        keys: &[&'a str],
        body: impl Fn(&[&'a str]) -> Bytes + Send + Sync,
    ) -> Vec<Result<()>> {
        let left = Mutex::new(keys.to_vec());
        let request = || {
            let left = left.lock();
            self.bulk_request(method.clone(), path, body(&left))
        };
        let read = |response| {
            let result: BulkResult = envelope(&response)?.result_or_default()?;
            let unsuccessful: HashSet<&str> = result
                .unsuccessful_keys
                .0
                .iter()
                .map(String::as_str)
                .collect();
            let mut left = left.lock();
            left.retain(|key| unsuccessful.contains(key));
            if left.is_empty() {
                Ok(())
            } else {
                Err(unprocessed())
            }
        };
        let Err(error) = self
            .lists
            .call(deadline, Idempotency::Idempotent, request, read)
            .await
        else {
            return keys.iter().map(|_| Ok(())).collect();
        };
        let error = SharedError::new(error);
        let left: HashSet<&str> = left.into_inner().into_iter().collect();
        let result = |key: &&str| match left.contains(key) {
            true => Err(error.to_error()),
            false => Ok(()),
        };
        keys.iter().map(result).collect()
    }

    /// Reads the exact bytes of one key, with the server's own expiration.
    pub(crate) async fn value(
        &self,
        deadline: Instant,
        key: &Key,
    ) -> Result<Option<(Bytes, Option<f64>)>> {
        let path = format!("/values/{}", encoded(key.as_str()));
        let request = || self.client.request(Method::GET, &path);
        let read = |response: Response| {
            if response.is_success() {
                let expiration = response.header("expiration");
                let expiration = expiration.and_then(|seconds| seconds.parse().ok());
                return Ok(Some((response.into_body(), expiration)));
            }
            match is_missing_key(&response) {
                true => Ok(None),
                false => Err(refused(&response)),
            }
        };
        self.client
            .call(deadline, Idempotency::Idempotent, request, read)
            .await
    }

    /// Reads the attributes of one key; `None` if the key has no value.
    pub(crate) async fn metadata(
        &self,
        deadline: Instant,
        key: &Key,
    ) -> Result<Option<Attributes>> {
        let path = format!("/metadata/{}", encoded(key.as_str()));
        let request = || self.answers.request(Method::GET, &path);
        let read = |response: Response| match response.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => envelope::<KeyMetadata>(&response)?
                .result_or_default()
                .map(Some),
        };
        match self
            .answers
            .call(deadline, Idempotency::Idempotent, request, read)
            .await?
        {
            Some(metadata) => Ok(Some(Attributes {
                metadata,
                expiration: None,
            })),
            // The key is gone, or the server has no such route.
            None => self.listed(deadline, key).await,
        }
    }

    /// Reads the attributes of one key from a listing, for servers without a route for them.
    pub(crate) async fn listed(&self, deadline: Instant, key: &Key) -> Result<Option<Attributes>> {
        // Of all keys with this prefix, the one that equals it sorts first.
        let page = self
            .page(deadline, key.as_str(), None, MIN_PAGE_SIZE)
            .await?;
        let found = page
            .keys
            .into_iter()
            .find(|found| found.name == key.as_str());
        Ok(found.map(|found| Attributes {
            metadata: found.metadata.unwrap_or_default(),
            expiration: found.expiration,
        }))
    }

    /// Lists about `limit` keys that begin with `prefix`, from `cursor` on.
    pub(crate) async fn page(
        &self,
        deadline: Instant,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.clamp(MIN_PAGE_SIZE, MAX_PAGE_SIZE);
        let mut path = format!("/keys?limit={limit}");
        for (name, value) in [("prefix", Some(prefix)), ("cursor", cursor)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                path = format!("{path}&{name}={}", encoded(value));
            }
        }
        let request = || self.lists.request(Method::GET, &path);
        let read =
            |response| envelope::<Bounded<ListedKey, MAX_PAGE_SIZE>>(&response)?.result_with_info();
        let (keys, info) = self
            .lists
            .call(deadline, Idempotency::Idempotent, request, read)
            .await?;
        Ok(Page {
            keys: keys.0,
            next: info.cursor(),
        })
    }

    fn bulk_request(&self, method: Method, path: &str, body: Bytes) -> RequestBuilder {
        self.client
            .request(method, path)
            .header(CONTENT_TYPE, "application/json")
            .body(body)
    }
}

fn encoded(text: &str) -> impl std::fmt::Display + '_ {
    utf8_percent_encode(text, ENCODED)
}

/// Serializes a body. It cannot fail, since only text, numbers and lists are sent.
fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

fn envelope<T: serde::de::DeserializeOwned>(response: &Response) -> Result<Envelope<T>> {
    if !response.is_success() {
        return Err(refused(response));
    }
    response.json()
}

fn unprocessed() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "Cloudflare did not process some keys of a bulk request; try again",
    )
}
