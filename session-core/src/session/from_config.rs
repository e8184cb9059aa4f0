use super::{CookieOptions, SameSite, SessionManager, SessionManagerBuilder};
use crate::Result;
use crate::config::{Backend, CookieConfig, Registry, SameSiteConfig, SessionConfig};

impl SessionManager {
    /// Opens the driver that `config` names, and makes the store that it describes.
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

    /// The same, with what a file cannot say (a hook, a clock) still to be added.
    pub async fn builder_from_config(
        config: &SessionConfig,
        registry: &Registry,
    ) -> Result<SessionManagerBuilder> {
        let cookie = CookieOptions::from(&config.cookie);
        // Before the driver is opened, so that a wrong setting creates no database.
        cookie.validate()?;
        let builder = match config.backend() {
            Backend::Driver(_) => Self::builder(config.open_driver(registry).await?),
            Backend::Cookie => Self::builder_in_cookies(config)?,
        };
        let mut builder = builder
            .cookie(cookie)
            .value_ttl(config.ttl.as_duration())
            .idle_timeout(config.idle_timeout.as_duration())
            .absolute_timeout(config.absolute_timeout.as_duration())
            .regenerate_grace(config.regenerate_grace.as_duration())
            .commit_deadline(config.commit_deadline.as_duration())
            .max_record_size(config.max_record_size)
            .on_commit_error(config.on_commit_error);
        if let Some(interval) = config.touch_interval {
            builder = builder.touch_interval(interval.as_duration());
        }
        Ok(builder)
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

impl From<&CookieConfig> for CookieOptions {
    fn from(config: &CookieConfig) -> Self {
        let mut options = Self::default();
        if let Some(name) = &config.name {
            options = options.with_name(name);
        }
        if let Some(domain) = &config.domain {
            options = options.with_domain(domain);
        }
        if let Some(path) = &config.path {
            options = options.with_path(path);
        }
        if let Some(max_age) = config.max_age {
            options = options.with_max_age(max_age.as_duration());
        }
        if let Some(same_site) = config.same_site {
            options = options.with_same_site(match same_site {
                SameSiteConfig::Strict => SameSite::Strict,
                SameSiteConfig::Lax => SameSite::Lax,
                SameSiteConfig::None => SameSite::None,
            });
        }
        if let Some(secure) = config.secure {
            options = options.with_secure(secure);
        }
        if let Some(partitioned) = config.partitioned {
            options = options.with_partitioned(partitioned);
        }
        options
    }
}
