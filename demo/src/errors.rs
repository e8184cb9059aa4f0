//! Error pages.

use std::error::Error;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::Response;
use maud::html;
use session_kit::{CommitError, ResponseError};

use crate::layout;

/// Replaces the body of every error response with a page that says what to do, and logs the cause.
pub(crate) async fn pages(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    log(&response);
    // Keep the headers: they may contain the session cookie.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(page(status)))
}

/// Formats an error and its sources in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        // Some messages already contain their source.
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = source.source();
    }
    line
}

fn log(response: &Response) {
    let status = response.status().as_u16();
    let extensions = response.extensions();
    if let Some(ResponseError(error)) = extensions.get() {
        tracing::error!(status, "{}", with_sources(&**error));
    } else if let Some(CommitError(error)) = extensions.get() {
        let error = with_sources(&**error);
        tracing::error!(status, "could not write the session: {error}");
    } else {
        tracing::debug!(status, "rejected");
    }
}

fn page(status: StatusCode) -> String {
    let (title, advice) = match status {
        StatusCode::NOT_FOUND => (
            "Page not found",
            "The address may be mistyped, or the page has moved.",
        ),
        StatusCode::FORBIDDEN => (
            "This form was sent from another site",
            "To protect you, we only accept forms from this site. Open the page here and try again.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => ("Method not allowed", "Open the page and use its form."),
        StatusCode::SERVICE_UNAVAILABLE => (
            "Your session is unavailable right now",
            "Your data is safe. Please try again in a moment.",
        ),
        status if status.is_client_error() => (
            "Invalid form",
            "A field is missing or has an invalid value. Go back and try again.",
        ),
        _ => (
            "Something went wrong",
            "We logged the error. Your last change may not have been saved.",
        ),
    };
    layout::without_session(
        title,
        &html! {
            p.error-code { "Error " (status.as_u16()) }
            h1 { (title) }
            p { (advice) }
            div.actions {
                a.button href="/" { "Back to the home page" }
                // Lets a visitor whose session is corrupt start over.
                @if status == StatusCode::INTERNAL_SERVER_ERROR {
                    form method="post" action="/logout" {
                        button.quiet type="submit" { "Start a new session" }
                    }
                }
            }
        },
    )
    .into_string()
}
