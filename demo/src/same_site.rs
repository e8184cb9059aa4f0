//! Protection against cross-site request forgery.

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Rejects forms that another site sent.
///
/// With `SameSite=Lax`, browsers already omit the session cookie from such requests. This check also covers browsers
/// without `SameSite`, and other sites on the same domain.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_same_origin(request.headers()) {
        next.run(request).await
    } else {
        tracing::info!("rejected a form from another site");
        StatusCode::FORBIDDEN.into_response()
    }
}

fn is_same_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN) {
        // Every browser sends `Origin` with a cross-origin form, so this form is not one.
        None => true,
        Some(origin) => origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .zip(headers.get(HOST))
            .is_some_and(|((_, origin), host)| host == origin),
    }
}
