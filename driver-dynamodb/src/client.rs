use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Credentials, Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use secrecy::{ExposeSecret, SecretString};
use session_core::{Error, Repeat, RetryPolicy};
use tokio::time::{Instant, timeout_at};

use crate::bounded::BoundedAnswers;
use crate::config::{DynamoDbOptions, invalid};
use crate::error::{During, out_of_time};

/// Connections that were idle for longer are not used again: the sooner one is given up, the more rarely a write meets
/// one that the other side, a firewall or a frozen machine has ended, after which nobody knows what became of it.
const IDLE: Duration = Duration::from_secs(20);

/// A client of AWS's SDK that tries each request once, for it cannot know which of them may be repeated.
pub(crate) async fn connect(options: &DynamoDbOptions) -> Result<Client, Error> {
    let http_client = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .pool_idle_timeout(IDLE)
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
            "no region is known; give `region`, or set `AWS_REGION`, or one in the profile",
        ));
    }
    // Only of this client: those that fetch credentials may repeat what they do.
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(connect_timeout(options.timeout))
        .operation_attempt_timeout(options.timeout.mul_f64(0.6))
        .build();
    let config = Builder::from(&shared)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .interceptor(BoundedAnswers)
        // The timeout of a try covers the whole answer.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Ok(Client::from_conf(config.build()))
}

/// How long connecting may take, if an operation has `timeout`: half of what a request has, and a request has three
/// fifths of the operation, so that another attempt fits.
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
    /// When an operation that begins now has to end.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs `attempt` until it succeeds or must not be repeated; it ends by `deadline`.
    pub(crate) async fn run<T, F, Running>(
        &self,
        deadline: Instant,
        repeat: Repeat,
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
            match timeout_at(deadline, attempt()).await {
                Ok(result) => result,
                Err(_) => Err(out_of_time(during)),
            }
        };
        let last_start = last_start.unwrap_or(deadline);
        self.retry.run_until(last_start, repeat, attempt).await
    }
}
