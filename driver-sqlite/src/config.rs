//! The options of the driver, from code or from configuration.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "config")]
use session_core::config::{durations, file_mode};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Prefix};

/// The default table, which is the one of unstorage.
pub const DEFAULT_TABLE: &str = "unstorage";

/// Options of the driver. Only the path has no default.
///
/// ```
/// use driver_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions::new("sessions.db")
///     .with_prefix("sessions")
///     .with_synchronous(Synchronous::Full);
/// assert_eq!(options.table, "unstorage");
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase.
/// Times are in seconds there, and `sweep_interval` may be `"never"`.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct SqliteOptions {
    /// The database file, in a folder that exists. The file is created if it is missing. `:memory:` is a
    /// database that lives as long as the driver and has one connection that reads. In configuration a
    /// relative path is relative to the configuration's file.
    pub path: PathBuf,
    /// The table: letters, digits and `_`, not beginning with a digit. Default: `unstorage`.
    #[cfg_attr(feature = "config", serde(default = "default_table"))]
    pub table: String,
    /// Keeps all keys below this prefix. Configuration also accepts `base`, as unstorage calls it. Default: none.
    #[cfg_attr(feature = "config", serde(default, alias = "base"))]
    pub prefix: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: forever.
    #[cfg_attr(
        feature = "config",
        serde(default, deserialize_with = "durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// The mode of the file and of those that SQLite keeps beside it, when they are created. It has no effect on
    /// systems other than Unix. Default: `0o600`, since they contain session ids.
    #[cfg_attr(
        feature = "config",
        serde(default = "default_mode", deserialize_with = "file_mode")
    )]
    pub mode: u32,
    /// How many connections read. One more writes. Default: one per processor, at most 4.
    #[cfg_attr(feature = "config", serde(default = "default_pool_size"))]
    pub pool_size: usize,
    /// When a commit is on the disk. Default: [`Synchronous::Normal`].
    #[cfg_attr(feature = "config", serde(default))]
    pub synchronous: Synchronous,
    /// How long to wait for a lock that another process holds, within `timeout`. Default: 4 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_busy_timeout",
            deserialize_with = "durations::seconds"
        )
    )]
    pub busy_timeout: Duration,
    /// How long an operation may take. A clear may take 10 minutes. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(default = "default_timeout", deserialize_with = "durations::seconds")
    )]
    pub timeout: Duration,
    /// How often expired entries are removed. `None` removes none. Default: every minute.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_sweep_interval",
            deserialize_with = "durations::lifetime"
        )
    )]
    pub sweep_interval: Option<Duration>,
}

/// When an acknowledged write is on the disk.
///
/// With each setting a process that is killed loses nothing that it acknowledged. The settings differ in what can be
/// lost in a power failure or a crash of the operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum Synchronous {
    /// The operating system decides when to write. A power failure can damage the file.
    Off,
    /// A power failure can lose the writes since the last checkpoint. The file stays intact.
    #[default]
    Normal,
    /// Every commit waits for the disk, once for all writes that share the commit.
    Full,
}

impl SqliteOptions {
    /// The options of the database at `path`, with defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            table: default_table(),
            prefix: None,
            ttl: None,
            mode: default_mode(),
            pool_size: default_pool_size(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
            timeout: default_timeout(),
            sweep_interval: default_sweep_interval(),
        }
    }

    /// Sets the [`table`](Self::table).
    #[must_use]
    pub fn with_table(mut self, table: impl Into<String>) -> Self {
        self.table = table.into();
        self
    }

    /// Sets the [`prefix`](Self::prefix).
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets the [`ttl`](Self::ttl).
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Sets the [`mode`](Self::mode).
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the [`pool_size`](Self::pool_size).
    #[must_use]
    pub fn with_pool_size(mut self, pool_size: usize) -> Self {
        self.pool_size = pool_size;
        self
    }

    /// Sets [`synchronous`](Self::synchronous).
    #[must_use]
    pub fn with_synchronous(mut self, synchronous: Synchronous) -> Self {
        self.synchronous = synchronous;
        self
    }

    /// Sets the [`busy_timeout`](Self::busy_timeout).
    #[must_use]
    pub fn with_busy_timeout(mut self, busy_timeout: Duration) -> Self {
        self.busy_timeout = busy_timeout;
        self
    }

    /// Sets the [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the [`sweep_interval`](Self::sweep_interval).
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.sweep_interval = interval.into();
        self
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.path.as_os_str() == ":memory:"
    }

    pub(crate) fn parsed_prefix(&self) -> Result<Prefix, Error> {
        Prefix::from_option(self.prefix.as_deref().unwrap_or_default())
    }

    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<TableName, Error> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if self.path.as_os_str().is_empty() {
            return Err(invalid("`path` is empty; name a file, or `:memory:`"));
        }
        if self.path.as_os_str().to_string_lossy().starts_with("file:") {
            return Err(invalid(
                "`path` must be a path, not a URI; remove the `file:`",
            ));
        }
        if self.path.is_dir() {
            return Err(invalid("`path` is a folder; set it to a file"));
        }
        if self.mode > 0o777 || self.mode & 0o600 != 0o600 {
            return Err(invalid(
                "`mode` must let the owner read and write, and have at most three octal digits: `0o600`",
            ));
        }
        if !(1..=64).contains(&self.pool_size) {
            return Err(invalid("`pool_size` must be from 1 to 64"));
        }
        if self.busy_timeout > DAY {
            return Err(invalid("`busy_timeout` may be a day at most"));
        }
        if self.timeout.is_zero() || self.timeout > DAY {
            return Err(invalid("`timeout` must be above zero, and a day at most"));
        }
        if self
            .sweep_interval
            .is_some_and(|interval| interval.is_zero())
        {
            return Err(invalid("`sweep_interval` must be above zero"));
        }
        TableName::new(&self.table)
    }
}

/// The name of a table, checked to be safe within SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    fn new(name: &str) -> Result<Self, Error> {
        const LONGEST: usize = 64;
        let begins_with_digit = name.starts_with(|first: char| first.is_ascii_digit());
        let is_word = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let is_reserved = name.to_ascii_lowercase().starts_with("sqlite_");
        let has_length = (1..=LONGEST).contains(&name.len());
        if begins_with_digit || !is_word || is_reserved || !has_length {
            return Err(invalid(
                "`table` must consist of letters, digits and `_`, not begin with a digit or `sqlite_`, and have \
                 at most 64 characters",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as it is written in SQL: quoted, since it may be a keyword.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0)
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

fn default_table() -> String {
    DEFAULT_TABLE.to_owned()
}

fn default_mode() -> u32 {
    0o600
}

fn default_pool_size() -> usize {
    const MOST: usize = 4;
    std::thread::available_parallelism().map_or(MOST, |processors| processors.get().min(MOST))
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

fn default_busy_timeout() -> Duration {
    Duration::from_secs(4)
}

// Every default of configuration is a function of the field's type.
#[allow(clippy::unnecessary_wraps)]
fn default_sweep_interval() -> Option<Duration> {
    Some(Duration::from_secs(60))
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Error, async_trait};

    use super::SqliteOptions;
    use crate::SqliteDriver;

    #[async_trait]
    impl DriverOptions for SqliteOptions {
        async fn open(mut self, context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            if !self.is_memory() && !self.path.as_os_str().is_empty() {
                self.path = context.resolve(&self.path);
            }
            Ok(Arc::new(SqliteDriver::open(self).await?))
        }
    }
}
