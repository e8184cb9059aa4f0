//! A gateway that speaks the REST API over a Redis, both in processes of their own.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use driver_upstash::{UpstashDriver, UpstashOptions};
use session_core::{Driver, Key, WriteOptions, WriteOutcome};
use test_support::{HttpFault, HttpProxy, NodePackages, RedisServer, Script, UpstashGateway};

pub(crate) const TOKEN: &str = UpstashGateway::TOKEN;

fn packages() -> &'static NodePackages {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-upstash-js");
    PACKAGES.get_or_init(|| UpstashGateway::packages(folder))
}

fn script(name: &str) -> Command {
    let mut script = packages().script(name);
    script.env("GATEWAY_TOKEN", TOKEN);
    script
}

pub(crate) struct Gateway(UpstashGateway);

impl Gateway {
    pub(crate) fn start() -> Self {
        Self(UpstashGateway::start(packages()))
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }

    pub(crate) fn redis(&self) -> &RedisServer {
        self.0.redis()
    }

    pub(crate) fn kill(&self) {
        self.0.peer().kill();
    }

    pub(crate) fn options(&self) -> UpstashOptions {
        UpstashOptions::new(self.url(), TOKEN)
    }

    pub(crate) async fn driver(&self) -> UpstashDriver {
        UpstashDriver::open(self.options()).await.unwrap()
    }

    /// unstorage with its own driver, on the same database.
    pub(crate) fn unstorage(&self, base: &str) -> Script {
        let mut command = script("unstorage.mjs");
        command.args([self.url(), base]);
        Script::start(command)
    }

    /// The official client's proof of this gateway, to be run to its end.
    pub(crate) fn official_client(&self) -> Command {
        let mut command = script("official.mjs");
        command.arg(self.url());
        command
    }
}

/// A gateway, a proxy before it, and a driver before that.
pub(crate) struct Behind {
    pub(crate) proxy: HttpProxy,
    pub(crate) driver: std::sync::Arc<UpstashDriver>,
    pub(crate) gateway: Gateway,
}

impl Behind {
    pub(crate) async fn start(change: impl FnOnce(&mut UpstashOptions)) -> Self {
        let gateway = Gateway::start();
        let proxy = HttpProxy::start(gateway.url());
        let mut options = gateway.options().with_url(proxy.url());
        change(&mut options);
        let driver = UpstashDriver::open(options).await.unwrap();
        Self {
            driver: driver.into(),
            proxy,
            gateway,
        }
    }

    /// As far away as another region: each request takes so much longer.
    pub(crate) fn far_away(&self, delay: Duration) {
        self.proxy.always(HttpFault::Delay(delay));
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

/// Adds one to a number on condition that nobody else did, and says whether it did.
pub(crate) async fn increment(driver: &dyn Driver, key: &Key) -> session_core::Result<bool> {
    let entry = driver.read(key).await?.unwrap();
    let number: u64 = std::str::from_utf8(&entry.value).unwrap().parse().unwrap();
    let options = WriteOptions::if_version(entry.version.unwrap());
    let written = driver.write(key, (number + 1).to_string().into(), options);
    Ok(matches!(written.await?, WriteOutcome::Written { .. }))
}
