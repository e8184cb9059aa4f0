//! Responses when the driver fails.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use session_core::ErrorKind;
use session_core::decorators::ReadOnly;
use session_server::{Authorization, StorageService};
use session_storage::Storage;

use crate::client::{delete, get, open, put, send, storage};

#[test_support::test]
async fn driver_errors_have_a_status_and_reveal_nothing_more() {
    let faulty = Faulty::new(MemoryDriver::new());
    let faults = faulty.faults();
    let service = open(&Storage::new(Arc::new(faulty)));
    for (kind, status) in [
        (ErrorKind::InvalidKey, 400),
        (ErrorKind::TooLarge, 413),
        (ErrorKind::Unsupported, 501),
        (ErrorKind::RateLimited, 503),
        (ErrorKind::Unavailable, 503),
        (ErrorKind::Closed, 503),
        (ErrorKind::TimedOut, 504),
        (ErrorKind::Unauthorized, 502),
        (ErrorKind::CorruptData, 500),
        (ErrorKind::Backend, 500),
    ] {
        faults.outage(Fault::before(kind));
        for answer in [
            get(&service, "/k").await,
            get(&service, "/").await,
            put(&service, "/k", "v").await,
            delete(&service, "/k").await,
            delete(&service, "/").await,
        ] {
            assert_eq!(answer.status, status, "{kind:?}");
            assert_eq!(answer.json()["status"], status);
            assert!(!answer.text().contains("planned"), "{}", answer.text());
        }
        faults.clear();
    }
}

#[test_support::test]
async fn a_write_to_a_read_only_driver_is_not_implemented() {
    let entries = Storage::new(Arc::new(MemoryDriver::new()));
    entries.set("k", "v").await.unwrap();
    let service = open(&Storage::new(Arc::new(ReadOnly::new(entries.as_driver()))));
    assert_eq!(get(&service, "/k").await.text(), "v");
    assert_eq!(put(&service, "/k", "w").await.status, 501);
    assert_eq!(delete(&service, "/k").await.status, 501);
    assert_eq!(delete(&service, "/").await.status, 501);
    assert_eq!(get(&service, "/k").await.text(), "v");
}

/// A client gets a complete listing or an error.
#[test_support::test]
async fn a_listing_that_fails_after_its_start_closes_the_connection() {
    let faulty = Faulty::new(MemoryDriver::new());
    let faults = faulty.faults();
    let storage = Storage::new(Arc::new(faulty));
    for number in 0..5_000 {
        storage
            .set(&format!("a-longer-name:{number}"), &number)
            .await
            .unwrap();
    }
    faults.next(Operation::List, Fault::slow(Duration::ZERO));
    faults.next(Operation::List, Fault::slow(Duration::ZERO));
    faults.next(Operation::List, Fault::before(ErrorKind::Unavailable));
    let request = http::Request::get("/")
        .body(axum::body::Body::empty())
        .unwrap();
    let response = tower::ServiceExt::oneshot(open(&storage), request)
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    let body = axum::body::Body::new(response.into_body());
    assert!(axum::body::to_bytes(body, usize::MAX).await.is_err());
}

#[test_support::test]
async fn a_storage_that_does_not_answer_is_a_gateway_timeout() {
    let faulty = Faulty::new(MemoryDriver::new());
    faulty
        .faults()
        .outage(Fault::slow(Duration::from_secs(3_600)));
    let service = open(&Storage::new(Arc::new(faulty)))
        .with_operation_timeout(Duration::from_millis(20))
        .with_clear_timeout(Duration::from_millis(20));
    for answer in [
        get(&service, "/k").await,
        send(&service, "HEAD", "/k", &[], "").await,
        get(&service, "/").await,
        put(&service, "/k", "v").await,
        delete(&service, "/k").await,
        delete(&service, "/").await,
    ] {
        assert_eq!(answer.status, 504, "{}", answer.text());
    }
}

#[test_support::test]
async fn a_hook_that_does_not_answer_is_a_gateway_timeout() {
    let hook = Authorization::hook(|_| std::future::pending());
    let service =
        StorageService::new(storage(), hook).with_operation_timeout(Duration::from_millis(20));
    assert_eq!(get(&service, "/k").await.status, 504);
}
