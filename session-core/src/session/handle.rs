use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_devalue::{Document, Value};

use super::backing::Backing;
use super::changes::{Flash, Known, Replay};
use super::commit::{self, CommitInput, SaveOutcome};
use super::cookie::{CookieChange, RequestCookie};
use super::destroy::{self, Destroyed};
use super::detach_on_drop::DetachOnDrop;
use super::record::{self, Item, RESERVED, is_expired, stored_value_error, to_expires};
use super::state::{Base, State};
use super::{Lifetime, SessionEvent, SessionId, SessionKey, SessionManager, TypedKey, ValueName};
use crate::{Error, ErrorKind, Expiry, Outcome, Result, Timestamp};

/// What the handle of a session may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It belongs to a request, whose response carries its cookie and commits it.
    Request,
    /// It works on an id that the client has; nobody commits it but [`Session::save`].
    Detached,
    /// It belongs to no request; [`Session::save`] gives it an id.
    Standalone,
}

/// The session of one visitor: values by name, which last from one request to the next.
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
/// It is a handle: clones are the same session. What it does is in the table of the
/// [module's documentation](crate::session).
#[derive(Clone)]
pub struct Session(Arc<Inner>);

pub(crate) struct Inner {
    store: SessionManager,
    mode: Mode,
    /// Taken by whatever reads or writes the record, so that loads and commits of one handle do not cross.
    io: futures_util::lock::Mutex<()>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(store: SessionManager, mode: Mode, cookie: RequestCookie) -> Self {
        Self::with_state(store, mode, State::new(cookie))
    }

    pub(crate) fn with_state(store: SessionManager, mode: Mode, state: State) -> Self {
        Self(Arc::new(Inner {
            store,
            mode,
            io: Default::default(),
            state: Mutex::new(state),
        }))
    }

    /// The manager that this session belongs to.
    pub fn manager(&self) -> &SessionManager {
        &self.0.store
    }

    /// The value of `key`, or `None` if there is none or it has ended.
    ///
    /// A value of another type is an error of kind [`WrongType`](ErrorKind::WrongType), and stays as it is.
    pub async fn get<T: DeserializeOwned>(&self, key: impl SessionKey<T>) -> Result<Option<T>> {
        let name = key.name();
        check_name(name)?;
        match self.item(name).await? {
            Some(item) => decode(&item, name).map(Some),
            None => Ok(None),
        }
    }

    /// The value of `key`. If there is none: the key's default, or that of the type.
    pub async fn get_or_default<T, D>(&self, key: TypedKey<T, D>) -> Result<T>
    where
        T: DeserializeOwned + Default,
    {
        let value = self.get(key).await?;
        Ok(value.or_else(|| key.default_value()).unwrap_or_default())
    }

    /// Whether there is a value called `key`, of any type.
    pub async fn has(&self, key: impl ValueName) -> Result<bool> {
        let name = key.name();
        check_name(name)?;
        if let Some(known) = self.0.known_presence(name) {
            return Ok(known);
        }
        self.ensure_loaded().await?;
        let now = self.0.store.inner().now();
        let state = self.0.state.lock();
        Ok(state.record().is_some_and(|record| record.has(name, now)))
    }

    /// The names of all values, in the order in which they were first stored.
    pub async fn keys(&self) -> Result<Vec<String>> {
        Ok(self
            .items()
            .await?
            .into_iter()
            .map(|(name, _)| name)
            .collect())
    }

    /// All values with their names, in the order in which they were first stored. One that Astro stored without
    /// a value, or in a shape of its own, is `undefined`.
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

    /// Sets `key` to `value`, whatever it was. It ends after the store's default time, if that has one.
    ///
    /// The value is encoded at once, so a later change to it is not stored. It is an error if it cannot be
    /// encoded, if the name is reserved, or if the response has begun.
    pub fn set<T: Serialize + ?Sized>(&self, key: impl SessionKey<T>, value: &T) -> Result<()> {
        self.set_with(key, value, Expiry::Default)
    }

    /// Sets `key` to `value` until `expiry`.
    pub fn set_with<T: Serialize + ?Sized>(
        &self,
        key: impl SessionKey<T>,
        value: &T,
        expiry: Expiry,
    ) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let expires = match expiry {
            Expiry::Default => self.0.store.inner().default_expires(),
            Expiry::Never => None,
            Expiry::At(time) => Some(to_expires(time)),
        };
        let item = Item::whole(encode(value, name)?, expires);
        self.0.change()?.changes_mut().set(name, item);
        Ok(())
    }

    /// Removes the value called `key`, if there is one. [`take`](Self::take) also returns it.
    pub fn remove(&self, key: impl ValueName) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        self.0.change()?.changes_mut().remove(name);
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

    /// Removes all values, the flashed ones too. The session keeps its id and its lifetime.
    ///
    /// What is removed is what the session has at the commit, so a value that another request sets meanwhile goes too.
    /// Values that are set after this call stay.
    pub fn clear(&self) -> Result<()> {
        self.0.change()?.changes_mut().clear();
        Ok(())
    }

    /// Makes the new value of `key` from the old one, keeps its expiry, and returns the new value.
    ///
    /// When the commit finds that somebody else changed the session, `update` runs again on what they wrote:
    /// so it is atomic among all requests and servers, it may run several times, also after the handler has
    /// returned, and what this returns is provisional until [`save`](Self::save). `update` must therefore do nothing
    /// but make the value, and not use the session.
    pub async fn update<T, F>(&self, key: impl SessionKey<T>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> T + Send + Sync + 'static,
    {
        self.try_update(key, move |old| Ok::<T, Error>(update(old)))
            .await
    }

    /// The same as [`update`](Self::update), with an `update` that may refuse.
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
    /// An error of `update` is returned as the source of one of kind [`Rejected`](ErrorKind::Rejected), and nothing is
    /// changed. If it refuses when it runs again at the commit, the commit fails with that error and nothing of it is
    /// written.
    pub async fn try_update<T, F, E>(&self, key: impl SessionKey<T>, update: F) -> Result<T>
    where
        T: Serialize + DeserializeOwned,
        F: Fn(Option<T>) -> Result<T, E> + Send + Sync + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let name = key.name().to_owned();
        drop(key);
        check_name(&name)?;
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await?;
        let store = self.0.store.inner();
        let update = Arc::new(update);
        let replay: Replay = {
            let (name, update) = (name.clone(), Arc::clone(&update));
            Arc::new(move |node| {
                let old = match node {
                    Some(node) => Some(
                        node.deserialize()
                            .map_err(|error| wrong_type(&name, error))?,
                    ),
                    None => None,
                };
                let new = update(old).map_err(|error| rejected(&name, error))?;
                encode(&new, &name)
            })
        };
        const ATTEMPTS: usize = 16;
        for _ in 0..ATTEMPTS {
            let (old, sequence) = {
                let state = self.0.change()?;
                (state.item(&name, || store.now()), state.sequence_of(&name))
            };
            let expires = match &old {
                Some(item) => item.expires,
                None => store.default_expires(),
            };
            let old = old.map(|item| decode(&item, &name)).transpose()?;
            let new = update(old).map_err(|error| rejected(&name, error))?;
            let item = Item::whole(encode(&new, &name)?, expires);
            let mut state = self.0.change()?;
            // A clone of this handle may have set the value while `update` ran; then it runs on that.
            if state.sequence_of(&name) == sequence {
                state.changes_mut().update(&name, replay, item);
                return Ok(new);
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!(
                "the session value `{name}` was set each time that its update ran; set it outside of the update"
            ),
        ))
    }

    /// Puts a value for [`take_flash`](Self::take_flash) to take once: a message for the next page.
    pub fn flash<T: Serialize + ?Sized>(&self, key: impl SessionKey<T>, value: &T) -> Result<()> {
        let name = key.name();
        check_name(name)?;
        let flash = Flash::Put(Item::whole(encode(value, name)?, None));
        self.0.change()?.changes_mut().flash(name, flash);
        Ok(())
    }

    /// Takes the value that was flashed as `key`, so that nobody gets it again.
    ///
    /// What this returns is provisional until [`save`](Self::save): of two requests that take it at the same
    /// time, both may get it.
    pub async fn take_flash<T: DeserializeOwned>(
        &self,
        key: impl SessionKey<T>,
    ) -> Result<Option<T>> {
        let name = key.name().to_owned();
        drop(key);
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await?;
        let Some(item) = self.0.state.lock().flash(&name) else {
            return Ok(None);
        };
        let value = decode(&item, &name)?;
        let flash = Flash::Taken(item);
        self.0.change()?.changes_mut().flash(&name, flash);
        Ok(Some(value))
    }

    /// Moves the session to a new id when it is committed. Call it when a visitor logs in or gains rights, so
    /// that nobody who knew the old id comes along.
    ///
    /// The cookie changes with the response. A request that still carries the old id sees an empty session.
    pub fn regenerate(&self) -> Result<()> {
        if self.0.mode == Mode::Detached {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a detached session cannot move to a new id, since no response would carry its cookie; \
                 call `regenerate` in the handler",
            ));
        }
        let mut state = self.0.change()?;
        state.regenerate = true;
        if self.0.store.inner().backing.cookie().is_none() {
            state.next_id.get_or_insert_with(SessionId::random);
        }
        Ok(())
    }

    /// Removes the session from the store now, and its cookie with the response. What is set afterwards goes
    /// to a new session.
    ///
    /// An error means that the session may still be there, and this handle still has it.
    pub async fn destroy(&self) -> Result<()> {
        drop(self.0.change()?);
        let inner = Arc::clone(&self.0);
        let tasks = &self.0.store.inner().tasks;
        DetachOnDrop::new(tasks, async move { inner.destroy().await }).await
    }

    /// Changes to the session under `id`, drops what was not saved, and says whether there is one. If not,
    /// everything stays as it was.
    ///
    /// The id comes from the application, not from the client's cookie; the cookie changes with the response.
    pub async fn load(&self, id: SessionId) -> Result<bool> {
        let _io = self.0.lock_io().await?;
        drop(self.0.change()?);
        let base = self.0.read(id).await?;
        let Base::Present(snapshot) = &base else {
            return Ok(false);
        };
        let max_age = self.0.store.inner().max_age_of(snapshot);
        let mut state = self.0.change()?;
        state.reset();
        state.id = Some(id);
        state.set_base(base);
        state.response_cookie = Some(CookieChange::Set { id, max_age });
        Ok(true)
    }

    /// Reads the session again; what was not saved is kept on top of it.
    pub async fn reload(&self) -> Result<()> {
        let _io = self.0.lock_io().await?;
        let id = {
            let mut state = self.0.state.lock();
            state.used = true;
            state.id
        };
        let Some(id) = id else { return Ok(()) };
        let base = self.0.read(id).await?;
        let store = self.0.store.inner();
        loop {
            let changes = self.0.state.lock().changes.clone();
            let record = match &base {
                Base::Present(snapshot) => Some(&snapshot.record),
                _ => None,
            };
            let replayed = changes
                .as_ref()
                .map(|changes| changes.replayed(record, store.default_expires(), store.now()))
                .transpose()?;
            let mut state = self.0.state.lock();
            // A clone of this handle may have changed something meanwhile; then that is replayed as well.
            if state.changes.as_ref().map(Arc::as_ptr) == changes.as_ref().map(Arc::as_ptr) {
                state.changes = replayed.map(Arc::new);
                state.set_base(base);
                return Ok(());
            }
        }
    }

    /// Writes the changes now and says what became of them; reads after it see what was written.
    ///
    /// Without it, the integration writes them when the handler is done. After an error that says that nothing
    /// was applied, the changes are kept: save again, or leave it to the commit at the end of the request. An
    /// error whose [`outcome`](Error::outcome) is unknown leaves nothing to be written again: doing an update
    /// twice would be worse.
    ///
    /// Dropped half-way it goes on by itself. Await it or drop it: one that is kept and not polled holds up the
    /// other commits of this session in this process.
    pub async fn save(&self) -> Result<SaveOutcome> {
        drop(self.0.change()?);
        let inner = Arc::clone(&self.0);
        let tasks = &self.0.store.inner().tasks;
        DetachOnDrop::new(tasks, async move { inner.commit(true).await }).await
    }

    /// The session's id, if it has one: the one that the next commit writes under, or the client's, which is
    /// provisional until the session was loaded. Keep it secret.
    pub fn id(&self) -> Option<SessionId> {
        let mut state = self.0.state.lock();
        state.used = true;
        if state.regenerate {
            return state.next_id;
        }
        match state.base {
            Base::Unread | Base::Present(_) => state.id,
            Base::Absent | Base::Tombstone | Base::Gone => None,
        }
    }

    /// When the session was created: when this project first wrote it. `None` if it has no record, or only Astro has
    /// written it.
    pub async fn created_at(&self) -> Result<Option<Timestamp>> {
        self.ensure_loaded().await?;
        let state = self.0.state.lock();
        let lifetime = state.record().and_then(|record| record.lifetime());
        Ok(lifetime.map(|lifetime| lifetime.created))
    }

    /// When the session expires if no later request uses it. `None` if it has no record, or never expires.
    pub async fn expires_at(&self) -> Result<Option<Timestamp>> {
        self.ensure_loaded().await?;
        let state = self.0.state.lock();
        match &state.base {
            Base::Present(snapshot) => Ok(self.0.store.inner().expiry_of(snapshot)),
            _ => Ok(None),
        }
    }

    /// Gives this session a lifetime of its own, such as for "remember me". It is stored with the session, and
    /// the cookie's Max-Age follows it if it is persistent.
    pub fn set_lifetime(&self, lifetime: Lifetime) -> Result<()> {
        self.0.change()?.changes_mut().set_lifetime(lifetime);
        Ok(())
    }

    /// A handle that works after the response has begun, for streams and websockets. Only its own
    /// [`save`](Self::save) writes its changes.
    ///
    /// It needs an id that the client has: that of a stored session, or of one that was saved in this
    /// request. It does not see what this handle has not saved.
    pub fn detach(&self) -> Result<Self> {
        if self.0.store.inner().backing.cookie().is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "a session that is kept in the cookie can be written with a response only; write it in the \
                 handler, or keep sessions in a driver",
            ));
        }
        let id = {
            let state = self.0.state.lock();
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
        let cookie = RequestCookie::Id(id);
        Ok(Self::new(self.0.store.clone(), Mode::Detached, cookie))
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.0
    }

    /// Loads the session and says whether it has a record.
    pub(crate) async fn load_own(&self) -> Result<bool> {
        self.ensure_loaded().await?;
        Ok(self.0.state.lock().record().is_some())
    }

    async fn load_now(&self) -> Result<()> {
        let _io = self.0.lock_io().await?;
        self.0.load_locked().await
    }

    async fn item(&self, name: &str) -> Result<Option<Item>> {
        let now = || self.0.store.inner().now();
        {
            let mut state = self.0.state.lock();
            state.used = true;
            if !matches!(state.base, Base::Unread) || matches!(state.known(name), Known::Yes(_)) {
                return Ok(state.item(name, now));
            }
        }
        self.load_now().await?;
        Ok(self.0.state.lock().item(name, now))
    }

    async fn items(&self) -> Result<Vec<(String, Option<Item>)>> {
        self.ensure_loaded().await?;
        let now = self.0.store.inner().now();
        let state = self.0.state.lock();
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
            let mut state = self.0.state.lock();
            state.used = true;
            if !matches!(state.base, Base::Unread) {
                return Ok(());
            }
        }
        self.load_now().await
    }
}

impl Inner {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn manager(&self) -> &SessionManager {
        &self.store
    }

    /// Waits for its turn to read or write the record through this handle, for at most the commit's deadline.
    async fn lock_io(&self) -> Result<futures_util::lock::MutexGuard<'_, ()>> {
        if let Some(io) = self.io.try_lock() {
            return Ok(io);
        }
        let limit = self.store.inner().settings.commit_deadline;
        tokio::time::timeout(limit, self.io.lock()).await.map_err(|_| {
            Error::new(
                ErrorKind::Contended,
                format!(
                    "another task has been loading or saving this session for {limit:?}; await its call to the session, \
                     or drop it"
                ),
            )
        })
    }

    /// Whether something still reads or writes the record: a clone, or what a timeout has cut off.
    pub(crate) fn is_busy(&self) -> bool {
        self.io.try_lock().is_none()
    }

    /// The state, to be changed; an error once the response has begun.
    fn change(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        if state.sealed {
            return Err(Error::new(
                ErrorKind::ResponseStarted,
                "the response has begun, so a change of the session would be lost; change it in the handler, \
                 or use a handle from `detach`",
            ));
        }
        state.used = true;
        Ok(state)
    }

    fn known_presence(&self, name: &str) -> Option<bool> {
        let mut state = self.state.lock();
        state.used = true;
        match state.known(name) {
            Known::Yes(item) => Some(item.is_some()),
            Known::No => None,
        }
    }

    /// Reads the record unless it was read; the caller holds `io`.
    async fn load_locked(&self) -> Result<()> {
        let id = {
            let mut state = self.state.lock();
            state.used = true;
            self.open_cookie(&mut state);
            match (&state.base, state.id) {
                (Base::Unread, Some(id)) => id,
                _ => return Ok(()),
            }
        };
        let base = self.read(id).await?;
        self.state.lock().set_base(base);
        Ok(())
    }

    /// Takes the session out of the request's cookies, where it is kept in them and was not yet.
    fn open_cookie(&self, state: &mut State) {
        let store = self.store.inner();
        let backing = store.backing.cookie();
        if let (Some(backing), Base::Unread, None) = (backing, &state.base, state.id) {
            let base = backing.open(store, &state.request_cookies);
            state.set_base(base);
        }
    }

    /// Reads the record of `id`. An error is reported.
    async fn read(&self, id: SessionId) -> Result<Base> {
        let store = self.store.inner();
        let read = store.read(id).await;
        if let Err(error) = &read {
            store.report(Some(id.fingerprint()), &SessionEvent::LoadFailed(error));
        }
        read
    }

    /// Runs the commit protocol on what was changed so far.
    pub(crate) async fn commit(&self, keep_snapshot: bool) -> Result<SaveOutcome> {
        let _io = self.lock_io().await?;
        let store = self.store.inner();
        let (work, request_cookies) = {
            let mut state = self.state.lock();
            if state.changes.is_some() || state.regenerate {
                self.open_cookie(&mut state);
            }
            let work = CommitInput {
                id: state.id,
                base: state.base.clone(),
                had_record: state.had_record,
                changes: state.changes.clone(),
                regenerate: state.regenerate,
                next_id: state.next_id,
                may_create: self.mode != Mode::Detached,
                keep_snapshot,
            };
            (work, state.request_cookies.clone())
        };
        let fingerprint = || work.id.map(|id| id.fingerprint());
        let (changes, next_id) = (work.changes.as_ref(), work.next_id);
        let committed = match &store.backing {
            Backing::Cookie(cookie) => cookie.commit(store, &work, &request_cookies),
            Backing::Driver(_) => commit::commit(store, &work).await,
        };
        match committed {
            Ok(done) => {
                if done.outcome == SaveOutcome::Gone {
                    store.report(fingerprint(), &SessionEvent::Gone);
                }
                let mut state = self.state.lock();
                // What changes nothing of a session that is not stored may still matter to what is set later.
                let stays = done.outcome == SaveOutcome::Unchanged
                    && !matches!(done.base, Base::Present(_));
                if !stays {
                    state.forget(changes);
                    state.forget_regenerate(next_id);
                }
                state.id = done.id;
                state.set_base(done.base);
                let sent = state.response_cookie.take();
                state.response_cookie = match sent {
                    Some(CookieChange::Set { id, .. })
                        if done.outcome == SaveOutcome::Gone && done.id == Some(id) =>
                    {
                        None
                    }
                    sent => done.cookie.or(sent),
                };
                Ok(done.outcome)
            }
            Err(error) => {
                if error.outcome() == Outcome::Unknown {
                    let mut state = self.state.lock();
                    state.forget(changes);
                    state.forget_regenerate(next_id);
                    state.base = if state.id.is_some() {
                        Base::Unread
                    } else {
                        Base::Absent
                    };
                }
                store.report(fingerprint(), &SessionEvent::CommitFailed(&error));
                Err(error)
            }
        }
    }

    async fn destroy(&self) -> Result<()> {
        let _io = self.lock_io().await?;
        let (id, base) = {
            let mut state = self.state.lock();
            // Should the answer get lost: what is missing then is gone.
            state.had_record |= state.id.is_some();
            (state.id, state.base.clone())
        };
        let destroyed = match (id, &base) {
            (Some(id), Base::Unread) => destroy::destroy(self.store.inner(), id, None).await?,
            (Some(id), Base::Present(snapshot)) => {
                destroy::destroy(self.store.inner(), id, Some(snapshot)).await?
            }
            (_, Base::Tombstone) => Destroyed::HadMoved,
            _ => Destroyed::Removed,
        };
        let mut state = self.state.lock();
        let (id, has_cookie) = (
            state.id,
            state.cookie != RequestCookie::Missing || state.response_cookie.is_some(),
        );
        state.reset();
        match destroyed {
            Destroyed::Removed if has_cookie => {
                state.response_cookie = Some(CookieChange::Remove);
            }
            Destroyed::Removed => {}
            // The browser of a session that has moved holds the new id, or is about to: nothing here may take it
            // away, nor give it another.
            Destroyed::HadMoved => {
                state.id = id;
                state.set_base(Base::Tombstone);
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.state.lock();
        f.debug_struct("Session")
            .field("id", &state.id)
            .field("mode", &self.0.mode)
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
        format!("the update of the session value `{name}` was refused by the application; nothing was changed"),
    )
    .with_source(error)
}

fn encode<T: Serialize + ?Sized>(value: &T, name: &str) -> Result<Document> {
    serde_devalue::to_document(value).map_err(|error| {
        Error::new(
            ErrorKind::Unserializable,
            format!("the session value `{name}` cannot be written as devalue; nothing was changed"),
        )
        .with_source(error)
    })
}

fn decode<T: DeserializeOwned>(item: &Item, name: &str) -> Result<T> {
    item.node()
        .deserialize()
        .map_err(|error| wrong_type(name, error))
}

fn wrong_type(name: &str, error: serde_devalue::Error) -> Error {
    stored_value_error(
        error,
        Error::new(
            ErrorKind::WrongType,
            format!("the session value `{name}` is not of the type asked for; it stays as it is"),
        ),
    )
}
