use std::time::Duration;

use http_support::{
    ApplicationClient, ClientOptions, HeaderMap, HeaderValue, SecretString, header, secret_header,
};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Result, RetryPolicy};

/// The environment variable that replaces [`UpstashOptions::url`] if that is not set.
pub const URL_VARIABLE: &str = "UPSTASH_REDIS_REST_URL";

/// The environment variable that replaces [`UpstashOptions::token`] if that is not set.
pub const TOKEN_VARIABLE: &str = "UPSTASH_REDIS_REST_TOKEN";

/// Options of the driver. All have a default.
///
/// ```
/// use driver_upstash::UpstashOptions;
///
/// let options = UpstashOptions::new("https://eu1-example.upstash.io", "the token").with_prefix("sessions");
/// assert!(options.read_your_writes);
/// assert!(!format!("{options:?}").contains("the token"));
/// ```
///
/// With the feature `config` they can be read from configuration, with these names in snake_case or camelCase and times
/// in seconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct UpstashOptions {
    /// The REST URL of the database. Default: the environment variable `UPSTASH_REDIS_REST_URL`.
    pub url: Option<String>,
    /// The REST token of the database, not the read-only one. Default: the environment variable
    /// `UPSTASH_REDIS_REST_TOKEN`.
    pub token: Option<SecretString>,
    /// A prefix for all keys. Default: none. In configuration, `base` is accepted too.
    #[cfg_attr(feature = "config", serde(alias = "base"))]
    pub prefix: Option<String>,
    /// The time to live of entries that are written without an expiry. Default: they never expire.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::optional_seconds")
    )]
    pub ttl: Option<Duration>,
    /// How many keys the database scans for each step of a listing or a clear. Default: the size of the page.
    pub scan_count: Option<u32>,
    /// How long an operation may take, retries included. One request takes at most three fifths of it. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(deserialize_with = "session_core::config::durations::seconds")
    )]
    pub timeout: Duration,
    /// Which failed requests are sent again. Default: that of [`RetryPolicy`].
    pub retry: RetryPolicy,
    /// Whether this driver always reads its own writes, also from a replica. Default: true.
    pub read_your_writes: bool,
    /// Whether the database has read regions. Reads may then return an older value than another server wrote, and a miss is
    /// confirmed by the primary. Default: false.
    pub read_regions: bool,
    /// A client of the application, whose connections, proxies and certificates are used. Default: the driver makes one.
    #[cfg_attr(feature = "config", serde(skip))]
    pub client: Option<ApplicationClient>,
}

impl Default for UpstashOptions {
    fn default() -> Self {
        Self {
            url: None,
            token: None,
            prefix: None,
            ttl: None,
            scan_count: None,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            read_your_writes: true,
            read_regions: false,
            client: None,
        }
    }
}

impl UpstashOptions {
    /// Options for the database at `url`, with defaults.
    pub fn new(url: impl Into<String>, token: impl Into<SecretString>) -> Self {
        Self {
            url: Some(url.into()),
            token: Some(token.into()),
            ..Self::default()
        }
    }

    /// Sets the URL.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sets the prefix for all keys.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets the time to live of entries that are written without an expiry.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Sets how many keys the database scans for each step of a listing or a clear.
    #[must_use]
    pub fn with_scan_count(mut self, count: u32) -> Self {
        self.scan_count = Some(count);
        self
    }

    /// Sets how long an operation may take.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets which failed requests are sent again.
    #[must_use]
    pub fn with_retry(mut self, retry: RetryPolicy) -> Self {
        self.retry = retry;
        self
    }

    /// Sets whether this driver always reads its own writes.
    #[must_use]
    pub fn with_read_your_writes(mut self, read_your_writes: bool) -> Self {
        self.read_your_writes = read_your_writes;
        self
    }

    /// Sets whether the database has read regions.
    #[must_use]
    pub fn with_read_regions(mut self, read_regions: bool) -> Self {
        self.read_regions = read_regions;
        self
    }

    /// Sets a client of the application, whose connections, proxies and certificates are used.
    ///
    /// See [`ApplicationClient`] for how to make it.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<ApplicationClient>) -> Self {
        self.client = Some(client.into());
        self
    }

    /// Takes the URL and the token from environment variables if they are not set.
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
                format!("`{option}` is missing; set it, or the environment variable `{variable}`"),
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
                "`scan_count` must be greater than zero",
            ));
        }
        let headers = HeaderMap::from_iter([
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
        Ok(ClientOptions::new(url)
            .with_headers(headers)
            .with_timeout(self.timeout)
            .with_retry(self.retry)
            .with_client(self.client.clone()))
    }
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Result, async_trait};

    use super::UpstashOptions;
    use crate::UpstashDriver;

    #[async_trait]
    impl DriverOptions for UpstashOptions {
        async fn open(self, context: &ConfigContext) -> Result<Arc<dyn Driver>> {
            let options = self.or_from(|name| context.variable(name));
            Ok(Arc::new(UpstashDriver::open(options).await?))
        }
    }
}
