//! The driver by its name.

use std::time::Duration;

use driver_cloudflare_kv::CloudflareKvOptions;
use session_core::config::{ConfigContext, Options, Registry};
use session_core::{DriverExt, ErrorKind, Timestamp};
use test_support::CloudflareKv;

use crate::support::{Namespace, key};

#[test_support::test]
async fn it_opens_by_name_with_the_option_names_of_unstorage() {
    let namespace = Namespace::new();
    let mut registry = Registry::new();
    registry.register::<CloudflareKvOptions>("cloudflare-kv");
    let options = || {
        Options::new()
            .with("accountId", CloudflareKv::ACCOUNT)
            .with("namespaceId", namespace.id.as_str())
            .with("apiToken", CloudflareKv::TOKEN)
            .with("apiURL", CloudflareKv::shared().api_url())
            .with("minTTL", 120)
            .with("base", "app")
            .with("ttl", 600)
            .with("retry", Options::new().with("attempts", 2))
    };
    let open = async |options| {
        registry
            .open("cloudflare-kv", options, &ConfigContext::default())
            .await
    };
    let driver = open(options()).await.unwrap();
    driver.put("k", "value").await.unwrap();
    let end = driver
        .read(&key("k"))
        .await
        .unwrap()
        .unwrap()
        .expires_at
        .unwrap();
    let left = end.saturating_since(Timestamp::now());
    assert!(left > Duration::from_secs(500) && left <= Duration::from_secs(600));
    assert_eq!(namespace.names().await, ["app:k"]);

    let error = open(options().with("namespace", "x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert!(
        error.to_string().contains("did you mean `namespace_id`?"),
        "{error}"
    );
    let error = open(options().with("min_ttl", 5)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let error = open(options().with("base", "?")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
}
