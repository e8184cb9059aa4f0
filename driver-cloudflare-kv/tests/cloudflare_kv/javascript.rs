//! JavaScript on the same namespaces: unstorage's own driver beside ours, and Cloudflare's clients, which prove that
//! what our tests run against is Cloudflare's API.

use std::process::Stdio;

use serde_json::{Value, json};
use session_core::{Driver, DriverExt, Prefix};
use test_support::{CloudflareKv, Script};

use crate::support::Namespace;

/// A script on `namespace`, with what it needs to reach it.
fn script(name: &str, namespace: &Namespace, base: &str) -> Script {
    let kv = CloudflareKv::shared();
    let mut command = kv.script(name);
    command.args([
        kv.api_url(),
        CloudflareKv::ACCOUNT,
        &namespace.id,
        CloudflareKv::TOKEN,
        base,
    ]);
    Script::start(command)
}

#[test_support::test]
async fn the_official_client_works_on_the_gateway() {
    let namespace = Namespace::new();
    let mut sdk = script("sdk.mjs", &namespace, "");
    for topic in [
        "namespaces",
        "values",
        "metadata",
        "expiry",
        "bulk",
        "limits",
        "credentials",
    ] {
        sdk.call(topic, json!([])).await;
    }
}

#[test_support::test]
async fn wrangler_works_on_the_gateway() {
    let namespace = Namespace::new();
    let kv = CloudflareKv::shared();
    let folder = tempfile::tempdir().unwrap();
    let wrangler = async |arguments: &[&str]| {
        let mut command = kv.script("node_modules/wrangler/bin/wrangler.js");
        command
            .args(["kv", "key"])
            .args(arguments)
            .args(["--namespace-id", &namespace.id, "--remote"])
            .current_dir(&folder)
            .env("HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_LOG_PATH", folder.path())
            .env("CI", "1")
            .env(
                "CLOUDFLARE_API_BASE_URL",
                format!("{}/client/v4", kv.api_url()),
            )
            .env("CLOUDFLARE_ACCOUNT_ID", CloudflareKv::ACCOUNT)
            .env("CLOUDFLARE_API_TOKEN", CloudflareKv::TOKEN)
            .stdin(Stdio::null());
        let run = tokio::process::Command::from(command).output();
        let limit = std::time::Duration::from_secs(60);
        let output = tokio::time::timeout(limit, run).await.unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    };
    wrangler(&[
        "put",
        "greeting",
        "hello",
        "--ttl",
        "120",
        "--metadata",
        r#"{"a":1}"#,
    ])
    .await
    .unwrap();
    assert_eq!(
        wrangler(&["get", "greeting"]).await.unwrap().trim(),
        "hello"
    );
    let listed: Value = serde_json::from_str(&wrangler(&["list"]).await.unwrap()).unwrap();
    assert_eq!(listed[0]["name"], "greeting");
    assert_eq!(listed[0]["metadata"], json!({ "a": 1 }));
    assert_eq!(
        listed[0]["expiration"].as_u64(),
        namespace.expiration("greeting").await
    );
    wrangler(&["delete", "greeting"]).await.unwrap();
    let missing = wrangler(&["get", "greeting"]).await.unwrap_err();
    assert!(missing.contains("404"), "{missing}");
}

#[test_support::test]
async fn unstorage_and_this_driver_read_the_writes_of_the_other() {
    let namespace = Namespace::new();
    let options = namespace.options().with_prefix("app");
    let driver = driver_cloudflare_kv::CloudflareKvDriver::open(options).unwrap();
    let mut unstorage = script("unstorage.mjs", &namespace, "app");

    let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
    let parsed: Value = serde_json::from_str(text).unwrap();
    let minute = std::time::Duration::from_secs(60);
    driver.put_with_ttl("a:text", text, minute).await.unwrap();
    assert_eq!(unstorage.call("getItem", json!(["a:text"])).await, parsed);
    driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
    let raw = unstorage.call("getItemRaw", json!(["a:bytes"])).await;
    assert_eq!(raw, json!([0, 255, 1]));
    assert_eq!(
        unstorage.call("hasItem", json!(["a/text"])).await,
        json!(true)
    );
    assert_eq!(
        unstorage.call("hasItem", json!(["missing"])).await,
        json!(false)
    );

    unstorage.call("setItem", json!(["a:text", "theirs"])).await;
    let entry = driver
        .read(&crate::support::key("a:text"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((entry.value, entry.expires_at), ("theirs".into(), None));
    unstorage
        .call("setItem", json!(["b:object", { "n": 1 }]))
        .await;
    assert_eq!(driver.get("b:object").await.unwrap().unwrap(), r#"{"n":1}"#);
    unstorage
        .call("setItem", json!(["b:short", "lived", { "ttl": 5 }]))
        .await;
    let entry = driver
        .read(&crate::support::key("b:short"))
        .await
        .unwrap()
        .unwrap();
    assert!(entry.expires_at.is_some());
    unstorage
        .call("setItemRaw", json!(["b:raw", [254, 0, 255]]))
        .await;
    assert_eq!(
        driver.get("b:raw").await.unwrap().unwrap(),
        vec![254, 0, 255]
    );
    unstorage.call("removeItem", json!(["a:bytes"])).await;
    assert_eq!(driver.get("a:bytes").await.unwrap(), None);

    let theirs: Vec<String> =
        serde_json::from_value(unstorage.call("getKeys", json!([])).await).unwrap();
    let page = driver
        .list(session_core::ListOptions::default())
        .await
        .unwrap();
    let ours: Vec<&str> = page.keys.iter().map(|key| key.as_str()).collect();
    assert_eq!(ours, theirs);
    driver.clear(&Prefix::new("a").unwrap()).await.unwrap();
    assert_eq!(
        unstorage.call("getKeys", json!([])).await,
        json!(["b:object", "b:raw", "b:short"])
    );
}
