use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use http_support::header::CONTENT_TYPE;
use http_support::{
    Answer, ClientOptions, HttpClient, Method, RequestBuilder, SharedError, StatusCode,
};
use parking_lot::Mutex;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use session_core::{Error, ErrorKind, Key, Repeat, Result};
use tokio::time::Instant;

use crate::config::CloudflareKvOptions;
use crate::error::{is_missing_key, refused};
use crate::protocol::{BulkGet, BulkResult, Envelope, Found, ListedKey, Pair, Values};
use crate::stored::KeyMetadata;

/// What no URL treats as special stays as it is.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A page of a listing has at least so many keys, and at most.
const SMALLEST_PAGE: usize = 10;
const LARGEST_PAGE: usize = 1_000;

/// The routes of one namespace.
pub(crate) struct Api {
    client: HttpClient,
}

/// What a key has beside its value.
#[derive(Default)]
pub(crate) struct Beside {
    pub(crate) metadata: KeyMetadata,
    /// In seconds since 1970.
    pub(crate) expiration: Option<f64>,
}

/// A page of a listing, and where the next one starts.
pub(crate) struct Page {
    pub(crate) keys: Vec<ListedKey>,
    pub(crate) next: Option<String>,
}

impl Api {
    pub(crate) fn new(options: &CloudflareKvOptions) -> Result<Self> {
        let client = HttpClient::new(ClientOptions {
            headers: options.credentials()?,
            timeout: options.timeout,
            retry: options.retry,
            ..ClientOptions::new(options.url()?)
        })?;
        Ok(Self { client })
    }

    /// What is stored for each of `keys`, as text.
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
        let read = |answer| envelope::<Values>(&answer)?.result();
        let found = self
            .client
            .call(deadline, Repeat::Always, request, read)
            .await?;
        Ok(found.values)
    }

    /// Writes a pair for each of `keys`; `pair` gives it anew for each try.
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

    /// Removes `keys`, of which some may not be there.
    pub(crate) async fn bulk_delete(&self, deadline: Instant, keys: &[&str]) -> Vec<Result<()>> {
        self.bulk_change(deadline, Method::POST, "/bulk/delete", keys, |left| {
            json(&left)
        })
        .await
    }

    /// Changes all of `keys`, and again those that Cloudflare names as left out; the results stand in their order.
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
        let read = |answer| {
            let result: BulkResult = envelope(&answer)?.result_or_default()?;
            let unsuccessful: HashSet<&str> = result
                .unsuccessful_keys
                .iter()
                .map(String::as_str)
                .collect();
            let mut left = left.lock();
            left.retain(|key| unsuccessful.contains(key));
            if left.is_empty() {
                Ok(())
            } else {
                Err(left_out())
            }
        };
        let Err(error) = self
            .client
            .call(deadline, Repeat::Always, request, read)
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

    /// The value of one key byte for byte, with the server's own expiration.
    pub(crate) async fn value(
        &self,
        deadline: Instant,
        key: &Key,
    ) -> Result<Option<(Bytes, Option<f64>)>> {
        let path = format!("/values/{}", encoded(key.as_str()));
        let request = || self.client.request(Method::GET, &path);
        let read = |answer: Answer| {
            if answer.is_success() {
                let expiration = answer.header("expiration");
                let expiration = expiration.and_then(|seconds| seconds.parse().ok());
                return Ok(Some((answer.into_body(), expiration)));
            }
            match is_missing_key(&answer) {
                true => Ok(None),
                false => Err(refused(&answer)),
            }
        };
        self.client
            .call(deadline, Repeat::Always, request, read)
            .await
    }

    /// What one key has beside its value; `None` if it has none, or no value.
    pub(crate) async fn metadata(&self, deadline: Instant, key: &Key) -> Result<Option<Beside>> {
        let path = format!("/metadata/{}", encoded(key.as_str()));
        let request = || self.client.request(Method::GET, &path);
        let read = |answer: Answer| match answer.status() {
            StatusCode::NOT_FOUND => Ok(None),
            _ => envelope::<KeyMetadata>(&answer)?
                .result_or_default()
                .map(Some),
        };
        match self
            .client
            .call(deadline, Repeat::Always, request, read)
            .await?
        {
            Some(metadata) => Ok(Some(Beside {
                metadata,
                expiration: None,
            })),
            // The key is gone, or the server has no such route.
            None => self.listed(deadline, key).await,
        }
    }

    /// The same from a listing, for servers on which there is no other way.
    pub(crate) async fn listed(&self, deadline: Instant, key: &Key) -> Result<Option<Beside>> {
        // No key sorts before the one that is all that it begins with.
        let page = self
            .page(deadline, key.as_str(), None, SMALLEST_PAGE)
            .await?;
        let found = page
            .keys
            .into_iter()
            .find(|found| found.name == key.as_str());
        Ok(found.map(|found| Beside {
            metadata: found.metadata.unwrap_or_default(),
            expiration: found.expiration,
        }))
    }

    /// The keys that begin with `prefix`, from `cursor` on, about `limit` of them.
    pub(crate) async fn page(
        &self,
        deadline: Instant,
        prefix: &str,
        cursor: Option<&str>,
        limit: usize,
    ) -> Result<Page> {
        let limit = limit.clamp(SMALLEST_PAGE, LARGEST_PAGE);
        let mut path = format!("/keys?limit={limit}");
        for (name, value) in [("prefix", Some(prefix)), ("cursor", cursor)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                path = format!("{path}&{name}={}", encoded(value));
            }
        }
        let request = || self.client.request(Method::GET, &path);
        let read = |answer| envelope::<Vec<ListedKey>>(&answer)?.result_with_info();
        let (keys, info) = self
            .client
            .call(deadline, Repeat::Always, request, read)
            .await?;
        Ok(Page {
            keys,
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

/// Texts, numbers and lists have a JSON; nothing else is sent.
fn json(body: &impl Serialize) -> Bytes {
    serde_json::to_vec(body).unwrap_or_default().into()
}

fn envelope<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<Envelope<T>> {
    if !answer.is_success() {
        return Err(refused(answer));
    }
    answer.json()
}

fn left_out() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "Cloudflare left out some keys of a bulk request; it asks to try them again",
    )
}
