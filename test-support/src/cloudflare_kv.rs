use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{NodePackages, Peer, free_port};

/// How many namespaces there are.
const NAMESPACES: usize = 64;

/// Cloudflare KV on loopback, for the tests of this program: real KV bindings in miniflare, with Cloudflare's REST API
/// before them, miniflare's own explorer, and a witness that calls the bindings themselves.
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
    /// The account that has the namespaces.
    pub const ACCOUNT: &str = "0123456789abcdef0123456789abcdef";
    /// The API token that opens it.
    pub const TOKEN: &str = "token-for-tests";

    /// The one of this program, started where it is not yet. It takes a second or two, and longer once, when the
    /// packages are installed.
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

    /// The id of a namespace that nobody else was given.
    ///
    /// # Panics
    ///
    /// If there is none left.
    pub fn namespace(&self) -> String {
        let number = self.given.fetch_add(1, Ordering::Relaxed);
        assert!(
            number < NAMESPACES,
            "all {NAMESPACES} namespaces are given out"
        );
        format!("{number:032x}")
    }

    /// Where the REST API is, to which the driver's `api_url` is set.
    pub fn api_url(&self) -> &str {
        &self.api_url
    }

    /// The same for miniflare's explorer, which has no accounts.
    pub fn explorer_url(&self) -> String {
        format!("{}/cdn-cgi/local/explorer/api", self.api_url)
    }

    /// Where the witness answers calls on a namespace: `{ call, arguments }` by `{ result }` or `{ error }`.
    pub fn witness_url(&self, namespace: &str) -> String {
        format!("{}/witness/{namespace}", self.api_url)
    }

    /// A command that runs a script of the folder, or a program of one of its packages.
    pub fn script(&self, path: &str) -> Command {
        self.packages.script(path)
    }
}
