//! The handle of a session: the methods that handlers call.
//!
//! A [`Session`] has a [`State`] behind a lock. Reads load the record on first use. Changes are recorded in the state, and
//! [`commit`](super::commit) writes them. `io` serializes loads and commits of one handle; no lock of the state is held
//! across an `.await`.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_devalue::Value;

use super::changes::{Basis, Flash, Known, Replay};
use super::commit::{Claim, CommitOutput, SaveOutcome};
use super::cookie::{CookieChange, RequestCookie};
use super::detach_on_drop::DetachOnDrop;
use super::encode::value as encode;
use super::inner::{Inner, Mode};
use super::record::{self, Item, RESERVED, is_expired, stored_value_error, to_expires};
use super::state::{Base, State};
use super::tombstone::MoveKind;
use super::{Lifetime, SessionEvent, SessionId, SessionKey, SessionManager, TypedKey, ValueName};
use crate::{Error, ErrorKind, Expiry, Result, Timestamp};

/// The session of one visitor: named values that last from one request to the next.
///
/// ```
/// use session_core::{session::Session, Result};
///
/// async fn visits(session: Session) -> Result<String> {
///     let n = session.update("visits", |n: Option<u32>| n.unwrap_or(0) + 1).await?;
///     Ok(format!("visit number {n}"))
/// }
/// ```
///
/// It is a handle: clones share one session. The [module's documentation](crate::session) has a table of all methods.
#[derive(Clone)]
pub struct Session(Arc<Inner>);

impl Session {
    pub(crate) fn new(manager: SessionManager, mode: Mode, cookie: RequestCookie) -> Self {
        Self::with_state(manager, mode, State::new(cookie))
    }

    pub(crate) fn with_state(manager: SessionManager, mode: Mode, state: State) -> Self {
        Self(Arc::new(Inner::new(manager, mode, state)))
    }

    /// Returns the manager that this session belongs to.
    pub fn manager(&self) -> &SessionManager {
        self.0.manager()
    }

    /// Returns the value of `key`, or `None` if it does not exist or has expired.
    ///
    /// A value of another type is an error of kind [`WrongType`](ErrorKind::WrongType), and is not changed.
    pub async fn get<T: DeserializeOwned>(&self, key: impl SessionKey<T>) -> Result<Option<T>> {
        let name = key.name();
        check_name(name)?;
        match self.item(name).await? {
            Some(item) => self.decode(&item, &key),
            None => Ok(None),
        }
    }

    /// Returns the value of `key`, or else the default of the key, or else that of the type.
    pub async fn get_or_default<T, D>(&self, key: TypedKey<T, D>) -> Result<T>
    where
        T: DeserializeOwned + Default,
    {
        let value = self.get(key).await?;
        Ok(value.or_else(|| key.default_value()).unwrap_or_default())
    }

    /// Returns whether there is a value called `key`, of any type.
    pub async fn has(&self, key: impl ValueName) -> Result<bool> {
        let name = key.name();
        check_name(name)?;
        if let Some(known) = self.0.known_presence(name) {
            return Ok(known);
        }
        self.ensure_loaded().await?;
        let now = self.0.manager().inner().now();
        let mut state = self.0.state();
        state.note_read(name);
        Ok(state.record().is_some_and(|record| record.has(name, now)))
    }

    /// Returns the names of all values, in the order in which they were first stored.
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(self
            .items()
            .await?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// Returns all names and values, in the order in which they were first stored.
    ///
    /// An entry that Astro stored without a value, or in an unknown shape, is `undefined`.
    pub async fn entries(&self) -> Result<Vec<(String, Value)>> {
        let mut entries = Vec::new();
        for (name, item) in self.items().await? {
            let value = match item {
                Some(item) => item.node().to_value().map_err(record::corrupt)?,
                None => Value::Undefined,
            };
            entries.push((name, value));
        }
        Ok(entries)
    }

    /// Sets `key` to `value`. It expires after the manager's [`ttl`](super::SessionSettings::ttl), if that is set.
    ///
    /// The value is encoded at once, so a later change to it is not stored. It is an error if the value cannot be
    /// encoded, if the name is reserved, or if the response has begun.
    ///
    /// If this request has read the value before, and another request changes it until the commit, the new value was
    /// computed from an old one. Then the commit writes nothing and its outcome is [`SaveOutcome::Stale`]. To compute a
    /// value from the old one, use [`update`](Self::update), which runs again then.
    pub fn set<T: Serialize + ?Sized>(&self, key: impl SessionKey<T>, value: &T) -> Result<()> {
        self.set_with(key, value, Expiry::Default)
    }

    /// Sets `key` to `value` with the given expiry.
    pub fn set_with<T: Serialize + ?Sized>(
        &self,
        key: impl SessionKey<T>,
        value: &T,
        expiry: Expiry,
    ) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let expires = match expiry {
            Expiry::Default => self.0.manager().inner().default_expires(),
            Expiry::Never => None,
            Expiry::At(time) => Some(to_expires(time)),
        };
        let item = Item::whole(encode(value, name)?, expires);
        let mut state = self.0.change()?;
        let basis = state.basis_of(name);
        state.changes_mut().set(name, item, basis);
        Ok(())
    }

    /// Sets `key` to a value that may be lost without harm, such as the page that was visited last.
    ///
    /// It is written like that of [`set`](Self::set). But if the session is gone at the commit, or another request changed
    /// the value, the response of this request is sent as it is.
    pub fn set_volatile<T: Serialize + ?Sized>(
        &self,
        key: impl SessionKey<T>,
        value: &T,
    ) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let expires = self.0.manager().inner().default_expires();
        let item = Item::whole(encode(value, name)?, expires);
        let mut state = self.0.change()?;
        state.changes_mut().set(name, item, Basis::Volatile);
        Ok(())
    }

    /// Removes the value called `key`, if there is one. [`take`](Self::take) also returns it.
    pub fn remove(&self, key: impl ValueName) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let mut state = self.0.change()?;
        let basis = state.basis_of(name);
        state.changes_mut().remove(name, basis);
        Ok(())
    }

    /// Removes the value of `key` and returns it; `None` if there was none.
    ///
    /// A value of another type is an error of kind [`WrongType`](ErrorKind::WrongType), and is not removed.
    pub async fn take<T: DeserializeOwned>(&self, key: impl SessionKey<T>) -> Result<Option<T>> {
        let name = key.name().to_owned();
        let value = self.get(key).await?;
        self.remove(name)?;
        Ok(value)
    }

    /// Removes all values, including flashed ones. The session keeps its id and its lifetime.
    ///
    /// The values are removed at the commit, including values that another request sets before it. Values that this
    /// handle sets after this call stay.
    pub fn clear(&self) -> Result<()> {
        self.0.change()?.changes_mut().clear();
        Ok(())
    }

    /// Computes a new value of `key` from the old one, keeps its expiry, and returns the new value.
    ///
    /// If another request changed the session, the commit runs `update` again on the new value. So the update is atomic
    /// across all requests and servers. `update` may run several times, even after the handler has returned, so it must
    /// have no side effects and must not use the session. The returned value is provisional until [`save`](Self::save).
    pub async fn update<T, F>(&self, key: impl SessionKey<T>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.try_update(key, move |old| Ok::<T, Error>(update(old)))
            .await
    }

    /// Works like [`update`](Self::update), with an `update` that can fail.
    ///
    /// ```
    /// use session_core::session::Session;
    ///
    /// async fn spend(session: Session, amount: u32) -> session_core::Result<u32> {
    ///     session
    ///         .try_update("credit", move |credit: Option<u32>| {
    ///             credit.unwrap_or(0).checked_sub(amount).ok_or("not enough credit")
    ///         })
    ///         .await
    /// }
    /// ```
    ///
    /// If `update` fails, nothing changes and the error is of kind [`Rejected`](ErrorKind::Rejected), with the error of
    /// `update` as its source. If `update` fails when it runs again at the commit, the commit fails with that error and
    /// writes nothing.
    pub async fn try_update<T, F, E>(&self, key: impl SessionKey<T>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = key.name().to_owned();
        check_name(&name)?;
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await?;
        let is_lenient = key.is_lenient();
        let manager = self.0.manager().inner();
        let update = Arc::new(update);
        let replay: Replay = {
            let (name, update) = (name.clone(), Arc::clone(&update));
            Arc::new(move |node| {
                let old = match node.map(|node| node.deserialize()) {
                    Some(Err(_)) if is_lenient => None,
                    Some(old) => Some(old.map_err(|error| wrong_type(&name, error))?),
                    None => None,
                };
                let new = update(old).map_err(|error| rejected(&name, error))?;
                encode(&new, &name)
            })
        };
        const ATTEMPTS: usize = 16;
        for _ in 0..ATTEMPTS {
            let (old, sequence) = {
                let mut state = self.0.change()?;
                let item = state.read_item(&name, || manager.now());
                (item, state.sequence_of(&name))
            };
            let expires = match &old {
                Some(item) => item.expires,
                None => manager.default_expires(),
            };
            let old = match old {
                Some(item) => self.decode(&item, &key)?,
                None => None,
            };
            let new = update(old).map_err(|error| rejected(&name, error))?;
            let item = Item::whole(encode(&new, &name)?, expires);
            let mut state = self.0.change()?;
            // A clone of this handle may have set the value while `update` ran. Then it runs again.
            if state.sequence_of(&name) == sequence {
                state.changes_mut().update(&name, replay, item);
                return Ok(new);
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!(
                "the session value `{name}` was set each time its update ran; do not set it within the update"
            ),
        ))
    }

    /// Stores a value that [`take_flash`](Self::take_flash) returns once, such as a message for the next page.
    pub fn flash<T: Serialize + ?Sized>(&self, key: impl SessionKey<T>, value: &T) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let flash = Flash::Put(Item::whole(encode(value, name)?, None));
        self.0.change()?.changes_mut().flash(name, flash);
        Ok(())
    }

    /// Removes and returns the value that was flashed as `key`.
    ///
    /// The returned value is provisional until [`save`](Self::save): two requests that take it at the same time may both
    /// get it.
    pub async fn take_flash<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>> {
        let name = key.name().to_owned();
        drop(key);
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await?;
        let Some(item) = self.0.state().flash(&name) else {
            return Ok(None);
        };
        let value = item
            .node()
            .deserialize()
            .map_err(|error| wrong_type(&name, error))?;
        let flash = Flash::Taken(item);
        self.0.change()?.changes_mut().flash(&name, flash);
        Ok(Some(value))
    }

    /// Moves the session to a new id at the commit, for a login or another change of what the visitor may do.
    ///
    /// Call it when a visitor logs in or gains rights, so that an attacker who knows the old id does not get into the
    /// session. The response sets the new cookie. For the manager's
    /// [`regenerate_grace`](super::SessionSettings::regenerate_grace), a request that still carries the old id sees an
    /// empty session, and cannot write to it.
    ///
    /// Of two logins with one id at the same time both stand, each with a session of its own. The commit succeeds only
    /// when the old id no longer names the session.
    pub fn regenerate(&self) -> Result<()> {
        self.move_id(MoveKind::Regenerated)
    }

    /// Moves the session to a new id at the commit, without a change of what the visitor may do.
    ///
    /// The response sets the new cookie. For the manager's
    /// [`regenerate_grace`](super::SessionSettings::regenerate_grace), reads and writes of requests that still carry the
    /// old id reach the session under its new id, so requests that run in parallel keep working. They end at a
    /// [`regenerate`](Self::regenerate). A request that calls both regenerates.
    pub fn rotate(&self) -> Result<()> {
        self.move_id(MoveKind::Rotated)
    }

    fn move_id(&self, kind: MoveKind) -> Result<()> {
        if self.0.mode() == Mode::Detached {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a detached session cannot move to a new id, since no response would carry its cookie; \
                 call `regenerate` or `rotate` in the handler",
            ));
        }
        let mut state = self.0.change()?;
        if state.moves != Some(MoveKind::Regenerated) {
            state.moves = Some(kind);
        }
        if self.0.manager().inner().backing.cookie().is_none() {
            state.next_id.get_or_insert_with(SessionId::random);
        }
        Ok(())
    }

    /// Makes each commit of this handle stale if any value that it has read was changed by another request.
    ///
    /// Without it, a commit is stale only if a value that it sets or removes was read before and has changed. Call it
    /// where a value is computed from other ones.
    pub fn strict(&self) -> Result<()> {
        self.0.change()?.strict = true;
        Ok(())
    }

    /// Removes the session from the driver now, and its cookie with the response.
    ///
    /// A session that has moved to another id is removed there. If the request has cookies of several sessions, all of
    /// them are removed. Commits of other requests that wait for their turn are [gone](SaveOutcome::Gone).
    ///
    /// Values that are set afterwards go to a new session. After an error the session may still exist, and this handle
    /// still has it.
    pub async fn destroy(&self) -> Result<()> {
        drop(self.0.change()?);
        let inner = Arc::clone(&self.0);
        let claim = Claim::default();
        claim.set();
        let destroy = async move { inner.destroy().await };
        DetachOnDrop::new(self.0.manager().inner(), claim, destroy).await
    }

    /// Switches to the session with the given `id` and returns whether it exists.
    ///
    /// Unsaved changes are dropped. If the session does not exist, nothing changes. The id comes from the application, not
    /// from the client's cookie. The response sets the new cookie.
    pub async fn load(&self, id: SessionId) -> Result<bool> {
        let _io = self.0.lock_io().await?;
        drop(self.0.change()?);
        let (id, base) = self.0.read(&[id]).await?;
        let Base::Present(snapshot) = &base else {
            return Ok(false);
        };
        let max_age = self.0.manager().inner().max_age_of(snapshot);
        let mut state = self.0.change()?;
        state.reset();
        state.id = Some(id);
        state.set_base(base);
        state.response_cookie = Some(CookieChange::Set { id, max_age });
        Ok(true)
    }

    /// Reads the session again and keeps unsaved changes.
    pub async fn reload(&self) -> Result<()> {
        let _io = self.0.lock_io().await?;
        let id = {
            let mut state = self.0.state();
            state.used = true;
            state.id
        };
        let Some(id) = id else { return Ok(()) };
        let (id, base) = self.0.read(&[id]).await?;
        let manager = self.0.manager().inner();
        loop {
            let changes = self.0.state().changes.clone();
            let record = match &base {
                Base::Present(snapshot) => Some(&snapshot.record),
                _ => None,
            };
            let replayed = changes
                .as_ref()
                .map(|changes| changes.replayed(record, manager.default_expires(), manager.now()))
                .transpose()?
                // Stale changes stay, and the commit says so.
                .and_then(|replayed| {
                    replayed.map_or_else(|| changes.clone(), |new| Some(Arc::new(new)))
                });
            let mut state = self.0.state();
            // A clone of this handle may have made a change meanwhile. Then that is replayed as well.
            if state.changes.as_ref().map(Arc::as_ptr) == changes.as_ref().map(Arc::as_ptr) {
                state.changes = replayed;
                state.moved_to(id);
                state.set_base(base);
                return Ok(());
            }
        }
    }

    /// Writes the changes now and returns the outcome. Later reads see the written values.
    ///
    /// Without this call, the integration writes the changes when the handler is done. After an error whose
    /// [`outcome`](Error::outcome) is "not applied", the changes are kept: save again, or leave it to the commit at the end
    /// of the request. After an error whose outcome is unknown, the changes are dropped, so that no update is applied twice.
    ///
    /// If the future is dropped after it was first polled, the write continues in the background. Await it or drop it: a
    /// future that is kept and not polled blocks the other commits of this session in this process.
    pub async fn save(&self) -> Result<SaveOutcome> {
        self.commit_now().await.map(|committed| committed.outcome)
    }

    /// Commits the changes so far, with what happened to them.
    pub(crate) async fn commit_now(&self) -> Result<CommitOutput> {
        drop(self.0.change()?);
        let inner = Arc::clone(&self.0);
        let claim = Claim::default();
        let claimed = claim.clone();
        let commit = async move { inner.commit(claimed).await };
        DetachOnDrop::new(self.0.manager().inner(), claim, commit).await
    }

    /// Returns the session's id, if it has one. Keep it secret.
    ///
    /// It is the id that the next commit writes to, or the client's. The client's id is provisional until the session is
    /// loaded.
    pub fn id(&self) -> Option<SessionId> {
        let mut state = self.0.state();
        state.used = true;
        if state.moves.is_some() {
            return state.next_id;
        }
        match state.base {
            Base::Unread | Base::Present(_) => state.id,
            _ => None,
        }
    }

    /// Returns when this library first wrote the session; `None` if it has no record, or only Astro wrote it.
    pub async fn created_at(&self) -> Result<Option<Timestamp>> {
        self.ensure_loaded().await?;
        let state = self.0.state();
        let lifetime = state.record().and_then(|record| record.lifetime());
        Ok(lifetime.map(|lifetime| lifetime.created))
    }

    /// Returns when the session expires if no later request uses it; `None` if it has no record or never expires.
    pub async fn expires_at(&self) -> Result<Option<Timestamp>> {
        self.ensure_loaded().await?;
        let state = self.0.state();
        let manager = self.0.manager().inner();
        match &state.base {
            Base::Present(snapshot) => Ok(manager.expiry_of(snapshot, manager.now())),
            _ => Ok(None),
        }
    }

    /// Sets the lifetime of this session, such as for "remember me".
    ///
    /// It is stored with the session. If it is persistent, the cookie's Max-Age follows it.
    pub fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        self.0.change()?.changes_mut().set_lifetime(lifetime);
        Ok(())
    }

    /// Returns a handle that works after the response has begun, for streams and websockets.
    ///
    /// Only its own [`save`](Self::save) writes its changes. The client must have the id already: the session is stored, or
    /// was saved in this request. The new handle does not see unsaved changes of this one.
    pub fn detach(&self) -> Result<Self> {
        if self.0.manager().inner().backing.cookie().is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a session that is stored in the cookie can only be written with a response; write it in the \
                 handler, or store sessions in a driver",
            ));
        }
        let id = {
            let state = self.0.state();
            match (&state.response_cookie, &state.base) {
                (Some(CookieChange::Set { id, .. }), _) => Some(*id),
                (_, Base::Unread | Base::Present(_)) => state.id,
                _ => None,
            }
        };
        let id = id.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the client has no session yet, so nothing could find again what a detached handle stores; \
                 set a value and `save` the session first",
            )
        })?;
        let cookie = RequestCookie::of(id);
        Ok(Self::new(self.0.manager().clone(), Mode::Detached, cookie))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Loads the session and returns whether it has a record.
    pub(crate) async fn load_own(&self) -> Result<bool> {
        self.ensure_loaded().await?;
        Ok(self.0.state().record().is_some())
    }

    /// Decodes a value. One of another type is `None` for a key that is lenient.
    fn decode<T: DeserializeOwned>(
        &self,
        item: &Item,
        key: &impl SessionKey<T>,
    ) -> Result<Option<T>> {
        match item.node().deserialize() {
            Ok(value) => Ok(Some(value)),
            Err(error) => {
                let error = wrong_type(key.name(), error);
                if !key.is_lenient() {
                    return Err(error);
                }
                let manager = self.0.manager().inner();
                let session = self.0.state().id.map(|id| id.fingerprint());
                manager.report(session, &SessionEvent::WrongType(&error));
                Ok(None)
            }
        }
    }

    async fn load_now(&self) -> Result<()> {
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await
    }

    async fn item(&self, name: &str) -> Result<Option<Item>> {
        let now = || self.0.manager().inner().now();
        {
            let mut state = self.0.state();
            state.used = true;
            if !matches!(state.base, Base::Unread) || matches!(state.known(name), Known::Yes(_)) {
                return Ok(state.read_item(name, now));
            }
        }
        self.load_now().await?;
        Ok(self.0.state().read_item(name, now))
    }

    async fn items(&self) -> Result<Vec<(String, Option<Item>)>> {
        self.ensure_loaded().await?;
        let now = self.0.manager().inner().now();
        let mut state = self.0.state();
        state.note_read_all();
        let state = &*state;
        let mut items: Vec<(String, Option<Item>)> = Vec::new();
        let is_cleared = |changes: &Arc<super::changes::Changes>| changes.is_cleared();
        if let Some(record) = state.record()
            && !state.changes.as_ref().is_some_and(is_cleared)
        {
            for entry in record.entries() {
                let Some(name) = entry.text_name() else {
                    continue;
                };
                if name.starts_with(RESERVED) || is_expired(entry.expires, now) {
                    continue;
                }
                match state.known(&name) {
                    Known::Yes(Some(item)) => items.push((name.into_owned(), Some(item.clone()))),
                    Known::Yes(None) => {}
                    Known::No => {
                        items.push((name.into_owned(), record.item_of(&entry, || now)));
                    }
                }
            }
        }
        if let Some(changes) = &state.changes {
            for (name, item) in changes.names() {
                let new = !items.iter().any(|(found, _)| found == name);
                if let (true, Some(item)) = (new, item) {
                    items.push((name.to_owned(), Some(item.clone())));
                }
            }
        }
        Ok(items)
    }

    async fn ensure_loaded(&self) -> Result<()> {
        {
            let mut state = self.0.state();
            state.used = true;
            if !matches!(state.base, Base::Unread) {
                return Ok(());
            }
        }
        self.load_now().await
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state();
        f.debug_struct("Session")
            .field("id", &state.id)
            .field("mode", &self.0.mode())
            .finish_non_exhaustive()
    }
}

fn check_name(name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "a session value needs a name"
    } else if name.starts_with(RESERVED) {
        "names that begin with `$session:` are reserved; choose another"
    } else {
        return Ok(());
    };
    Err(Error::new(ErrorKind::InvalidKey, reason))
}

fn rejected(name: &str, error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Error {
    Error::new(
        ErrorKind::Rejected,
        format!(
            "the application rejected the update of the session value `{name}`; nothing was changed"
        ),
    )
    .with_source(error)
}

fn wrong_type(name: &str, error: serde_devalue::Error) -> Error {
    stored_value_error(
        error,
        Error::new(
            ErrorKind::WrongType,
            format!(
                "the session value `{name}` does not have the requested type; it was not changed"
            ),
        ),
    )
}
