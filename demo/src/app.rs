//! The router: all pages, wrapped in the layers that they need.

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use session_kit::SessionLayer;

use crate::pages::{cart, counter, login, logout, session};
use crate::{assets, errors, headers, same_site};

/// Builds the whole application. A layer wraps everything above it, so a request passes the layers from the bottom up.
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
        .layer(from_fn(headers::disable_caching))
        .merge(assets::routes())
        .layer(from_fn(headers::protect))
}
