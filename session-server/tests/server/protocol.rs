//! Each request of the protocol and its response.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use driver_memory::MemoryDriver;
use driver_sqlite::{SqliteDriver, SqliteOptions};
use serde_json::json;
use session_core::{
    Driver, Expiry, Key, Result, WriteOptions, WriteOutcome, async_trait, delegate_driver,
};
use session_storage::Storage;

use crate::client::{delete, get, open, put, send, storage};

const BYTES: &str = "application/octet-stream";

#[test_support::test]
async fn a_text_is_put_read_and_deleted() {
    let storage = storage();
    let service = open(&storage);
    let answer = put(&service, "/foo/bar", "hällo").await;
    assert_eq!((answer.status, answer.text()), (200, "OK"));
    assert_eq!(
        storage.get::<String>("foo:bar").await.unwrap().unwrap(),
        "hällo"
    );
    let answer = get(&service, "/foo:bar?ignored=1").await;
    assert_eq!((answer.status, answer.text()), (200, "hällo"));
    assert_eq!(
        answer.header("content-type"),
        Some("text/plain;charset=UTF-8")
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
    for _ in 0..2 {
        let answer = delete(&service, "/foo/bar").await;
        assert_eq!((answer.status, answer.text()), (200, "OK"));
    }
    assert_eq!(get(&service, "/foo/bar").await.status, 404);
}

#[test_support::test]
async fn a_missing_item_is_an_error_in_the_format_of_both_versions() {
    let answer = get(&open(&storage()), "/non").await;
    assert_eq!(answer.status, 404);
    assert_eq!(
        answer.json(),
        json!({
            "status": 404,
            "statusText": "KV value not found",
            "message": "KV value not found",
            "statusCode": 404,
            "statusMessage": "KV value not found",
        })
    );
    assert_eq!(
        answer.header("content-type"),
        Some("application/json;charset=UTF-8")
    );
}

#[test_support::test]
async fn bytes_are_put_and_read_as_they_are() {
    let storage = storage();
    let service = open(&storage);
    let bytes: Vec<u8> = (0..=255).collect();
    let answer = send(
        &service,
        "PUT",
        "/raw",
        &[("content-type", BYTES)],
        bytes.clone(),
    )
    .await;
    assert_eq!(answer.status, 200);
    let answer = send(&service, "GET", "/raw", &[("accept", BYTES)], "").await;
    assert_eq!(answer.body, bytes);
    assert_eq!(answer.header("content-type"), Some(BYTES));
    // Not requested, but the value is not text.
    let answer = get(&service, "/raw").await;
    assert_eq!(answer.body, bytes);
    assert_eq!(answer.header("content-type"), Some(BYTES));
    let answer = send(&service, "PUT", "/text", &[], bytes).await;
    assert_eq!(answer.status, 400);
    assert!(!storage.has("text").await.unwrap());
}

/// Notes of each write whether its value was meant as bytes.
struct Noting {
    inner: MemoryDriver,
    raw: Arc<Mutex<Vec<bool>>>,
}

#[async_trait]
impl Driver for Noting {
    delegate_driver!(this => this.inner, except write);

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.raw.lock().unwrap().push(options.raw);
        self.inner.write(key, value, options).await
    }
}

#[test_support::test]
async fn a_driver_is_told_which_values_are_bytes_even_if_they_are_text() {
    let raw = Arc::new(Mutex::new(Vec::new()));
    let driver = Noting {
        inner: MemoryDriver::new(),
        raw: Arc::clone(&raw),
    };
    let storage = Storage::new(Arc::new(driver));
    let service = open(&storage);
    put(&service, "/k", "text").await;
    send(&service, "PUT", "/k", &[("content-type", BYTES)], "text").await;
    storage.set("k", "text").await.unwrap();
    storage.set_raw("k", "text").await.unwrap();
    assert_eq!(*raw.lock().unwrap(), [false, true, false, true]);
}

/// unstorage parses the value and serializes it again.
#[test_support::test]
async fn bug_a_text_is_returned_as_it_is_stored() {
    let service = open(&storage());
    for text in [
        "{ \"a\" : 1 }",
        "1e3",
        "\"q\"",
        "null",
        "undefined",
        "",
        "  ",
        "base64:AQL/",
    ] {
        assert_eq!(put(&service, "/k", text).await.status, 200);
        let answer = get(&service, "/k").await;
        assert_eq!((answer.status, answer.text()), (200, text));
        assert_eq!(send(&service, "HEAD", "/k", &[], "").await.status, 200);
    }
}

#[test_support::test]
async fn the_full_keys_below_a_base_are_listed() {
    let storage = storage();
    let service = open(&storage);
    assert_eq!(get(&service, "/").await.text(), "[]");
    for key in ["a:b", "a:c:d", "a:\"q\"\\", "ab", "a", "a:b$"] {
        storage.set_raw(key, "x").await.unwrap();
    }
    for path in ["/", "/:", ""] {
        let uri = format!("http://localhost{path}");
        let answer = send(&service, "GET", &uri, &[], "").await;
        assert_eq!(
            answer.names(),
            ["a", "a/\"q\"", "a/b", "a/c/d", "ab"],
            "{path}"
        );
        assert_eq!(
            answer.header("content-type"),
            Some("application/json;charset=UTF-8")
        );
    }
    for path in ["/a/", "/a:", "/a/:"] {
        assert_eq!(
            get(&service, path).await.names(),
            ["a/\"q\"", "a/b", "a/c/d"],
            "{path}"
        );
    }
    assert_eq!(get(&service, "/none/").await.text(), "[]");
}

/// unstorage clears nothing here, but reports success.
#[test_support::test]
async fn bug_a_base_is_cleared() {
    let storage = storage();
    let service = open(&storage);
    for key in ["a:b", "a:c:d", "ab", "a"] {
        storage.set_raw(key, "x").await.unwrap();
    }
    assert_eq!(delete(&service, "/a/").await.text(), "OK");
    assert_eq!(get(&service, "/").await.names(), ["a", "ab"]);
    assert_eq!(delete(&service, "/:").await.text(), "OK");
    assert_eq!(get(&service, "/").await.text(), "[]");
}

#[test_support::test]
async fn head_returns_the_metadata_of_an_item() {
    let driver = SqliteDriver::open(SqliteOptions::new(":memory:"))
        .await
        .unwrap();
    let storage = Storage::new(Arc::new(driver));
    let service = open(&storage);
    assert_eq!(send(&service, "HEAD", "/k", &[], "").await.status, 404);
    assert_eq!(send(&service, "HEAD", "/", &[], "").await.status, 404);
    let answer = send(&service, "PUT", "/k", &[("x-ttl", "1000")], "12345").await;
    assert_eq!(answer.status, 200);
    for method in ["HEAD", "GET"] {
        let answer = send(&service, method, "/k", &[], "").await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("x-ttl"), Some("1000"), "{method}");
        let modified = httpdate::parse_http_date(answer.header("last-modified").unwrap()).unwrap();
        assert!(modified.elapsed().unwrap().as_secs() < 60);
    }
    let answer = send(&service, "HEAD", "/k", &[], "").await;
    assert_eq!(answer.header("content-length"), Some("5"));
    assert!(answer.body.is_empty());
    storage
        .set_metadata(
            "k",
            &json!({ "mtime": "2024-01-02T03:04:05.678Z", "ttl": 7 }),
        )
        .await
        .unwrap();
    let answer = send(&service, "HEAD", "/k", &[], "").await;
    assert_eq!(
        answer.header("last-modified"),
        Some("Tue, 02 Jan 2024 03:04:05 GMT")
    );
    assert_eq!(answer.header("x-ttl"), Some("7"));
    // An item with metadata only does not exist.
    storage
        .set_metadata("none", &json!({ "x": 1 }))
        .await
        .unwrap();
    assert_eq!(send(&service, "HEAD", "/none", &[], "").await.status, 404);
    storage.close().await.unwrap();
}

#[test_support::test]
async fn metadata_is_an_item_and_is_removed_with_its_item() {
    let storage = storage();
    let service = open(&storage);
    put(&service, "/k", "value").await;
    put(&service, "/k$", "{\"mtime\":\"2024-01-02T03:04:05.678Z\"}").await;
    assert_eq!(get(&service, "/k$").await.status, 200);
    assert_eq!(get(&service, "/").await.text(), "[\"k\"]");
    let answer = get(&service, "/k").await;
    assert_eq!(
        answer.header("last-modified"),
        Some("Tue, 02 Jan 2024 03:04:05 GMT")
    );
    delete(&service, "/k").await;
    assert_eq!(get(&service, "/k$").await.status, 404);
}

#[test_support::test]
async fn a_ttl_is_stored_and_an_invalid_one_rejected() {
    let storage = storage();
    let service = open(&storage);
    let ttl = async |ttl: &str| {
        let answer = send(&service, "PUT", "/k", &[("x-ttl", ttl)], "v").await;
        (answer.status, storage.metadata("k").await.unwrap())
    };
    for wrong in ["abc", "-5", "NaN", "Infinity"] {
        assert_eq!(ttl(wrong).await, (400, None), "{wrong}");
    }
    let (status, metadata) = ttl("60.5").await;
    assert_eq!(status, 200);
    let end = metadata.unwrap().native.unwrap().expires_at.unwrap();
    let Expiry::At(expected) = Expiry::after(std::time::Duration::from_millis(60_500)) else {
        panic!("an end");
    };
    assert!(expected.saturating_since(end).as_secs() < 20);
    let (_, metadata) = ttl("0").await;
    assert_eq!(metadata.unwrap().native.unwrap().expires_at, None);
    // A TTL of 30 days, which expires at once in unstorage's own memory driver.
    let (_, metadata) = ttl("2592000").await;
    assert!(metadata.unwrap().native.unwrap().expires_at.is_some());
}

#[test_support::test]
async fn other_methods_are_rejected_with_the_valid_ones() {
    let storage = storage();
    storage.set("k", "v").await.unwrap();
    let service = open(&storage);
    for method in ["POST", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        let answer = send(&service, method, "/k", &[], "x").await;
        assert_eq!(answer.status, 405, "{method}");
        assert_eq!(
            answer.header("allow"),
            Some("GET, HEAD, PUT, PATCH, DELETE")
        );
        assert_eq!(
            answer.json()["message"],
            format!("Method Not Allowed: {method}")
        );
    }
    assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_put_to_a_base_writes_the_item_with_that_key() {
    let storage = storage();
    let service = open(&storage);
    assert_eq!(put(&service, "/a/b/", "x").await.status, 200);
    assert_eq!(get(&service, "/a/b").await.text(), "x");
    assert_eq!(put(&service, "/", "x").await.status, 400);
    assert_eq!(put(&service, "/:", "x").await.status, 400);
}

#[test_support::test]
async fn only_the_served_part_of_a_storage_is_accessible() {
    let storage = storage();
    storage.set("secret", "s").await.unwrap();
    let service = open(&storage.prefix("public").unwrap());
    let app = axum::Router::<()>::new().nest_service("/kv", service);
    let request = |method: &str, path: &str| {
        let request = http::Request::builder().method(method).uri(path);
        request.body(axum::body::Body::from("v")).unwrap()
    };
    use tower::ServiceExt;
    for (method, path) in [
        ("PUT", "/kv/a"),
        ("PUT", "/kv/../secret"),
        ("DELETE", "/kv/:"),
        ("PUT", "/kv/b/c"),
    ] {
        let answer = app.clone().oneshot(request(method, path)).await.unwrap();
        assert_eq!(answer.status(), 200, "{method} {path}");
    }
    for path in ["/kv", "/kv/", "/kv/:"] {
        let answer = app.clone().oneshot(request("GET", path)).await.unwrap();
        let body = axum::body::to_bytes(answer.into_body(), 1_000)
            .await
            .unwrap();
        assert_eq!(body, "[\"b/c\"]", "{path}");
    }
    assert_eq!(storage.get::<String>("secret").await.unwrap().unwrap(), "s");
}

/// An extension that unstorage's clients ignore.
#[test_support::test]
async fn a_patch_changes_when_an_item_expires_and_nothing_else() {
    let storage = storage();
    let service = open(&storage);
    let put = send(&service, "PUT", "/k", &[("x-ttl", "1000")], "v").await;
    let tag = put.header("etag").unwrap().to_owned();
    let left = async |expected: std::ops::RangeInclusive<u64>| {
        for method in ["GET", "HEAD"] {
            let answer = send(&service, method, "/k", &[], "").await;
            let millis: u64 = answer.header("x-ttl-ms").unwrap().parse().unwrap();
            assert!(expected.contains(&millis), "{method} {millis}");
            assert_eq!(answer.header("etag"), Some(tag.as_str()));
        }
    };
    left(900_000..=1_000_000).await;
    let touch = send(&service, "PATCH", "/k", &[("x-ttl", "2000.5")], "").await;
    assert_eq!((touch.status, touch.text()), (200, "OK"));
    left(1_900_000..=2_000_500).await;
    let with_tag = [("x-ttl", "3000"), ("if-match", tag.as_str())];
    assert_eq!(
        send(&service, "PATCH", "/k", &with_tag, "").await.status,
        200
    );
    left(2_900_000..=3_000_000).await;
    let other = [("x-ttl", "9"), ("if-match", "\"b3RoZXI\"")];
    assert_eq!(send(&service, "PATCH", "/k", &other, "").await.status, 412);
    let invalid = [("x-ttl", "soon")];
    assert_eq!(
        send(&service, "PATCH", "/k", &invalid, "").await.status,
        400
    );
    assert_eq!(send(&service, "PATCH", "/k", &[], "").await.status, 400);
    let minute = [("x-ttl", "60")];
    assert_eq!(
        send(&service, "PATCH", "/none", &minute, "").await.status,
        404
    );
    assert!(!storage.has("none").await.unwrap());
    left(2_900_000..=3_000_000).await;
    let never = send(&service, "PATCH", "/k", &[("x-ttl", "never")], "").await;
    assert_eq!(never.status, 200);
    let answer = get(&service, "/k").await;
    assert_eq!(answer.header("x-ttl-ms"), Some("never"));
    assert_eq!((answer.header("x-ttl"), answer.text()), (None, "v"));
}

/// The value itself would be the tag of some drivers, and `HEAD` would give a secret away.
#[test_support::test]
async fn an_etag_does_not_contain_the_value() {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let folder = tempfile::tempdir().unwrap();
    let options = driver_fs::FsOptions::new(folder.path());
    let driver = driver_fs::FsDriver::open(options).await.unwrap();
    let storage = session_storage::Storage::new(std::sync::Arc::new(driver));
    let service = open(&storage);
    for value in [
        "1234",
        "",
        "a secret of less than 32 bytes",
        "another that has more than 32 bytes in it",
    ] {
        let written = put(&service, "/pin", value).await;
        let read = send(&service, "HEAD", "/pin", &[], "").await;
        for answer in [written, read, get(&service, "/pin").await] {
            let tag = answer.header("etag").unwrap().trim_matches('"');
            let bytes = URL_SAFE_NO_PAD.decode(tag).unwrap();
            assert_eq!(bytes.len(), 32, "{value}");
            assert_ne!(bytes, value.as_bytes());
        }
    }
    storage.close().await.unwrap();
}
