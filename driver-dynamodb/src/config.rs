use std::time::Duration;

use secrecy::SecretString;
use session_core::{DEFAULT_TIMEOUT, Error, ErrorKind, RetryPolicy};

/// DynamoDB's limit of the name of a key attribute in bytes.
const LONGEST_NAME: usize = 255;

/// Options of the driver. All but the table have a default.
///
/// ```
/// use driver_dynamodb::{AttributeNames, DynamoDbOptions};
///
/// let options = DynamoDbOptions::new("my-app")
///     .with_region("eu-central-1")
///     .with_prefix("sessions")
///     .with_attributes(AttributeNames::default().with_key("id"));
/// assert!(options.consistent_read && !options.create_table);
/// ```
///
/// With the feature `config` they can be read from configuration, with these names in snake_case or camelCase and times
/// in seconds. If region, endpoint or credentials are not set, they come from the sources that all AWS tools use: the
/// environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, …), the profile, the role of a container or a machine.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct DynamoDbOptions {
    /// The name or the ARN of the table.
    pub table: String,
    /// The region, such as `eu-central-1`. Default: that of the AWS configuration.
    #[cfg_attr(feature = "config", serde(default))]
    pub region: Option<String>,
    /// The URL of another endpoint than that of the region, such as a VPC endpoint or a server on this machine. It begins
    /// with `http://` or `https://`. Default: that of the AWS configuration.
    #[cfg_attr(feature = "config", serde(default))]
    pub endpoint_url: Option<String>,
    /// The profile in `~/.aws/config` and `~/.aws/credentials`. Default: that of the AWS configuration.
    #[cfg_attr(feature = "config", serde(default))]
    pub profile: Option<String>,
    /// Fixed credentials. Default: those of the AWS configuration, which are renewed automatically.
    #[cfg_attr(feature = "config", serde(default))]
    pub credentials: Option<AwsCredentials>,
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
    /// Whether reads are strongly consistent. Otherwise they cost half and may be about a second old, and a miss is
    /// confirmed by a consistent read. Default: true.
    #[cfg_attr(feature = "config", serde(default = "yes"))]
    pub consistent_read: bool,
    /// Whether to create a missing table when the driver is opened, with on-demand billing and
    /// [time to live](crate#the-table). Opening may then take a minute, and needs permissions that a server should not have
    /// otherwise. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub create_table: bool,
    /// How long an operation may take, retries included. One request takes at most three fifths of it, and connecting at
    /// most half of that. Default: 5 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub timeout: Duration,
    /// Which failed requests are sent again; see the [crate documentation](crate#failures-and-retries).
    #[cfg_attr(feature = "config", serde(default))]
    pub retry: RetryPolicy,
    /// The names of the attributes of an item.
    #[cfg_attr(feature = "config", serde(default))]
    pub attributes: AttributeNames,
}

impl DynamoDbOptions {
    /// Options for `table`, with defaults.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            region: None,
            endpoint_url: None,
            profile: None,
            credentials: None,
            prefix: None,
            ttl: None,
            consistent_read: true,
            create_table: false,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            attributes: AttributeNames::default(),
        }
    }

    /// Sets the region.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<String>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the URL of another endpoint than that of the region.
    #[must_use]
    pub fn with_endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = Some(url.into());
        self
    }

    /// Sets the profile.
    #[must_use]
    pub fn with_profile(mut self, profile: impl Into<String>) -> Self {
        self.profile = Some(profile.into());
        self
    }

    /// Sets fixed credentials.
    #[must_use]
    pub fn with_credentials(mut self, credentials: AwsCredentials) -> Self {
        self.credentials = Some(credentials);
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

    /// Sets whether reads are strongly consistent.
    #[must_use]
    pub fn with_consistent_read(mut self, consistent_read: bool) -> Self {
        self.consistent_read = consistent_read;
        self
    }

    /// Sets whether to create a missing table.
    #[must_use]
    pub fn with_create_table(mut self, create_table: bool) -> Self {
        self.create_table = create_table;
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

    /// Sets the names of the attributes of an item.
    #[must_use]
    pub fn with_attributes(mut self, attributes: AttributeNames) -> Self {
        self.attributes = attributes;
        self
    }

    /// Checks the values of the options.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.table.is_empty() {
            return Err(invalid("`table` is empty; set the name of a table"));
        }
        if self.timeout.is_zero() {
            return Err(invalid("`timeout` must be greater than zero"));
        }
        let has_scheme = |url: &String| url.starts_with("http://") || url.starts_with("https://");
        if !self.endpoint_url.as_ref().is_none_or(has_scheme) {
            return Err(invalid(
                "`endpoint_url` must begin with `http://` or `https://`",
            ));
        }
        self.attributes.check()
    }
}

/// An AWS access key.
///
/// `Debug` shows only its id.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct AwsCredentials {
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: SecretString,
    /// The session token of temporary credentials. They expire and are not renewed.
    #[cfg_attr(feature = "config", serde(default))]
    pub session_token: Option<SecretString>,
}

impl AwsCredentials {
    /// Credentials without a session token.
    pub fn new(
        access_key_id: impl Into<String>,
        secret_access_key: impl Into<SecretString>,
    ) -> Self {
        Self {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
        }
    }

    /// Sets the session token of temporary credentials.
    #[must_use]
    pub fn with_session_token(mut self, token: impl Into<SecretString>) -> Self {
        self.session_token = Some(token.into());
        self
    }
}

/// The names of the attributes of an item, for tables that other programs use too.
///
/// The [exact expiry](crate#the-table) is in a fourth attribute. Its name is that of `expires_at` with `_ms` appended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct AttributeNames {
    /// The partition key. Default: `key`.
    pub key: String,
    /// The value. Default: `value`.
    pub value: String,
    /// The expiry in seconds, which the table's time to live uses. Default: `expires_at`.
    pub expires_at: String,
}

impl Default for AttributeNames {
    fn default() -> Self {
        Self {
            key: "key".to_owned(),
            value: "value".to_owned(),
            expires_at: "expires_at".to_owned(),
        }
    }
}

impl AttributeNames {
    /// Sets the name of the partition key.
    #[must_use]
    pub fn with_key(mut self, name: impl Into<String>) -> Self {
        self.key = name.into();
        self
    }

    /// Sets the name of the value.
    #[must_use]
    pub fn with_value(mut self, name: impl Into<String>) -> Self {
        self.value = name.into();
        self
    }

    /// Sets the name of the expiry.
    #[must_use]
    pub fn with_expires_at(mut self, name: impl Into<String>) -> Self {
        self.expires_at = name.into();
        self
    }

    pub(crate) fn expires_at_ms(&self) -> String {
        format!("{}_ms", self.expires_at)
    }

    fn check(&self) -> Result<(), Error> {
        let exact = self.expires_at_ms();
        let names = [&self.key, &self.value, &self.expires_at, &exact];
        if names
            .iter()
            .any(|name| name.is_empty() || name.len() > LONGEST_NAME)
        {
            return Err(invalid(
                "the names in `attributes` must have 1 to 252 bytes",
            ));
        }
        let mut distinct = names;
        distinct.sort_unstable();
        if distinct.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(invalid(
                "the names in `attributes` must differ from each other, and from `expires_at` with `_ms` appended",
            ));
        }
        Ok(())
    }
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(feature = "config")]
fn yes() -> bool {
    true
}

#[cfg(feature = "config")]
fn default_timeout() -> Duration {
    DEFAULT_TIMEOUT
}

#[cfg(feature = "config")]
mod by_name {
    use std::sync::Arc;

    use session_core::config::{ConfigContext, DriverOptions};
    use session_core::{Driver, Error, async_trait};

    use super::DynamoDbOptions;
    use crate::DynamoDbDriver;

    #[async_trait]
    impl DriverOptions for DynamoDbOptions {
        async fn open(self, _context: &ConfigContext) -> Result<Arc<dyn Driver>, Error> {
            Ok(Arc::new(DynamoDbDriver::open(self).await?))
        }
    }
}
