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
//! Make the middleware once, before the server, and give each worker a clone: all clones have the same sessions. When the
//! server has stopped, [`SessionMiddleware::close`] waits for the commits that still run.
//!
//! # What happens when
//!
//! It is what the layer of `session-tower` does, on the same core:
//!
//! | case | behaviour |
//! |---|---|
//! | a response of the handler, whatever the status, an error's among them | the session is committed before the headers go out |
//! | a middleware within fails without a response | nothing is committed; the error goes on unchanged |
//! | the handler panics | nothing is committed |
//! | the client goes while the handler runs | nothing is committed |
//! | the client goes while the commit runs, or the worker stops | the commit runs to its end on the runtime on which the middleware was made; [`SessionMiddleware::close`] waits for it |
//! | a commit fails | an empty response with status 500 and [`CommitError`] in its extensions, or what [`OnCommitError`](session_core::session::OnCommitError) says |
//! | a clone of the session is changed after the response has begun | an error; see [`Session::detach`] |
//! | the same middleware twice, or two with one cookie name | the outer one counts, the inner one does nothing |
//! | middlewares with cookies of different names | each commits its own; see [`Sessions`] |
//! | a route outside of the middleware | the extractor fails with a message that says so |
//!
//! A response with a session's cookie is `Cache-Control: private`, and `Vary: Cookie` goes with what used the session.
//!
//! A [`Session`] is `Send` and works on any thread, also where actix-web's own handlers stay on theirs.
//!
//! # Differences from actix-session
//!
//! Two requests that change one session at the same time both keep their change; a session that was destroyed stays
//! destroyed; nothing is read or written for a request that does not use its session.

mod commit_error;
pub mod headers;
mod middleware;
mod service;
mod sessions;

pub use session_core::actix::MissingSessionMiddleware;
pub use session_core::session::{Session, TypedSession};
pub use session_core::{Error, Result};

pub use commit_error::CommitError;
pub use middleware::SessionMiddleware;
pub use service::SessionService;
pub use sessions::Sessions;
