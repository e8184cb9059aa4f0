//! unstorage's own driver for Upstash beside this one, on the same database.

use serde_json::json;
use session_core::{Driver, DriverExt, ListOptions};

use crate::support::{Gateway, key};
use driver_upstash::UpstashDriver;

#[test_support::test]
async fn each_side_reads_the_writes_of_the_other() {
    let gateway = Gateway::start();
    let options = gateway.options().with_prefix("app");
    let driver = UpstashDriver::open(options).await.unwrap();
    let mut unstorage = gateway.unstorage("app");

    let text = r#"[["Map",1,2],"user",{"data":3,"expires":-1},"köln 😎"]"#;
    driver.put("a:text", text).await.unwrap();
    driver.put("a:bytes", vec![0, 0xff, 1]).await.unwrap();
    let parsed: serde_json::Value = serde_json::from_str(text).unwrap();
    assert_eq!(unstorage.call("getItem", json!(["a:text"])).await, parsed);
    let bytes = unstorage.call("getItemRaw", json!(["a:bytes"])).await;
    assert_eq!(bytes, json!([0, 255, 1]));
    assert_eq!(
        unstorage.call("hasItem", json!(["a/text"])).await,
        json!(true)
    );

    let before = driver.read(&key("a:text")).await.unwrap().unwrap();
    unstorage
        .call("setItem", json!(["a:text", "theirs", { "ttl": 100 }]))
        .await;
    let after = driver.read(&key("a:text")).await.unwrap().unwrap();
    assert_eq!(after.value, "theirs");
    assert!(after.expires_at.is_some());
    assert_ne!(after.version, before.version);

    unstorage
        .call("setItem", json!(["b:new", { "n": 1 }]))
        .await;
    assert_eq!(driver.get("b:new").await.unwrap().unwrap(), r#"{"n":1}"#);
    unstorage
        .call("setItemRaw", json!(["b:raw", [254, 0, 255]]))
        .await;
    assert_eq!(
        driver.get("b:raw").await.unwrap().unwrap(),
        vec![254, 0, 255]
    );
    unstorage
        .call("setMeta", json!(["b:new", { "by": "js" }]))
        .await;
    assert_eq!(
        driver.get("b:new$").await.unwrap().unwrap(),
        r#"{"by":"js"}"#
    );

    unstorage.call("removeItem", json!(["a:bytes"])).await;
    assert_eq!(driver.get("a:bytes").await.unwrap(), None);
    driver.delete("a:text").await.unwrap();
    let theirs = unstorage.call("getKeys", json!([])).await;
    let mut theirs: Vec<String> = serde_json::from_value(theirs).unwrap();
    theirs.sort();
    assert_eq!(theirs, ["b:new", "b:raw"]);
    let mut ours = driver.list(ListOptions::default()).await.unwrap().keys;
    ours.sort();
    assert_eq!(ours, ["b:new", "b:new$", "b:raw"].map(key));
}
