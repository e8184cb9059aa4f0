use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use session_core::config::{ConfigContext, DriverOptions, durations};
use session_core::decorators::Prefixed;
use session_core::{Driver, Prefix, Result, async_trait};

use crate::{DEFAULT_MAX_ENTRIES, MemoryDriver, NAME};

/// The options of the driver in a configuration.
///
/// ```
/// use driver_memory::MemoryOptions;
/// use session_core::config::{Registry, SessionConfig};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> session_core::Result<()> {
/// let mut registry = Registry::new();
/// registry.register::<MemoryOptions>("memory");
/// let toml = "driver = 'memory'\noptions = { prefix = 'app', ttl = 3600, max_entries = 10_000 }";
/// let driver = SessionConfig::from_toml_str(toml)?.open_driver(&registry).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MemoryOptions {
    /// The prefix of all keys. Each open driver has a map of its own, so it rarely matters. unstorage calls it `base`.
    #[serde(alias = "base")]
    pub prefix: Option<String>,
    /// After how long an entry expires that is written without an expiry. Never by default.
    #[serde(deserialize_with = "durations::optional_seconds")]
    pub ttl: Option<Duration>,
    /// How many entries the driver may hold. [`DEFAULT_MAX_ENTRIES`](crate::DEFAULT_MAX_ENTRIES) by default.
    /// See [Limits](crate#limits).
    pub max_entries: Option<NonZeroUsize>,
    /// How many bytes of keys and values the driver may hold. Any number by default. See [Limits](crate#limits).
    pub max_bytes: Option<NonZeroUsize>,
}

#[async_trait]
impl DriverOptions for MemoryOptions {
    async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>> {
        let mut driver = MemoryDriver::new()
            .with_max_entries(
                self.max_entries
                    .map_or(DEFAULT_MAX_ENTRIES, NonZeroUsize::get),
            )
            .with_max_bytes(self.max_bytes.map_or(usize::MAX, NonZeroUsize::get));
        if let Some(ttl) = self.ttl {
            driver = driver.with_ttl(ttl);
        }
        let prefix = Prefix::from_option(self.prefix.as_deref().unwrap_or_default())
            .map_err(|error| error.with_context(NAME, "open"))?;
        if prefix.is_root() {
            return Ok(Arc::new(driver));
        }
        Ok(Arc::new(Prefixed::new(driver, prefix)))
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

    #[test_support::test]
    async fn the_options_take_effect() {
        let options = Options::new()
            .with("prefix", "app")
            .with("ttl", 60)
            .with("maxEntries", 2)
            .with("maxBytes", 10);
        let driver = open(options).await.unwrap();
        let before = Timestamp::now();
        driver.put("one", "").await.unwrap();
        let entry = driver.read(&Key::new("one").unwrap()).await.unwrap();
        let expires_at = entry.unwrap().expires_at.unwrap();
        assert!(expires_at.saturating_since(before).as_secs() >= 60);
        let error = driver.put("two", "").await.unwrap_err();
        assert!(error.to_string().contains("max_bytes"), "{error}");
        driver.put("3", "").await.unwrap_err();
        driver.delete("one").await.unwrap();
        driver.put("3", "").await.unwrap();
        driver.put("4", "").await.unwrap();
        let error = driver.put("5", "").await.unwrap_err();
        assert!(error.to_string().contains("max_entries"), "{error}");
    }

    #[test_support::test]
    async fn the_prefix_goes_by_the_name_that_unstorage_gives_it_too() {
        let options = Options::new().with("base", "app").with("max_bytes", 5);
        let driver = open(options).await.unwrap();
        driver.put("3", "").await.unwrap();
        driver.put("3", "v").await.unwrap_err();
    }

    #[test_support::test]
    async fn a_wrong_option_is_an_error_that_names_it() {
        for (name, value) in [
            ("max_entrys", 1),
            ("max_entries", 0),
            ("max_bytes", 0),
            ("ttl", 0),
            ("prefix", 1),
        ] {
            let error = open(Options::new().with(name, value)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test_support::test]
    async fn a_prefix_that_would_mean_another_is_refused() {
        for prefix in ["..", "?", "a?b", "/a"] {
            let options = Options::new().with("prefix", prefix);
            let error = open(options).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{prefix}");
        }
    }
}
