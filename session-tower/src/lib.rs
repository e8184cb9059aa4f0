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
//! - It looks for the session's cookie in all `cookie` headers of the request (HTTP/2 may split them), and puts
//!   a [`Session`] into the request's extensions. That costs no I/O.
//! - When the inner service has given its response, whatever the status, it commits the session before the headers
//!   are sent. For a session with nothing to write this costs no I/O either.
//! - It adds the cookie where one is due, and then forces `Cache-Control: private`; and `Vary: Cookie` where the
//!   session was used.
//! - A commit that failed replaces the response by an empty one with status 500 and without the cookie that it would have set, with
//!   the error in its extensions as [`CommitError`]; or, with
//!   [`OnCommitError::Keep`](session_core::session::OnCommitError::Keep), it is reported to the
//!   manager's hook alone.
//!
//! # What happens when
//!
//! | case | behaviour |
//! |---|---|
//! | the inner service fails with an error | nothing is committed; the error goes on unchanged |
//! | the handler panics | nothing is committed, unless a layer within makes a response of the panic |
//! | the client goes while the handler runs | nothing is committed |
//! | the client goes while the commit runs | the commit runs to its end; [`SessionLayer::close`] waits for it |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same layer twice, or two with one cookie name | the outer one counts, the inner one does nothing |
//! | layers with cookies of different names | each commits its own; see [`Sessions`] |
//! | HEAD, upgrades | as any other request: committed before the headers go out |
//! | a route outside the layer | the extractor rejects with a message that says so |
//!
//! # Differences from tower-sessions
//!
//! Two requests that change one session at the same time both keep their change; a session that was destroyed
//! stays destroyed, also when a slow request finishes later; a failed load is an error and not an empty session.

mod commit_error;
mod future;
mod layer;
mod service;
mod sessions;

#[cfg(feature = "axum")]
pub use session_core::axum::{MissingSessionLayer, ResponseError};
pub use session_core::session::Session;
pub use session_core::{Error, Result};

pub use commit_error::CommitError;
pub use future::ResponseFuture;
pub use layer::SessionLayer;
pub use service::SessionService;
pub use sessions::Sessions;
