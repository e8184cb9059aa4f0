use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{self, Deserializer};

use crate::decorators::{Timeout, Traced};
use crate::{Driver, Error, ErrorKind, OnCommitError};

use super::names::shown;
use super::options::invalid;
use super::problem::Problem;
use super::value::{Table, Value};
use super::{ConfigContext, CookieConfig, Lifetime, Options, Registry, Seconds, toml_text, typed};

const COOKIE: &str = "cookie";

const IDLE_TIMEOUT: Seconds = Seconds::above_zero(14 * 24 * 60 * 60);
const REGENERATE_GRACE: Seconds = Seconds::above_zero(60);
const COMMIT_DEADLINE: Seconds = Seconds::above_zero(2);
const TIMEOUT: Seconds = Seconds::above_zero(5);
const MAX_RECORD_SIZE: usize = 1024 * 1024;

/// All that is configured of sessions: the driver and its options, the cookie, the lifetimes.
///
/// It is a serde type, so it nests in an application's own configuration of any format, and loads from TOML
/// on its own:
///
/// ```
/// use session_core::config::{ConfigContext, SessionConfig};
///
/// #[derive(serde::Deserialize)]
/// struct AppConfig {
///     listen: String,
///     session: SessionConfig,
/// }
///
/// let app: AppConfig = toml::from_str(r#"
///     listen = "127.0.0.1:3000"
///     [session]
///     driver = { name = "sqlite", path = "sessions.db" }
///     idle_timeout = "never"
///     cookie = { name = "sid", secure = false }
/// "#)?;
/// let session = app.session.with_context(ConfigContext::new("/etc/app"));
/// assert_eq!(session.driver, "sqlite");
/// # Ok::<(), toml::de::Error>(())
/// ```
///
/// | setting | unit | default |
/// |---|---|---|
/// | `driver` | name, or table with `name` and the options | must be given |
/// | `options` | table of the driver's options | empty |
/// | `ttl` | seconds, or `"never"` | `"never"` |
/// | `cookie` | name, or table: `name`, `domain`, `path`, `max_age`, `same_site`, `secure`, `partitioned` | the session layer's |
/// | `idle_timeout` | seconds, or `"never"` | 14 days |
/// | `absolute_timeout` | seconds, or `"never"` | `"never"` |
/// | `touch_interval` | seconds | the session layer's |
/// | `regenerate_grace` | seconds | 60 |
/// | `commit_deadline` | seconds | 2 |
/// | `max_record_size` | bytes | 1 MiB |
/// | `on_commit_error` | `"fail"` or `"keep"` | `"fail"` |
/// | `timeout` | seconds for one operation of the driver | 5 |
///
/// Names are taken in snake_case and camelCase. Seconds may have a fraction and must be above zero.
/// `Debug` shows the names of the driver's options and not their values.
#[derive(Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// Name of the driver; `cookie` keeps the session in the cookie, see [`backend`](Self::backend).
    pub driver: String,
    /// The driver's own options.
    pub options: Options,
    /// How long a value of a session lives that is given no time of its own.
    pub ttl: Lifetime,
    /// The cookie.
    pub cookie: CookieConfig,
    /// How long a session lives after the last request that loaded it.
    pub idle_timeout: Lifetime,
    /// How long a session lives in all.
    pub absolute_timeout: Lifetime,
    /// How often at most activity alone is noted in the backend.
    pub touch_interval: Option<Seconds>,
    /// How long an id that was replaced still stands for an empty session.
    pub regenerate_grace: Seconds,
    /// How long a commit tries again when others change the session.
    pub commit_deadline: Seconds,
    /// How long the stored record of a session may be, in bytes.
    pub max_record_size: usize,
    /// What becomes of a response whose session could not be committed.
    pub on_commit_error: OnCommitError,
    /// How long one operation of the driver may take.
    pub timeout: Seconds,
    context: ConfigContext,
    /// Where it was read from, for errors.
    file: Option<PathBuf>,
}

/// Where sessions are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend<'a> {
    /// In the driver of this name.
    Driver(&'a str),
    /// In the cookie itself.
    Cookie,
}

impl SessionConfig {
    /// A configuration with the driver `name` and defaults.
    pub fn new(driver: impl Into<String>) -> Self {
        Self {
            driver: driver.into(),
            options: Options::new(),
            ttl: Lifetime::Never,
            cookie: CookieConfig::default(),
            idle_timeout: Lifetime::After(IDLE_TIMEOUT),
            absolute_timeout: Lifetime::Never,
            touch_interval: None,
            regenerate_grace: REGENERATE_GRACE,
            commit_deadline: COMMIT_DEADLINE,
            max_record_size: MAX_RECORD_SIZE,
            on_commit_error: OnCommitError::default(),
            timeout: TIMEOUT,
            context: ConfigContext::default(),
            file: None,
        }
    }

    /// Reads a configuration from TOML; relative paths in it are relative to the current folder.
    pub fn from_toml_str(text: &str) -> Result<Self, Error> {
        Self::from_value(toml_text::parse(text)?).map_err(invalid)
    }

    /// Reads a configuration from a TOML file of at most 1 MiB; relative paths in it are relative to its
    /// folder, and an error names it.
    pub async fn from_toml_file(path: impl AsRef<Path> + Send) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = toml_text::read(path).await?;
        let mut config = Self::from_toml_str(&text).map_err(|error| name_file(path, &error))?;
        config.file = Some(path.to_owned());
        Ok(config.with_context(ConfigContext::new(folder_of(path))))
    }

    /// Sets the folder that relative paths are relative to, and the environment.
    #[must_use]
    pub fn with_context(mut self, context: ConfigContext) -> Self {
        self.context = context;
        self
    }

    /// Sets one option of the driver.
    #[must_use]
    pub fn with_option(
        mut self,
        name: impl Into<String>,
        value: impl Into<super::OptionValue>,
    ) -> Self {
        self.options = self.options.with(name, value);
        self
    }

    /// Where the driver will be opened.
    pub fn context(&self) -> &ConfigContext {
        &self.context
    }

    /// Where sessions are kept: in a driver, or in the cookie.
    pub fn backend(&self) -> Backend<'_> {
        match self.driver.as_str() {
            COOKIE => Backend::Cookie,
            name => Backend::Driver(name),
        }
    }

    /// Opens the driver with its options, gives its operations the configured time, and traces them.
    ///
    /// Under `driver = "cookie"` there is none to open, which is an error of kind
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig).
    pub async fn open_driver(&self, registry: &Registry) -> Result<Arc<dyn Driver>, Error> {
        let name = match self.backend() {
            Backend::Driver(name) => name,
            Backend::Cookie => {
                return Err(invalid(
                    "`driver = \"cookie\"` keeps the session in the cookie, and this integration keeps \
                     sessions in a driver; name one",
                ));
            }
        };
        let driver = registry
            .open(name, self.options.clone(), &self.context)
            .await
            .map_err(|error| self.named_file(error))?;
        let limited = Timeout::new(driver, self.timeout.as_duration());
        Ok(Arc::new(Traced::new(limited)))
    }

    /// The options as those of what is not opened by a registry.
    #[cfg(feature = "cookie-session")]
    pub(crate) fn parse_options<T: de::DeserializeOwned>(&self) -> Result<T, Error> {
        let options = self.options.clone();
        let parsed = options.parse(&self.driver, &self.context);
        parsed.map_err(|error| self.named_file(error))
    }

    fn named_file(&self, error: Error) -> Error {
        match &self.file {
            Some(file) if error.kind() == ErrorKind::InvalidConfig => name_file(file, &error),
            _ => error,
        }
    }

    fn from_value(value: Value) -> Result<Self, String> {
        let Value::Table(table) = value else {
            return Err("the configuration of sessions must be a table".to_owned());
        };
        Self::from_table(table).map_err(|problem| {
            let mut message = problem.describe("setting");
            if problem.is_unknown_at_the_root() {
                message.push_str("; what belongs to the driver goes below `[options]`");
            }
            message
        })
    }

    fn from_table(table: Table) -> Result<Self, Problem> {
        let written: Written = typed::from_table(table)?;
        let (driver, in_driver) =
            driver_and_options(written.driver).map_err(|problem| problem.under("driver"))?;
        let mut options = match written.options {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => return Err(Problem::wrong(other.kind(), "a table").under("options")),
        };
        for (name, value) in in_driver {
            if options.insert(name.clone(), value).is_some() {
                return Err(Problem::twice(&name).under("driver"));
            }
        }

        let mut config = Self::new(driver);
        config.options = Options::from_table(options);
        if let Some(cookie) = written.cookie {
            config.cookie =
                CookieConfig::from_value(cookie).map_err(|problem| problem.under("cookie"))?;
        }
        config.touch_interval = written.touch_interval;
        set(&mut config.ttl, written.ttl);
        set(&mut config.idle_timeout, written.idle_timeout);
        set(&mut config.absolute_timeout, written.absolute_timeout);
        set(&mut config.regenerate_grace, written.regenerate_grace);
        set(&mut config.commit_deadline, written.commit_deadline);
        set(&mut config.max_record_size, written.max_record_size);
        set(&mut config.on_commit_error, written.on_commit_error);
        set(&mut config.timeout, written.timeout);
        Ok(config)
    }
}

/// The settings as they stand in a file.
#[derive(Deserialize)]
struct Written {
    driver: Value,
    options: Option<Value>,
    ttl: Option<Lifetime>,
    cookie: Option<Value>,
    idle_timeout: Option<Lifetime>,
    absolute_timeout: Option<Lifetime>,
    touch_interval: Option<Seconds>,
    regenerate_grace: Option<Seconds>,
    commit_deadline: Option<Seconds>,
    max_record_size: Option<usize>,
    on_commit_error: Option<OnCommitError>,
    timeout: Option<Seconds>,
}

fn set<T>(setting: &mut T, written: Option<T>) {
    if let Some(written) = written {
        *setting = written;
    }
}

fn driver_and_options(written: Value) -> Result<(String, Table), Problem> {
    match written {
        Value::Text(name) => Ok((name, Table::new())),
        Value::Table(mut table) => match table.remove("name") {
            Some(Value::Text(name)) => Ok((name, table)),
            Some(other) => Err(Problem::wrong(other.kind(), "a text").under("name")),
            None => Err(de::Error::missing_field("name")),
        },
        other => Err(Problem::wrong(other.kind(), "a name or a table")),
    }
}

/// The same error, with the file to be mended.
fn name_file(file: &Path, error: &Error) -> Error {
    invalid(format!("{}: {error}", file.display()))
}

/// Absolute, so that it stays the same folder when the process goes to another.
fn folder_of(file: &Path) -> PathBuf {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    std::path::absolute(file)
        .ok()
        .and_then(|file| file.parent().map(Path::to_owned))
        .unwrap_or_else(|| folder.to_owned())
}

impl<'de> Deserialize<'de> for SessionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_value(Value::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("driver", &shown(&self.driver))
            .field("options", &self.options)
            .field("ttl", &self.ttl)
            .field("cookie", &self.cookie)
            .field("idle_timeout", &self.idle_timeout)
            .field("absolute_timeout", &self.absolute_timeout)
            .field("touch_interval", &self.touch_interval)
            .field("regenerate_grace", &self.regenerate_grace)
            .field("commit_deadline", &self.commit_deadline)
            .field("max_record_size", &self.max_record_size)
            .field("on_commit_error", &self.on_commit_error)
            .field("timeout", &self.timeout)
            .field("context", &self.context)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::{NoOptions, SameSiteConfig};
    use crate::test_support::Stuck;
    use crate::{ErrorKind, Key};

    fn parse(toml: &str) -> Result<SessionConfig, String> {
        SessionConfig::from_toml_str(toml).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            error.to_string()
        })
    }

    fn secs(count: u64) -> Lifetime {
        Lifetime::After(Seconds::above_zero(count))
    }

    #[test]
    fn a_driver_alone_has_the_documented_defaults() {
        let config = parse("driver = 'memory'").unwrap();
        assert_eq!(config.backend(), Backend::Driver("memory"));
        assert!(config.options.is_empty());
        assert_eq!(config.ttl, Lifetime::Never);
        assert_eq!(config.cookie, CookieConfig::default());
        assert_eq!(config.idle_timeout, secs(14 * 24 * 3_600));
        assert_eq!(config.absolute_timeout, Lifetime::Never);
        assert_eq!(config.touch_interval, None);
        assert_eq!(
            config.regenerate_grace.as_duration(),
            Duration::from_secs(60)
        );
        assert_eq!(config.commit_deadline.as_duration(), Duration::from_secs(2));
        assert_eq!(config.max_record_size, 1024 * 1024);
        assert_eq!(config.on_commit_error, OnCommitError::Fail);
        assert_eq!(config.timeout.as_duration(), Duration::from_secs(5));
    }

    #[test]
    fn every_setting_is_read_in_both_spellings() {
        let snake = r#"
            driver = "memory"
            ttl = 3600
            cookie = { name = "sid", domain = "a.example", path = "/x", max_age = 60, same_site = "strict", secure = false, partitioned = true }
            idle_timeout = "never"
            absolute_timeout = 10
            touch_interval = 0.5
            regenerate_grace = 1
            commit_deadline = 3
            max_record_size = 10
            on_commit_error = "keep"
            timeout = "1.5"
        "#;
        let camel = snake
            .replace("max_age", "maxAge")
            .replace("same_site", "sameSite")
            .replace("idle_timeout", "idleTimeout")
            .replace("absolute_timeout", "absoluteTimeout")
            .replace("touch_interval", "touchInterval")
            .replace("regenerate_grace", "regenerateGrace")
            .replace("commit_deadline", "commitDeadline")
            .replace("max_record_size", "maxRecordSize")
            .replace("on_commit_error", "onCommitError");
        for toml in [snake, &camel] {
            let config = parse(toml).unwrap();
            assert_eq!(config.ttl, secs(3_600));
            assert_eq!(
                config.cookie,
                CookieConfig {
                    name: Some("sid".to_owned()),
                    domain: Some("a.example".to_owned()),
                    path: Some("/x".to_owned()),
                    max_age: Some(Seconds::above_zero(60)),
                    same_site: Some(SameSiteConfig::Strict),
                    secure: Some(false),
                    partitioned: Some(true),
                }
            );
            assert_eq!(config.idle_timeout, Lifetime::Never);
            assert_eq!(config.absolute_timeout, secs(10));
            assert_eq!(
                config.touch_interval.map(Seconds::as_duration),
                Some(Duration::from_millis(500))
            );
            assert_eq!(
                config.regenerate_grace.as_duration(),
                Duration::from_secs(1)
            );
            assert_eq!(config.commit_deadline.as_duration(), Duration::from_secs(3));
            assert_eq!(config.max_record_size, 10);
            assert_eq!(config.on_commit_error, OnCommitError::Keep);
            assert_eq!(config.timeout.as_duration(), Duration::from_millis(1_500));
        }
    }

    #[test]
    fn options_may_stand_beside_the_name_of_the_driver() {
        let beside = parse("driver = { name = 'sqlite', path = 'x' }\n[options]\nbase = 'b'");
        let below = parse("driver = 'sqlite'\n[options]\npath = 'x'\nbase = 'b'");
        assert_eq!(beside.unwrap().options, below.unwrap().options);
        assert_eq!(
            parse("driver = { name = 'sqlite', path = 'x' }\n[options]\npath = 'y'").unwrap_err(),
            "the setting `driver.path` is given twice (snake_case and camelCase are one name); \
             keep one"
        );
    }

    #[test]
    fn mistakes_are_named_with_the_nearest_right_name() {
        for (toml, expected) in [
            ("", "the setting `driver` is missing"),
            (
                "driver = 5",
                "the setting `driver` must be a name or a table, and not a whole number",
            ),
            ("driver = {}", "the setting `driver.name` is missing"),
            (
                "driver = 'm'\nidle_timout = 5",
                "there is no setting `idle_timout` (did you mean `idle_timeout`?); what belongs to the \
                 driver goes below `[options]`",
            ),
            (
                "driver = 'm'\ncookie = { samesite = 'lax' }",
                "there is no setting `cookie.samesite` (did you mean `same_site`?)",
            ),
            (
                "driver = 'm'\ncookie = { same_site = 's3cr3t' }",
                "the setting `cookie.same_site` must be one of `strict`, `lax`, `none`",
            ),
            (
                "driver = 'm'\nttl = 's3cr3t'",
                "the setting `ttl` must be a number of seconds above 0, or \"never\", and not another \
                 text",
            ),
            (
                "driver = 'm'\ntimeout = 'never'",
                "the setting `timeout` must be a number of seconds above 0, and not another text",
            ),
            (
                "driver = 'm'\nmax_record_size = -1",
                "the setting `max_record_size` must be a whole number from 0 up, and not another \
                 whole number",
            ),
            (
                "driver = 'm'\noptions = 's3cr3t'",
                "the setting `options` must be a table, and not a text",
            ),
        ] {
            assert_eq!(parse(toml).unwrap_err(), expected, "{toml}");
        }
    }

    #[test]
    fn a_line_that_breaks_off_is_placed_and_not_shown() {
        let error = parse("driver = 'm'\n[options]\ntoken = \"s3cr3t\n").unwrap_err();
        assert!(error.contains("line 3"), "{error}");
        assert!(!error.contains("s3cr3t"), "{error}");
    }

    #[test]
    fn debug_shows_no_option() {
        let config = parse("driver = 'm'\n[options]\ntoken = 's3cr3t'").unwrap();
        let shown = format!("{config:#?}");
        assert!(shown.contains("token"), "{shown}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
    }

    #[test_support::test]
    async fn a_file_gives_the_folder_of_relative_paths_and_its_name_to_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("session.toml");
        std::fs::write(&path, "driver = 'memory'").unwrap();
        let config = SessionConfig::from_toml_file(&path).await.unwrap();
        assert_eq!(config.context().resolve("x.db"), folder.path().join("x.db"));
        let unknown = config.open_driver(&Registry::new()).await.unwrap_err();
        assert!(unknown.to_string().contains("session.toml"), "{unknown}");

        std::fs::write(&path, "drver = 'memory'").unwrap();
        let wrong = SessionConfig::from_toml_file(&path).await.unwrap_err();
        assert!(wrong.to_string().contains("session.toml"), "{wrong}");

        let missing = folder.path().join("missing.toml");
        let error = SessionConfig::from_toml_file(&missing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("missing.toml"), "{error}");

        std::fs::write(&path, "#".repeat(2 * 1024 * 1024)).unwrap();
        let long = SessionConfig::from_toml_file(&path).await.unwrap_err();
        assert!(long.to_string().contains("longer than 1 MiB"), "{long}");
    }

    #[test_support::test(start_paused = true)]
    async fn an_opened_driver_has_the_configured_timeout() {
        let mut registry = Registry::new();
        registry.register_with("stuck", |_: NoOptions, _| async { Ok(Stuck) });
        let config = parse("driver = 'stuck'\ntimeout = 7").unwrap();
        let driver = config.open_driver(&registry).await.unwrap();
        let started = tokio::time::Instant::now();
        let error = driver.read(&Key::new("k").unwrap()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), Duration::from_secs(7));
    }

    #[test_support::test]
    async fn a_session_in_the_cookie_has_no_driver_to_open() {
        let config = parse("driver = 'cookie'").unwrap();
        assert_eq!(config.backend(), Backend::Cookie);
        let error = config.open_driver(&Registry::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
