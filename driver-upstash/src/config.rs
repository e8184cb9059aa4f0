use std::time::Duration;

use http_support::{ClientOptions, HeaderMap, HeaderValue, SecretString, header, secret_header};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Result, RetryPolicy};

/// Where [`UpstashOptions::url`] comes from when it is not set.
pub const URL_VARIABLE: &str = "UPSTASH_REDIS_REST_URL";

/// Where [`UpstashOptions::token`] comes from when it is not set.
pub const TOKEN_VARIABLE: &str = "UPSTASH_REDIS_REST_TOKEN";

/// Options of the driver; every one has a default.
///
/// ```
/// use driver_upstash::UpstashOptions;
///
/// let options = UpstashOptions {
///     base: Some("sessions".to_owned()),
///     ..UpstashOptions::new("https://eu1-example.upstash.io", "the token")
/// };
/// assert!(options.read_your_writes);
/// assert!(!format!("{options:?}").contains("the token"));
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase; times are
/// in seconds there.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct UpstashOptions {
    /// The REST URL of the database. Default: the environment variable `UPSTASH_REDIS_REST_URL`.
    pub url: Option<String>,
    /// The REST token of the database, not the read-only one. Default: the environment variable
    /// `UPSTASH_REDIS_REST_TOKEN`.
    pub token: Option<SecretString>,
    /// Keep all keys below this prefix. Default: none.
    pub base: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// How many keys the database is to look at for each step of a listing or clearing. Default: as many as the page
    /// that is asked for has.
    pub scan_count: Option<u32>,
    /// How long an operation may take, retries included. One request takes at most three fifths of it. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::seconds")
    )]
    pub timeout: Duration,
    /// What is tried again. Default: that of [`RetryPolicy`].
    pub retry: RetryPolicy,
    /// Whether this driver always reads what it wrote itself, also from a replica. Default: yes.
    pub read_your_writes: bool,
    /// Whether the database has replicas in read regions. Reads may then be older than what another server wrote, and
    /// what is not found is asked for once more, of the primary. Default: no.
    pub read_regions: bool,
}

impl Default for UpstashOptions {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            base: None,
            ttl: None,
            scan_count: None,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            read_your_writes: true,
            read_regions: false,
        }
    }
}

impl UpstashOptions {
    /// The options of the database at `url`, with defaults.
    pub fn new(url: impl Into<String>, token: impl Into<SecretString>) -> Self {
        Self {
            url: Some(url.into()),
            token: Some(token.into()),
            ..Self::default()
        }
    }

    /// Takes from `variable` what is not set.
    pub(crate) fn or_from(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        self.url = self.url.or_else(|| variable(URL_VARIABLE));
        self.token = self
            .token
            .or_else(|| variable(TOKEN_VARIABLE).map(SecretString::from));
        self
    }

    pub(crate) fn client(&self) -> Result<ClientOptions> {
        let missing = |option: &str, variable: &str| {
            Error::new(
                ErrorKind::InvalidConfig,
                format!(
                    "`{option}` is missing; give it, or set the environment variable `{variable}`"
                ),
            )
        };
        let url = self
            .url
            .as_ref()
            .ok_or_else(|| missing("url", URL_VARIABLE))?;
        let token = self
            .token
            .as_ref()
            .ok_or_else(|| missing("token", TOKEN_VARIABLE))?;
        if self.scan_count == Some(0) {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "`scan_count` must be above zero",
            ));
        }
        let mut options = ClientOptions::new(url);
        options.headers = HeaderMap::from_iter([
            (
                header::AUTHORIZATION,
                secret_header("token", "Bearer ", token)?,
            ),
            (
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            ),
            (
                header::HeaderName::from_static("upstash-encoding"),
                HeaderValue::from_static("base64"),
            ),
        ]);
        options.timeout = self.timeout;
        options.retry = self.retry;
        Ok(options)
    }
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{DriverOptions, OpenContext};
    use session_core::{Driver, Result, async_trait};

    use super::UpstashOptions;
    use crate::UpstashDriver;

    #[async_trait]
    impl DriverOptions for UpstashOptions {
        async fn open(self, context: &OpenContext) -> Result<Arc<dyn Driver>> {
            let options = self.or_from(|name| context.variable(name));
            Ok(Arc::new(UpstashDriver::open(options).await?))
        }
    }
}
