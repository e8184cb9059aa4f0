//! Stores on the REST API of Cloudflare KV.

use std::sync::Arc;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use test_support::{CloudflareKv, HttpFault, HttpProxy};

use super::contender::{Contender, Operation, filled_at_once};
use super::memory::{ByDyn, Named, key_text};
use super::upstash::DELAY;
use super::{Backend, Location, Server, Store, VALUE_LENGTH};

pub(crate) const TITLE: &str = "stores: cloudflare kv, 20 ms away";
pub(crate) const OURS: &str = "driver-cloudflare-kv";

/// The value of all contenders.
const NAMESPACE: &str = "00000000000000000000000000000000";

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "KV of miniflare with the gateway of the tests, in one process of Node.js, behind a proxy that lets each \
           request arrive 20 ms later; Cloudflare takes one write a second of a key, miniflare any number",
    location: Location::Server(|| {
        let kv = CloudflareKv::shared();
        assert_eq!(kv.namespace(), NAMESPACE);
        let proxy = HttpProxy::start(kv.api_url());
        proxy.always(HttpFault::Delay(DELAY));
        let url = proxy.url().to_owned();
        Server::new(url, proxy)
    }),
    operations: &[Operation::Read, Operation::Write],
    callers: &[1, 64],
    contenders: &[
        Contender::at::<ByDyn<Kv>>(|server| {
            Box::pin(async move { filled_at_once(Kv::open(&server)).await })
        }),
        Contender::at::<RequestACall>(|server| {
            Box::pin(async move { filled_at_once(RequestACall::open(&server)).await })
        }),
    ],
};

/// The driver with its defaults.
enum Kv {}

impl Kv {
    fn open(server: &str) -> ByDyn<Self> {
        let mut options =
            CloudflareKvOptions::new(CloudflareKv::ACCOUNT, NAMESPACE, CloudflareKv::TOKEN);
        options.api_url = server.to_owned();
        let driver = CloudflareKvDriver::open(options).expect("valid options");
        ByDyn::new(Arc::new(driver))
    }
}

impl Named for Kv {
    const NAME: &'static str = OURS;
    const NOTE: &'static str = "its defaults, through `dyn Driver`: callers share requests, of up to 100 reads; a read \
                                brings the exact end, too";
    const IS_OURS: bool = true;
}

/// Plain HTTP requests without a driver.
struct RequestACall {
    client: reqwest::Client,
    values: String,
    value: String,
}

impl RequestACall {
    fn open(server: &str) -> Self {
        let account = CloudflareKv::ACCOUNT;
        Self {
            client: reqwest::Client::new(),
            values: format!(
                "{server}/client/v4/accounts/{account}/storage/kv/namespaces/{NAMESPACE}/values"
            ),
            value: "x".repeat(VALUE_LENGTH),
        }
    }
}

impl Store for RequestACall {
    const NAME: &'static str = "reqwest, one request per call";
    const NOTE: &'static str = "with an unlimited number of connections";

    type Key = String;

    fn key(&self, session: usize) -> String {
        format!("{}/{}", self.values, key_text(session))
    }

    async fn read(&self, _caller: usize, url: &String) -> usize {
        let request = self.client.get(url).bearer_auth(CloudflareKv::TOKEN);
        let response = request.send().await.expect("an answer");
        let response = response.error_for_status().expect("a session");
        response.bytes().await.expect("a whole answer").len()
    }

    async fn write(&self, _caller: usize, url: &String) {
        let url = format!("{url}?expiration_ttl=86400");
        let request = self.client.put(url).bearer_auth(CloudflareKv::TOKEN);
        let response = request.body(self.value.clone()).send().await;
        let response = response.expect("an answer").error_for_status();
        let answer = response.expect("a write").bytes().await;
        answer.expect("a whole answer");
    }

    async fn commit(&self, caller: usize, url: &String) {
        self.read(caller, url).await;
        self.write(caller, url).await;
    }
}
