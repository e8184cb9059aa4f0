//! Conversions between the headers of actix-web, which uses `http` 0.2, and those of `http` 1.
//!
//! The middleware does this by itself. These functions are for handlers that use a
//! [`SessionStorage`](session_core::session::SessionStorage):
//!
//! ```
//! use actix_web::{HttpRequest, HttpResponse, web};
//! use session_actix::{Error, headers};
//! use session_core::session::SessionStorage;
//! use session_core::session_data;
//!
//! session_data! {
//!     struct Visitor {
//!         count: u32 = 0,
//!     }
//! }
//!
//! async fn index(
//!     sessions: web::Data<SessionStorage<Visitor>>,
//!     request: HttpRequest,
//! ) -> Result<HttpResponse, Error> {
//!     let session = sessions.get_session(&headers::cookies_of(request.headers()));
//!     let count = session.update(Visitor::count, |count| count + 1).await?;
//!     let mut response = HttpResponse::Ok().body(format!("visit {count}"));
//!     let session_headers = sessions.commit_session(&session).await?;
//!     headers::apply(&session_headers, response.headers_mut());
//!     Ok(response)
//! }
//! ```

use actix_web::http::header::{COOKIE, HeaderMap, HeaderName, HeaderValue};
use session_core::session::ResponseHeaders;

/// Returns the `cookie` headers of a request.
pub fn cookies_of(headers: &HeaderMap) -> http::HeaderMap {
    let mut cookies = http::HeaderMap::new();
    for value in headers.get_all(COOKIE) {
        if let Ok(value) = http::HeaderValue::from_bytes(value.as_bytes()) {
            cookies.append(http::header::COOKIE, value);
        }
    }
    cookies
}

/// Returns the method of a request.
pub(crate) fn method_of(method: &actix_web::http::Method) -> http::Method {
    http::Method::from_bytes(method.as_str().as_bytes()).unwrap_or_default()
}

/// Adds the headers of a session to its response.
pub fn apply(session_headers: &ResponseHeaders, headers: &mut HeaderMap) {
    if !session_headers.sets_cookie() && !session_headers.varies() {
        return;
    }
    let mut changed = http::HeaderMap::with_capacity(headers.len() + 3);
    for (name, value) in headers.iter() {
        let name = http::HeaderName::from_bytes(name.as_str().as_bytes());
        let content = http::HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut content)) = (name, content) {
            content.set_sensitive(value.is_sensitive());
            changed.append(name, content);
        }
    }
    session_headers.apply(&mut changed);
    headers.clear();
    for (name, value) in &changed {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let content = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(mut content)) = (name, content) {
            content.set_sensitive(value.is_sensitive());
            headers.append(name, content);
        }
    }
}
