//! The driver by its name in configuration.
#![cfg(feature = "config")]
// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use driver_sqlite::SqliteOptions;
use session_core::config::{ConfigContext, Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind, ListOptions};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<SqliteOptions>("sqlite");
    registry
}

#[test_support::test]
async fn a_relative_path_is_relative_to_the_file_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("session.toml");
    let toml = r#"
        driver = "sqlite"
        [options]
        path = "sessions.db"
        prefix = "app"
        ttl = 3600
        poolSize = 2
        synchronous = "full"
        busy_timeout = 0.5
        timeout = 2.5
        sweepInterval = "never"
    "#;
    std::fs::write(&file, toml).unwrap();
    let config = SessionConfig::from_toml_file(&file).await.unwrap();
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    let entry = driver
        .read(&session_core::Key::new("k").unwrap())
        .await
        .unwrap()
        .unwrap();
    assert!(entry.expires_at.is_some());
    driver.close().await.unwrap();
    assert!(folder.path().join("sessions.db").exists());

    let config = SessionConfig::new("sqlite")
        .with_option("path", "sessions.db")
        .with_context(ConfigContext::new(folder.path()));
    let all = config.open_driver(&registry()).await.unwrap();
    let page = all.list(ListOptions::default()).await.unwrap();
    assert_eq!(page.keys[0].as_str(), "app:k");

    // As unstorage calls it.
    let config = SessionConfig::new("sqlite")
        .with_option("path", "sessions.db")
        .with_option("base", "app")
        .with_context(ConfigContext::new(folder.path()));
    let driver = config.open_driver(&registry()).await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn a_database_in_memory_makes_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = SessionConfig::new("sqlite")
        .with_option("path", ":memory:")
        .with_context(ConfigContext::new(folder.path()));
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test_support::test]
async fn mistakes_name_the_driver_and_the_option() {
    for (toml, expected) in [
        (
            "driver = 'sqlite'",
            "sqlite: open: the option `path` is missing",
        ),
        (
            "driver = { name = 'sqlite', pth = 'x' }",
            "sqlite: open: there is no option `pth` (did you mean `path`?)",
        ),
        (
            "driver = { name = 'sqlite', path = ':memory:', ttl = 0 }",
            "sqlite: open: the option `ttl`: expected a number of seconds above 0, got another integer",
        ),
        (
            "driver = { name = 'sqlite', path = ':memory:', synchronous = 'sometimes' }",
            "sqlite: open: the option `synchronous` must be one of `off`, `normal`, `full`",
        ),
        (
            "driver = { name = 'sqlite', path = ':memory:', pool_size = 0 }",
            "sqlite: open: `pool_size` must be from 1 to 64",
        ),
        (
            "driver = { name = 'sqlite', path = ':memory:', timeout = 100000 }",
            "sqlite: open: `timeout` must be above zero, and a day at most",
        ),
        (
            "driver = { name = 'sqlite', path = ':memory:', prefix = '?' }",
            "sqlite: open: the prefix \"?\" contains `?`, `.` or `..`; use names separated by `:`",
        ),
    ] {
        let config = SessionConfig::from_toml_str(toml).unwrap();
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.to_string(), expected);
    }
}
