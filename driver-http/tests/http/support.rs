//! unstorage's server in a process of its own.

use std::path::Path;
use std::sync::OnceLock;

use driver_http::{Dialect, HttpDriver, HttpOptions, SecretString};
use serde_json::Value;
use session_core::Key;
use test_support::{NodePackages, Peer, Script, free_port};

pub(crate) const TOKEN: &str = "t0ken-that-nobody-may-see";

pub(crate) fn packages() -> &'static NodePackages {
    static PACKAGES: OnceLock<NodePackages> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        NodePackages::install(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/js"),
            Path::new(env!("CARGO_TARGET_TMPDIR")).join("driver-http-js"),
        )
    })
}

/// unstorage's server of one version, over one of its drivers.
pub(crate) struct Unstorage {
    pub(crate) dialect: Dialect,
    pub(crate) url: String,
    pub(crate) peer: Peer,
}

impl Unstorage {
    /// `driver` is the name of the driver and its option, if it has one.
    pub(crate) fn start(dialect: Dialect, driver: &[&str]) -> Self {
        let port = free_port();
        let mut command = packages().script("server.mjs");
        command.arg(port.to_string()).arg(version(dialect));
        command.args(driver).env("STORAGE_TOKEN", TOKEN);
        let peer = Peer::start(command);
        peer.wait_for_port(port);
        let url = format!("http://127.0.0.1:{port}");
        Self { dialect, url, peer }
    }

    pub(crate) fn options(&self) -> HttpOptions {
        HttpOptions {
            token: Some(SecretString::from(TOKEN)),
            dialect: self.dialect,
            ..HttpOptions::new(&self.url)
        }
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
