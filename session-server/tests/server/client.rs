//! A client for a service in this process.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use driver_memory::MemoryDriver;
use serde_json::Value;
use session_server::{Authorization, StorageService};
use session_storage::Storage;
use tower::ServiceExt;

pub(crate) fn storage() -> Storage {
    Storage::new(Arc::new(MemoryDriver::new()))
}

pub(crate) fn open(storage: &Storage) -> StorageService {
    StorageService::new(storage.clone(), Authorization::open())
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        Some(self.headers.get(name)?.to_str().unwrap())
    }

    /// The names in a listing, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = serde_json::from_slice(&self.body).unwrap();
        names.sort();
        names
    }
}

/// Sends a request with these headers.
pub(crate) async fn send(
    service: &StorageService,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Answer {
    let mut request = http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(body.into()).unwrap();
    let response = service.clone().oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.unwrap();
    Answer {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.to_vec(),
    }
}

pub(crate) async fn get(service: &StorageService, path: &str) -> Answer {
    send(service, "GET", path, &[], "").await
}

pub(crate) async fn put(service: &StorageService, path: &str, text: &'static str) -> Answer {
    send(service, "PUT", path, &[], text).await
}

pub(crate) async fn delete(service: &StorageService, path: &str) -> Answer {
    send(service, "DELETE", path, &[], "").await
}
