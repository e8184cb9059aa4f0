use std::path::Path;

use test_support::RedisServer;

use crate::stores::Server;

/// Starts Redis from Debian.
pub(crate) fn redis() -> Server {
    let server = RedisServer::start();
    Server::new(server.url(), server)
}

/// Starts Valkey from PyPI.
pub(crate) fn valkey() -> Server {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/valkey");
    let server = RedisServer::start_valkey(&folder, &[]);
    Server::new(server.url(), server)
}
