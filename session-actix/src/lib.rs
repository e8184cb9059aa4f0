//! Sessions for actix-web: a middleware and an extractor.
//!
//! ```
//! use actix_web::{App, web};
//! use driver_memory::MemoryDriver;
//! use session_actix::{Error, Session, SessionMiddleware};
//!
//! async fn login(session: Session) -> Result<&'static str, Error> {
//!     session.regenerate()?;
//!     session.set("user", "ann")?;
//!     session.flash("notice", "Welcome back!")?;
//!     Ok("logged in")
//! }
//!
//! async fn home(session: Session) -> Result<String, Error> {
//!     let notice: Option<String> = session.take_flash("notice").await?;
//!     Ok(notice.unwrap_or_default())
//! }
//!
//! # async fn serve() -> std::io::Result<()> {
//! let sessions = SessionMiddleware::new(MemoryDriver::new());
//! let app = {
//!     let sessions = sessions.clone();
//!     move || {
//!         App::new()
//!             .route("/", web::get().to(home))
//!             .route("/login", web::post().to(login))
//!             .wrap(sessions.clone())
//!     }
//! };
//! actix_web::HttpServer::new(app).bind(("127.0.0.1", 0))?;
//! # Ok(())
//! # }
//! ```
//!
//! Create the middleware once, before the server, and give each worker a clone. All clones share their sessions. When the
//! server has stopped, [`SessionMiddleware::close`] waits for running commits.
//!
//! # Behaviour in special cases
//!
//! It behaves like the layer of `session-tower`:
//!
//! | case | behaviour |
//! |---|---|
//! | the handler returns a response of any status, including errors | the session is committed before the headers are sent |
//! | an inner middleware fails without a response, such as one with a timeout | nothing is committed; the error is returned unchanged |
//! | a time limit in the handler or in an inner middleware answers for work that is not done | what was changed until then is committed, which may be half of it; see below |
//! | the handler panics | nothing is committed |
//! | the client disconnects while the handler runs | nothing is committed |
//! | the client disconnects or the worker stops while the commit runs | the commit completes on the runtime where the middleware was created; [`SessionMiddleware::close`] waits for it |
//! | a commit was certainly not applied, and a later attempt may help; the same for a failed load | an empty response with status 503 and `Retry-After` |
//! | a commit may have been applied, or can never be | an empty response with status 500 |
//! | the changes were lost to another request, and the method is not `GET` or `HEAD` | an empty response with status 409 |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same middleware twice, or two middlewares with one cookie name | the outer one is used, the inner one does nothing |
//! | middlewares with cookies of different names | each commits its own session; see [`Sessions`] |
//! | a route outside the middleware | the extractor fails with status 500 and logs once what to do; a build with debug assertions also says it in the body |
//!
//! The responses that replace the handler's are `Cache-Control: no-store`, have no new cookie, and have the error in their
//! extensions as [`CommitError`]. They are those of an [`Error`] that a handler returns, see [`Error::http_status`] and
//! [`Error::http_headers`]. With [`OnCommitError::Keep`](session_core::session::OnCommitError::Keep) and
//! [`OnLostChange::Report`](session_core::session::OnLostChange::Report) the response of the handler is kept, and the
//! manager's hook is told.
//!
//! A response that sets the session's cookie has `Cache-Control: private`. The response of a request that used the
//! session has `Vary: Cookie`.
//!
//! A [`Session`] is `Send` and works on any thread, although actix-web's handlers stay on one thread.
//!
//! # Timeouts
//!
//! A handler that answers for work that it has cut off should not commit half of it. Say by the status which responses are
//! not committed:
//!
//! ```
//! use driver_memory::MemoryDriver;
//! use session_actix::{Error, SessionMiddleware};
//! use session_core::session::SessionManager;
//!
//! fn sessions() -> Result<SessionMiddleware, Error> {
//!     let manager = SessionManager::builder(MemoryDriver::new())
//!         .commit_when(|status| !status.is_server_error())
//!         .build()?;
//!     Ok(SessionMiddleware::from_manager(manager))
//! }
//! ```
//!
//! What a handler has saved by itself, with [`Session::save`] or [`Session::destroy`], stays.
//!
//! # Differences from actix-session
//!
//! - Two requests that change one session at the same time both keep their changes.
//! - A destroyed session stays destroyed.
//! - A request that does not use its session reads and writes nothing.

pub mod headers;
mod middleware;
mod service;

pub use session_core::actix::MissingSessionMiddleware;
pub use session_core::session::{Session, Sessions, TypedSession};
pub use session_core::{Error, Result};

pub use middleware::SessionMiddleware;
pub use service::SessionService;
pub use session_core::session::CommitError;
