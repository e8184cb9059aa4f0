use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{NodePackages, Peer, free_port};

/// The number of namespaces.
const NAMESPACES: usize = 64;

/// A Cloudflare KV emulator on loopback, shared by the tests of one program.
///
/// It runs real KV bindings in miniflare, with Cloudflare's REST API and miniflare's explorer in front. Its witness
/// endpoint calls the bindings directly.
///
/// ```
/// use test_support::CloudflareKv;
///
/// let kv = CloudflareKv::shared();
/// let (namespace, another) = (kv.namespace(), kv.namespace());
/// assert_ne!(namespace, another);
/// assert!(kv.explorer_url().starts_with(kv.api_url()));
/// ```
pub struct CloudflareKv {
    packages: NodePackages,
    api_url: String,
    given: AtomicUsize,
    _peer: Peer,
}

impl CloudflareKv {
    /// The account of the namespaces.
    pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
    /// The API token.
    pub const TOKEN: &str = "token-for-tests";

    /// Returns the emulator of this program, and starts it on the first call.
    ///
    /// The start takes a second or two, and longer the first time, when the packages are installed.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<CloudflareKv> = OnceLock::new();
        SHARED.get_or_init(Self::start)
    }

    fn start() -> Self {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let packages = NodePackages::install(
            here.join("../driver-cloudflare-kv/tests/js"),
            here.join("../target/tmp/cloudflare-kv-js"),
        );
        let port = free_port();
        let mut server = packages.script("server.mjs");
        server.args([port.to_string(), NAMESPACES.to_string()]);
        let peer = Peer::start(server);
        peer.wait_for_log("ready");
        Self {
            packages,
            api_url: format!("http://127.0.0.1:{port}"),
            given: AtomicUsize::new(0),
            _peer: peer,
        }
    }

    /// Returns the id of an unused namespace.
    ///
    /// # Panics
    ///
    /// If no namespace is left.
    pub fn namespace(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        assert!(
            number < NAMESPACES,
            "all {NAMESPACES} namespaces are in use"
        );
        format!("{number:032x}")
    }

    /// Returns the URL of the REST API, for the driver option `api_url`.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// Returns the URL of miniflare's explorer API, which has no accounts.
    pub fn explorer_url(&self) -> String {
        format!("{}/cdn-cgi/local/explorer/api", self.api_url)
    }

    /// Returns the URL of the witness for a namespace. It answers `{ call, arguments }` with `{ result }` or `{ error }`.
    pub fn witness_url(&self, namespace: &str) -> String {
        format!("{}/witness/{namespace}", self.api_url)
    }

    /// Returns a command that runs a script of the folder or a program of one of its packages.
    pub fn script(&self, path: &str) -> Command {
        self.packages.script(path)
    }
}
