//! Servers that imitate DynamoDB, and drivers on tables of their own there.

use std::collections::HashMap;
use std::path::Path;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType, TableStatus,
};
use driver_dynamodb::{AwsCredentials, DynamoDbDriver, DynamoDbOptions};
use session_core::{Key, RetryPolicy};
use test_support::{Dynalite, Ministack};

pub(crate) type Item = HashMap<String, AttributeValue>;

fn folder(name: &str) -> impl AsRef<Path> {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// One server of each kind for all tests, each of which has tables of its own.
pub(crate) static DYNALITE: LazyLock<Dynalite> =
    LazyLock::new(|| Dynalite::start(folder("driver-dynamodb-dynalite")));
pub(crate) static MINISTACK: LazyLock<Ministack> =
    LazyLock::new(|| Ministack::start(folder("driver-dynamodb-ministack")));

/// A name that no other test has.
pub(crate) fn new_table() -> String {
    static LAST: AtomicU32 = AtomicU32::new(0);
    format!("table-{}", LAST.fetch_add(1, Ordering::Relaxed))
}

/// The options of a table of its own at `url`, which is made when it is opened.
pub(crate) fn options(url: &str) -> DynamoDbOptions {
    DynamoDbOptions::new(new_table())
        .with_region("us-east-1")
        .with_endpoint_url(url)
        .with_credentials(AwsCredentials::new("AKIDEXAMPLE", "secret-of-the-tests"))
        .with_create_table(true)
        // Machines of tests are slow and busy.
        .with_timeout(Duration::from_secs(30))
        .with_retry(RetryPolicy {
            attempts: 3,
            min_delay: Duration::from_millis(1),
            max_delay: Duration::from_millis(10),
        })
}

pub(crate) async fn open(options: DynamoDbOptions) -> DynamoDbDriver {
    DynamoDbDriver::open(options).await.unwrap()
}

/// The SDK alone, as another program has it.
pub(crate) fn client(url: &str) -> Client {
    let http = aws_smithy_http_client::Builder::new().build_http();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::from_static("us-east-1"))
        .credentials_provider(Credentials::new("other", "secret", None, None, "tests"))
        .endpoint_url(url)
        .http_client(http);
    Client::from_conf(config.build())
}

pub(crate) fn key(name: &str) -> Key {
    Key::new(name).unwrap()
}

pub(crate) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

pub(crate) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// The whole item of `key`.
pub(crate) async fn item(client: &Client, table: &str, key: &str) -> Option<Item> {
    let request = client.get_item().table_name(table).key("key", text(key));
    request.consistent_read(true).send().await.unwrap().item
}

/// Writes an item as a program does that knows nothing of this driver.
pub(crate) async fn put(client: &Client, table: &str, attributes: &[(&str, AttributeValue)]) {
    let attributes = attributes.iter();
    let item = attributes.map(|(name, value)| ((*name).to_owned(), value.clone()));
    let request = client.put_item().table_name(table);
    request.set_item(Some(item.collect())).send().await.unwrap();
}

/// A table whose key is made of these attributes, all text.
pub(crate) async fn make_table(url: &str, table: &str, key: &[&str]) {
    let attributes = key.iter().map(|name| {
        let attribute = AttributeDefinition::builder().attribute_name(*name);
        let attribute = attribute.attribute_type(ScalarAttributeType::S);
        attribute.build().unwrap()
    });
    let schema = key.iter().zip([KeyType::Hash, KeyType::Range]);
    let schema = schema.map(|(name, kind)| {
        let element = KeySchemaElement::builder().attribute_name(*name);
        element.key_type(kind).build().unwrap()
    });
    let client = client(url);
    let request = client
        .create_table()
        .table_name(table)
        .billing_mode(BillingMode::PayPerRequest)
        .set_attribute_definitions(Some(attributes.collect()))
        .set_key_schema(Some(schema.collect()));
    request.send().await.unwrap();
    let active = async {
        loop {
            let described = client.describe_table().table_name(table).send().await;
            let description = described.unwrap().table.unwrap();
            if description.table_status == Some(TableStatus::Active) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let active = tokio::time::timeout(Duration::from_secs(30), active).await;
    active.expect("the table becomes active");
}
