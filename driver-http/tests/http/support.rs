//! unstorage's server in a process of its own.

use std::path::Path;
use std::sync::OnceLock;

use driver_http::{Dialect, HttpDriver, HttpOptions};
use serde_json::Value;
use session_core::Key;
use test_support::{NodePackages, Script, UnstorageServer};

pub(crate) const TOKEN: &str = UnstorageServer::TOKEN;

fn packages() -> &'static NodePackages {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-http-js");
    PACKAGES.get_or_init(|| UnstorageServer::packages(folder))
}

/// unstorage's server of one version, over one of its drivers.
pub(crate) struct Unstorage {
    pub(crate) dialect: Dialect,
    pub(crate) url: String,
    pub(crate) server: UnstorageServer,
}

impl Unstorage {
    /// `driver` is the name of the driver and its option, if it has one.
    pub(crate) fn start(dialect: Dialect, driver: &[&str]) -> Self {
        let server = UnstorageServer::start(packages(), version(dialect), driver);
        Self {
            dialect,
            url: server.url().to_owned(),
            server,
        }
    }

    pub(crate) fn options(&self) -> HttpOptions {
        HttpOptions::new(&self.url)
            .with_token(TOKEN)
            .with_dialect(self.dialect)
    }

    pub(crate) fn driver(&self) -> HttpDriver {
        HttpDriver::open(self.options()).unwrap()
    }

    /// unstorage with its own HTTP driver, as a client of this server.
    pub(crate) fn javascript(&self) -> Script {
        let mut command = packages().script("client.mjs");
        command.arg(version(self.dialect)).arg(&self.url);
        command.env("STORAGE_TOKEN", TOKEN);
        Script::start(command)
    }
}

fn version(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::V1 => "1",
        Dialect::V2 => "2",
        Dialect::SessionServer => panic!("it is not one of unstorage's"),
    }
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn sorted(keys: Value) -> Vec<String> {
    let mut keys: Vec<String> = serde_json::from_value(keys).unwrap();
    keys.sort();
    keys
}
