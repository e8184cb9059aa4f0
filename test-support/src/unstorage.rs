use std::path::Path;

use crate::{NodePackages, Peer, free_port};

/// The storage server of unstorage on Node.js, in a chosen version and with a chosen driver.
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
    /// The bearer token.
    pub const TOKEN: &str = "t0ken-that-nobody-may-see";

    /// Installs the packages of the server into `folder`, which must be below `CARGO_TARGET_TMPDIR`.
    pub fn packages(folder: impl AsRef<Path>) -> NodePackages {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../driver-http/tests/js");
        NodePackages::install(sources, folder)
    }

    /// Starts the server of `packages` in `version` 1 or 2. `driver` is the name of a driver and its option, if any.
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

    /// Returns its URL, `http://127.0.0.1:PORT`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns its process.
    pub fn peer(&self) -> &Peer {
        &self.peer
    }
}
