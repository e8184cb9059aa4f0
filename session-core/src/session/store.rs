use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt};
use http::HeaderMap;
use http::header::COOKIE;
use tokio_util::task::TaskTracker;

use super::commit;
use super::cookie::{CookieCodec, RequestCookie};
use super::cookie_session::{CookieBacking, CookieSessionOptions};
use super::destroy;
use super::event::EventHook;
use super::handle::Mode;
use super::known_ends::KnownEnds;
use super::lifetime::LifetimeRules;
#[cfg(feature = "cookie-session")]
use super::no_driver::NoDriver;
use super::queue::CommitQueue;
use super::record::{self, RecentRecords, Record, Stored};
use super::state::{Base, Snapshot, State};
use super::{CookieOptions, Session, SessionEvent, SessionId};
use crate::{
    Bytes, Capabilities, Clock, Conditions, Driver, DriverExt, Entry, Error, ErrorKind,
    Fingerprint, Prefix, Result, SystemClock, Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What becomes of a response whose session could not be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CommitFailure {
    /// It is replaced by an empty one with status 500, so that no visitor is told of what did not happen.
    #[default]
    FailResponse,
    /// It goes out as it is, without the session's cookie; the failure is reported to the hook alone.
    KeepResponse,
}

/// The sessions of an application: where they are stored, for how long, and how their cookie looks.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use session_core::{session::{CookieOptions, SessionStore}, Driver};
///
/// fn sessions(driver: Arc<dyn Driver>) -> session_core::Result<SessionStore> {
///     SessionStore::builder(driver)
///         .cookie(CookieOptions::default().with_name("shop"))
///         .idle_timeout(Duration::from_secs(30 * 60))
///         .build()
/// }
/// ```
///
/// A server takes one through an integration, such as the layer of `session-tower`. Outside of requests,
/// [`open`](Self::open), [`create`](Self::create), [`destroy`](Self::destroy) and [`ids`](Self::ids) work on
/// any session. It is cheap to clone; all clones are the same store.
///
/// It keeps up to 64 of the records that it saw last, of at most 4 KiB each, so that of several requests of a visitor
/// one parses the session; each still reads the record from the driver. A session that is destroyed is not kept.
///
/// Over a driver with [`cheap_value_reads`](Capabilities::cheap_value_reads), it keeps in mind when up to 32,768
/// sessions end, in less than a megabyte and a half, and asks for the end of one about every ten seconds and not with
/// each read. Who moves the end of a record and leaves its value as it is (Astro, which writes a whole record also where
/// nothing has changed; a server with other timeouts; somebody by hand) is noticed so much later.
#[derive(Clone)]
pub struct SessionStore(Arc<StoreInner>);

pub(crate) struct StoreInner {
    /// One that refuses everything where sessions are kept in cookies.
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) in_cookies: Option<CookieBacking>,
    pub(crate) capabilities: Capabilities,
    pub(crate) cookie: CookieCodec,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: LifetimeRules,
    pub(crate) value_ttl: Option<Duration>,
    pub(crate) regenerate_grace: Duration,
    pub(crate) commit_deadline: Duration,
    pub(crate) commit_failure: CommitFailure,
    pub(crate) max_record_size: usize,
    pub(crate) recent: RecentRecords,
    /// `None` where a read tells the end for nothing.
    ends: Option<KnownEnds>,
    pub(crate) queue: CommitQueue,
    pub(crate) tasks: TaskTracker,
    hook: Option<EventHook>,
}

/// Settings of a [`SessionStore`].
pub struct SessionStoreBuilder {
    driver: Arc<dyn Driver>,
    in_cookies: Option<CookieSessionOptions>,
    cookie: CookieOptions,
    clock: Arc<dyn Clock>,
    rules: LifetimeRules,
    value_ttl: Option<Duration>,
    regenerate_grace: Duration,
    commit_deadline: Duration,
    commit_failure: CommitFailure,
    max_record_size: usize,
    hook: Option<EventHook>,
}

impl SessionStoreBuilder {
    fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            driver,
            in_cookies: None,
            cookie: CookieOptions::default(),
            clock: Arc::new(SystemClock),
            rules: LifetimeRules {
                idle: Some(14 * DAY),
                absolute: None,
                touch_interval: None,
            },
            value_ttl: None,
            regenerate_grace: Duration::from_secs(60),
            commit_deadline: Duration::from_secs(2),
            commit_failure: CommitFailure::default(),
            max_record_size: 1024 * 1024,
            hook: None,
        }
    }

    fn finish(self, cookie: CookieCodec, in_cookies: Option<CookieBacking>) -> SessionStore {
        let capabilities = self.driver.capabilities();
        SessionStore(Arc::new(StoreInner {
            ends: (capabilities.cheap_value_reads && capabilities.reports_expiry)
                .then(KnownEnds::default),
            capabilities,
            cookie,
            in_cookies,
            driver: self.driver,
            clock: self.clock,
            rules: self.rules,
            value_ttl: self.value_ttl,
            regenerate_grace: self.regenerate_grace,
            commit_deadline: self.commit_deadline,
            commit_failure: self.commit_failure,
            max_record_size: self.max_record_size,
            recent: RecentRecords::default(),
            queue: CommitQueue::default(),
            tasks: TaskTracker::new(),
            hook: self.hook,
        }))
    }

    /// The cookie that carries the session id. Default: [`CookieOptions::default`].
    #[must_use]
    pub fn cookie(mut self, cookie: CookieOptions) -> Self {
        self.cookie = cookie;
        self
    }

    /// How long a value lives after it was set, unless its own call says otherwise. Default: as long as its
    /// session.
    #[must_use]
    pub fn value_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.value_ttl = ttl.into();
        self
    }

    /// How long a session lives after the last request that loaded it; `None` is for ever. Default: 14 days.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.rules.idle = timeout.into();
        self
    }

    /// How long a session lives in all, whatever its activity; `None` is for ever. Default: `None`.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.rules.absolute = timeout.into();
        self
    }

    /// How far the end of a session that is only read must lie off before it is moved, which costs one
    /// operation. Default: a twentieth of the idle timeout, and an hour at most.
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.rules.touch_interval = Some(interval);
        self
    }

    /// How long a request that still carries the id from before a
    /// [`regenerate`](super::Session::regenerate) is recognised. Default: 60 s.
    #[must_use]
    pub fn regenerate_grace(mut self, grace: Duration) -> Self {
        self.regenerate_grace = grace;
        self
    }

    /// How long a commit tries again while others change the same session. Default: 2 s.
    #[must_use]
    pub fn commit_deadline(mut self, deadline: Duration) -> Self {
        self.commit_deadline = deadline;
        self
    }

    /// What becomes of a response whose session could not be written. Default: it fails.
    #[must_use]
    pub fn commit_failure(mut self, policy: CommitFailure) -> Self {
        self.commit_failure = policy;
        self
    }

    /// The longest record in bytes. Default: 1 MiB.
    #[must_use]
    pub fn max_record_size(mut self, bytes: usize) -> Self {
        self.max_record_size = bytes;
        self
    }

    /// Calls `hook` for each [`SessionEvent`], in the task where it happens. It must not block.
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&SessionEvent<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Takes the time from `clock`, for tests of lifetimes. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Makes the store; an error of kind [`ErrorKind::InvalidConfig`] says what does not go together.
    pub fn build(mut self) -> Result<SessionStore> {
        if self.rules.idle.is_some_and(|idle| idle.is_zero())
            || self
                .rules
                .absolute
                .is_some_and(|absolute| absolute.is_zero())
        {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "a session that lives for 0 s is of no use; give `idle_timeout` and `absolute_timeout` \
                 at least a second, or \"never\"",
            ));
        }
        let cookie = CookieCodec::new(&self.cookie)?;
        let in_cookies = match self.in_cookies.take() {
            Some(options) => Some(options.build(&cookie)?),
            None => None,
        };
        Ok(self.finish(cookie, in_cookies))
    }
}

impl SessionStore {
    /// Sessions in `driver` with default settings.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        SessionStoreBuilder::new(driver).finish(CookieCodec::default(), None)
    }

    /// Sessions in `driver`, with every setting to be changed before they are built.
    pub fn builder(driver: Arc<dyn Driver>) -> SessionStoreBuilder {
        SessionStoreBuilder::new(driver)
    }

    /// Sessions that are kept in the visitors' cookies, with every setting to be changed before they are built.
    /// What such sessions cannot do is in the documentation of [`CookieSessionOptions`].
    #[cfg(feature = "cookie-session")]
    pub fn in_cookies(options: CookieSessionOptions) -> SessionStoreBuilder {
        let mut builder = SessionStoreBuilder::new(Arc::new(NoDriver));
        builder.in_cookies = Some(options);
        builder
    }

    /// The driver below; `None` where sessions are kept in cookies.
    pub fn driver(&self) -> Option<&Arc<dyn Driver>> {
        self.0.in_cookies.is_none().then_some(&self.0.driver)
    }

    /// The name of the session cookie.
    pub fn cookie_name(&self) -> &str {
        self.0.cookie.name()
    }

    /// The session of a request with these headers, for authors of integrations. It costs no I/O.
    pub fn session_of(&self, headers: &HeaderMap) -> Session {
        let cookie = self.0.cookie.read(headers);
        if self.0.in_cookies.is_some() {
            let headers = headers.get_all(COOKIE).into_iter().cloned().collect();
            let state = State::held(cookie, headers);
            return Session::with_state(self.clone(), Mode::Request, state);
        }
        Session::new(self.clone(), Mode::Request, cookie)
    }

    /// The session under `id`, or `None` if there is none. Changes to it are written by
    /// [`save`](Session::save) alone.
    pub async fn open(&self, id: SessionId) -> Result<Option<Session>> {
        let session = Session::new(self.clone(), Mode::Detached, RequestCookie::Id(id));
        Ok(session.load_own().await?.then_some(session))
    }

    /// A new session, for programs without requests and for tests of handlers. It is stored, and gets its id,
    /// by [`save`](Session::save).
    ///
    /// ```
    /// use session_core::session::{Session, SessionStore};
    ///
    /// async fn greet(session: Session) -> session_core::Result<String> {
    ///     Ok(format!("Hello, {}!", session.get::<String>("name").await?.unwrap_or_default()))
    /// }
    ///
    /// async fn test_of_greet(store: SessionStore) -> session_core::Result<()> {
    ///     let session = store.create();
    ///     session.set("name", "Ann")?;
    ///     assert_eq!(greet(session).await?, "Hello, Ann!");
    ///     Ok(())
    /// }
    /// ```
    pub fn create(&self) -> Session {
        Session::new(self.clone(), Mode::Standalone, RequestCookie::Missing)
    }

    /// Destroys the session under `id`, if there is one.
    pub async fn destroy(&self, id: SessionId) -> Result<()> {
        destroy::destroy(&self.0, id, None).await?;
        Ok(())
    }

    /// The ids under which something is stored, as a stream that pages through the store. An id that was just
    /// regenerated is among them until its grace is over; [`open`](Self::open) tells it apart.
    pub fn ids(&self) -> impl Stream<Item = Result<SessionId>> + Send + '_ {
        self.0
            .driver
            .keys(Prefix::root())
            .map_ok(|key| SessionId::parse(key.as_str().as_bytes()))
            .filter_map(|id| std::future::ready(id.transpose()))
    }

    /// Waits for the commits that still run, and closes the driver. Sessions cannot be read or written
    /// afterwards.
    pub async fn close(&self) -> Result<()> {
        self.0.tasks.close();
        self.0.tasks.wait().await;
        self.0.driver.close().await
    }

    /// The time by which its sessions live: the system's, unless a test set another clock.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Whether both are the same store.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn inner(&self) -> &Arc<StoreInner> {
        &self.0
    }
}

impl fmt::Debug for SessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionStore")
            .field("driver", &self.0.driver)
            .field("cookie", &self.cookie_name())
            .finish_non_exhaustive()
    }
}

impl StoreInner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The `expires` of a value whose setter gave none.
    pub(crate) fn default_expires(&self) -> Option<f64> {
        self.value_ttl
            .map(|ttl| record::to_expires(self.now().saturating_add(ttl)))
    }

    pub(crate) fn report(&self, session: Option<Fingerprint>, event: &SessionEvent<'_>) {
        event.trace(session);
        if let Some(hook) = &self.hook {
            hook(event);
        }
    }

    pub(crate) fn has_conditions(&self) -> bool {
        self.capabilities.conditions != Conditions::None
    }

    /// Reads what is stored under `id`.
    pub(crate) async fn read(&self, id: SessionId) -> Result<Base> {
        let read = self.fetch(id).await;
        self.interpret_read(id, read)
    }

    /// Reads the entry of `id`. When it ends may be what is known of it here, if the driver reads the value alone for
    /// less.
    pub(crate) async fn fetch(&self, id: SessionId) -> Result<Option<Entry>> {
        let key = id.key()?;
        let Some(ends) = &self.ends else {
            return self.driver.read(&key).await;
        };
        if let Some(known) = ends.find(id, self.now()) {
            let Some(entry) = self.driver.read_value(&key).await? else {
                ends.forget(id);
                return Ok(None);
            };
            if ends.is_of(known, &entry.value) {
                return Ok(Some(entry.with_expires_at(known.end)));
            }
            // What this process itself writes meanwhile is nobody else's.
            match ends.find(id, self.now()) {
                Some(newer) if ends.is_of(newer, &entry.value) => {
                    return Ok(Some(entry.with_expires_at(newer.end)));
                }
                newer if newer == Some(known) && !self.queue.is_taken(id) => {
                    ends.share(id, self.now());
                }
                _ => {}
            }
        }
        let entry = self.driver.read(&key).await?;
        match &entry {
            Some(entry) => self.learn_end(id, &entry.value, entry.expires_at),
            None => ends.forget(id),
        }
        Ok(entry)
    }

    /// Keeps in mind when the record of this value ends.
    pub(crate) fn learn_end(&self, id: SessionId, value: &Bytes, end: Option<Timestamp>) {
        if let Some(ends) = &self.ends {
            ends.learn(id, value, end, self.now());
        }
    }

    /// Keeps nothing in mind of a session that has moved or is destroyed.
    pub(crate) fn forget(&self, id: SessionId) {
        self.recent.forget(id);
        if let Some(ends) = &self.ends {
            ends.forget(id);
        }
    }

    /// What the answer of the driver to a read means for the session.
    pub(crate) fn interpret_read(
        &self,
        id: SessionId,
        read: Result<Option<Entry>>,
    ) -> Result<Base> {
        match read.map_err(commit::not_applied)? {
            None => Ok(Base::Absent),
            Some(entry) => self.interpret(Some(id), entry),
        }
    }

    /// What an entry of the driver, or what a cookie held, means for the session.
    pub(crate) fn interpret(&self, id: Option<SessionId>, entry: Entry) -> Result<Base> {
        let recent = id.and_then(|id| self.recent.find(id, &entry.value));
        let record = match recent {
            Some(record) => record,
            None => match record::parse(entry.value)? {
                Stored::Nothing => return Ok(Base::Absent),
                Stored::Tombstone => return Ok(Base::Tombstone),
                Stored::Record(record) => {
                    if let Some(id) = id {
                        self.recent.keep(id, &record);
                    }
                    record
                }
            },
        };
        if self.is_past_deadline(&record) {
            return Ok(Base::Absent);
        }
        Ok(Base::Present(Snapshot {
            record,
            version: entry.version,
            expires_at: entry.expires_at,
        }))
    }

    fn is_past_deadline(&self, record: &Record) -> bool {
        let deadline = record.lifetime().and_then(|lifetime| lifetime.deadline);
        deadline.is_some_and(|deadline| deadline <= self.now())
    }
}
