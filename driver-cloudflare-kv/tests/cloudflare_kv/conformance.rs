//! The conformance suite against this driver: by the REST API, below a base, and by miniflare's explorer.

use std::sync::LazyLock;
use std::time::Duration;

use conformance_tests::Subject;
use driver_cloudflare_kv::{CloudflareKvDriver, CloudflareKvOptions};
use serde_json::json;
use session_core::{Bytes, Key, RetryPolicy};
use test_support::free_port;

use crate::support::Namespace;

/// How long each generated case runs. The server takes some milliseconds for each operation.
const BUDGET: Duration = Duration::from_secs(1);

/// The same on a further configuration.
const BRIEF: Duration = Duration::from_millis(200);

const TTL: Duration = Duration::from_secs(3_600);

/// A driver whose server nobody runs.
fn unreachable(options: CloudflareKvOptions) -> CloudflareKvDriver {
    let options = options
        .with_api_url(format!("http://127.0.0.1:{}", free_port()))
        .with_retry(RetryPolicy::never());
    CloudflareKvDriver::open(options).unwrap()
}

/// A driver with `options`, on a namespace that other cases use too.
async fn on(namespace: &'static Namespace, options: CloudflareKvOptions) -> Subject {
    let base = options.prefix.as_deref().map(|prefix| format!("{prefix}:"));
    let base = base.unwrap_or_default();
    let options = options.with_ttl(TTL);
    Subject::new(CloudflareKvDriver::open(options.clone()).unwrap())
        .with_budget(BUDGET)
        .with_default_ttl(TTL)
        .with_shared_backend()
        .with_outage(unreachable(options))
        .with_foreign_write(move |key: Key, value: Bytes| {
            let key = format!("{base}{}", key.as_str());
            async move {
                namespace.witness("put", json!([key, value.to_vec()])).await;
                Ok(())
            }
        })
}

/// A further configuration, for which the generated cases need not run as long.
async fn also_on(namespace: &'static Namespace, options: CloudflareKvOptions) -> Subject {
    on(namespace, options).await.with_budget(BRIEF)
}

mod by_the_rest_api {
    use super::*;

    static NAMESPACE: LazyLock<Namespace> = LazyLock::new(Namespace::new);

    conformance_tests::suite!(|| super::on(&NAMESPACE, NAMESPACE.options()));
}

mod with_a_prefix {
    use super::*;

    static NAMESPACE: LazyLock<Namespace> = LazyLock::new(Namespace::new);

    conformance_tests::suite!(|| {
        let options = NAMESPACE.options().with_prefix("app:sessions");
        super::also_on(&NAMESPACE, options)
    });
}

mod by_the_explorer {
    use super::*;

    static NAMESPACE: LazyLock<Namespace> = LazyLock::new(Namespace::new);

    conformance_tests::suite!(|| super::also_on(&NAMESPACE, NAMESPACE.explorer_options()));
}
