//! Whatever a visitor sends and whatever somebody stored: no panic, and nothing stored is lost.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use driver_memory::MemoryDriver;
use http::header::COOKIE;
use http::{HeaderValue, Request};
use proptest::prelude::*;
use session_core::session::{Session, SessionId, SessionManager};
use session_core::{DriverExt, Error, ErrorKind};
use session_tower::SessionLayer;
use tower::ServiceExt;

const CASES: u32 = 5_000;
const ID: &str = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";
const RECORD: &str = r#"[["Map",1,2,4,5],"user",{"data":3,"expires":-1},"alice","n",{"data":6,"expires":7},3,9999999999999]"#;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

async fn handler(session: Session) -> Result<(), Error> {
    session.get::<String>("user").await?;
    session
        .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
        .await?;
    Ok(())
}

fn cookie_header() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop_oneof![
        Just(b"astro-session=".to_vec()),
        Just(ID.as_bytes().to_vec()),
        Just(b"; ".to_vec()),
        Just(b"=".to_vec()),
        Just(b"%".to_vec()),
        Just(b"%36".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"../".to_vec()),
        proptest::collection::vec(0x20_u8..=0xff, 0..40),
    ];
    proptest::collection::vec(pieces, 0..12).prop_map(|pieces| pieces.concat())
}

#[test_support::test]
fn hostile_cookies_are_visitors_without_a_session() {
    let runtime = runtime();
    let app = Router::new()
        .route("/", get(handler))
        .layer(SessionLayer::new(Arc::new(MemoryDriver::new())));
    proptest!(ProptestConfig::with_cases(CASES), |(cookies in proptest::collection::vec(cookie_header(), 0..3))| {
        let mut request = Request::get("/");
        for cookie in &cookies {
            if let Ok(cookie) = HeaderValue::from_bytes(cookie) {
                request = request.header(COOKIE, cookie);
            }
        }
        let request = request.body(Body::empty()).unwrap();
        let response = runtime.block_on(app.clone().oneshot(request)).unwrap();
        prop_assert_eq!(response.status().as_u16(), 200);
    });
}

fn stored_record() -> impl Strategy<Value = Vec<u8>> {
    let mutated = (0..RECORD.len(), any::<u8>(), 0..4_u8).prop_map(|(at, byte, how)| {
        let mut record = RECORD.as_bytes().to_vec();
        match how {
            0 => record[at] = byte,
            1 => record.truncate(at),
            2 => record.insert(at, byte),
            _ => drop(record.remove(at)),
        }
        record
    });
    let nested = (1..20_000_usize).prop_map(|depth| vec![b'['; depth]);
    let references = proptest::collection::vec(-8..12_i64, 0..30)
        .prop_map(|indices| format!("[[\"Map\",1,2],{indices:?},{indices:?}]").into_bytes());
    prop_oneof![
        6 => mutated,
        1 => nested,
        2 => references,
        1 => proptest::collection::vec(any::<u8>(), 0..200),
    ]
}

#[test_support::test]
fn hostile_records_are_errors_that_lose_nothing() {
    let runtime = runtime();
    let driver = Arc::new(MemoryDriver::new());
    let store = SessionManager::new(driver.clone());
    proptest!(ProptestConfig::with_cases(CASES), |(record in stored_record())| {
        runtime.block_on(async {
            driver.put(ID, record.clone()).await.unwrap();
            let id: SessionId = ID.parse().unwrap();
            let opened = match store.open(id).await {
                Ok(opened) => opened,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::CorruptData);
                    None
                }
            };
            let Some(session) = opened else {
                assert_eq!(driver.get(ID).await.unwrap().unwrap(), record);
                return;
            };
            let _ = session.get::<String>("user").await;
            let _ = session.entries().await;
            let updated = session.update("n", |n: Option<u32>| n.unwrap_or(0).wrapping_add(1)).await;
            if updated.is_err() || session.save().await.is_err() {
                assert_eq!(driver.get(ID).await.unwrap().unwrap(), record);
            }
        });
    });
}
