use std::path::Path;

use test_support::RedisServer;

use crate::stores::Server;

/// Debian's Redis.
pub(crate) fn redis() -> Server {
    let server = RedisServer::start();
    Server::new(server.url(), server)
}

/// Valkey, which PyPI has.
pub(crate) fn valkey() -> Server {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/valkey");
    let server = RedisServer::start_valkey(&folder, &[]);
    Server::new(server.url(), server)
}
