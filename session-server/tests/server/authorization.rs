//! Authorization by token and by hook.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::StatusCode;
use session_core::{ErrorKind, Key, Prefix};
use session_server::{AccessKind, AccessTarget, Authorization, Denied, StorageService};

use crate::client::{Answer, delete, get, put, send, storage};

async fn with_header(service: &StorageService, method: &str, value: &str) -> Answer {
    send(service, method, "/k", &[("authorization", value)], "v").await
}

#[test_support::test]
async fn only_requests_with_the_token_are_allowed() {
    let storage = storage();
    storage.set("k", "v").await.unwrap();
    let token = Authorization::token("s3cret").unwrap();
    let service = StorageService::new(storage.clone(), token);
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        for wrong in [
            "Bearer wrong!",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Bearer",
            "Bearer ",
            "Basic s3cret",
            "s3cret",
            "",
        ] {
            let answer = with_header(&service, method, wrong).await;
            assert_eq!(answer.status, 401, "{method} {wrong:?}");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            assert!(!String::from_utf8_lossy(&answer.body).contains("s3cret"));
        }
        assert_eq!(send(&service, method, "/", &[], "").await.status, 401);
    }
    let twice = [
        ("authorization", "Bearer s3cret"),
        ("authorization", "Bearer s3cret"),
    ];
    assert_eq!(send(&service, "GET", "/k", &twice, "").await.status, 401);
    assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), "v");
    for right in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
        assert_eq!(
            with_header(&service, "GET", right).await.status,
            200,
            "{right}"
        );
    }
    assert!(!format!("{service:?}").contains("s3cret"));
}

#[test]
fn a_token_that_cannot_be_sent_is_an_error() {
    for token in ["", " ", "two words", "naïve", "line\n"] {
        let error = Authorization::token(token).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{token:?}");
    }
}

#[test_support::test]
async fn a_hook_decides_by_kind_and_key_and_chooses_the_message() {
    let storage = storage();
    let authorization = Authorization::hook(|access| async move {
        let kind = match access.kind {
            AccessKind::Read => "Read",
            _ => "Write",
        };
        let (is_private, is_root) = match &access.target {
            AccessTarget::Item(key) => (key.as_str().starts_with("private:"), false),
            AccessTarget::Below(base) => (base.as_str() == "private", base.is_root()),
            _ => (true, true),
        };
        match is_private {
            true => Err(Denied::unauthorized(format!("Unauthorized {kind}"))),
            false if is_root => Err(Denied::forbidden("not everything")),
            false if access.request.headers.contains_key("x-busy") => {
                Err(Denied::forbidden("").with_status(StatusCode::TOO_MANY_REQUESTS))
            }
            false if access.request.headers.contains_key("x-odd") => {
                Err(Denied::forbidden("").with_status(StatusCode::OK))
            }
            false => Ok(()),
        }
    });
    let service = StorageService::new(storage.clone(), authorization);
    for path in [
        "/private/x",
        "/private/",
        "//private::x",
        "/private%2Fx",
        "/private\\x",
    ] {
        let Ok(uri) = path.parse::<http::Uri>() else {
            continue;
        };
        let answer = get(&service, uri.path()).await;
        assert_eq!(answer.status, 401, "{path}");
        assert_eq!(answer.json()["statusText"], "Unauthorized Read");
        assert_eq!(delete(&service, path).await.status, 401);
        if path != "/private/" {
            let answer = put(&service, path, "v").await;
            assert_eq!(answer.json()["message"], "Unauthorized Write");
        }
    }
    assert_eq!(delete(&service, "/").await.status, 403);
    assert_eq!(put(&service, "/public", "v").await.status, 200);
    assert_eq!(put(&service, "/privateer", "v").await.status, 200);
    let busy = send(&service, "GET", "/public", &[("x-busy", "1")], "").await;
    assert_eq!(busy.status, 429);
    let odd = send(&service, "GET", "/public", &[("x-odd", "1")], "").await;
    assert_eq!(odd.status, 401);
}

#[test_support::test]
async fn the_body_of_a_denied_request_is_not_read() {
    let read = Arc::new(AtomicBool::new(false));
    let noticed = read.clone();
    let body = futures_util::stream::once(async move {
        noticed.store(true, Ordering::SeqCst);
        Ok::<_, std::io::Error>("body")
    });
    let token = Authorization::token("token").unwrap();
    let service = StorageService::new(storage(), token);
    let body = axum::body::Body::from_stream(body);
    assert_eq!(send(&service, "PUT", "/k", &[], body).await.status, 401);
    assert!(!read.load(Ordering::SeqCst));
}

/// A hook that was told `public:` and then saw the item `public` changed would have decided on something else.
#[test_support::test]
async fn a_hook_is_told_what_the_request_acts_on() {
    let storage = storage();
    let told = Arc::new(Mutex::new(Vec::new()));
    let asked = Arc::clone(&told);
    let authorization = Authorization::hook(move |access| {
        asked.lock().unwrap().push(access.target);
        std::future::ready(Ok(()))
    });
    let service = StorageService::new(storage.clone(), authorization);
    let item = |name: &str| AccessTarget::Item(Key::new(name).unwrap());
    let below = |name: &str| AccessTarget::Below(Prefix::new(name).unwrap());
    for (method, path, target) in [
        ("PUT", "/public/", item("public")),
        ("HEAD", "/public/", item("public")),
        ("PUT", "/public:", item("public")),
        ("GET", "/public", item("public")),
        ("GET", "/public/", below("public")),
        ("GET", "/", below("")),
        ("DELETE", "/public$", item("public$")),
        ("DELETE", "/public/", below("public")),
    ] {
        let answer = send(&service, method, path, &[], "v").await;
        assert_eq!(answer.status, 200, "{method} {path}");
        let told = std::mem::take(&mut *told.lock().unwrap());
        assert_eq!(told, [target], "{method} {path}");
    }
    assert_eq!(storage.get::<String>("public").await.unwrap().unwrap(), "v");
}

/// A page of another site in a browser on this machine, by a name of its own or by that of the service.
#[test_support::test]
async fn an_open_service_cannot_be_used_by_a_page_of_another_site() {
    let storage = storage();
    storage.set("k", "secret").await.unwrap();
    let service = StorageService::new(storage.clone(), Authorization::open());
    for method in ["GET", "HEAD", "PUT", "DELETE"] {
        for foreign in [
            &[("host", "evil.example")][..],
            &[("host", "evil.example:3000")],
            &[("host", "localhost.evil.example")],
            &[("host", "10.0.0.1")],
            &[("host", "localhost"), ("host", "evil.example")],
            &[
                ("host", "localhost:3000"),
                ("origin", "https://evil.example"),
            ],
            &[
                ("host", "localhost:3000"),
                ("origin", "http://localhost:4000"),
            ],
            &[("host", "localhost:3000"), ("origin", "null")],
            &[("origin", "https://evil.example")],
        ] {
            let answer = send(&service, method, "/k", foreign, "v").await;
            assert_eq!(answer.status, 403, "{method} {foreign:?}");
            assert_eq!(send(&service, "GET", "/", foreign, "").await.status, 403);
        }
        assert_eq!(storage.get::<String>("k").await.unwrap().unwrap(), "secret");
    }
    for own in [
        &[][..],
        &[("host", "localhost:3000")],
        &[("host", "LOCALHOST")],
        &[("host", "127.0.0.1:3000")],
        &[("host", "[::1]:3000")],
        &[
            ("host", "localhost:3000"),
            ("origin", "http://localhost:3000"),
        ],
    ] {
        let answer = send(&service, "GET", "/k", own, "").await;
        assert_eq!(answer.status, 200, "{own:?}");
    }
    let everyone = StorageService::new(storage, Authorization::open_to_everyone());
    let foreign = [("host", "kv.example"), ("origin", "https://site.example")];
    let answer = send(&everyone, "GET", "/k", &foreign, "").await;
    assert_eq!(answer.status, 200);
}
