use std::path::PathBuf;
use std::time::Duration;

use session_core::{Error, ErrorKind};

/// The name of unstorage's table, and of ours.
pub const DEFAULT_TABLE: &str = "unstorage";

/// Options of the driver; every one but the path has a default.
///
/// ```
/// use driver_sqlite::{SqliteOptions, Synchronous};
///
/// let options = SqliteOptions {
///     base: Some("sessions".to_owned()),
///     synchronous: Synchronous::Full,
///     ..SqliteOptions::new("sessions.db")
/// };
/// assert_eq!(options.table, "unstorage");
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase;
/// times are in seconds there, and `sweep_interval` may be `"never"`.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct SqliteOptions {
    /// The database file, which is made where it is missing, in a folder that exists. `:memory:` is a
    /// database that lives as long as the driver, with one connection for everything. In configuration a
    /// relative path is relative to the configuration's file.
    pub path: PathBuf,
    /// The table: letters, digits and `_`, not beginning with a digit. Default: `unstorage`.
    #[cfg_attr(feature = "config", serde(default = "default_table"))]
    pub table: String,
    /// Keep all keys below this prefix. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub base: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(
            default,
            deserialize_with = "session_core::config::durations::optional_seconds"
        )
    )]
    pub ttl: Option<Duration>,
    /// How many connections read; one more writes. Default: one per processor, at most 4.
    #[cfg_attr(feature = "config", serde(default = "default_pool_size"))]
    pub pool_size: usize,
    /// When a commit is on the disk. Default: [`Synchronous::Normal`].
    #[cfg_attr(feature = "config", serde(default))]
    pub synchronous: Synchronous,
    /// How long to wait for a lock that another process holds. Default: 4 s, within the 5 s that an operation
    /// has when it is opened by configuration.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_busy_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub busy_timeout: Duration,
    /// How often what has ended is removed; `None` leaves it to others. Default: a minute.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_sweep_interval",
            deserialize_with = "session_core::config::durations::lifetime"
        )
    )]
    pub sweep_interval: Option<Duration>,
}

/// When an acknowledged write is on the disk.
///
/// In every setting a process that is killed loses nothing that it acknowledged; they differ in what a power
/// cut or a crash of the operating system can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum Synchronous {
    /// The operating system writes when it likes: a power cut can damage the file.
    Off,
    /// Writes since the last checkpoint can be lost to a power cut; the file stays whole.
    #[default]
    Normal,
    /// Every commit waits for the disk, once for all writes that share it.
    Full,
}

impl SqliteOptions {
    /// The options of the database at `path`, with defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            table: default_table(),
            base: None,
            ttl: None,
            pool_size: default_pool_size(),
            synchronous: Synchronous::default(),
            busy_timeout: default_busy_timeout(),
            sweep_interval: default_sweep_interval(),
        }
    }

    pub(crate) fn is_memory(&self) -> bool {
        self.path.as_os_str() == ":memory:"
    }

    /// Checks what a type cannot.
    pub(crate) fn check(&self) -> Result<TableName, Error> {
        const LONGEST_BUSY_TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);
        if self.path.as_os_str().is_empty() {
            return Err(invalid("`path` is empty; name a file, or `:memory:`"));
        }
        if self.path.as_os_str().to_string_lossy().starts_with("file:") {
            return Err(invalid("`path` is a path and no URI; leave `file:` out"));
        }
        if !(1..=64).contains(&self.pool_size) {
            return Err(invalid("`pool_size` must be from 1 to 64"));
        }
        if self.busy_timeout > LONGEST_BUSY_TIMEOUT {
            return Err(invalid("`busy_timeout` may be a day at most"));
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

/// A table's name that is safe within SQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableName(String);

impl TableName {
    fn new(name: &str) -> Result<Self, Error> {
        const LONGEST: usize = 64;
        let starts_well =
            name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        let goes_on = name
            .chars()
            .all(|letter| letter.is_ascii_alphanumeric() || letter == '_');
        let reserved = name.to_ascii_lowercase().starts_with("sqlite_");
        if !starts_well || !goes_on || reserved || name.len() > LONGEST {
            return Err(invalid(
                "`table` must be made of letters, digits and `_`, not begin with a digit or `sqlite_`, and \
                 have 64 characters at most",
            ));
        }
        Ok(Self(name.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As it stands in SQL; quoted, since it may be a word of SQL's own.
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

fn default_pool_size() -> usize {
    const MOST: usize = 4;
    std::thread::available_parallelism().map_or(MOST, |processors| processors.get().min(MOST))
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
