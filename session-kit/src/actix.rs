//! Sessions for actix-web, with the drivers of this build.
//!
//! ```
//! use actix_web::{App, HttpServer, web};
//! use session_kit::actix::SessionMiddleware;
//! use session_kit::{Error, Session};
//!
//! async fn visits(session: Session) -> Result<String, Error> {
//!     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
//!     Ok(format!("visit number {n}"))
//! }
//!
//! async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//!     let sessions = SessionMiddleware::from_manager(session_kit::open_manager("session.toml").await?);
//!     let workers = sessions.clone();
//!     let app = move || App::new().route("/", web::get().to(visits)).wrap(workers.clone());
//!     HttpServer::new(app).bind(("127.0.0.1", 3000))?.run().await?;
//!     sessions.close(std::time::Duration::from_secs(10)).await?;
//!     Ok(())
//! }
//! ```

pub use session_actix::headers;
pub use session_actix::{CommitError, MissingSessionMiddleware, SessionMiddleware, Sessions};
