use std::time::Duration;

use http_support::{ApplicationClient, HeaderMap, HeaderName, SecretString, secret_header};
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, Result, RetryPolicy};

/// The URL of Cloudflare's API.
pub const DEFAULT_API_URL: &str = "https://api.cloudflare.com";

/// The shortest time to live that Cloudflare KV supports: 60 s.
pub const SHORTEST_TTL: Duration = Duration::from_secs(60);

/// Options of the driver. All but the namespace and its credentials have a default.
///
/// ```
/// use driver_cloudflare_kv::CloudflareKvOptions;
///
/// let account = "0123456789abcdef0123456789abcdef";
/// let namespace = "fedcba9876543210fedcba9876543210";
/// let options = CloudflareKvOptions::new(account, namespace, "api-token").with_prefix("sessions");
/// assert!(!format!("{options:?}").contains("api-token"));
/// ```
///
/// With the feature `config` they can be read from configuration, with these names in snake_case or camelCase and times
/// in seconds.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct CloudflareKvOptions {
    /// The account of the namespace.
    ///
    /// Without it, `api_url` is everything before `/storage/kv`, for servers without accounts, and no credentials are
    /// needed. Such a server is the explorer of miniflare and `wrangler dev` under `/cdn-cgi/local/explorer/api`.
    #[cfg_attr(feature = "config", serde(default, alias = "accountID"))]
    pub account_id: Option<String>,
    /// The id of the namespace, which is not its title.
    pub namespace_id: String,
    /// An API token with the permission to edit Workers KV storage.
    #[cfg_attr(feature = "config", serde(default))]
    pub api_token: Option<SecretString>,
    /// The address of a user, in place of a token and together with `api_key`.
    #[cfg_attr(feature = "config", serde(default))]
    pub email: Option<String>,
    /// The global API key of the user with `email`.
    #[cfg_attr(feature = "config", serde(default))]
    pub api_key: Option<SecretString>,
    /// A key of Cloudflare's own services, in place of a token.
    #[cfg_attr(feature = "config", serde(default))]
    pub user_service_key: Option<SecretString>,
    /// The URL of the API. Default: `https://api.cloudflare.com`.
    #[cfg_attr(feature = "config", serde(default = "default_api_url"))]
    pub api_url: String,
    /// A prefix for all keys. Default: none. In configuration, `base` is accepted too.
    #[cfg_attr(feature = "config", serde(default, alias = "base"))]
    pub prefix: Option<String>,
    /// The time to live of entries that are written without an expiry. Default: they never expire.
    #[cfg_attr(
        feature = "config",
        serde(
            default,
            deserialize_with = "session_core::config::durations::optional_seconds"
        )
    )]
    pub ttl: Option<Duration>,
    /// The shortest time to live that is sent to Cloudflare. Readers use the exact expiry. Default and minimum: 60 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_min_ttl",
            alias = "minTTL",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub min_ttl: Duration,
    /// How long an operation may take, retries included. One request takes at most three fifths of it. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub timeout: Duration,
    /// Which failed requests are sent again. Default: up to 4 attempts with pauses from 250 ms to 1 s, since Cloudflare
    /// refuses a second write of a key within a second.
    #[cfg_attr(feature = "config", serde(default = "default_retry"))]
    pub retry: RetryPolicy,
    /// A client of the application, whose connections, proxies and certificates are used. Default: the driver makes one.
    #[cfg_attr(feature = "config", serde(skip))]
    pub client: Option<ApplicationClient>,
}

impl CloudflareKvOptions {
    /// Options for a namespace of an account, with an API token.
    pub fn new(
        account_id: impl Into<String>,
        namespace_id: impl Into<String>,
        api_token: impl Into<SecretString>,
    ) -> Self {
        Self {
            account_id: Some(account_id.into()),
            api_token: Some(api_token.into()),
            ..Self::without_account(DEFAULT_API_URL, namespace_id)
        }
    }

    /// Options for a server without accounts, where `api_url` is everything before `/storage/kv`.
    ///
    /// ```
    /// use driver_cloudflare_kv::CloudflareKvOptions;
    ///
    /// // The URL of `wrangler dev`.
    /// let url = "http://127.0.0.1:8787/cdn-cgi/local/explorer/api";
    /// let options = CloudflareKvOptions::without_account(url, "fedcba9876543210fedcba9876543210");
    /// assert!(options.account_id.is_none());
    /// ```
    pub fn without_account(api_url: impl Into<String>, namespace_id: impl Into<String>) -> Self {
        Self {
            account_id: None,
            namespace_id: namespace_id.into(),
            api_token: None,
            email: None,
            api_key: None,
            user_service_key: None,
            api_url: api_url.into(),
            prefix: None,
            ttl: None,
            min_ttl: default_min_ttl(),
            timeout: default_timeout(),
            retry: default_retry(),
            client: None,
        }
    }

    /// Uses a global API key in place of a token.
    #[must_use]
    pub fn with_api_key(
        mut self,
        email: impl Into<String>,
        api_key: impl Into<SecretString>,
    ) -> Self {
        self.api_token = None;
        self.email = Some(email.into());
        self.api_key = Some(api_key.into());
        self
    }

    /// Uses a key of Cloudflare's own services in place of a token.
    #[must_use]
    pub fn with_user_service_key(mut self, key: impl Into<SecretString>) -> Self {
        self.api_token = None;
        self.user_service_key = Some(key.into());
        self
    }

    /// Sets the URL of the API.
    #[must_use]
    pub fn with_api_url(mut self, url: impl Into<String>) -> Self {
        self.api_url = url.into();
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

    /// Sets the shortest time to live that is sent to Cloudflare.
    #[must_use]
    pub fn with_min_ttl(mut self, min_ttl: Duration) -> Self {
        self.min_ttl = min_ttl;
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

    /// The URL of the namespace.
    pub(crate) fn url(&self) -> Result<String> {
        let api = self.api_url.trim().trim_end_matches('/');
        check_id("namespace_id", &self.namespace_id)?;
        let namespace = &self.namespace_id;
        match &self.account_id {
            Some(account) => {
                check_id("account_id", account)?;
                Ok(format!(
                    "{api}/client/v4/accounts/{account}/storage/kv/namespaces/{namespace}"
                ))
            }
            None if api == DEFAULT_API_URL => Err(invalid(
                "`account_id` is missing; only a server with another `api_url` has no accounts",
            )),
            None => Ok(format!("{api}/storage/kv/namespaces/{namespace}")),
        }
    }

    /// The headers with the credentials.
    pub(crate) fn credentials(&self) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        let mut add = |name, option, prefix, secret: &SecretString| {
            headers.insert(
                HeaderName::from_static(name),
                secret_header(option, prefix, secret)?,
            );
            Ok::<(), Error>(())
        };
        match (
            &self.api_token,
            &self.user_service_key,
            &self.email,
            &self.api_key,
        ) {
            (Some(token), None, None, None) => add("authorization", "api_token", "Bearer ", token)?,
            (None, Some(key), None, None) => {
                add("x-auth-user-service-key", "user_service_key", "", key)?;
            }
            (None, None, Some(email), Some(key)) => {
                add(
                    "x-auth-email",
                    "email",
                    "",
                    &SecretString::from(email.as_str()),
                )?;
                add("x-auth-key", "api_key", "", key)?;
            }
            (None, None, None, None) if self.account_id.is_none() => {}
            _ => {
                return Err(invalid(
                    "set exactly one of `api_token`, `email` with `api_key`, and `user_service_key`",
                ));
            }
        }
        Ok(headers)
    }

    /// Checks the values of the options.
    pub(crate) fn check(&self) -> Result<()> {
        if self.min_ttl < SHORTEST_TTL {
            return Err(invalid(
                "`min_ttl` must be at least 60 s, the shortest time to live that Cloudflare KV supports",
            ));
        }
        Ok(())
    }
}

/// Checks an id, which is a part of the path of each request.
fn check_id(option: &str, id: &str) -> Result<()> {
    const LONGEST: usize = 64;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > LONGEST || !id.bytes().all(is_id) {
        return Err(invalid(format!(
            "`{option}` is not a valid id; expected up to 64 letters, digits, `-` and `_`"
        )));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
fn default_api_url() -> String {
    DEFAULT_API_URL.to_owned()
}

fn default_min_ttl() -> Duration {
    SHORTEST_TTL
}

fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

fn default_retry() -> RetryPolicy {
    RetryPolicy {
        attempts: 4,
        min_delay: Duration::from_millis(250),
        max_delay: Duration::from_secs(1),
    }
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Result, async_trait};

    use super::CloudflareKvOptions;
    use crate::CloudflareKvDriver;

    #[async_trait]
    impl DriverOptions for CloudflareKvOptions {
        async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>> {
            Ok(Arc::new(CloudflareKvDriver::open(self)?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> CloudflareKvOptions {
        CloudflareKvOptions::new("account", "namespace", "s3cr3t-token")
    }

    fn header(options: &CloudflareKvOptions, name: &str) -> Option<String> {
        let headers = options.credentials().unwrap();
        Some(headers.get(name)?.to_str().unwrap().to_owned())
    }

    #[test]
    fn the_url_is_that_of_the_namespace() {
        assert_eq!(
            options().url().unwrap(),
            "https://api.cloudflare.com/client/v4/accounts/account/storage/kv/namespaces/namespace"
        );
        let local = CloudflareKvOptions::without_account("http://localhost:8787/api/", "ns");
        assert_eq!(
            local.url().unwrap(),
            "http://localhost:8787/api/storage/kv/namespaces/ns"
        );
    }

    #[test]
    fn invalid_ids_are_refused() {
        for id in ["", "..", "a/b", "a?b", "a b", "a%2fb", &"a".repeat(65)] {
            for options in [
                CloudflareKvOptions::new(id, "namespace", "token"),
                CloudflareKvOptions::new("account", id, "token"),
            ] {
                assert_eq!(
                    options.url().unwrap_err().kind(),
                    ErrorKind::InvalidConfig,
                    "{id}"
                );
            }
        }
    }

    #[test]
    fn an_account_is_required_only_on_the_server_of_cloudflare() {
        let options = CloudflareKvOptions {
            account_id: None,
            ..options()
        };
        assert!(
            options
                .url()
                .unwrap_err()
                .to_string()
                .contains("`account_id`")
        );
    }

    #[test]
    fn each_kind_of_credentials_has_its_headers() {
        assert_eq!(
            header(&options(), "authorization").unwrap(),
            "Bearer s3cr3t-token"
        );
        let none = CloudflareKvOptions {
            api_token: None,
            ..options()
        };
        let by_key = CloudflareKvOptions {
            email: Some("a@b.example".to_owned()),
            api_key: Some("key".into()),
            ..none.clone()
        };
        assert_eq!(header(&by_key, "x-auth-email").unwrap(), "a@b.example");
        assert_eq!(header(&by_key, "x-auth-key").unwrap(), "key");
        let by_service_key = CloudflareKvOptions {
            user_service_key: Some("v1.0-key".into()),
            ..none
        };
        assert_eq!(
            header(&by_service_key, "x-auth-user-service-key").unwrap(),
            "v1.0-key"
        );
        let local = CloudflareKvOptions::without_account("http://localhost", "ns");
        assert!(local.credentials().unwrap().is_empty());
    }

    #[test]
    fn missing_or_conflicting_credentials_are_refused() {
        let none = CloudflareKvOptions {
            api_token: None,
            ..options()
        };
        let half = CloudflareKvOptions {
            email: Some("a@b.example".to_owned()),
            ..none.clone()
        };
        let two = CloudflareKvOptions {
            user_service_key: Some("key".into()),
            ..options()
        };
        for options in [none, half, two] {
            let error = options.credentials().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let options = CloudflareKvOptions {
            api_key: Some("s3cr3t-key".into()),
            user_service_key: Some("s3cr3t-service-key".into()),
            ..options()
        };
        assert!(!format!("{options:?}").contains("s3cr3t"));
    }

    #[test]
    fn a_min_ttl_below_the_minimum_of_cloudflare_is_refused() {
        let options = CloudflareKvOptions {
            min_ttl: Duration::from_secs(59),
            ..options()
        };
        assert!(options.check().unwrap_err().to_string().contains("60 s"));
    }
}
