//! The conformance suite against this driver on unstorage's own server of both versions, over Redis,
//! which heeds a time to live.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use conformance_tests::{HookError, Subject};
use driver_http::{Dialect, HttpDriver, HttpOptions};
use session_core::{Bytes, DriverExt, Key, RetryPolicy};
use test_support::{RedisServer, free_port};

use crate::support::Unstorage;

/// How long each generated case runs on a further configuration.
pub(crate) const BRIEF: Duration = Duration::from_millis(500);

const TTL: Duration = Duration::from_secs(3_600);

/// Enough time for large batches on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both versions over one Redis, each below a base of its own, since they write raw bytes in different ways.
struct Servers {
    v1: Unstorage,
    v2: Unstorage,
    _redis: RedisServer,
}

fn servers() -> &'static Servers {
    static SERVERS: OnceLock<Servers> = OnceLock::new();
    SERVERS.get_or_init(|| {
        let redis = RedisServer::start();
        Servers {
            v1: Unstorage::start(Dialect::V1, &["redis", &redis.url()]),
            v2: Unstorage::start(Dialect::V2, &["redis", &redis.url()]),
            _redis: redis,
        }
    })
}

/// What unstorage's own HTTP driver does, which knows no time to live of ours.
async fn foreign_write(plain: Arc<HttpDriver>, key: Key, value: Bytes) -> Result<(), HookError> {
    plain.put(key.as_str(), value).await?;
    Ok(())
}

fn on(server: &Unstorage, prefix: Option<&str>) -> Subject {
    let mut options = server.options().with_ttl(TTL).with_timeout(PATIENCE);
    options.prefix = prefix.map(str::to_owned);
    let unreachable = HttpOptions::new(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    let mut plain = options.clone();
    plain.ttl = None;
    let plain = Arc::new(HttpDriver::open(plain).unwrap());
    Subject::new(HttpDriver::open(options).unwrap())
        .with_outage(HttpDriver::open(unreachable).unwrap())
        .with_shared_backend()
        .with_foreign_write(move |key, value| foreign_write(Arc::clone(&plain), key, value))
}

mod on_version_1 {
    conformance_tests::suite!(|| async { super::on(&super::servers().v1, None) });
}

mod on_version_2 {
    conformance_tests::suite!(|| async {
        super::on(&super::servers().v2, None).with_budget(super::BRIEF)
    });
}

mod below_a_prefix {
    conformance_tests::suite!(|| async {
        super::on(&super::servers().v1, Some("app:sessions")).with_budget(super::BRIEF)
    });
}
