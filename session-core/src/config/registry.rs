//! The registry of drivers by name, and the trait of a driver's options.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures_core::future::BoxFuture;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::into_arc::into_arc;
use crate::{Driver, Error};

use super::names::{nearest, quoted, sanitized};
use super::options::invalid;
use super::{ConfigContext, Options};

/// The options of a driver, which open the driver.
///
/// ```
/// use std::sync::Arc;
/// use serde::Deserialize;
/// use session_core::config::{DriverOptions, ConfigContext, Registry};
/// use session_core::{async_trait, Driver, Error, ErrorKind, Result};
///
/// #[derive(Deserialize)]
/// struct ShelfOptions {
///     rows: u32,
/// }
///
/// #[async_trait]
/// impl DriverOptions for ShelfOptions {
///     async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>> {
///         Err(Error::new(ErrorKind::Unavailable, format!("all {} rows are full", self.rows)))
///     }
/// }
///
/// let mut registry = Registry::new();
/// registry.register::<ShelfOptions>("shelf");
/// ```
///
/// Fields are named in snake_case; camelCase is also accepted. An optional field is an `Option` or has
/// `#[serde(default)]`. Do not use `#[serde(flatten)]`, which hides the field names from the check for unknown names. No
/// error message of this module shows a value, so a secret needs no attribute.
#[async_trait]
pub trait DriverOptions: DeserializeOwned + Send + 'static {
    /// Opens the driver.
    async fn open(self, context: &ConfigContext) -> Result<Arc<dyn Driver>, Error>;
}

/// The options of a driver that has none; every option is an error.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct NoOptions {}

/// A registry of drivers by name.
///
/// ```
/// use session_core::config::{ConfigContext, Options, Registry};
/// # use session_core::{async_trait, Bytes, Capabilities, Driver, Entry, Key, ListOptions, ListPage, RemoveOptions};
/// # use session_core::{RemoveOutcome, Result, WriteOptions, WriteOutcome};
/// # #[derive(Default)]
/// # struct Nothing;
/// # #[async_trait]
/// # impl Driver for Nothing {
/// #     fn name(&self) -> &str { "nothing" }
/// #     fn capabilities(&self) -> Capabilities { Capabilities::default() }
/// #     async fn read(&self, _: &Key) -> Result<Option<Entry>> { Ok(None) }
/// #     async fn write(&self, _: &Key, _: Bytes, _: WriteOptions) -> Result<WriteOutcome> {
/// #         Ok(WriteOutcome::written(None))
/// #     }
/// #     async fn remove(&self, _: &Key, _: RemoveOptions) -> Result<RemoveOutcome> {
/// #         Ok(RemoveOutcome::Removed)
/// #     }
/// #     async fn list(&self, _: ListOptions) -> Result<ListPage> { Ok(ListPage::default()) }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// use session_core::config::NoOptions;
///
/// let mut registry = Registry::new();
/// registry
///     .register_with("nothing", |_: NoOptions, _| async { Ok(Nothing) })
///     .register_unavailable("redis", "redis");
///
/// let driver = registry.open("nothing", Options::new(), &ConfigContext::default()).await?;
/// assert_eq!(driver.name(), "nothing");
///
/// let error = registry.open("redis", Options::new(), &ConfigContext::default()).await.unwrap_err();
/// assert!(error.to_string().contains("enable the cargo feature `redis`"));
/// # Ok(())
/// # }
/// ```
///
/// It is a value, not a global. Registering a name again replaces the driver. The name `cookie` is reserved: in a
/// configuration it stores the session in the cookie.
#[derive(Clone, Default)]
pub struct Registry {
    drivers: BTreeMap<String, Slot>,
}

#[derive(Clone)]
enum Slot {
    Compiled(Arc<Open>),
    NeedsFeature(String),
}

type Opening = BoxFuture<'static, Result<Arc<dyn Driver>, Error>>;
type Open = dyn Fn(Options, &ConfigContext) -> Opening + Send + Sync;

impl Registry {
    /// Creates a registry without drivers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the driver with the options `O` under `name`.
    pub fn register<O: DriverOptions>(&mut self, name: impl Into<String>) -> &mut Self {
        self.insert(name.into(), |options: O, context| {
            Box::pin(async move { options.open(&context).await })
        })
    }

    /// Registers a driver under `name` by a closure that opens it, with an options type of its choice.
    pub fn register_with<O, F, Opening, D>(&mut self, name: impl Into<String>, open: F) -> &mut Self
    where
        F: Fn(O, ConfigContext) -> Opening + Send + Sync + 'static,
        O: DeserializeOwned + Send + 'static,
        Opening: Future<Output = Result<D, Error>> + Send + 'static,
        D: Driver,
    {
        self.insert(name.into(), move |options, context| {
            let opening = open(options, context);
            Box::pin(async move { opening.await.map(into_arc) })
        })
    }

    fn insert<O: DeserializeOwned>(
        &mut self,
        name: String,
        open: impl Fn(O, ConfigContext) -> Opening + Send + Sync + 'static,
    ) -> &mut Self {
        let driver = name.clone();
        let open = move |options: Options, context: &ConfigContext| -> Opening {
            match options.parse(&driver, context) {
                Ok(options) => open(options, context.clone()),
                Err(error) => Box::pin(std::future::ready(Err(error))),
            }
        };
        self.drivers.insert(name, Slot::Compiled(Arc::new(open)));
        self
    }

    /// Registers `name` as a driver that is not compiled in, unless it is registered already.
    ///
    /// Opening it is an error that names the cargo feature to enable.
    pub fn register_unavailable(
        &mut self,
        name: impl Into<String>,
        feature: impl Into<String>,
    ) -> &mut Self {
        self.drivers
            .entry(name.into())
            .or_insert_with(|| Slot::NeedsFeature(feature.into()));
        self
    }

    /// Returns the names that can be opened, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.drivers
            .iter()
            .filter(|(_, slot)| matches!(slot, Slot::Compiled(_)))
            .map(|(name, _)| name.as_str())
    }

    /// Opens the driver `name`.
    ///
    /// An error of kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig) says which name, feature or option is wrong and
    /// suggests the right one. Other errors come from the driver.
    pub async fn open(
        &self,
        name: &str,
        options: Options,
        context: &ConfigContext,
    ) -> Result<Arc<dyn Driver>, Error> {
        match self.drivers.get(name) {
            Some(Slot::Compiled(open)) => open(options, context).await,
            Some(Slot::NeedsFeature(feature)) => Err(invalid(format!(
                "the driver `{name}` is not compiled in; enable the cargo feature `{feature}`"
            ))),
            None => Err(self.unknown(name)),
        }
    }

    fn unknown(&self, name: &str) -> Error {
        let mut message = format!("there is no driver `{}`", sanitized(name));
        if let Some(nearest) = nearest(name, self.drivers.keys().map(String::as_str)) {
            message.push_str(&format!(" (did you mean `{nearest}`?)"));
        }
        match quoted(self.names()) {
            none if none.is_empty() => message.push_str("; none is compiled in"),
            names => message.push_str(&format!("; there are {names}")),
        }
        invalid(message)
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::test_support::Stuck;

    #[derive(Deserialize)]
    struct StuckOptions {
        depth: u32,
    }

    #[async_trait]
    impl DriverOptions for StuckOptions {
        async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            assert_eq!(self.depth, 3);
            Ok(Arc::new(Stuck))
        }
    }

    fn registry() -> Registry {
        let mut registry = Registry::new();
        registry
            .register::<StuckOptions>("stuck")
            .register_with("mine", |_: NoOptions, _| async { Ok(Stuck) })
            .register_unavailable("redis", "driver-redis")
            .register_unavailable("stuck", "stuck");
        registry
    }

    async fn refused(name: &str, options: Options) -> String {
        let opened = registry()
            .open(name, options, &ConfigContext::default())
            .await;
        let error = opened.expect_err("it must be refused");
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        error.to_string()
    }

    #[test_support::test]
    async fn a_driver_opens_by_its_name_with_its_options() {
        let options = Options::new().with("depth", 3);
        let driver = registry()
            .open("stuck", options, &ConfigContext::default())
            .await
            .unwrap();
        assert_eq!(driver.name(), "stuck");
    }

    #[test_support::test]
    async fn a_name_of_ones_own_opens_by_a_closure() {
        let context = ConfigContext::default();
        let driver = registry().open("mine", Options::new(), &context).await;
        assert_eq!(driver.unwrap().name(), "stuck");
        assert_eq!(
            refused("mine", Options::new().with("depth", 3)).await,
            "mine: open: there is no option `depth`; there are no options here"
        );
    }

    #[test_support::test]
    async fn an_unknown_driver_is_told_with_those_that_are_there() {
        assert_eq!(
            refused("stukc", Options::new()).await,
            "there is no driver `stukc` (did you mean `stuck`?); there are `mine`, `stuck`"
        );
    }

    #[test_support::test]
    async fn a_driver_that_is_not_compiled_in_says_which_feature_to_enable() {
        assert_eq!(
            refused("redis", Options::new()).await,
            "the driver `redis` is not compiled in; enable the cargo feature `driver-redis`"
        );
    }

    #[test_support::test]
    async fn a_wrong_option_names_the_driver() {
        assert_eq!(
            refused("stuck", Options::new().with("dept", 3)).await,
            "stuck: open: there is no option `dept` (did you mean `depth`?)"
        );
    }
}
