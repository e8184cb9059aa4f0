use std::path::Path;

use test_support::RedisServer;

/// Debian's Redis.
pub(crate) fn redis() -> RedisServer {
    RedisServer::start()
}

/// Valkey, which PyPI has.
pub(crate) fn valkey() -> RedisServer {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/valkey");
    RedisServer::start_valkey(&folder, &[])
}
