use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Refuses a form that another site sent (cross-site request forgery).
///
/// `SameSite=Lax` already keeps the session's cookie out of such requests; this also holds where a browser does
/// not know it, and between sites that share a domain.
pub(crate) async fn check(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_ours(request.headers()) {
        next.run(request).await
    } else {
        tracing::info!("refused a form from another site");
        StatusCode::FORBIDDEN.into_response()
    }
}

fn is_ours(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site") {
        return site == "same-origin" || site == "none";
    }
    match headers.get(ORIGIN) {
        // Every browser names the origin of a form from elsewhere, so this is none.
        None => true,
        Some(origin) => origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"))
            .zip(headers.get(HOST))
            .is_some_and(|((_, origin), host)| host == origin),
    }
}
