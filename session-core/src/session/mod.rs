//! Sessions: what a visitor's requests have in common, kept in a driver.
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
//! With [`TypedSession`], the values are the fields of a struct of the application's own, with types and defaults. Without
//! an integration, [`SessionStorage`] gets, commits and destroys sessions for a server of any kind.
//!
//! # What is read and written
//!
//! Nothing, for a request that does not use its session, and nothing for one without a session cookie that
//! only reads. The record is read when it is first needed and written once, after the handler, if it
//! changed.
//!
//! A session that is only read is kept from ending: once an interval, its end is moved, which costs one more
//! operation. On a driver that does not report when entries end, only one that can `touch` is asked to.
//!
//! A session remembers what was done to it, and the commit writes on condition that the record is as it was
//! read. If another request changed it meanwhile, the commit takes the fresh record, does the same to it
//! again, and tries again. So changes to different values all survive, [`update`](Session::update) is atomic,
//! and of two plain [`set`](Session::set)s to one value the later commit wins. On a driver without conditional
//! writes the later record wins as a whole.
//!
//! A session may also live in the visitor's cookie, without a driver: what that is good for, and what it cannot do, is
//! in the documentation of `CookieSessionOptions`, which the feature `cookie-session` brings.
//!
//! # Gone is gone
//!
//! A commit that finds its record gone (a logout elsewhere, the end of its lifetime) writes nothing, sets no
//! cookie and says so: by [`SaveOutcome::Gone`], and to the hook of the store. A handler that goes on after
//! [`save`](Session::save) said so, and that means to begin anew, calls [`regenerate`](Session::regenerate):
//! then what it sets afterwards goes to a new session. An id that comes from a client and has no record is
//! never adopted.
//!
//! After [`regenerate`](Session::regenerate), a request that still carries the old id sees an empty session for a
//! while (the store's `regenerate_grace`), and what it sets is gone: it neither follows to the new id nor
//! takes the browser's new cookie away. Only one that itself calls `regenerate`, as a login does whose first answer
//! was lost, begins anew, with what it sets and nothing else.
//!
//! A handler that must know whether its changes are stored calls [`save`](Session::save); the commit after the
//! handler tells the store's hook alone.
//!
//! # The record
//!
//! What is stored is what Astro stores: the devalue text of a `Map` from each name to `{ data, expires }`, so
//! an Astro application reads and writes the same sessions. We add two entries, which Astro carries along:
//! `$session:flash` and `$session:lifetime`. Names that begin with `$session:` are reserved.
//!
//! Astro writes whole records without a condition: what it overwrites or revives is its doing. A commit
//! of ours notices a record that Astro changed meanwhile, and replays its changes on it.

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
pub use response::{CommitFuture, CommitResult, ResponseHeaders};
pub use serde_devalue::Value;
#[cfg(feature = "cookie-session")]
pub use storage::create_cookie_session_storage;
pub use storage::{SessionStorage, create_session_storage};
pub use typed_key::{SessionKey, TypedKey, ValueName};
pub use typed_session::{SessionData, TypedSession};
