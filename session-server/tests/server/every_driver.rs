//! What unstorage checks of drivers, over every driver behind the service.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use driver_dynamodb::{AwsCredentials, DynamoDbDriver, DynamoDbOptions};
use driver_fs::{FsDriver, FsOptions};
use driver_http::{Dialect, HttpDriver, HttpOptions};
use driver_redis::{RedisDriver, RedisOptions};
use driver_upstash::{UpstashDriver, UpstashOptions};
use session_core::Driver;
use session_storage::Storage;
use test_support::{CloudflareKv, Dynalite, RedisServer, UnstorageServer, UpstashGateway};

use crate::javascript::passes_unstorages_checklist;

/// Enough for a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

async fn check(driver: impl Driver + 'static) {
    let storage = Storage::new(Arc::new(driver));
    for kind in ["http-1", "http-2"] {
        passes_unstorages_checklist(kind, storage.clone()).await;
    }
    storage.close().await.unwrap();
}

fn folder(name: &str) -> impl AsRef<Path> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn fs_passes_unstorages_checklist() {
    let folder = tempfile::tempdir().unwrap();
    check(FsDriver::open(FsOptions::new(folder.path())).await.unwrap()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_passes_unstorages_checklist() {
    let redis = RedisServer::start();
    let options = RedisOptions::new(redis.url());
    check(RedisDriver::open(options).await.unwrap()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn upstash_passes_unstorages_checklist() {
    let packages = UpstashGateway::packages(folder("session-server-upstash"));
    let gateway = UpstashGateway::start(&packages);
    let options = UpstashOptions::new(gateway.url(), UpstashGateway::TOKEN).with_timeout(PATIENCE);
    check(UpstashDriver::open(options).await.unwrap()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn cloudflare_kv_passes_unstorages_checklist() {
    let kv = CloudflareKv::shared();
    let (account, token) = (CloudflareKv::ACCOUNT, CloudflareKv::TOKEN);
    let options = CloudflareKvOptions::new(account, kv.namespace(), token)
        .with_api_url(kv.api_url())
        .with_timeout(PATIENCE);
    check(CloudflareKvDriver::open(options).unwrap()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn dynamodb_passes_unstorages_checklist() {
    let dynalite = Dynalite::start(folder("session-server-dynalite"));
    let options = DynamoDbOptions::new("storage")
        .with_region("us-east-1")
        .with_endpoint_url(dynalite.url())
        .with_credentials(AwsCredentials::new("AKIDEXAMPLE", "secret"))
        .with_create_table(true)
        .with_timeout(PATIENCE);
    check(DynamoDbDriver::open(options).await.unwrap()).await;
}

#[test_support::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_passes_unstorages_checklist() {
    let packages = UnstorageServer::packages(folder("session-server-unstorage"));
    for (version, dialect) in [("1", Dialect::V1), ("2", Dialect::V2)] {
        let server = UnstorageServer::start(&packages, version, &["memory"]);
        let options = HttpOptions::new(server.url())
            .with_token(UnstorageServer::TOKEN)
            .with_dialect(dialect)
            .with_timeout(PATIENCE);
        check(HttpDriver::open(options).unwrap()).await;
    }
}
