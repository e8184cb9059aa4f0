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
//! | `set_volatile(key, &value) -> Result<()>` | no | the write, and whether it is lost | error |
//! | `remove(key) -> Result<()>` | no | the write | error |
//! | `take(key) -> Result<Option<T>>` | yes | the returned value | error |
//! | `clear() -> Result<()>` | no | the write | error |
//! | `update(key, \|old\| new) -> Result<T>` | yes | the returned value | error |
//! | `try_update(key, \|old\| Ok(new)) -> Result<T>` | yes | the returned value | error |
//! | `flash(key, &value) -> Result<()>` | no | the write | error |
//! | `take_flash(key) -> Result<Option<T>>` | yes | the returned value | error |
//! | `regenerate() -> Result<()>` | no | the new id | error |
//! | `rotate() -> Result<()>` | no | the new id | error |
//! | `strict() -> Result<()>` | no | – | error |
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
//! If another request changed it, the commit reads the new record, replays the changes on it, and tries again until the
//! [`commit_deadline`](SessionSettings::commit_deadline). So changes to different values all survive, and
//! [`update`](Session::update) is atomic. On a driver without conditional writes, the later record wins as a whole.
//!
//! **Compute a value from the old one with [`update`](Session::update).** A [`set`](Session::set) of a value that this
//! request has not read before is blind: of two, the later commit wins. A `set` of a value that this request has read was
//! probably computed from it. If another request has changed that value, the commit is [stale](SaveOutcome::Stale): it
//! writes nothing, and the request is told. [`strict`](Session::strict) extends this to all values that were read.
//!
//! Commits of one session that wait in one process are written together. At most 1 MiB or 1,024 of them wait.
//!
//! A session can also be stored in the visitor's cookie, without a driver. The documentation of
//! `CookieSessionOptions` (feature `cookie-session`) says when to use that and what its limits are.
//!
//! # Changes that cannot be stored
//!
//! A commit may find that its record no longer exists, because of a logout elsewhere or because it expired. It then
//! writes nothing and sets no cookie: [`SaveOutcome::Gone`]. A handler that gets `Gone` from [`save`](Session::save) and
//! wants a new session calls [`regenerate`](Session::regenerate): values that it sets afterwards go to a new session. An
//! id that comes from a client and has no record is never adopted.
//!
//! | what happened to the changes of a request | [`save`](Session::save) returns | the response, unless `save` told the handler |
//! |---|---|---|
//! | they are written; there was nothing to write; or a removal found the session gone | `Written`, `Unchanged` | as it is |
//! | the session is gone, or a `set` is stale | `Gone`, `Stale` | 409; as it is for `GET` and `HEAD`, with `set_volatile`, or with [`OnLostChange::Report`] |
//! | certainly not written, and a later attempt may help | an error | 503 with `Retry-After` |
//! | they may have been written, because an answer was lost | an error | 500, so that no proxy sends the request again |
//! | certainly not written, and a later attempt does not help | an error | 500 |
//!
//! Each case is also reported to the manager's hook. A response that replaces the handler's has no body and no cookie of
//! this commit, and is not cached. The commit runs whatever the status of the handler's response; see
//! [`commit_when`](SessionManagerBuilder::commit_when).
//!
//! A record that cannot be parsed is an error of reads and stays as it is. `regenerate` starts an empty session from it,
//! and `destroy` removes it. [`OnCorruptRecord::Discard`] treats it as none.
//!
//! # A new id
//!
//! [`regenerate`](Session::regenerate) is for a login. For the manager's
//! [`regenerate_grace`](SessionSettings::regenerate_grace), requests that still carry the old id see an empty session and
//! cannot write. [`rotate`](Session::rotate) is for a new id without a login: such requests reach the session under its
//! new id, and their responses set the new cookie. Both succeed only when the old id no longer works. Of two logins with
//! one id at the same time both stand. [`destroy`](Session::destroy) with an old id ends what the session became.
//!
//! # Several cookies
//!
//! A browser sends the cookie several times if a deploy has changed its domain or path, or if another site of the domain
//! has set it. Up to four ids are looked at, and the first one that names a session counts. `destroy` ends all of them.
//!
//! # The record
//!
//! The stored format is Astro's: the devalue text of a `Map` from each name to `{ data, expires }`. So an Astro
//! application reads and writes the same sessions. This crate adds two entries, which Astro preserves:
//! `$session:flash` and `$session:lifetime`. Names that begin with `$session:` are reserved.
//!
//! Astro writes whole records without a condition, so it may overwrite changes or restore a destroyed session. A commit
//! of this crate detects a record that Astro changed since it was read, and replays its changes on it.

mod alarm;
mod backing;
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
mod failure;
#[cfg(feature = "config")]
mod from_config;
mod handle;
mod headers;
mod id;
mod inner;
mod lifetime;
mod load;
mod manager;
mod reads;
mod record;
mod rejection;
mod renew;
mod response;
mod sessions;
mod state;
mod storage;
mod tombstone;
mod typed_key;
mod typed_session;

pub use crate::{
    CookieOptions, DEFAULT_COOKIE_NAME, OnCommitError, OnCorruptRecord, OnLostChange,
    PreviousCookie, SameSite, SessionSettings,
};
pub use commit::SaveOutcome;
#[cfg(feature = "cookie-session")]
pub use cookie_session::{CookieFormat, CookieSessionOptions, MAX_PARTS, SHORTEST_SECRET, Secret};
pub use event::SessionEvent;
pub use failure::CommitFailure;
pub use handle::Session;
pub use id::SessionId;
pub use lifetime::Lifetime;
pub use manager::{SessionManager, SessionManagerBuilder};
pub use rejection::CookieRejection;
pub use response::{CommitError, CommitFuture, CommitResult, ResponseHeaders};
pub use serde_devalue::Value;
pub use sessions::Sessions;
#[cfg(feature = "cookie-session")]
pub use storage::create_cookie_session_storage;
pub use storage::{SessionStorage, create_session_storage};
pub use typed_key::{SessionKey, TypedKey, ValueName};
pub use typed_session::{SessionData, TypedSession};
