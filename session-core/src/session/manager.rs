//! The manager of an application's sessions, and its builder.
//!
//! [`ManagerInner`] is shared by all sessions: the driver, the settings, the cookie, the clock, the parsed
//! records and the commit queue. The commit protocol, renewal and destruction are in modules of their own.

use std::fmt;
use std::sync::{Arc, Once};
use std::time::Duration;

use futures_core::Stream;
use futures_util::{StreamExt, TryStreamExt, stream};
use http::header::COOKIE;
use http::{HeaderMap, Method, StatusCode};
use tokio_util::task::TaskTracker;

use super::alarm::Alarm;
use super::backing::Backing;
use super::commit::CommitQueue;
use super::cookie::{CookieCodec, RequestCookie};
use super::cookie_session::CookieSessionOptions;
use super::destroy;
use super::detach_on_drop::Detached;
use super::event::EventHook;
use super::inner::Mode;
use super::lifetime::LifetimeRules;
use super::record::{self, RecordCache};
use super::state::State;
use super::{CookieOptions, Session, SessionEvent, SessionId, SessionSettings};
use crate::into_arc::into_arc;
use crate::{
    Capabilities, Clock, Conditions, Driver, DriverExt, Error, ErrorKind, Fingerprint,
    OnCommitError, OnCorruptRecord, OnLostChange, Prefix, Result, SystemClock, Timestamp,
};

/// Manages the sessions of an application: their storage, their lifetime and their cookie.
///
/// ```
/// use std::time::Duration;
/// use session_core::{session::{CookieOptions, SessionManager}, Driver};
///
/// fn sessions(driver: impl Driver) -> session_core::Result<SessionManager> {
///     SessionManager::builder(driver)
///         .cookie(CookieOptions::default().with_name("shop"))
///         .idle_timeout(Duration::from_secs(30 * 60))
///         .build()
/// }
/// ```
///
/// A server uses it through an integration, such as the layer of `session-tower`. Outside of requests,
/// [`open`](Self::open), [`create`](Self::create), [`destroy`](Self::destroy) and [`ids`](Self::ids) work on
/// any session. It is cheap to clone; clones share one manager.
///
/// Each request that uses its session reads the record from the driver. A record that is the same as before is not parsed
/// again: the manager keeps [16 MiB](SessionSettings::record_cache) of parsed records, but none of destroyed sessions.
#[derive(Clone)]
pub struct SessionManager(Arc<ManagerInner>);

/// Decides by the status of a response whether its session is committed.
pub(crate) type CommitWhen = Arc<dyn Fn(StatusCode) -> bool + Send + Sync>;

pub(crate) struct ManagerInner {
    pub(crate) backing: Backing,
    pub(crate) settings: SessionSettings,
    pub(crate) capabilities: Capabilities,
    pub(crate) cookie: CookieCodec,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rules: LifetimeRules,
    pub(crate) records: RecordCache,
    pub(crate) corrupt_records: Alarm,
    pub(crate) queue: Arc<CommitQueue>,
    pub(crate) tasks: TaskTracker,
    /// The commits that run on although their callers have gone.
    pub(crate) detached: Detached,
    hook: Option<EventHook>,
    pub(crate) commit_when: Option<CommitWhen>,
    /// For the warning that another layer with the same cookie name is around that of this manager.
    pub(crate) warned_of_same_cookie: Once,
}

/// Builds a [`SessionManager`] from [`SessionSettings`], a clock and a hook.
pub struct SessionManagerBuilder {
    backing: Backing<CookieSessionOptions>,
    settings: SessionSettings,
    clock: Arc<dyn Clock>,
    hook: Option<EventHook>,
    commit_when: Option<CommitWhen>,
}

impl SessionManagerBuilder {
    fn new(backing: Backing<CookieSessionOptions>) -> Self {
        Self {
            backing,
            settings: SessionSettings::default(),
            clock: Arc::new(SystemClock),
            hook: None,
            commit_when: None,
        }
    }

    fn finish(self, cookie: CookieCodec, backing: Backing) -> SessionManager {
        let capabilities = backing.capabilities();
        let can_touch = capabilities.touch && capabilities.reports_expiry;
        SessionManager(Arc::new(ManagerInner {
            capabilities,
            cookie,
            backing,
            rules: LifetimeRules {
                idle: self.settings.idle_timeout,
                absolute: self.settings.absolute_timeout,
                max_lifetime: self.settings.max_lifetime,
                touch_interval: self.settings.touch_interval,
                cookie_max_age: self.settings.cookie.max_age,
                can_touch,
            },
            records: RecordCache::new(self.settings.record_cache),
            settings: self.settings,
            clock: self.clock,
            corrupt_records: Alarm::default(),
            queue: Arc::default(),
            tasks: TaskTracker::new(),
            detached: Detached::default(),
            hook: self.hook,
            commit_when: self.commit_when,
            warned_of_same_cookie: Once::new(),
        }))
    }

    /// Replaces all settings, including those that other setters have set.
    #[must_use]
    pub fn settings(mut self, settings: SessionSettings) -> Self {
        self.settings = settings;
        self
    }

    /// Sets the [cookie](SessionSettings::cookie).
    #[must_use]
    pub fn cookie(mut self, cookie: CookieOptions) -> Self {
        self.settings.cookie = cookie;
        self
    }

    /// Sets the [default lifetime of a value](SessionSettings::ttl).
    #[must_use]
    pub fn value_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.settings.ttl = ttl.into();
        self
    }

    /// Sets the [idle timeout](SessionSettings::idle_timeout); `None` disables it.
    #[must_use]
    pub fn idle_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.idle_timeout = timeout.into();
        self
    }

    /// Sets the [absolute timeout](SessionSettings::absolute_timeout); `None` disables it.
    #[must_use]
    pub fn absolute_timeout(mut self, timeout: impl Into<Option<Duration>>) -> Self {
        self.settings.absolute_timeout = timeout.into();
        self
    }

    /// Sets the [longest absolute timeout](SessionSettings::max_lifetime) that a session can be given; `None` is no limit.
    #[must_use]
    pub fn max_lifetime(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.settings.max_lifetime = limit.into();
        self
    }

    /// Sets the [touch interval](SessionSettings::touch_interval).
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.settings.touch_interval = Some(interval);
        self
    }

    /// Sets the [grace period](SessionSettings::regenerate_grace) of an id that was replaced.
    #[must_use]
    pub fn regenerate_grace(mut self, grace: Duration) -> Self {
        self.settings.regenerate_grace = grace;
        self
    }

    /// Sets the [deadline of a commit](SessionSettings::commit_deadline).
    #[must_use]
    pub fn commit_deadline(mut self, deadline: Duration) -> Self {
        self.settings.commit_deadline = deadline;
        self
    }

    /// Sets [what happens to a response](SessionSettings::on_commit_error) whose session could not be written.
    #[must_use]
    pub fn on_commit_error(mut self, policy: OnCommitError) -> Self {
        self.settings.on_commit_error = policy;
        self
    }

    /// Sets [what happens to a response](SessionSettings::on_lost_change) whose changes were lost to another request.
    #[must_use]
    pub fn on_lost_change(mut self, policy: OnLostChange) -> Self {
        self.settings.on_lost_change = policy;
        self
    }

    /// Sets [what happens to a record](SessionSettings::on_corrupt_record) that cannot be parsed.
    #[must_use]
    pub fn on_corrupt_record(mut self, policy: OnCorruptRecord) -> Self {
        self.settings.on_corrupt_record = policy;
        self
    }

    /// Commits a session at the end of a request only if `commit_when` returns true for the status of the response.
    ///
    /// Without it, a session is committed whatever the status. Set it if a layer inside of the session layer answers for a
    /// handler that is not done, such as tower-http's `TimeoutLayer`: the changes that the handler had made until then
    /// would be half of what it wanted to change. Changes that the handler saved itself are not affected.
    ///
    /// ```
    /// use session_core::{session::SessionManager, Driver};
    ///
    /// fn sessions(driver: impl Driver) -> session_core::Result<SessionManager> {
    ///     SessionManager::builder(driver).commit_when(|status| !status.is_server_error()).build()
    /// }
    /// ```
    #[must_use]
    pub fn commit_when(
        mut self,
        commit_when: impl Fn(StatusCode) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.commit_when = Some(Arc::new(commit_when));
        self
    }

    /// Sets the [memory of the cache of parsed records](SessionSettings::record_cache) in bytes; 0 disables it.
    #[must_use]
    pub fn record_cache(mut self, bytes: usize) -> Self {
        self.settings.record_cache = bytes;
        self
    }

    /// Sets the [maximum size of a record](SessionSettings::max_record_size) in bytes.
    #[must_use]
    pub fn max_record_size(mut self, bytes: usize) -> Self {
        self.settings.max_record_size = bytes;
        self
    }

    /// Calls `hook` for each [`SessionEvent`], in the task where it happens. It must not block.
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&SessionEvent<'_>) + Send + Sync + 'static) -> Self {
        self.hook = Some(Arc::new(hook));
        self
    }

    /// Sets the clock, for tests of lifetimes. Default: the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Builds the manager.
    ///
    /// Settings that are invalid, or invalid together, are an error of kind
    /// [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig).
    pub fn build(self) -> Result<SessionManager> {
        self.settings.validate()?;
        let cookie = CookieCodec::new(&self.settings.cookie);
        let backing = match &self.backing {
            Backing::Driver(driver) => Backing::Driver(Arc::clone(driver)),
            #[cfg(feature = "cookie-session")]
            Backing::Cookie(options) => Backing::Cookie(options.clone().build(&cookie)?),
            #[cfg(not(feature = "cookie-session"))]
            Backing::Cookie(never) => match *never {},
        };
        Ok(self.finish(cookie, backing))
    }
}

impl SessionManager {
    /// Creates a manager of sessions in `driver`, with default settings.
    pub fn new(driver: impl Driver) -> Self {
        let driver = into_arc(driver);
        let builder = SessionManagerBuilder::new(Backing::Driver(Arc::clone(&driver)));
        builder.finish(CookieCodec::default(), Backing::Driver(driver))
    }

    /// Returns a builder for a manager of sessions in `driver`.
    pub fn builder(driver: impl Driver) -> SessionManagerBuilder {
        SessionManagerBuilder::new(Backing::Driver(into_arc(driver)))
    }

    /// Returns a builder for a manager of sessions that are stored in the visitors' cookies.
    ///
    /// The limits of such sessions are in the documentation of [`CookieSessionOptions`].
    #[cfg(feature = "cookie-session")]
    pub fn in_cookies(options: CookieSessionOptions) -> SessionManagerBuilder {
        SessionManagerBuilder::new(Backing::Cookie(options))
    }

    /// Creates a manager of the same sessions with other settings.
    ///
    /// It has the same clock and hook. [`close`](Self::close) waits for the commits of one manager only.
    pub fn with_settings(&self, settings: SessionSettings) -> Result<Self> {
        let backing = match &self.0.backing {
            Backing::Driver(driver) => Backing::Driver(Arc::clone(driver)),
            #[cfg(feature = "cookie-session")]
            Backing::Cookie(cookie) => Backing::Cookie(cookie.options().clone()),
            #[cfg(not(feature = "cookie-session"))]
            Backing::Cookie(never) => match *never {},
        };
        SessionManagerBuilder {
            backing,
            settings,
            clock: Arc::clone(&self.0.clock),
            hook: self.0.hook.clone(),
            commit_when: self.0.commit_when.clone(),
        }
        .build()
    }

    /// Returns the settings.
    pub fn settings(&self) -> &SessionSettings {
        &self.0.settings
    }

    /// Returns the driver; `None` if sessions are stored in cookies.
    pub fn driver(&self) -> Option<&Arc<dyn Driver>> {
        self.0.backing.driver().ok()
    }

    /// Returns the name of the session cookie.
    pub fn cookie_name(&self) -> &str {
        self.0.cookie.name()
    }

    /// Returns the session of a request, without I/O, for authors of integrations.
    ///
    /// The method decides what [`Session::commit`] does with changes that were lost to another request.
    pub fn session_from_request(&self, method: &Method, headers: &HeaderMap) -> Session {
        let session = self.session_from_headers(headers);
        // An upgrade or a tunnel has a response without a body to replace.
        if method.is_safe() || *method == Method::CONNECT {
            session.inner().state().ignores_lost_changes = true;
        }
        session
    }

    /// Returns the session of a request with these headers, without I/O, for servers without an integration.
    pub fn session_from_headers(&self, headers: &HeaderMap) -> Session {
        let cookie = self.0.cookie.read(headers);
        if self.0.backing.cookie().is_some() {
            let headers = headers.get_all(COOKIE).into_iter().cloned().collect();
            let state = State::from_cookies(cookie, headers);
            return Session::with_state(self.clone(), Mode::Request, state);
        }
        Session::new(self.clone(), Mode::Request, cookie)
    }

    /// Loads the session with the given `id`, or returns `None` if it does not exist.
    ///
    /// Only [`save`](Session::save) writes changes to it.
    pub async fn open(&self, id: SessionId) -> Result<Option<Session>> {
        let session = Session::new(self.clone(), Mode::Detached, RequestCookie::of(id));
        Ok(session.load_own().await?.then_some(session))
    }

    /// Creates a session, for programs without requests and for tests of handlers.
    ///
    /// [`save`](Session::save) stores it and gives it an id.
    ///
    /// ```
    /// use session_core::session::{Session, SessionManager};
    ///
    /// async fn greet(session: Session) -> session_core::Result<String> {
    ///     Ok(format!("Hello, {}!", session.get::<String>("name").await?.unwrap_or_default()))
    /// }
    ///
    /// async fn test_of_greet(sessions: SessionManager) -> session_core::Result<()> {
    ///     let session = sessions.create();
    ///     session.set("name", "Ann")?;
    ///     assert_eq!(greet(session).await?, "Hello, Ann!");
    ///     Ok(())
    /// }
    /// ```
    pub fn create(&self) -> Session {
        Session::new(self.clone(), Mode::Standalone, RequestCookie::default())
    }

    /// Destroys the session with the given `id`, if it exists, and what it became if it has moved.
    pub async fn destroy(&self, id: SessionId) -> Result<()> {
        destroy::destroy(&self.0, id, None).await
    }

    /// Returns a stream of all stored session ids, which reads them page by page.
    ///
    /// It includes ids that were replaced by `regenerate` until their grace period is over. For these,
    /// [`open`](Self::open) returns `None`.
    pub fn ids(&self) -> impl Stream<Item = Result<SessionId>> + Send + '_ {
        let ids = self.0.driver().map(|driver| {
            driver
                .keys(Prefix::root())
                .map_ok(|key| SessionId::parse(key.as_str().as_bytes()))
                .filter_map(|id| std::future::ready(id.transpose()))
        });
        stream::once(std::future::ready(ids)).try_flatten()
    }

    /// Waits for running commits, at most for `timeout`, and closes the driver.
    ///
    /// Sessions cannot be read or written afterwards. If commits are still running after `timeout`, the driver is closed
    /// nevertheless, and the error is of kind [`TimedOut`](ErrorKind::TimedOut).
    pub async fn close(&self, timeout: Duration) -> Result<()> {
        self.0.tasks.close();
        let waited = tokio::time::timeout(timeout, self.0.tasks.wait()).await;
        if let Some(driver) = self.driver() {
            driver.close().await?;
        }
        waited.map_err(|_| {
            let running = self.0.tasks.len();
            Error::new(
                ErrorKind::TimedOut,
                format!("{running} commits of sessions were still running after {timeout:?}"),
            )
        })
    }

    /// Returns the current time of the manager's clock.
    pub fn now(&self) -> Timestamp {
        self.0.now()
    }

    /// Returns whether both are the same manager.
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
            .field("backing", &self.0.backing)
            .field("cookie", &self.cookie_name())
            .finish_non_exhaustive()
    }
}

impl ManagerInner {
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The driver; an error where sessions are stored in cookies.
    pub(crate) fn driver(&self) -> Result<&Arc<dyn Driver>> {
        self.backing.driver()
    }

    /// The `expires` of a value that was set without an expiry.
    pub(crate) fn default_expires(&self) -> Option<f64> {
        self.settings
            .ttl
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
}
