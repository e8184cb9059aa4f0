use std::time::Duration;

use secrecy::SecretString;
use session_core::{Error, ErrorKind, RetryPolicy};

/// How long a try may take by default, so that a second one fits into the 5 s that an operation of a configured driver
/// has.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest name of an attribute that can be part of a key.
const LONGEST_NAME: usize = 255;

/// Options of the driver; every one but the table has a default.
///
/// ```
/// use driver_dynamodb::{AttributeNames, DynamoDbOptions};
///
/// let options = DynamoDbOptions {
///     region: Some("eu-central-1".to_owned()),
///     base: Some("sessions".to_owned()),
///     attributes: AttributeNames { key: "id".to_owned(), ..AttributeNames::default() },
///     ..DynamoDbOptions::new("my-app")
/// };
/// assert!(options.consistent_read && !options.create_table);
/// ```
///
/// With the feature `config` they are read from configuration, under these names in snake_case or camelCase;
/// times are in seconds there. What is not given of region, endpoint and credentials comes from where every tool of
/// AWS takes it: the environment (`AWS_REGION`, `AWS_ACCESS_KEY_ID`, …), the profile, a container's or machine's role.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct DynamoDbOptions {
    /// The table, by its name or its ARN.
    pub table: String,
    /// The region, such as `eu-central-1`. Default: as AWS's tools find it.
    #[cfg_attr(feature = "config", serde(default))]
    pub region: Option<String>,
    /// Where to send requests instead of to the region's public endpoint: a VPC endpoint or a server on this machine,
    /// as `http://` or `https://` with host and port. Default: as AWS's tools find it.
    #[cfg_attr(feature = "config", serde(default))]
    pub endpoint_url: Option<String>,
    /// The profile of `~/.aws/config` and `~/.aws/credentials` to use. Default: as AWS's tools find it.
    #[cfg_attr(feature = "config", serde(default))]
    pub profile: Option<String>,
    /// Credentials given here. Default: as AWS's tools find them, which is best, since those are renewed.
    #[cfg_attr(feature = "config", serde(default))]
    pub credentials: Option<AwsCredentials>,
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
    /// Whether reads see every write that was acknowledged before them. Otherwise they cost half, may be older by
    /// about a second, and a miss is asked for a second time, consistently. Default: true.
    #[cfg_attr(feature = "config", serde(default = "yes"))]
    pub consistent_read: bool,
    /// Make the table when the driver is opened and there is none, with on-demand billing, and switch on its
    /// [time to live](crate#the-table). It needs permissions that a server should not have otherwise. Default: false.
    #[cfg_attr(feature = "config", serde(default))]
    pub create_table: bool,
    /// How long one try of a request may take, half of it for connecting. Default: 3 s.
    #[cfg_attr(
        feature = "config",
        serde(
            default = "default_timeout",
            deserialize_with = "session_core::config::durations::seconds"
        )
    )]
    pub timeout: Duration,
    /// How often a request that failed is tried again; see [the crate](crate#failures-and-repeats).
    #[cfg_attr(feature = "config", serde(default))]
    pub retry: RetryPolicy,
    /// How the attributes of an item are named.
    #[cfg_attr(feature = "config", serde(default))]
    pub attributes: AttributeNames,
}

impl DynamoDbOptions {
    /// The options of `table`, with defaults.
    pub fn new(table: impl Into<String>) -> Self {
        Self {
            table: table.into(),
            region: None,
            endpoint_url: None,
            profile: None,
            credentials: None,
            base: None,
            ttl: None,
            consistent_read: true,
            create_table: false,
            timeout: DEFAULT_TIMEOUT,
            retry: RetryPolicy::default(),
            attributes: AttributeNames::default(),
        }
    }

    /// Checks what a type cannot.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.table.is_empty() {
            return Err(invalid("`table` is empty; name a table"));
        }
        if self.timeout.is_zero() {
            return Err(invalid("`timeout` must be above zero"));
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

/// An access key of AWS.
///
/// `Debug` shows the id alone.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
pub struct AwsCredentials {
    /// The id of the access key.
    pub access_key_id: String,
    /// The access key itself.
    pub secret_access_key: SecretString,
    /// What temporary credentials have beside it. They end, and nobody renews those that are given here.
    #[cfg_attr(feature = "config", serde(default))]
    pub session_token: Option<SecretString>,
}

/// How the attributes of an item are named, for tables that others use as well.
///
/// The [exact end](crate#the-table) is in a fourth attribute, named as `expires_at` with `_ms` behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "config", derive(serde::Deserialize))]
#[cfg_attr(feature = "config", serde(default))]
pub struct AttributeNames {
    /// The partition key. Default: `key`.
    pub key: String,
    /// The value. Default: `value`.
    pub value: String,
    /// The end in seconds, on which the table's time to live is to be. Default: `expires_at`.
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
                "the names in `attributes` must differ from each other, and from that of `expires_at` with `_ms` \
                 behind it",
            ));
        }
        Ok(())
    }
}

pub(crate) fn invalid(message: &'static str) -> Error {
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
