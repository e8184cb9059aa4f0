//! Session managers from a configuration.

use super::{SessionManager, SessionManagerBuilder};
use crate::Result;
use crate::config::{Backend, Registry, SessionConfig};

impl SessionManager {
    /// Creates a manager from `config`, with the driver that it names.
    ///
    /// ```
    /// use session_core::{config::{Registry, SessionConfig}, session::SessionManager};
    ///
    /// async fn sessions(registry: &Registry) -> session_core::Result<SessionManager> {
    ///     let config = SessionConfig::from_toml_file("session.toml").await?;
    ///     SessionManager::from_config(&config, registry).await
    /// }
    /// ```
    pub async fn from_config(config: &SessionConfig, registry: &Registry) -> Result<Self> {
        Self::builder_from_config(config, registry).await?.build()
    }

    /// Returns a builder from `config`, with the driver that it names, to add a hook or a clock.
    pub async fn builder_from_config(
        config: &SessionConfig,
        registry: &Registry,
    ) -> Result<SessionManagerBuilder> {
        // Before the driver is opened, so that an invalid setting does not create a database.
        config.settings.validate()?;
        let builder = match config.backend() {
            Backend::Driver(_) => Self::builder(config.open_driver(registry).await?),
            Backend::Cookie => Self::builder_in_cookies(config)?,
        };
        Ok(builder.settings(config.settings.clone()))
    }

    #[cfg(feature = "cookie-session")]
    fn builder_in_cookies(config: &SessionConfig) -> Result<SessionManagerBuilder> {
        super::cookie_session::options_from(config).map(Self::in_cookies)
    }

    #[cfg(not(feature = "cookie-session"))]
    fn builder_in_cookies(_config: &SessionConfig) -> Result<SessionManagerBuilder> {
        Err(crate::Error::new(
            crate::ErrorKind::InvalidConfig,
            "`driver = \"cookie\"` is not compiled in; enable the cargo feature `cookie` (of session-core: \
             `cookie-session`)",
        ))
    }
}
