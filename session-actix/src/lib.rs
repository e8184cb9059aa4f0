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
//! | an inner middleware fails without a response | nothing is committed; the error is returned unchanged |
//! | the handler panics | nothing is committed |
//! | the client disconnects while the handler runs | nothing is committed |
//! | the client disconnects or the worker stops while the commit runs | the commit completes on the runtime where the middleware was created; [`SessionMiddleware::close`] waits for it |
//! | a commit fails | an empty response with status 500 and [`CommitError`] in its extensions, unless [`OnCommitError`](session_core::session::OnCommitError) is `Keep` |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same middleware twice, or two middlewares with one cookie name | the outer one is used, the inner one does nothing |
//! | middlewares with cookies of different names | each commits its own session; see [`Sessions`] |
//! | a route outside the middleware | the extractor fails with a message that says so |
//!
//! A response that sets the session's cookie has `Cache-Control: private`. The response of a request that used the
//! session has `Vary: Cookie`.
//!
//! A [`Session`] is `Send` and works on any thread, although actix-web's handlers stay on one thread.
//!
//! # Differences from actix-session
//!
//! - Two requests that change one session at the same time both keep their changes.
//! - A destroyed session stays destroyed.
//! - A request that does not use its session reads and writes nothing.

pub mod headers;
mod middleware;
mod service;
mod sessions;

pub use session_core::actix::MissingSessionMiddleware;
pub use session_core::session::{Session, TypedSession};
pub use session_core::{Error, Result};

pub use middleware::SessionMiddleware;
pub use service::SessionService;
pub use session_core::session::CommitError;
pub use sessions::Sessions;
