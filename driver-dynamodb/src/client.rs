use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Credentials, Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, Idempotency, RetryPolicy};
use tokio::time::{Instant, timeout_at};

use crate::bounded::BoundedResponses;
use crate::config::{DynamoDbOptions, invalid};
use crate::error::{During, out_of_time};

/// After this time an idle connection is closed. A short time makes it unlikely that a write uses a connection that the
/// other side or a firewall has closed, after which the outcome is unknown.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Creates a client of the AWS SDK without retries, since the SDK does not know which requests may be repeated.
pub(crate) async fn connect(options: &DynamoDbOptions) -> Result<Client, Error> {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .pool_idle_timeout(IDLE_TIMEOUT)
        .build_https();
    let mut loader = aws_config::defaults(BehaviorVersion::v2026_01_12()).http_client(http_client);
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(profile) = &options.profile {
        loader = loader.profile_name(profile);
    }
    if let Some(url) = &options.endpoint_url {
        loader = loader.endpoint_url(url);
    }
    if let Some(given) = &options.credentials {
        let secret = |secret: &SecretString| secret.expose_secret().to_owned();
        loader = loader.credentials_provider(Credentials::new(
            &given.access_key_id,
            secret(&given.secret_access_key),
            given.session_token.as_ref().map(secret),
            None,
            "options",
        ));
    }
    let shared = loader.load().await;
    if shared.region().is_none() {
        return Err(invalid(
            "no region is configured; set `region`, the environment variable `AWS_REGION`, or a region in the profile",
        ));
    }
    Ok(limited(Builder::from(&shared), options))
}

/// Makes a client of the driver's own out of the application's: the same HTTP client, credentials, region and endpoint.
pub(crate) fn of_application(client: &Client, options: &DynamoDbOptions) -> Result<Client, Error> {
    let given = [
        ("region", options.region.is_some()),
        ("endpoint_url", options.endpoint_url.is_some()),
        ("profile", options.profile.is_some()),
        ("credentials", options.credentials.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(invalid(format!(
            "the client says how to connect; remove `{name}`"
        ))),
        None => Ok(limited(client.config().to_builder(), options)),
    }
}

/// A client that never repeats a request, and whose requests and responses have limits.
///
/// The settings apply to this client only. Clients that fetch credentials keep their own retries and timeouts.
fn limited(config: Builder, options: &DynamoDbOptions) -> Client {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect_timeout(options.timeout))
        .operation_attempt_timeout(options.timeout.mul_f64(0.6))
        .build();
    let config = config
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .interceptor(BoundedResponses)
        // The timeout of an attempt covers the whole response.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Client::from_conf(config.build())
}

/// How long connecting may take: half of the time of a request, which is three fifths of that of an operation, so that
/// another attempt fits.
fn connect_timeout(timeout: Duration) -> Duration {
    timeout.mul_f64(0.3)
}

/// Sends requests until a deadline, and again as the retry policy allows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempts {
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Duration,
}

impl Attempts {
    /// The deadline of an operation that begins now.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs `attempt`, and again as far as the retry policy and `repeat` allow. It ends by `deadline`.
    pub(crate) async fn run<T, F, Running>(
        &self,
        deadline: Instant,
        repeat: Idempotency,
        during: During,
        attempt: F,
    ) -> Result<T, Error>
    where
        F: Fn() -> Running,
        Running: Future<Output = Result<T, Error>>,
    {
        let last_start = deadline.checked_sub(connect_timeout(self.timeout));
        let attempt = || async {
            if deadline <= Instant::now() {
                return Err(out_of_time(During::Reading));
            }
            // Boxed, since the futures of the SDK are nested too deeply for the compiler otherwise.
            match timeout_at(deadline, Box::pin(attempt())).await {
                Ok(result) => result,
                Err(_) => Err(out_of_time(during)),
            }
        };
        let last_start = last_start.unwrap_or(deadline);
        self.retry.run_until(last_start, repeat, attempt).await
    }
}
