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

/// Gives every error a page that says what to do, and the log what went wrong.
pub(crate) async fn pages(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    log(&response);
    // The headers stay: among them may be the session's cookie.
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/html; charset=utf-8"),
    );
    Response::from_parts(parts, Body::from(page(status)))
}

/// An error and what caused it, in one line.
pub(crate) fn with_sources(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        let text = source.to_string();
        // Some messages quote their source already.
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
        tracing::error!(status, "the session was not written: {error}");
    } else {
        tracing::debug!(status, "refused");
    }
}

fn page(status: StatusCode) -> String {
    let (title, advice) = match status {
        StatusCode::NOT_FOUND => (
            "There is no such page",
            "The address may be mistyped, or the page has moved.",
        ),
        StatusCode::FORBIDDEN => (
            "This form came from another site",
            "To protect you, only forms of this site itself are accepted. Open the page here and try again.",
        ),
        StatusCode::METHOD_NOT_ALLOWED => (
            "This address does not work that way",
            "Open the page itself and use the form on it.",
        ),
        StatusCode::SERVICE_UNAVAILABLE => (
            "We cannot reach your session right now",
            "Nothing of yours is lost. Please try again in a moment.",
        ),
        status if status.is_client_error() => (
            "We did not understand that form",
            "Something in it is missing or not as it should be. Go back and try again.",
        ),
        _ => (
            "Something went wrong on our side",
            "It was written down for us to look at. Your last change may not have been saved.",
        ),
    };
    layout::without_session(
        title,
        &html! {
            p.error-code { "Error " (status.as_u16()) }
            h1 { (title) }
            p { (advice) }
            div.actions {
                a.button href="/" { "Back to the start" }
                // The way out for a visitor whose session itself is what is broken.
                @if status == StatusCode::INTERNAL_SERVER_ERROR {
                    form method="post" action="/logout" {
                        button.quiet type="submit" { "Begin a new session" }
                    }
                }
            }
        },
    )
    .into_string()
}
