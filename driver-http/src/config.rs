use std::collections::BTreeMap;
use std::time::Duration;

use http_support::{
    ApplicationClient, ClientOptions, HeaderMap, HeaderName, SecretString, header, secret_header,
};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Result, RetryPolicy};

/// Options of the driver. All but the URL have a default.
///
/// ```
/// use driver_http::{Dialect, HttpOptions};
///
/// let options = HttpOptions::new("http://127.0.0.1:3000/kv")
///     .with_prefix("sessions")
///     .with_dialect(Dialect::V2);
/// assert_eq!(options.ttl, None);
/// ```
///
/// With the feature `config` they can be read from configuration, with these names in snake_case or camelCase and times
/// in seconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct HttpOptions {
    /// The URL of the server, to which keys are appended. In configuration, `base` is accepted too.
    ///
    /// It must be the root of the server's storage, or a mount that the server removes from keys, since a listing returns
    /// keys as the server has them.
    #[cfg_attr(feature = "config", serde(alias = "base"))]
    pub url: String,
    /// A prefix for all keys. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub prefix: Option<String>,
    /// A token, sent as `Authorization: Bearer …`. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub token: Option<SecretString>,
    /// Headers of each request. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub headers: BTreeMap<String, SecretString>,
    /// The kind of server. Default: [`Dialect::V1`].
    #[cfg_attr(feature = "config", serde(default))]
    pub dialect: Dialect,
    /// The time to live of entries that are written without an expiry. Default: they never expire.
    #[cfg_attr(
        feature = "config",
        serde(
            default,
            deserialize_with = "session_core::config::durations::optional_seconds"
        )
    )]
    pub ttl: Option<Duration>,
    /// How long an operation may take, retries included. One request takes at most three fifths of it. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub timeout: Duration,
    /// Which failed requests are sent again. Default: that of [`RetryPolicy`].
    #[cfg_attr(feature = "config", serde(default))]
    pub retry: RetryPolicy,
    /// A client of the application, whose connections, proxies and certificates are used. Default: the driver makes one.
    #[cfg_attr(feature = "config", serde(skip))]
    pub client: Option<ApplicationClient>,
}

/// The kind of server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "kebab-case"))]
pub enum Dialect {
    /// unstorage version 1, from 1.17.6. It drops empty values.
    #[default]
    V1,
    /// unstorage version 2, from 2.0.0-beta.0.
    V2,
    /// `session-server` of this project, which supports conditions. In configuration: `"session-server"`.
    SessionServer,
}

impl HttpOptions {
    /// Options for the server at `url`, with defaults.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            prefix: None,
            token: None,
            headers: BTreeMap::new(),
            dialect: Dialect::default(),
            ttl: None,
            timeout: default_timeout(),
            retry: RetryPolicy::default(),
            client: None,
        }
    }

    /// Sets the URL of the server.
    #[must_use]
    pub fn with_url(mut self, url: impl Into<String>) -> Self {
        self.url = url.into();
        self
    }

    /// Sets the prefix for all keys.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Sets the token.
    #[must_use]
    pub fn with_token(mut self, token: impl Into<SecretString>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Adds a header to each request.
    #[must_use]
    pub fn with_header(mut self, name: impl Into<String>, value: impl Into<SecretString>) -> Self {
        self.headers.insert(name.into(), value.into());
        self
    }

    /// Sets the kind of server.
    #[must_use]
    pub fn with_dialect(mut self, dialect: Dialect) -> Self {
        self.dialect = dialect;
        self
    }

    /// Sets the time to live of entries that are written without an expiry.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
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

    /// Sets a client of the application, whose connections, proxies and certificates are used.
    ///
    /// See [`ApplicationClient`] for how to make it.
    #[must_use]
    pub fn with_client(mut self, client: impl Into<ApplicationClient>) -> Self {
        self.client = Some(client.into());
        self
    }

    pub(crate) fn client(&self) -> Result<ClientOptions> {
        Ok(ClientOptions::new(&self.url)
            .with_headers(self.headers()?)
            .with_timeout(self.timeout)
            .with_retry(self.retry)
            .with_client(self.client.clone()))
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let header: HeaderName = name.parse().map_err(|_| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "`headers` contains an invalid header name",
                )
            })?;
            headers.append(header, secret_header("headers", "", value)?);
        }
        if let Some(token) = &self.token {
            if headers.contains_key(header::AUTHORIZATION) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "`token` sets the header `authorization`, which is also in `headers`; remove one of them",
                ));
            }
            let bearer = secret_header("token", "Bearer ", token)?;
            headers.insert(header::AUTHORIZATION, bearer);
        }
        Ok(headers)
    }
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Result, async_trait};

    use super::HttpOptions;
    use crate::HttpDriver;

    #[async_trait]
    impl DriverOptions for HttpOptions {
        async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>> {
            Ok(Arc::new(HttpDriver::open(self)?))
        }
    }
}
