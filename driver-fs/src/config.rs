use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::Mode;
use session_core::{Error, ErrorKind};

/// Where Astro keeps the sessions of its `fs` driver, as seen from the folder of the project.
pub const DEFAULT_BASE: &str = ".astro/session";

/// Options of the driver, every one with a default.
///
/// ```
/// use driver_fs::{Durability, FsOptions};
///
/// let options = FsOptions {
///     durability: Durability::Full,
///     ..FsOptions::new("sessions")
/// };
/// assert_eq!(options.mode, 0o600);
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase;
/// times are in seconds there, `sweep` may be `"never"`, and `mode` is an octal number (`0o640`) or its text
/// (`"640"`).
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct FsOptions {
    /// The folder, which is made where it is missing. In configuration a relative path is relative to the
    /// configuration's file. Default: `.astro/session`, as in Astro.
    pub base: PathBuf,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// When a write is on the disk. Default: [`Durability::None`], which is safe against a killed process.
    pub durability: Durability,
    /// The mode of new files; folders get the right to enter wherever files may be read. Default: `0o600`, and so
    /// `0o700` for folders.
    #[cfg_attr(feature = "config", serde(deserialize_with = "parse::mode"))]
    pub mode: u32,
    /// Which paths below the base are not listed, watched, cleared or swept, as globs with `/` between names.
    /// Default: `**/node_modules/**` and `**/.git/**`, as in unstorage.
    pub ignore: Vec<String>,
    /// Refuse every change, sweep nothing, and make no folder. Default: false.
    pub read_only: bool,
    /// How often what has ended is removed, and what killed writers left behind; `None` leaves it to others.
    /// Default: every ten minutes, the first time at once.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::lifetime")
    )]
    pub sweep: Option<Duration>,
}

/// When an acknowledged write is on the disk.
///
/// In every setting a process that is killed loses nothing that it acknowledged, and no value is ever a mix; they
/// differ in what a power cut or a crash of the operating system can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "lowercase"))]
pub enum Durability {
    /// The operating system writes when it likes: a power cut can take the last moments, and on some file systems
    /// leave an entry empty that was new.
    #[default]
    None,
    /// A file is on the disk before it gets its name: a power cut leaves the old value or the new one.
    Data,
    /// The name is on the disk too before a write is acknowledged: a power cut takes nothing.
    Full,
}

impl FsOptions {
    /// The options of the folder `base`, with defaults.
    pub fn new(base: impl Into<PathBuf>) -> Self {
        Self {
            base: base.into(),
            ..Self::default()
        }
    }

    /// Checks what a type cannot.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.base.as_os_str().is_empty() {
            return Err(invalid("`base` is empty; name a folder"));
        }
        if self.mode > 0o777 || self.mode & 0o600 != 0o600 {
            return Err(invalid(
                "`mode` must let the owner read and write, and have no more than three octal digits: `0o600`",
            ));
        }
        if self.sweep.is_some_and(|interval| interval.is_zero()) {
            return Err(invalid("`sweep` must be above zero"));
        }
        Ok(())
    }

    pub(crate) fn file_mode(&self) -> Mode {
        Mode::from_raw_mode(self.mode)
    }

    pub(crate) fn folder_mode(&self) -> Mode {
        let may_enter = (self.mode & 0o444) >> 2;
        Mode::from_raw_mode(self.mode | may_enter)
    }
}

impl Default for FsOptions {
    fn default() -> Self {
        Self {
            base: DEFAULT_BASE.into(),
            ttl: None,
            durability: Durability::default(),
            mode: 0o600,
            ignore: vec!["**/node_modules/**".to_owned(), "**/.git/**".to_owned()],
            read_only: false,
            sweep: Some(Duration::from_secs(600)),
        }
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
mod parse {
    use std::fmt;

    use serde::Deserializer;
    use serde::de::{self, Unexpected, Visitor};

    pub(super) fn mode<'de, D: Deserializer<'de>>(from: D) -> Result<u32, D::Error> {
        from.deserialize_any(ModeVisitor)
    }

    struct ModeVisitor;

    impl Visitor<'_> for ModeVisitor {
        type Value = u32;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an octal number of three digits, as in `0o600` or \"600\"")
        }

        fn visit_u64<E: de::Error>(self, value: u64) -> Result<u32, E> {
            // Whoever forgets the `0o` gets here, too.
            let mode = u32::try_from(value).ok().filter(|mode| *mode <= 0o777);
            mode.ok_or_else(|| E::invalid_value(Unexpected::Unsigned(value), &self))
        }

        fn visit_i64<E: de::Error>(self, value: i64) -> Result<u32, E> {
            match u64::try_from(value) {
                Ok(value) => self.visit_u64(value),
                Err(_) => Err(E::invalid_value(Unexpected::Signed(value), &self)),
            }
        }

        fn visit_str<E: de::Error>(self, value: &str) -> Result<u32, E> {
            let digits = value.strip_prefix("0o").unwrap_or(value);
            let mode = u32::from_str_radix(digits, 8)
                .ok()
                .filter(|mode| *mode <= 0o777);
            mode.ok_or_else(|| E::invalid_value(Unexpected::Str(value), &self))
        }
    }
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
            if !self.base.as_os_str().is_empty() {
                self.base = context.resolve(&self.base);
            }
            Ok(Arc::new(FsDriver::open(self).await?))
        }
    }
}
