//! Stores on the REST API of Upstash.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use driver_upstash::{UpstashDriver, UpstashOptions};
use serde_json::{Value, json};
use test_support::{HttpFault, HttpProxy, UpstashGateway};

use super::contender::{Contender, Operation, filled_at_once};
use super::memory::{ByDyn, Named, key_text};
use super::{Backend, Location, Server, Store, VALUE_LENGTH};

pub(crate) const TITLE: &str = "stores: upstash, 20 ms away";
pub(crate) const OURS: &str = "driver-upstash";

/// The delay of each request.
pub(super) const DELAY: Duration = Duration::from_millis(20);

pub(super) const BACKEND: Backend = Backend {
    title: TITLE,
    note: "the gateway of the tests over a Redis, in one process of Node.js, behind a proxy that lets each request \
           arrive 20 ms later",
    location: Location::Server(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/upstash-js");
        let gateway = UpstashGateway::start(&UpstashGateway::packages(folder));
        let proxy = HttpProxy::start(gateway.url());
        proxy.always(HttpFault::Delay(DELAY));
        let url = proxy.url().to_owned();
        Server::new(url, (proxy, gateway))
    }),
    operations: &Operation::ALL,
    callers: &[1, 64],
    contenders: &[
        Contender::at::<ByDyn<Upstash>>(|server| {
            Box::pin(async move { filled_at_once(Upstash::open(&server).await).await })
        }),
        Contender::at::<RequestACall>(|server| {
            Box::pin(async move { filled_at_once(RequestACall::open(server)).await })
        }),
    ],
};

/// The driver with its defaults.
enum Upstash {}

impl Upstash {
    async fn open(server: &str) -> ByDyn<Self> {
        let options = UpstashOptions::new(server, UpstashGateway::TOKEN);
        let driver = UpstashDriver::open(options).await.expect("valid options");
        ByDyn::new(Arc::new(driver))
    }
}

impl Named for Upstash {
    const NAME: &'static str = OURS;
    const NOTE: &'static str =
        "its defaults, through `dyn Driver`: callers share requests; commits are conditional";
    const IS_OURS: bool = true;
}

/// Plain HTTP requests without a driver.
struct RequestACall {
    client: reqwest::Client,
    url: String,
    value: String,
}

impl RequestACall {
    fn open(url: String) -> Self {
        Self {
            client: reqwest::Client::new(),
            url,
            value: "x".repeat(VALUE_LENGTH),
        }
    }

    async fn ask(&self, command: Value) -> Value {
        let request = self.client.post(&self.url);
        let request = request
            .bearer_auth(UpstashGateway::TOKEN)
            .body(command.to_string());
        let response = request.send().await.expect("an answer");
        let body = response.bytes().await.expect("a whole answer");
        let mut answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["result"].take()
    }
}

impl Store for RequestACall {
    const NAME: &'static str = "reqwest, one request per call";
    const NOTE: &'static str = "`GET` and `SET` by themselves, on as many connections as it likes; commits are not \
                                conditional";

    type Key = String;

    fn key(&self, session: usize) -> String {
        key_text(session)
    }

    async fn read(&self, _caller: usize, key: &String) -> usize {
        let value = self.ask(json!(["GET", key])).await;
        value.as_str().expect("a session").len()
    }

    async fn write(&self, _caller: usize, key: &String) {
        let written = self.ask(json!(["SET", key, self.value, "EX", 86_400]));
        assert_eq!(written.await, "OK");
    }

    async fn commit(&self, caller: usize, key: &String) {
        self.read(caller, key).await;
        self.write(caller, key).await;
    }
}
