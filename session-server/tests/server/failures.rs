//! What the client is told when the driver fails.

use std::sync::Arc;
use std::time::Duration;

use conformance_tests::{Fault, Faulty, Operation};
use driver_memory::MemoryDriver;
use session_core::ErrorKind;
use session_core::decorators::ReadOnly;
use session_core::storage::Storage;

use crate::client::{delete, get, open, put};

#[test_support::test]
async fn errors_of_the_driver_have_a_status_and_tell_nothing_more() {
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
async fn a_driver_that_only_reads_is_told_of() {
    let entries = Storage::new(Arc::new(MemoryDriver::new()));
    entries.set("k", "v").await.unwrap();
    let service = open(&Storage::new(Arc::new(ReadOnly::new(entries.as_driver()))));
    assert_eq!(get(&service, "/k").await.text(), "v");
    assert_eq!(put(&service, "/k", "w").await.status, 501);
    assert_eq!(delete(&service, "/k").await.status, 501);
    assert_eq!(delete(&service, "/").await.status, 501);
    assert_eq!(get(&service, "/k").await.text(), "v");
}

/// A client who reads a listing to its end has all of it, or an error.
#[test_support::test]
async fn a_listing_that_fails_midway_breaks_off() {
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
