//! Opening the driver, with and without creating its table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::{BillingMode, TimeToLiveSpecification};
use driver_dynamodb::{AttributeNames, DynamoDbDriver, DynamoDbOptions};
use futures_util::future::join_all;
use session_core::{Driver, DriverExt, ErrorKind, Outcome, RetryPolicy};
use test_support::{HttpProxy, free_port};

use crate::support::{DYNALITE, MINISTACK, client, make_table, new_table, open, options};

async fn turn_on_time_to_live(url: &str, table: &str, attribute: &str) {
    let specification = TimeToLiveSpecification::builder()
        .attribute_name(attribute)
        .enabled(true)
        .build();
    let client = client(url);
    let request = client.update_time_to_live().table_name(table);
    let request = request.time_to_live_specification(specification.unwrap());
    request.send().await.unwrap();
}

/// The attribute on which the table's time to live is.
async fn time_to_live(url: &str, table: &str) -> Option<String> {
    let client = client(url);
    let request = client.describe_time_to_live().table_name(table);
    let answer = request.send().await.unwrap();
    answer.time_to_live_description?.attribute_name
}

#[test_support::test]
async fn concurrent_processes_create_one_table() {
    for url in [DYNALITE.url(), MINISTACK.url()] {
        let options = options(&url);
        let table = options.table.clone();
        let opened = join_all((0..8).map(|_| DynamoDbDriver::open(options.clone()))).await;
        for driver in &opened {
            driver.as_ref().unwrap().put("k", "v").await.unwrap();
        }
        let client = client(&url);
        let described = client.describe_table().table_name(&table).send().await;
        let description = described.unwrap().table.unwrap();
        let billing = description.billing_mode_summary.unwrap().billing_mode;
        assert_eq!(billing, Some(BillingMode::PayPerRequest));
    }
}

#[test_support::test]
async fn a_created_table_has_time_to_live() {
    let options = options(&MINISTACK.url());
    let table = options.table.clone();
    open(options).await;
    let attribute = time_to_live(&MINISTACK.url(), &table).await;
    assert_eq!(attribute.as_deref(), Some("expires_at"));
}

#[test_support::test]
async fn time_to_live_is_enabled_on_an_existing_table_once() {
    let url = MINISTACK.url();
    let options = options(&url);
    make_table(&url, &options.table, &["key"]).await;
    for _ in 0..2 {
        open(options.clone()).await;
        let attribute = time_to_live(&url, &options.table).await;
        assert_eq!(attribute.as_deref(), Some("expires_at"));
    }
}

#[test_support::test]
async fn a_time_to_live_on_another_attribute_is_an_error() {
    let url = MINISTACK.url();
    let options = options(&url);
    make_table(&url, &options.table, &["key"]).await;
    turn_on_time_to_live(&url, &options.table, "ttl").await;
    let error = DynamoDbDriver::open(options.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let told = "dynamodb: open: the table's time to live is on the attribute `ttl`; set `attributes.expires_at` to \
                it, or move it to `expires_at`";
    assert_eq!(error.to_string(), told);
    let attributes = AttributeNames::default().with_expires_at("ttl");
    open(options.with_attributes(attributes)).await;
}

#[test_support::test]
async fn a_table_with_another_key_is_an_error() {
    for url in [DYNALITE.url(), MINISTACK.url()] {
        for wrong in [&["id"][..], &["key", "sort"]] {
            let options = options(&url);
            make_table(&url, &options.table, wrong).await;
            let error = DynamoDbDriver::open(options.clone()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert!(error.to_string().contains("partition key `key`"), "{error}");

            let options = options.with_create_table(false);
            let driver = open(options).await;
            for error in [
                driver.get("k").await.unwrap_err(),
                driver.put("k", "v").await.unwrap_err(),
                driver.delete("k").await.unwrap_err(),
            ] {
                assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
                assert_eq!(error.outcome(), Outcome::NotApplied);
                assert!(error.to_string().contains("`attributes.key`"), "{error}");
            }
        }
    }
}

#[test_support::test]
async fn opening_without_create_table_sends_nothing() {
    let proxy = HttpProxy::start(&DYNALITE.url());
    let options = options(proxy.url()).with_create_table(false);
    let driver = open(options).await;
    assert_eq!(proxy.count(), 0);
    driver.close().await.unwrap();
    let error = driver.get("k").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(proxy.count(), 0);
}

#[test_support::test]
async fn every_operation_reports_a_missing_table() {
    for url in [DYNALITE.url(), MINISTACK.url()] {
        let options = options(&url).with_create_table(false);
        let driver = open(options).await;
        let missing = [
            driver.get("k").await.unwrap_err(),
            driver.put("k", "v").await.unwrap_err(),
            driver.delete("k").await.unwrap_err(),
            driver
                .list(session_core::ListOptions::default())
                .await
                .unwrap_err(),
        ];
        for error in missing {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
            assert_eq!(error.outcome(), Outcome::NotApplied);
            assert!(error.to_string().contains("`create_table`"), "{error}");
        }
    }
}

/// Counts the requests of a client, each attempt by itself.
#[derive(Clone, Debug, Default)]
struct Requests(Arc<AtomicU32>);

impl Requests {
    /// A client that is counted, and that would try three times.
    fn of(&self, client: &Client) -> Client {
        let config = client.config().to_builder().interceptor(self.clone());
        let config = config.retry_config(RetryConfig::standard().with_max_attempts(3));
        Client::from_conf(config.build())
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Intercept for Requests {
    fn name(&self) -> &'static str {
        "Requests"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }
}

#[test_support::test]
async fn the_client_of_the_application_is_used_as_it_is_configured() {
    let requests = Requests::default();
    let client = requests.of(&client(&DYNALITE.url()));
    let options = DynamoDbOptions::new(new_table())
        .with_create_table(true)
        .with_timeout(Duration::from_secs(30));
    let driver = DynamoDbDriver::from_client(client, options).await.unwrap();
    let opened = requests.count();
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    assert_eq!(requests.count(), opened + 2);
}

#[test_support::test]
async fn the_client_of_the_application_does_not_repeat_what_the_driver_sends() {
    let requests = Requests::default();
    let nowhere = format!("http://127.0.0.1:{}", free_port());
    let client = requests.of(&client(&nowhere));
    let options = DynamoDbOptions::new("sessions").with_retry(RetryPolicy::never());
    let driver = DynamoDbDriver::from_client(client, options).await.unwrap();
    let error = driver.put("k", "v").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert_eq!(requests.count(), 1);
}

#[test_support::test]
async fn options_that_say_how_to_connect_are_refused_beside_a_client() {
    let client = client(&DYNALITE.url());
    let options = DynamoDbOptions::new("sessions").with_region("eu-central-1");
    let opened = DynamoDbDriver::from_client(client, options).await;
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let told = "dynamodb: open: the client says how to connect; remove `region`";
    assert_eq!(error.to_string(), told);
}
