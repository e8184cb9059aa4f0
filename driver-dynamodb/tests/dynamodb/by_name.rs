//! The driver by its name in configuration.

use driver_dynamodb::DynamoDbOptions;
use session_core::config::{Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind, ListOptions, Prefix};

use crate::support::{DYNALITE, item, new_table};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<DynamoDbOptions>("dynamodb");
    registry
}

#[test_support::test]
async fn every_option_can_be_given() {
    let (table, url) = (new_table(), DYNALITE.url());
    let toml = format!(
        r#"
        driver = "dynamodb"
        [options]
        table = "{table}"
        region = "us-east-1"
        endpointUrl = "{url}"
        credentials = {{ accessKeyId = "AKIDEXAMPLE", secret_access_key = "secret", session_token = "token" }}
        base = "app"
        ttl = 3600
        consistentRead = true
        create_table = true
        timeout = 30
        retry = {{ attempts = 5, min_delay = 0.01 }}
        attributes = {{ value = "data", expires_at = "end" }}
        "#
    );
    let config = SessionConfig::from_toml_str(&toml).unwrap();
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();

    let stored = item(&crate::support::client(&url), &table, "app:k")
        .await
        .unwrap();
    let mut names: Vec<&str> = stored.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["data", "end", "end_ms", "key"]);
    let page = driver
        .list(ListOptions::below(Prefix::root()))
        .await
        .unwrap();
    assert_eq!(page.keys[0].as_str(), "k");
}

#[test_support::test]
async fn configuration_errors_name_the_driver_and_the_option() {
    for (toml, expected) in [
        (
            "driver = 'dynamodb'",
            "dynamodb: open: the option `table` is missing",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', regoin = 'x' }",
            "dynamodb: open: there is no option `regoin` (did you mean `region`?)",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', credentials = { access_key_id = 'x' } }",
            "dynamodb: open: the option `credentials.secret_access_key` is missing",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', attributes = { keys = 'x' } }",
            "dynamodb: open: there is no option `attributes.keys` (did you mean `key`?)",
        ),
        (
            "driver = { name = 'dynamodb', table = '' }",
            "dynamodb: open: `table` is empty; set the name of a table",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', endpoint_url = 'localhost:8000' }",
            "dynamodb: open: `endpoint_url` must begin with `http://` or `https://`",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', attributes = { key = 'value' } }",
            "dynamodb: open: the names in `attributes` must differ from each other, and from `expires_at` with `_ms` \
             appended",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', attributes = { value = '' } }",
            "dynamodb: open: the names in `attributes` must have 1 to 252 bytes",
        ),
        (
            "driver = { name = 'dynamodb', table = 't', region = 'r', prefix = '?' }",
            "dynamodb: open: the prefix \"?\" contains `?`, `.` or `..`; use names separated by `:`",
        ),
    ] {
        let config = SessionConfig::from_toml_str(toml).unwrap();
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
        assert_eq!(error.to_string(), expected);
    }
}
