use std::collections::BTreeMap;
use std::time::Duration;

use http_support::{ClientOptions, HeaderMap, HeaderName, SecretString, header, secret_header};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Result, RetryPolicy};

/// Options of the driver; every one but the base has a default.
///
/// ```
/// use driver_http::{Dialect, HttpOptions};
///
/// let options = HttpOptions {
///     prefix: Some("sessions".to_owned()),
///     dialect: Dialect::V2,
///     ..HttpOptions::new("http://127.0.0.1:3000/kv")
/// };
/// assert_eq!(options.ttl, None);
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase; times are
/// in seconds there.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct HttpOptions {
    /// The URL of the server, to which keys are appended. What it names must be the root of the server's storage, or
    /// a mount at which the server cuts it off: a listing tells keys as the server has them.
    pub base: String,
    /// Keep all keys below this prefix. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub prefix: Option<String>,
    /// Sent as `Authorization: Bearer …`. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub token: Option<SecretString>,
    /// Sent with each request. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub headers: BTreeMap<String, SecretString>,
    /// Which server it is. Default: [`Dialect::V1`].
    #[cfg_attr(feature = "config", serde(default))]
    pub dialect: Dialect,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
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
    /// What is tried again. Default: that of [`RetryPolicy`].
    #[cfg_attr(feature = "config", serde(default))]
    pub retry: RetryPolicy,
}

/// Which server it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(rename_all = "kebab-case"))]
pub enum Dialect {
    /// unstorage's of version 1, which decodes what is percent-encoded in a path, and drops empty values.
    #[default]
    V1,
    /// unstorage's of version 2, which takes a path as it comes: a key with a space has `%20` in its backend, as it has
    /// when unstorage's own driver wrote it. What is listed is decoded here.
    V2,
    /// The one of this project, `session-server`, which also takes conditions: `"session-server"` in configuration.
    SessionServer,
}

impl HttpOptions {
    /// The options for the server at `base`, with defaults.
    pub fn new(base: impl Into<String>) -> Self {
        Self {
            base: base.into(),
            prefix: None,
            token: None,
            headers: BTreeMap::new(),
            dialect: Dialect::default(),
            ttl: None,
            timeout: default_timeout(),
            retry: RetryPolicy::default(),
        }
    }

    pub(crate) fn client(&self) -> Result<ClientOptions> {
        let mut options = ClientOptions::new(&self.base);
        options.headers = self.headers()?;
        options.timeout = self.timeout;
        options.retry = self.retry;
        Ok(options)
    }

    fn headers(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let header: HeaderName = name.parse().map_err(|_| {
                Error::new(
                    ErrorKind::InvalidConfig,
                    "a name among `headers` is no name of a header",
                )
            })?;
            headers.append(header, secret_header("headers", "", value)?);
        }
        if let Some(token) = &self.token {
            if headers.contains_key(header::AUTHORIZATION) {
                return Err(Error::new(
                    ErrorKind::InvalidConfig,
                    "`token` and the header `authorization` are the same; give one of them",
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

    use session_core::config::{DriverOptions, OpenContext};
    use session_core::{Driver, Result, async_trait};

    use super::HttpOptions;
    use crate::HttpDriver;

    #[async_trait]
    impl DriverOptions for HttpOptions {
        async fn open(self, _context: &OpenContext) -> Result<Arc<dyn Driver>> {
            Ok(Arc::new(HttpDriver::open(self)?))
        }
    }
}
