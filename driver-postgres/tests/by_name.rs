//! The driver by its name in configuration.
#![cfg(feature = "config")]
// Helpers of tests fail a test as tests do.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use driver_postgres::PostgresOptions;
use session_core::config::{Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind, Key};
use test_support::PostgresServer;

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<PostgresOptions>("postgres");
    registry
}

#[test_support::test]
async fn every_option_can_be_configured() {
    let server = PostgresServer::shared();
    let url = server.url(&server.create_database());
    let toml = format!(
        r#"
        driver = "postgres"
        [options]
        url = "{url}"
        password = "any"
        layout = "bytes"
        table = "entries"
        migrate = true
        base = "app"
        ttl = 3600
        poolSize = 3
        pooler = true
        listenUrl = "{url}"
        timeout = 20
        sweepInterval = "never"
    "#
    );
    let config = SessionConfig::from_toml_str(&toml).unwrap();
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    let entry = driver.read(&Key::new("k").unwrap()).await.unwrap().unwrap();
    assert!(entry.expires_at.is_some());
    driver.close().await.unwrap();
}

#[test_support::test]
async fn mistakes_name_the_driver_and_the_option() {
    for (options, expected) in [
        (
            "tabl = 'x'",
            "there is no option `tabl` (did you mean `table`?)",
        ),
        ("pool_size = 2", "`pool_size` must be from 3 to 256"),
        (
            "timeout = 100000",
            "`timeout` must be from a millisecond to a day",
        ),
        (
            "layout = 'rows'",
            "the option `layout` must be one of `unstorage`, `bytes`",
        ),
        (
            "table = 'a b'",
            "`table` must consist of lower-case letters",
        ),
        ("url = 'mysql:hush@x'", "`url` must be postgres://"),
        (
            "url = 'postgres://127.0.0.1:1/x', prefix = '?'",
            "the prefix \"?\" contains `?`",
        ),
    ] {
        let toml = format!("driver = {{ name = 'postgres', {options} }}");
        let config = SessionConfig::from_toml_str(&toml).unwrap();
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{error:?}");
        let expected = format!("postgres: open: {expected}");
        assert!(error.to_string().starts_with(&expected), "{error}");
        assert!(!format!("{error:?}").contains("hush"));
    }
}
