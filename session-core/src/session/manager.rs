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
use super::lifetime::LifetimeRules;
#[cfg(feature = "cookie-session")]
use super::no_driver::NoDriver;
use super::queue::CommitQueue;
use super::record::{self, RecentRecords, Record, Stored};
use super::state::{Base, Snapshot, State};
use super::{CookieOptions, Session, SessionEvent, SessionId};
use crate::{
    Capabilities, Clock, Conditions, Driver, DriverExt, Entry, Error, ErrorKind, Fingerprint,
    OnCommitError, Prefix, Result, SystemClock, Timestamp,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The sessions of an application: where they are stored, for how long, and how their cookie looks.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use session_core::{session::{CookieOptions, SessionManager}, Driver};
///
/// fn sessions(driver: Arc<dyn Driver>) -> session_core::Result<SessionManager> {
///     SessionManager::builder(driver)
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
#[derive(Clone)]
pub struct SessionManager(Arc<ManagerInner>);

pub(crate) struct ManagerInner {
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
    pub(crate) on_commit_error: OnCommitError,
    pub(crate) max_record_size: usize,
    pub(crate) recent: RecentRecords,
    pub(crate) queue: CommitQueue,
    pub(crate) tasks: TaskTracker,
    hook: Option<EventHook>,
}

/// Settings of a [`SessionManager`].
pub struct SessionManagerBuilder {
    driver: Arc<dyn Driver>,
    in_cookies: Option<CookieSessionOptions>,
    cookie: CookieOptions,
    clock: Arc<dyn Clock>,
    rules: LifetimeRules,
    value_ttl: Option<Duration>,
    regenerate_grace: Duration,
    commit_deadline: Duration,
    on_commit_error: OnCommitError,
    max_record_size: usize,
    hook: Option<EventHook>,
}

impl SessionManagerBuilder {
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
            on_commit_error: OnCommitError::default(),
            max_record_size: 1024 * 1024,
            hook: None,
        }
    }

    fn finish(self, cookie: CookieCodec, in_cookies: Option<CookieBacking>) -> SessionManager {
        let capabilities = self.driver.capabilities();
        SessionManager(Arc::new(ManagerInner {
            capabilities,
            cookie,
            in_cookies,
            driver: self.driver,
            clock: self.clock,
            rules: self.rules,
            value_ttl: self.value_ttl,
            regenerate_grace: self.regenerate_grace,
            commit_deadline: self.commit_deadline,
            on_commit_error: self.on_commit_error,
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
    pub fn on_commit_error(mut self, policy: OnCommitError) -> Self {
        self.on_commit_error = policy;
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
    pub fn build(mut self) -> Result<SessionManager> {
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

impl SessionManager {
    /// Sessions in `driver` with default settings.
    pub fn new(driver: Arc<dyn Driver>) -> Self {
        SessionManagerBuilder::new(driver).finish(CookieCodec::default(), None)
    }

    /// Sessions in `driver`, with every setting to be changed before they are built.
    pub fn builder(driver: Arc<dyn Driver>) -> SessionManagerBuilder {
        SessionManagerBuilder::new(driver)
    }

    /// Sessions that are kept in the visitors' cookies, with every setting to be changed before they are built.
    /// What such sessions cannot do is in the documentation of [`CookieSessionOptions`].
    #[cfg(feature = "cookie-session")]
    pub fn in_cookies(options: CookieSessionOptions) -> SessionManagerBuilder {
        let mut builder = SessionManagerBuilder::new(Arc::new(NoDriver));
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
    pub fn session_from_headers(&self, headers: &HeaderMap) -> Session {
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
    /// use session_core::session::{Session, SessionManager};
    ///
    /// async fn greet(session: Session) -> session_core::Result<String> {
    ///     Ok(format!("Hello, {}!", session.get::<String>("name").await?.unwrap_or_default()))
    /// }
    ///
    /// async fn test_of_greet(store: SessionManager) -> session_core::Result<()> {
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

    /// Whether both are the same manager.
    pub fn ptr_eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(crate) fn inner(&self) -> &Arc<ManagerInner> {
        &self.0
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("driver", &self.0.driver)
            .field("cookie", &self.cookie_name())
            .finish_non_exhaustive()
    }
}

impl ManagerInner {
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
        match self
            .driver
            .read(&id.key())
            .await
            .map_err(commit::not_applied)?
        {
            Some(entry) => self.interpret(Some(id), entry),
            None => Ok(Base::Absent),
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
