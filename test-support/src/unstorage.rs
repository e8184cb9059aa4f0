use std::path::Path;

use crate::{NodePackages, Peer, free_port};

/// unstorage's own server on Node.js, of one of its versions and over one of its drivers.
///
/// ```
/// use test_support::UnstorageServer;
///
/// # fn run(folder: &std::path::Path) {
/// let server = UnstorageServer::start(&UnstorageServer::packages(folder), "2", &["memory"]);
/// assert!(server.url().starts_with("http://127.0.0.1:"));
/// # }
/// ```
pub struct UnstorageServer {
    url: String,
    peer: Peer,
}

impl UnstorageServer {
    /// What is to be sent as the bearer's token.
    pub const TOKEN: &str = "t0ken-that-nobody-may-see";

    /// What the server is made of, installed into `folder`, which is one below `CARGO_TARGET_TMPDIR`.
    pub fn packages(folder: impl AsRef<Path>) -> NodePackages {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../driver-http/tests/js");
        NodePackages::install(sources, folder)
    }

    /// Starts the server of `packages` in `version` 1 or 2; `driver` is the name of a driver and its option, if it has
    /// one.
    pub fn start(packages: &NodePackages, version: &str, driver: &[&str]) -> Self {
        let port = free_port();
        let mut command = packages.script("server.mjs");
        command.args([&port.to_string(), version]).args(driver);
        command.env("STORAGE_TOKEN", Self::TOKEN);
        let peer = Peer::start(command);
        peer.wait_for_port(port);
        let url = format!("http://127.0.0.1:{port}");
        Self { url, peer }
    }

    /// Where it is, as `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
