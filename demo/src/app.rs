use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use session_kit::SessionLayer;

use crate::pages::{cart, counter, login, logout, session};
use crate::{assets, errors, headers, same_site};

/// The whole application. A layer wraps what stands above it, so a request goes from the bottom up.
pub(crate) fn router(sessions: SessionLayer) -> Router {
    Router::new()
        .merge(counter::routes())
        .merge(cart::routes())
        .merge(login::routes())
        .merge(logout::routes())
        .merge(session::routes())
        .fallback(StatusCode::NOT_FOUND)
        .layer(sessions)
        .layer(from_fn(same_site::check))
        .layer(from_fn(errors::pages))
        .layer(from_fn(headers::keep_from_caches))
        .merge(assets::routes())
        .layer(from_fn(headers::protect))
}
