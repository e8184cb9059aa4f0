use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use session_core::config::{ConfigContext, DriverOptions, durations};
use session_core::decorators::Prefixed;
use session_core::{Driver, Prefix, Result, async_trait};

use crate::MemoryDriver;

/// The options of the driver, as configuration gives them.
///
/// ```
/// use driver_memory::MemoryOptions;
/// use session_core::config::{Registry, SessionConfig};
/// use session_core::{DriverExt, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let mut registry = Registry::new();
/// registry.register::<MemoryOptions>("memory");
///
/// let config = SessionConfig::from_toml_str(r#"
///     driver = "memory"
///
///     [options]
///     base = "app"
///     ttl = 3600
///     max_entries = 10_000
/// "#)?;
/// let driver = config.open_driver(&registry).await?;
/// driver.put("greeting", "hello").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MemoryOptions {
    /// A prefix for all keys. Each open driver has a map of its own, so it rarely matters.
    pub base: Option<String>,
    /// How long an entry lives that is written without an expiry; for ever, if this is not set.
    #[serde(deserialize_with = "durations::optional_seconds")]
    pub ttl: Option<Duration>,
    /// How many entries there may be; [`DEFAULT_MAX_ENTRIES`](crate::DEFAULT_MAX_ENTRIES), if this is not
    /// set. See the [crate documentation](crate#the-bound).
    pub max_entries: Option<NonZeroUsize>,
}

impl MemoryOptions {
    /// An empty driver with these options.
    pub fn into_driver(self) -> Arc<dyn Driver> {
        let mut driver = MemoryDriver::new();
        if let Some(ttl) = self.ttl {
            driver = driver.with_ttl(ttl);
        }
        if let Some(max_entries) = self.max_entries {
            driver = driver.with_max_entries(max_entries.get());
        }
        let base = self.base.as_deref().map(Prefix::new).unwrap_or_default();
        if base.is_root() {
            return Arc::new(driver);
        }
        Arc::new(Prefixed::new(driver, base))
    }
}

#[async_trait]
impl DriverOptions for MemoryOptions {
    async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>> {
        Ok(self.into_driver())
    }
}

#[cfg(test)]
mod tests {
    use session_core::config::{Options, Registry};
    use session_core::{DriverExt, ErrorKind, Key, Timestamp};

    use super::*;

    async fn open(options: Options) -> Result<Arc<dyn Driver>> {
        let mut registry = Registry::new();
        registry.register::<MemoryOptions>("memory");
        registry
            .open("memory", options, &ConfigContext::default())
            .await
    }

    #[tokio::test]
    async fn the_options_take_effect() {
        let options = Options::new()
            .with("base", "app")
            .with("ttl", 60)
            .with("maxEntries", 1);
        let driver = open(options).await.unwrap();
        let before = Timestamp::now();
        driver.put("one", "").await.unwrap();
        let entry = driver.read(&Key::new("one").unwrap()).await.unwrap();
        let end = entry.unwrap().expires_at.unwrap();
        assert!(end.saturating_since(before).as_secs() >= 60);
        let error = driver.put("two", "").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }

    #[tokio::test]
    async fn a_wrong_option_is_an_error_that_names_it() {
        for (name, value) in [
            ("max_entrys", 1),
            ("max_entries", 0),
            ("ttl", 0),
            ("base", 1),
        ] {
            let error = open(Options::new().with(name, value)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(name), "{error}");
        }
    }
}
