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
//! - If the session's changes are not stored, it replaces the response by an empty one, without the new cookie and with the
//!   error in its extensions as [`CommitError`]. The body of a response is a [`ResponseBody`], so that any body can be
//!   replaced.
//!
//! | what happened | response |
//! |---|---|
//! | certainly nothing was written, and a later attempt may help; the same for a failed load | 503 with `Retry-After` |
//! | the changes may have been written, or can never be written | 500 |
//! | the changes were lost to another request, and the method is not `GET` or `HEAD` | 409 |
//!
//! These responses are `Cache-Control: no-store`. They are those of an [`Error`] that a handler returns, see
//! [`Error::http_status`] and [`Error::http_headers`]. With
//! [`OnCommitError::Keep`](session_core::session::OnCommitError::Keep) and
//! [`OnLostChange::Report`](session_core::session::OnLostChange::Report) the response of the handler is kept, and the
//! manager's hook is told.
//!
//! # Behaviour in special cases
//!
//! | case | behaviour |
//! |---|---|
//! | the inner service fails with an error | nothing is committed; the error is returned unchanged |
//! | the handler panics | nothing is committed, unless an inner layer turns the panic into a response |
//! | the client disconnects while the handler runs | nothing is committed |
//! | a `TimeoutLayer` outside of the session layer ends the request | nothing is committed |
//! | a `TimeoutLayer` inside of it answers for the handler | what the handler had changed until then is committed, which may be half of it; see below |
//! | the client disconnects while the commit runs | the commit completes; [`SessionLayer::close`] waits for it |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same layer twice, or two layers with one cookie name | the outer layer is used, the inner one does nothing |
//! | layers with cookies of different names | each commits its own session; see [`Sessions`] |
//! | HEAD, upgrades | like any other request: committed before the headers are sent |
//! | a route outside the layer | the extractor rejects the request with status 500 and logs once what to do; a build with debug assertions also says it in the body |
//!
//! # Timeouts
//!
//! Put tower-http's `TimeoutLayer` outside of the session layer, so that a handler that is cut off changes nothing. Where it
//! must be inside, say by the status which responses are not committed:
//!
//! ```
//! use driver_memory::MemoryDriver;
//! use session_core::session::SessionManager;
//! use session_tower::{Error, SessionLayer};
//!
//! fn sessions() -> Result<SessionLayer, Error> {
//!     let manager = SessionManager::builder(MemoryDriver::new())
//!         .commit_when(|status| !status.is_server_error())
//!         .build()?;
//!     Ok(SessionLayer::from_manager(manager))
//! }
//! ```
//!
//! What a handler has saved by itself, with [`Session::save`] or [`Session::destroy`], stays.
//!
//! # Differences from tower-sessions
//!
//! - Two requests that change one session at the same time both keep their changes.
//! - A destroyed session stays destroyed, even if a slow request finishes later.
//! - A failed load is an error, not an empty session.

mod body;
mod future;
mod layer;
mod service;

#[cfg(feature = "axum")]
pub use session_core::axum::{MissingSessionLayer, ResponseError};
pub use session_core::session::{Session, Sessions};
pub use session_core::{Error, Result};

pub use body::ResponseBody;
pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
pub use session_core::session::CommitError;
