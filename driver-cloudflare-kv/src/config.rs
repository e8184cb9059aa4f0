use std::time::Duration;

use http_support::{DEFAULT_TIMEOUT, HeaderMap, HeaderName, SecretString, secret_header};
use session_core::{Error, ErrorKind, Result, RetryPolicy};

/// Where Cloudflare's API is.
pub const DEFAULT_API_URL: &str = "https://api.cloudflare.com";

/// The shortest time to live that Cloudflare KV takes: 60 s.
pub const SHORTEST_TTL: Duration = Duration::from_secs(60);

/// Options of the driver; only where the namespace is, and what opens it, has no default.
///
/// ```
/// use driver_cloudflare_kv::CloudflareKvOptions;
///
/// let account = "0123456789abcdef0123456789abcdef";
/// let namespace = "fedcba9876543210fedcba9876543210";
/// let options = CloudflareKvOptions {
///     base: Some("sessions".to_owned()),
///     ..CloudflareKvOptions::new(account, namespace, "api-token")
/// };
/// assert!(!format!("{options:?}").contains("api-token"));
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase; times are
/// in seconds there.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct CloudflareKvOptions {
    /// The account that has the namespace. Without it `api_url` is taken as all that comes before `/storage/kv`, for
    /// servers that have no accounts, and no credentials are needed: the explorer that miniflare and `wrangler dev`
    /// serve under `/cdn-cgi/local/explorer/api` is one.
    #[cfg_attr(feature = "config", serde(default, alias = "accountID"))]
    pub account_id: Option<String>,
    /// The id of the namespace, which is not its title.
    pub namespace_id: String,
    /// An API token with the permission to edit Workers KV storage.
    #[cfg_attr(feature = "config", serde(default))]
    pub api_token: Option<SecretString>,
    /// In place of a token: the address of a user, together with `api_key`.
    #[cfg_attr(feature = "config", serde(default))]
    pub email: Option<String>,
    /// The global API key of the user with `email`.
    #[cfg_attr(feature = "config", serde(default))]
    pub api_key: Option<SecretString>,
    /// In place of a token: a key of Cloudflare's own services.
    #[cfg_attr(feature = "config", serde(default))]
    pub user_service_key: Option<SecretString>,
    /// Where the API is. Default: `https://api.cloudflare.com`.
    #[cfg_attr(feature = "config", serde(default = "default_api_url"))]
    pub api_url: String,
    /// Keep all keys below this prefix. Default: none.
    #[cfg_attr(feature = "config", serde(default))]
    pub base: Option<String>,
    /// How long an entry lives that is written without an expiry of its own. Default: for ever.
    #[cfg_attr(
        feature = "config",
        serde(
            default,
            deserialize_with = "session_core::config::durations::optional_seconds"
        )
    )]
    pub ttl: Option<Duration>,
    /// The shortest time to live that Cloudflare is told; readers go by the exact one. Default, and least: 60 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_min_ttl",
            alias = "minTTL",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub min_ttl: Duration,
    /// How long a request may take; one for several hundred keys has more. Default: 3 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub timeout: Duration,
    /// How often a failed request is made again, and after what pauses. Default: up to 4 attempts and pauses from
    /// 250 ms to 1 s, since Cloudflare refuses a second write to a key within a second.
    #[cfg_attr(feature = "config", serde(default = "default_retry"))]
    pub retry: RetryPolicy,
}

impl CloudflareKvOptions {
    /// The options for a namespace of an account, opened by an API token.
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

    /// The options for a server that has no accounts, where `api_url` is all that comes before `/storage/kv`.
    ///
    /// ```
    /// use driver_cloudflare_kv::CloudflareKvOptions;
    ///
    /// // What `wrangler dev` serves.
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
            base: None,
            ttl: None,
            min_ttl: default_min_ttl(),
            timeout: default_timeout(),
            retry: default_retry(),
        }
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
                "`account_id` is missing; only with an `api_url` of its own is there a server without accounts",
            )),
            None => Ok(format!("{api}/storage/kv/namespaces/{namespace}")),
        }
    }

    /// What proves who we are.
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
                    "give one of `api_token`, `email` with `api_key`, and `user_service_key`",
                ));
            }
        }
        Ok(headers)
    }

    /// Checks what a type cannot.
    pub(crate) fn check(&self) -> Result<()> {
        if self.min_ttl < SHORTEST_TTL {
            return Err(invalid(
                "`min_ttl` must be 60 s or more, the shortest time to live that Cloudflare KV takes",
            ));
        }
        Ok(())
    }
}

/// An id stands in the path of each request.
fn check_id(option: &str, id: &str) -> Result<()> {
    const LONGEST: usize = 64;
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if id.is_empty() || id.len() > LONGEST || !id.bytes().all(is_id) {
        return Err(invalid(format!(
            "`{option}` is no id, which is made of up to 64 letters, digits, `-` and `_`"
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
    fn ids_that_would_lead_elsewhere_are_refused() {
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
    fn an_account_is_missing_only_on_cloudflares_own_server() {
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
    fn credentials_that_are_none_or_two_are_refused() {
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
    fn a_minimum_below_cloudflares_is_refused() {
        let options = CloudflareKvOptions {
            min_ttl: Duration::from_secs(59),
            ..options()
        };
        assert!(options.check().unwrap_err().to_string().contains("60 s"));
    }
}
