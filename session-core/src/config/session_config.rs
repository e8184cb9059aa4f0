//! The configuration of sessions: the driver, its options and the settings.

#[cfg(not(feature = "near-cache"))]
use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde::de::{self, Deserializer};
use toml::{Table, Value};

#[cfg(feature = "near-cache")]
use crate::decorators::{NearCache, NearCacheOptions};
use crate::decorators::{Timeout, Traced};
use crate::{Driver, Error, ErrorKind, SessionSettings, durations};

use super::names::{sanitized, snake_case};
use super::options::invalid;
use super::problem::{Problem, kind};
use super::{ConfigContext, Options, Registry, toml_text, typed};

const COOKIE: &str = "cookie";

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// The configuration of sessions: the driver with its options, and the settings.
///
/// It implements `Deserialize`, so it nests in an application's own configuration of any format. It can also be read
/// from a TOML file of its own.
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
/// assert_eq!(session.settings.idle_timeout, None);
/// # Ok::<(), toml::de::Error>(())
/// ```
///
/// A file has these settings in addition to those of [`SessionSettings`]:
///
/// | setting | value | default |
/// |---|---|---|
/// | `driver` | name, or table with `name` and the driver's options | required |
/// | `options` | table of the driver's options | empty |
/// | `timeout` | seconds for one operation of the driver | `5` |
/// | `near_cache` | `true`, or a table with `max_bytes` and `max_staleness` in seconds; see `NearCache` | `false` |
///
/// Names are accepted in snake_case and camelCase. `Debug` shows the names of the driver's options, not their values.
#[derive(Clone)]
#[non_exhaustive]
pub struct SessionConfig {
    /// The name of the driver; `cookie` stores the session in the cookie, see [`backend`](Self::backend).
    pub driver: String,
    /// The options of the driver.
    pub options: Options,
    /// How long one operation of the driver may take. Default: 5 s.
    pub timeout: Duration,
    /// Whether entries are kept in the memory of this process. Default: they are not.
    #[cfg(feature = "near-cache")]
    pub near_cache: Option<NearCacheOptions>,
    /// The settings of the sessions.
    pub settings: SessionSettings,
    context: ConfigContext,
    /// The file that the configuration was read from, for errors.
    file: Option<PathBuf>,
}

/// Where sessions are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Backend<'a> {
    /// In the driver of this name.
    Driver(&'a str),
    /// In the cookie itself.
    Cookie,
}

impl SessionConfig {
    /// Creates a configuration with the named driver and default settings.
    pub fn new(driver: impl Into<String>) -> Self {
        Self {
            driver: driver.into(),
            options: Options::new(),
            timeout: DEFAULT_TIMEOUT,
            #[cfg(feature = "near-cache")]
            near_cache: None,
            settings: SessionSettings::default(),
            context: ConfigContext::default(),
            file: None,
        }
    }

    /// Parses a configuration from TOML. Relative paths in it are relative to the current folder.
    pub fn from_toml_str(text: &str) -> Result<Self, Error> {
        Self::from_table(toml_text::parse(text)?).map_err(|problem| invalid(describe(&problem)))
    }

    /// Reads a configuration from a TOML file of at most 1 MiB.
    ///
    /// Relative paths in it are relative to its folder. An error names the file.
    pub async fn from_toml_file(path: impl AsRef<Path> + Send) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = toml_text::read(path).await?;
        let mut config = Self::from_toml_str(&text).map_err(|error| name_file(path, &error))?;
        config.file = Some(path.to_owned());
        Ok(config.with_context(ConfigContext::new(folder_of(path))))
    }

    /// Sets the folder for relative paths, and the source of environment variables.
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

    /// Returns the context that the driver is opened with.
    pub fn context(&self) -> &ConfigContext {
        &self.context
    }

    /// Returns where sessions are stored: in a driver, or in the cookie.
    pub fn backend(&self) -> Backend<'_> {
        match self.driver.as_str() {
            COOKIE => Backend::Cookie,
            name => Backend::Driver(name),
        }
    }

    /// Opens the driver with its options, limits its operations to the timeout, and traces them.
    ///
    /// With `driver = "cookie"` there is no driver, which is an error of kind
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig).
    pub async fn open_driver(&self, registry: &Registry) -> Result<Arc<dyn Driver>, Error> {
        let Backend::Driver(name) = self.backend() else {
            return Err(invalid(
                "`driver = \"cookie\"` stores the session in the cookie, but a driver is needed here; name one",
            ));
        };
        let driver = registry
            .open(name, self.options.clone(), &self.context)
            .await
            .map_err(|error| self.named_file(error))?;
        let limited = Timeout::new(driver, self.timeout);
        #[cfg(feature = "near-cache")]
        if let Some(options) = self.near_cache {
            let cached = NearCache::new(limited, options).await;
            let cached = cached.map_err(|error| cannot_be_cached(name, error))?;
            return Ok(Arc::new(Traced::new(cached)));
        }
        Ok(Arc::new(Traced::new(limited)))
    }

    /// Parses the options of the `cookie` driver, which no registry opens.
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

    fn from_table(mut table: Table) -> Result<Self, Problem> {
        let driver = take(&mut table, "driver")?.ok_or_else(|| Problem::missing("driver"));
        let mut options = match take(&mut table, "options")? {
            None => Table::new(),
            Some(Value::Table(table)) => table,
            Some(other) => return Err(Problem::wrong(kind(&other), "a table").under("options")),
        };
        let timeout = match take(&mut table, "timeout")? {
            Some(timeout) => durations::seconds(typed::untyped(timeout))
                .map_err(|problem: Problem| problem.under("timeout"))?,
            None => DEFAULT_TIMEOUT,
        };
        let near_cache = take(&mut table, "near_cache")?
            .map_or(Ok(None), near_cache)
            .map_err(|problem| problem.under("near_cache"))?;
        #[cfg(not(feature = "near-cache"))]
        let _none: Option<Infallible> = near_cache;
        // A misspelled `driver` is reported as an unknown setting, with the right name.
        let beside = &["driver", "options", "timeout", "near_cache"];
        let settings = typed::parse(table, None, beside)?;
        let (name, beside_name) =
            name_and_options(driver?).map_err(|problem| problem.under("driver"))?;
        for (name, value) in beside_name {
            if options.insert(name.clone(), value).is_some() {
                return Err(Problem::twice(&name).under("driver"));
            }
        }
        Ok(Self {
            options: Options(options),
            timeout,
            #[cfg(feature = "near-cache")]
            near_cache,
            settings,
            ..Self::new(name)
        })
    }
}

/// Removes and returns the entry `name` of `table`, in either spelling.
fn take(table: &mut Table, name: &str) -> Result<Option<Value>, Problem> {
    let mut spellings = table.keys().filter(|key| snake_case(key) == name);
    let (spelling, other) = (spellings.next().cloned(), spellings.next());
    match (spelling, other) {
        (_, Some(_)) => Err(Problem::twice(name)),
        (spelling, None) => Ok(spelling.and_then(|spelling| table.remove(&spelling))),
    }
}

#[cfg(feature = "near-cache")]
fn near_cache(value: Value) -> Result<Option<NearCacheOptions>, Problem> {
    match value {
        Value::Boolean(is_on) => Ok(is_on.then(NearCacheOptions::default)),
        Value::Table(table) => typed::parse(table, None, &[]).map(Some),
        other => Err(Problem::wrong(kind(&other), "true, false or a table")),
    }
}

#[cfg(not(feature = "near-cache"))]
fn near_cache(value: Value) -> Result<Option<Infallible>, Problem> {
    match value {
        Value::Boolean(false) => Ok(None),
        _ => Err(Problem::needs_feature("near-cache")),
    }
}

#[cfg(feature = "near-cache")]
fn cannot_be_cached(driver: &str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Unsupported => invalid(format!(
            "`near_cache` needs a driver that reports what others change, and `{}` does not here; remove `near_cache`, or see the docs of the driver",
            sanitized(driver)
        ))
        .with_source(error),
        _ => error,
    }
}

fn name_and_options(driver: Value) -> Result<(String, Table), Problem> {
    match driver {
        Value::String(name) => Ok((name, Table::new())),
        Value::Table(mut table) => match table.remove("name") {
            Some(Value::String(name)) => Ok((name, table)),
            Some(other) => Err(Problem::wrong(kind(&other), "a string").under("name")),
            None => Err(Problem::missing("name")),
        },
        other => Err(Problem::wrong(kind(&other), "a name or a table")),
    }
}

fn describe(problem: &Problem) -> String {
    let mut message = problem.describe("setting");
    if problem.is_unknown_at_the_root() {
        message.push_str("; options of the driver go below `[options]`");
    }
    message
}

/// Adds the name of the file to an error.
fn name_file(file: &Path, error: &Error) -> Error {
    invalid(format!("{}: {error}", file.display()))
}

/// The absolute path of a file's folder, which stays valid when the process changes its current folder.
fn folder_of(file: &Path) -> PathBuf {
    let absolute = std::path::absolute(file);
    let file = absolute.as_deref().unwrap_or(file);
    file.parent().unwrap_or(Path::new("")).to_owned()
}

impl<'de> Deserialize<'de> for SessionConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Table(table) => {
                Self::from_table(table).map_err(|problem| de::Error::custom(describe(&problem)))
            }
            other => Err(de::Error::custom(format_args!(
                "the configuration of sessions: expected a table, got {}",
                kind(&other)
            ))),
        }
    }
}

impl fmt::Debug for SessionConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("driver", &sanitized(&self.driver))
            .field("options", &self.options)
            .field("timeout", &self.timeout)
            .field("settings", &self.settings)
            .field("context", &self.context)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::NoOptions;
    use crate::test_support::Stuck;
    use crate::{Key, OnCommitError, SameSite};

    fn parse(toml: &str) -> Result<SessionConfig, String> {
        SessionConfig::from_toml_str(toml).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            error.to_string()
        })
    }

    fn secs(count: u64) -> Option<Duration> {
        Some(Duration::from_secs(count))
    }

    #[test]
    fn a_driver_alone_has_the_documented_defaults() {
        let config = parse("driver = 'memory'").unwrap();
        assert_eq!(config.backend(), Backend::Driver("memory"));
        assert!(config.options.is_empty());
        assert_eq!(config.settings, SessionSettings::default());
        assert_eq!(config.timeout, Duration::from_secs(5));
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
            let settings = config.settings;
            assert_eq!(settings.ttl, secs(3_600));
            assert_eq!(settings.cookie.name, "sid");
            assert_eq!(settings.cookie.domain.as_deref(), Some("a.example"));
            assert_eq!(settings.cookie.path, "/x");
            assert_eq!(settings.cookie.max_age, secs(60));
            assert_eq!(settings.cookie.same_site, SameSite::Strict);
            assert!(!settings.cookie.secure);
            assert!(settings.cookie.partitioned);
            assert_eq!(settings.idle_timeout, None);
            assert_eq!(settings.absolute_timeout, secs(10));
            assert_eq!(settings.touch_interval, Some(Duration::from_millis(500)));
            assert_eq!(settings.regenerate_grace, Duration::from_secs(1));
            assert_eq!(settings.commit_deadline, Duration::from_secs(3));
            assert_eq!(settings.max_record_size, 10);
            assert_eq!(settings.on_commit_error, OnCommitError::Keep);
            assert_eq!(config.timeout, Duration::from_millis(1_500));
        }
    }

    #[test]
    fn a_string_is_the_name_of_the_cookie() {
        let config = parse("driver = 'm'\ncookie = 'sid'").unwrap();
        assert_eq!(config.settings.cookie.name, "sid");
        assert!(config.settings.cookie.secure);
    }

    #[cfg(feature = "near-cache")]
    #[test]
    fn a_near_cache_is_switched_on_or_described() {
        let with = |value: &str| parse(&format!("driver = 'm'\nnear_cache = {value}"));
        let options = |value: &str| with(value).unwrap().near_cache;
        assert_eq!(options("false"), None);
        assert_eq!(options("true"), Some(NearCacheOptions::default()));
        assert_eq!(
            options("{ max_bytes = 5_000, maxStaleness = 0.5 }"),
            Some(
                NearCacheOptions::default()
                    .with_max_bytes(5_000)
                    .with_max_staleness(Duration::from_millis(500))
            )
        );
        for (wrong, expected) in [
            (
                "1",
                "the setting `near_cache`: expected true, false or a table, got an integer",
            ),
            (
                "{ max_byte = 1 }",
                "there is no setting `near_cache.max_byte` (did you mean `max_bytes`?)",
            ),
        ] {
            let error = with(wrong).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[cfg(feature = "near-cache")]
    #[test_support::test]
    async fn a_near_cache_is_an_error_where_the_driver_cannot_have_one() {
        let mut registry = Registry::new();
        registry.register_with("stuck", |_: NoOptions, _| async { Ok(Stuck) });
        let config = parse("driver = 'stuck'\nnear_cache = true").unwrap();
        let error = config.open_driver(&registry).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(error.to_string().contains("`near_cache`"), "{error}");
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
                "the setting `driver`: expected a name or a table, got an integer",
            ),
            ("driver = {}", "the setting `driver.name` is missing"),
            (
                "driver = 'm'\nidle_timout = 5",
                "there is no setting `idle_timout` (did you mean `idle_timeout`?); options of the \
                 driver go below `[options]`",
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
                "the setting `ttl`: expected a number of seconds above 0, or \"never\", got another \
                 string",
            ),
            (
                "driver = 'm'\ntimeout = 'never'",
                "the setting `timeout`: expected a number of seconds above 0, got another string",
            ),
            (
                "driver = 'm'\nmax_record_size = -1",
                "the setting `max_record_size`: expected a non-negative integer, got a negative \
                 integer",
            ),
            (
                "drivr = 'm'",
                "there is no setting `drivr` (did you mean `driver`?); options of the driver go below \
                 `[options]`",
            ),
            (
                "driver = 'm'\ncookie = 5",
                "the setting `cookie`: expected a name or a table, got an integer",
            ),
            (
                "driver = 'm'\nidle_timeout = 1\nidleTimeout = 2",
                "the setting `idle_timeout` is given twice (snake_case and camelCase are one name); keep \
                 one",
            ),
            (
                "driver = 'm'\nttl = 1979-05-27",
                "the setting `ttl`: expected a number of seconds above 0, or \"never\", got a date",
            ),
            (
                "driver = 'm'\noptions = 's3cr3t'",
                "the setting `options`: expected a table, got a string",
            ),
        ] {
            assert_eq!(parse(toml).unwrap_err(), expected, "{toml}");
        }
    }

    #[test]
    fn a_syntax_error_gives_the_line_and_does_not_quote_it() {
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
