//! Sessions: values that last from one request of a visitor to the next, stored in a driver.
//!
//! A [`SessionManager`] owns the driver and the settings. It gives each request a [`Session`], whose record is read
//! when the handler first needs it. The integration (such as the layer of `session-tower`) commits the session after
//! the handler. The commit writes the changes and sets the cookie.
//!
//! ```
//! use session_core::{session::Session, Result};
//!
//! async fn greet(session: Session) -> Result<String> {
//!     match session.get::<String>("name").await? {
//!         Some(name) => Ok(format!("Welcome back, {name}")),
//!         None => Ok("Who are you?".to_owned()),
//!     }
//! }
//!
//! fn introduce(session: &Session, name: &str) -> Result<()> {
//!     session.set("name", name)
//! }
//! ```
//!
//! # Methods
//!
//! | method of [`Session`] | async | provisional until the commit | after the response has begun |
//! |---|---|---|---|
//! | `get(key) -> Result<Option<T>>` | yes | – | works |
//! | `get_or_default(typed_key) -> Result<T>` | yes | – | works |
//! | `has(key) -> Result<bool>` | yes | – | works |
//! | `keys() -> Result<Vec<String>>` | yes | – | works |
//! | `entries() -> Result<Vec<(String, Value)>>` | yes | – | works |
//! | `set(key, &value) -> Result<()>` | no | the write | error |
//! | `set_with(key, &value, expiry) -> Result<()>` | no | the write | error |
//! | `remove(key) -> Result<()>` | no | the write | error |
//! | `take(key) -> Result<Option<T>>` | yes | the returned value | error |
//! | `clear() -> Result<()>` | no | the write | error |
//! | `update(key, \|old\| new) -> Result<T>` | yes | the returned value | error |
//! | `try_update(key, \|old\| Ok(new)) -> Result<T>` | yes | the returned value | error |
//! | `flash(key, &value) -> Result<()>` | no | the write | error |
//! | `take_flash(key) -> Result<Option<T>>` | yes | the returned value | error |
//! | `regenerate() -> Result<()>` | no | the new id | error |
//! | `set_lifetime(lifetime) -> Result<()>` | no | the write | error |
//! | `destroy() -> Result<()>` | yes | – (it is done when it returns) | error |
//! | `load(id) -> Result<bool>` | yes | the cookie | error |
//! | `reload() -> Result<()>` | yes | – | works |
//! | `save() -> Result<SaveOutcome>` | yes | – (it is the commit) | error |
//! | `created_at() -> Result<Option<Timestamp>>` | yes | – | works |
//! | `expires_at() -> Result<Option<Timestamp>>` | yes | – | works |
//! | `id() -> Option<SessionId>` | no | an id that was not loaded yet | works |
//! | `detach() -> Result<Session>` | no | – | works; so does its `save` |
//!
//! With [`TypedSession`], the values are the fields of a struct of the application, with types and defaults. A server
//! without an integration uses [`SessionStorage`] to get, commit and destroy sessions.
//!
//! # Reads and writes
//!
//! A request that does not use its session reads and writes nothing. Neither does a request without a session cookie
//! that only reads. Otherwise the record is read when it is first needed, and written once after the handler if it
//! changed.
//!
//! A session that is only read is renewed at intervals: its expiry moves forward, which costs one more operation. If
//! the driver does not report when entries expire, the session is renewed only if the driver supports `touch`.
//!
//! A session records its changes, and the commit writes on condition that the record is unchanged since it was read.
//! If another request changed it, the commit reads the new record, replays the changes on it, and tries again. So
//! changes to different values all survive and [`update`](Session::update) is atomic. Of two plain
//! [`set`](Session::set)s of one value, the later commit wins. On a driver without conditional writes, the later
//! record wins as a whole.
//!
//! A session can also be stored in the visitor's cookie, without a driver. The documentation of
//! `CookieSessionOptions` (feature `cookie-session`) says when to use that and what its limits are.
//!
//! # Destroyed and expired sessions
//!
//! A commit may find that its record no longer exists, because of a logout elsewhere or because it expired. It then
//! writes nothing and sets no cookie. It reports this as [`SaveOutcome::Gone`] and to the manager's hook. A handler that
//! gets `Gone` from [`save`](Session::save) and wants a new session calls [`regenerate`](Session::regenerate): values
//! that it sets afterwards go to a new session. An id that comes from a client and has no record is never adopted.
//!
//! After [`regenerate`](Session::regenerate), a request that still carries the old id sees an empty session until the
//! manager's `regenerate_grace` is over. Its changes are dropped: they do not reach the new id, and the browser's new
//! cookie stays. The exception is a request that itself calls `regenerate`, such as a repeated login whose first
//! response was lost. It gets a new session with only the values that it sets.
//!
//! A handler that must know whether its changes are stored calls [`save`](Session::save). The commit after the handler
//! reports to the manager's hook only.
//!
//! # The record
//!
//! The stored format is Astro's: the devalue text of a `Map` from each name to `{ data, expires }`. So an Astro
//! application reads and writes the same sessions. This crate adds two entries, which Astro preserves:
//! `$session:flash` and `$session:lifetime`. Names that begin with `$session:` are reserved.
//!
//! Astro writes whole records without a condition, so it may overwrite changes or restore a destroyed session. A commit
//! of this crate detects a record that Astro changed since it was read, and replays its changes on it.

mod backing;
mod backoff;
mod changes;
mod commit;
mod cookie;
#[cfg(feature = "cookie-session")]
pub(crate) mod cookie_session;
#[cfg(not(feature = "cookie-session"))]
#[path = "no_cookie_session.rs"]
mod cookie_session;
mod destroy;
mod detach_on_drop;
mod encode;
mod event;
#[cfg(feature = "config")]
mod from_config;
mod handle;
mod headers;
mod id;
mod lifetime;
mod manager;
mod queue;
mod record;
mod rejection;
mod renew;
mod response;
mod state;
mod storage;
mod typed_key;
mod typed_session;

pub use crate::{CookieOptions, DEFAULT_COOKIE_NAME, OnCommitError, SameSite, SessionSettings};
pub use commit::SaveOutcome;
#[cfg(feature = "cookie-session")]
pub use cookie_session::{CookieFormat, CookieSessionOptions, MAX_PARTS, SHORTEST_SECRET, Secret};
pub use event::SessionEvent;
pub use handle::Session;
pub use id::SessionId;
pub use lifetime::Lifetime;
pub use manager::{SessionManager, SessionManagerBuilder};
pub use rejection::CookieRejection;
pub use response::{CommitError, CommitFuture, CommitResult, ResponseHeaders};
pub use serde_devalue::Value;
#[cfg(feature = "cookie-session")]
pub use storage::create_cookie_session_storage;
pub use storage::{SessionStorage, create_session_storage};
pub use typed_key::{SessionKey, TypedKey, ValueName};
pub use typed_session::{SessionData, TypedSession};
