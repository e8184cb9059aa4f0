//! The driver by its name in configuration.
#![cfg(all(unix, feature = "config"))]
// Helpers of tests fail a test as tests do.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::os::unix::fs::PermissionsExt;

use driver_fs::FsOptions;
use session_core::config::{Registry, SessionConfig};
use session_core::{Driver, DriverExt, ErrorKind, Key, ListOptions};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<FsOptions>("fs");
    registry
}

async fn open(file: &std::path::Path, toml: &str) -> std::sync::Arc<dyn Driver> {
    std::fs::write(file, toml).unwrap();
    let config = SessionConfig::from_toml_file(file).await.unwrap();
    config.open_driver(&registry()).await.unwrap()
}

#[test_support::test]
async fn all_options_are_read_and_the_path_is_relative_to_the_file_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let toml = r#"
        driver = "fs"
        [options]
        path = "data/sessions"
        ttl = 3600
        timeout = 2.5
        durability = "full"
        mode = 0o640
        ignore = ["*.lock"]
        readOnly = false
        sweepInterval = "never"
    "#;
    let driver = open(&folder.path().join("session.toml"), toml).await;
    for name in ["k", "x.lock"] {
        driver.put(name, "v").await.unwrap();
    }
    let entry = driver.read(&Key::new("k").unwrap()).await.unwrap().unwrap();
    assert!(entry.expires_at.is_some());
    let page = driver.list(ListOptions::default()).await.unwrap();
    assert_eq!(page.keys.len(), 1);
    let path = folder.path().join("data/sessions/k");
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    driver.close().await.unwrap();

    // As unstorage calls the folder, and as earlier versions called the interval.
    let aliases = "driver = { name = 'fs', base = 'data/sessions', sweep = 'never' }";
    let driver = open(&folder.path().join("session.toml"), aliases).await;
    assert_eq!(driver.get("k").await.unwrap().unwrap(), "v");
    driver.close().await.unwrap();
}

#[test_support::test]
async fn the_default_is_the_folder_of_astro() {
    let folder = tempfile::tempdir().unwrap();
    let driver = open(&folder.path().join("session.toml"), "driver = 'fs'").await;
    driver.put("k", "v").await.unwrap();
    assert!(folder.path().join(".astro/session/k").is_file());
    driver.close().await.unwrap();
}

#[test_support::test]
async fn mistakes_name_the_driver_and_the_option() {
    for (toml, expected) in [
        (
            "driver = { name = 'fs', pth = 'x' }",
            "fs: open: there is no option `pth` (did you mean `path`?)",
        ),
        (
            "driver = { name = 'fs', path = '' }",
            "fs: open: `path` is empty; name a folder",
        ),
        (
            "driver = { name = 'fs', durability = 'some' }",
            "fs: open: the option `durability` must be one of `none`, `data`, `full`",
        ),
        (
            "driver = { name = 'fs', mode = 640 }",
            "fs: open: the option `mode`: expected an octal number of three digits, as in `0o600` or \"600\", got another integer",
        ),
        (
            "driver = { name = 'fs', mode = '444' }",
            "fs: open: `mode` must let the owner read and write, and have at most three octal digits: `0o600`",
        ),
        (
            "driver = { name = 'fs', timeout = 100000 }",
            "fs: open: `timeout` must be above zero, and a day at most",
        ),
        (
            "driver = { name = 'fs', ignore = ['['] }",
            "fs: open: `ignore` contains an invalid pattern; fix it, as in `**/cache/**`",
        ),
    ] {
        let config = SessionConfig::from_toml_str(toml).unwrap();
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.to_string(), expected);
    }
}
