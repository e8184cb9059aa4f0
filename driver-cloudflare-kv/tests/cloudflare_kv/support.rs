//! A namespace of its own for each test, with drivers on it and a view of what the binding sees.

use std::time::Duration;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use http_support::header::CONTENT_TYPE;
use http_support::{ClientOptions, HttpClient, Method};
use serde_json::{Value, json};
use session_core::{Bytes, Driver, Key, Result, RetryPolicy, WriteOptions, WriteOutcome};
use test_support::{CloudflareKv, HttpProxy};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Namespace {
    pub(crate) id: String,
    witness_url: String,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let kv = CloudflareKv::shared();
        let id = kv.namespace();
        let witness_url = kv.witness_url(&id);
        Self { id, witness_url }
    }

    /// Options for the REST API, with time enough on a machine that has much to do.
    pub(crate) fn options(&self) -> CloudflareKvOptions {
        CloudflareKvOptions::new(CloudflareKv::ACCOUNT, &self.id, CloudflareKv::TOKEN)
            .with_api_url(CloudflareKv::shared().api_url())
            .with_timeout(PATIENCE)
    }

    /// Options for miniflare's explorer.
    pub(crate) fn explorer_options(&self) -> CloudflareKvOptions {
        let url = CloudflareKv::shared().explorer_url();
        CloudflareKvOptions::without_account(url, &self.id).with_timeout(PATIENCE)
    }

    pub(crate) fn driver(&self) -> CloudflareKvDriver {
        CloudflareKvDriver::open(self.options()).unwrap()
    }

    /// A driver behind a proxy, which repeats nothing.
    pub(crate) fn behind_proxy(&self) -> (CloudflareKvDriver, HttpProxy) {
        self.behind_proxy_with(RetryPolicy::never())
    }

    pub(crate) fn behind_proxy_with(&self, retry: RetryPolicy) -> (CloudflareKvDriver, HttpProxy) {
        let proxy = HttpProxy::start(CloudflareKv::shared().api_url());
        let options = self.options().with_api_url(proxy.url()).with_retry(retry);
        (CloudflareKvDriver::open(options).unwrap(), proxy)
    }

    /// What a Worker sees or does through the binding.
    pub(crate) async fn witness(&self, call: &str, arguments: Value) -> Value {
        let body = json!({ "call": call, "arguments": arguments }).to_string();
        // A client of this runtime: the connections of another one end when it does.
        let options = ClientOptions::new(self.witness_url.as_str()).with_timeout(PATIENCE);
        let client = HttpClient::new(options).unwrap();
        let request = client.request(Method::POST, "");
        let request = request.header(CONTENT_TYPE, "application/json").body(body);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        let answer = client.send(request, deadline).await.unwrap();
        let mut answer: Value = answer.json().unwrap();
        assert_eq!(answer.get("error"), None, "{call} of the binding failed");
        answer["result"].take()
    }

    /// The bytes that the binding has at `key`, as text, and its metadata.
    pub(crate) async fn stored(&self, key: &str) -> (String, Value) {
        let mut found = self.witness("get", json!([key])).await;
        let bytes: Option<Vec<u8>> = serde_json::from_value(found["bytes"].take()).unwrap();
        let bytes = bytes.unwrap_or_else(|| panic!("the binding has no {key}"));
        (String::from_utf8(bytes).unwrap(), found["metadata"].take())
    }

    /// The names of all keys that the binding has.
    pub(crate) async fn names(&self) -> Vec<String> {
        let listed = self.witness("list", json!([""])).await;
        let name = |key: &Value| key["name"].as_str().unwrap().to_owned();
        listed.as_array().unwrap().iter().map(name).collect()
    }

    /// When the binding ends `key`, in seconds since 1970.
    pub(crate) async fn expiration(&self, key: &str) -> Option<u64> {
        let listed = self.witness("list", json!([key])).await;
        listed[0]["expiration"].as_u64()
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) async fn write(
    driver: &dyn Driver,
    name: &str,
    value: impl Into<Bytes>,
    options: WriteOptions,
) {
    let written = driver.write(&key(name), value.into(), options).await;
    all_written(vec![written]);
}

pub(crate) fn all_written(results: Vec<Result<WriteOutcome>>) {
    for result in results {
        assert_eq!(result.unwrap(), WriteOutcome::written(None));
    }
}
