use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Builder, Credentials, Region, StalledStreamProtectionConfig};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use secrecy::{ExposeSecret, SecretString};
use session_core::Error;

use crate::bounded::BoundedAnswers;
use crate::config::{DynamoDbOptions, invalid};

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
        .connect_timeout(options.timeout / 2)
        .operation_attempt_timeout(options.timeout)
        .build();
    let config = Builder::from(&shared)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled())
        .interceptor(BoundedAnswers)
        // The timeout of a try covers the whole answer.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled());
    Ok(Client::from_conf(config.build()))
}
