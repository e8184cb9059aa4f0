//! Sessions for any tower HTTP service, with an axum extractor.
//!
//! ```
//! use axum::{routing::{get, post}, Router};
//! use driver_memory::MemoryDriver;
//! use session_tower::{Error, Session, SessionLayer};
//!
//! async fn login(session: Session) -> Result<(), Error> {
//!     session.regenerate()?;
//!     session.set("user", "ann")?;
//!     session.flash("notice", "Welcome back!")
//! }
//!
//! async fn home(session: Session) -> Result<String, Error> {
//!     let notice: Option<String> = session.take_flash("notice").await?;
//!     Ok(notice.unwrap_or_default())
//! }
//!
//! # fn app() -> Router {
//! Router::new()
//!     .route("/", get(home))
//!     .route("/login", post(login))
//!     .layer(SessionLayer::new(MemoryDriver::new()))
//! # }
//! ```
//!
//! # What the layer does
//!
//! - It reads the session's cookie from all `cookie` headers of the request (HTTP/2 may split them), and puts a
//!   [`Session`] into the request's extensions, without I/O.
//! - When the inner service has returned a response of any status, it commits the session before the headers are sent.
//!   If there is nothing to write, this needs no I/O either.
//! - It adds the cookie if it changed, with `Cache-Control: private`. It adds `Vary: Cookie` if the session was used.
//! - If the commit fails, it replaces the response by an empty one with status 500, without the new cookie and with the
//!   error in its extensions as [`CommitError`]. With
//!   [`OnCommitError::Keep`](session_core::session::OnCommitError::Keep) it keeps the response and only reports the error
//!   to the manager's hook.
//!
//! # Behaviour in special cases
//!
//! | case | behaviour |
//! |---|---|
//! | the inner service fails with an error | nothing is committed; the error is returned unchanged |
//! | the handler panics | nothing is committed, unless an inner layer turns the panic into a response |
//! | the client disconnects while the handler runs | nothing is committed |
//! | the client disconnects while the commit runs | the commit completes; [`SessionLayer::close`] waits for it |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same layer twice, or two layers with one cookie name | the outer layer is used, the inner one does nothing |
//! | layers with cookies of different names | each commits its own session; see [`Sessions`] |
//! | HEAD, upgrades | like any other request: committed before the headers are sent |
//! | a route outside the layer | the extractor rejects the request with a message that says so |
//!
//! # Differences from tower-sessions
//!
//! - Two requests that change one session at the same time both keep their changes.
//! - A destroyed session stays destroyed, even if a slow request finishes later.
//! - A failed load is an error, not an empty session.

mod future;
mod layer;
mod service;
mod sessions;

#[cfg(feature = "axum")]
pub use session_core::axum::{MissingSessionLayer, ResponseError};
pub use session_core::session::Session;
pub use session_core::{Error, Result};

pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
pub use session_core::session::CommitError;
pub use sessions::Sessions;
