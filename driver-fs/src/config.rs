//! The options of the driver, from code or from configuration.

use std::path::PathBuf;
use std::time::Duration;

#[cfg(feature = "config")]
use session_core::config::{durations, file_mode};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind};

/// Where Astro keeps the sessions of its `fs` driver, relative to the folder of the project.
pub const DEFAULT_PATH: &str = ".astro/session";

/// Options of the driver. All have defaults.
///
/// ```
/// use driver_fs::{Durability, FsOptions};
///
/// let options = FsOptions::new("sessions").with_durability(Durability::Full);
/// assert_eq!(options.mode, 0o600);
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase. Times
/// are in seconds there, `sweep_interval` may be `"never"`, and `mode` is an octal number (`0o640`) or its text
/// (`"640"`).
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct FsOptions {
    /// The folder, which is created if it is missing. In configuration a relative path is relative to the
    /// configuration's file, and the name may also be `base`, as in unstorage. Default: `.astro/session`, as in
    /// Astro.
    #[cfg_attr(feature = "config", serde(alias = "base"))]
    pub path: PathBuf,
    /// How long an entry lives that is written without an expiry of its own. Default: forever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// How long an operation may take. A clear may take 10 minutes. Default: 5 s.
    #[cfg_attr(feature = "config", serde(deserialize_with = "durations::seconds"))]
    pub timeout: Duration,
    /// When a write is on the disk. Default: [`Durability::None`], which is safe against a killed process.
    pub durability: Durability,
    /// The mode of new files. New folders have the same mode, and may be entered by everyone who may read them.
    /// Default: `0o600`, and so `0o700` for folders.
    #[cfg_attr(feature = "config", serde(deserialize_with = "file_mode"))]
    pub mode: u32,
    /// Which paths in the folder are not listed, watched, cleared or swept, as globs with `/` between names.
    /// Default: `**/node_modules/**` and `**/.git/**`, as in unstorage.
    pub ignore: Vec<String>,
    /// Refuses every change, sweeps nothing, and creates no folder. Default: false.
    pub read_only: bool,
    /// How often expired entries and the files of killed writers are removed. `None` removes none.
    /// Configuration also accepts `sweep`. Default: every ten minutes, the first time at once.
    #[cfg_attr(
        feature = "config",
        serde(alias = "sweep", deserialize_with = "durations::lifetime")
    )]
    pub sweep_interval: Option<Duration>,
}

/// When an acknowledged write is on the disk.
///
/// With each setting a process that is killed loses nothing that it acknowledged, and no value is ever a mix of two.
/// The settings differ in what can be lost in a power failure or a crash of the operating system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum Durability {
    /// The operating system decides when to write. A power failure can lose the last moments, and on some file
    /// systems leave a new entry empty.
    #[default]
    None,
    /// A file is on the disk before it gets its name. A power failure leaves the old value or the new one.
    Data,
    /// The name is on the disk too before a write is acknowledged. A power failure loses nothing.
    Full,
}

impl FsOptions {
    /// The options of the folder at `path`, with defaults.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..Self::default()
        }
    }

    /// Sets the [`ttl`](Self::ttl).
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Option<Duration>>) -> Self {
        self.ttl = ttl.into();
        self
    }

    /// Sets the [`timeout`](Self::timeout).
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the [`durability`](Self::durability).
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets the [`mode`](Self::mode).
    #[must_use]
    pub fn with_mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Sets the paths to [`ignore`](Self::ignore).
    #[must_use]
    pub fn with_ignore(mut self, ignore: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.ignore = ignore.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`read_only`](Self::read_only).
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets the [`sweep_interval`](Self::sweep_interval).
    #[must_use]
    pub fn with_sweep_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.sweep_interval = interval.into();
        self
    }

    /// Checks what the types do not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        if self.path.as_os_str().is_empty() {
            return Err(invalid("`path` is empty; name a folder"));
        }
        if self.mode > 0o777 || self.mode & 0o600 != 0o600 {
            return Err(invalid(
                "`mode` must let the owner read and write, and have at most three octal digits: `0o600`",
            ));
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
        Ok(())
    }
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            path: DEFAULT_PATH.into(),
            ttl: None,
            timeout: DEFAULT_TIMEOUT,
            durability: Durability::default(),
            mode: 0o600,
            ignore: vec!["**/node_modules/**".to_owned(), "**/.git/**".to_owned()],
            read_only: false,
            sweep_interval: Some(Duration::from_secs(600)),
        }
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Error, async_trait};

    use super::FsOptions;
    use crate::FsDriver;

    #[async_trait]
    impl DriverOptions for FsOptions {
        async fn open(mut self, context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            if !self.path.as_os_str().is_empty() {
                self.path = context.resolve(&self.path);
            }
            Ok(Arc::new(FsDriver::open(self).await?))
        }
    }
}
