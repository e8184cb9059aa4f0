//! The driver by its name in configuration.

use std::path::Path;

use driver_redis::RedisOptions;
use session_core::config::{ConfigContext, Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind};
use test_support::{RedisServer, RedisTls};

use crate::support::{cluster, key, sentinels, server, tls};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<RedisOptions>("redis");
    registry
}

/// Opens what `toml` says, with `PASSWORD` in the environment.
async fn open(
    toml: &str,
    folder: &Path,
) -> session_core::Result<std::sync::Arc<dyn session_core::Driver>> {
    let context = ConfigContext::new(folder)
        .with_environment(|name| (name == "PASSWORD").then(|| RedisTls::PASSWORD.to_owned()));
    let config = SessionConfig::from_toml_str(toml)?.with_context(context);
    config.open_driver(&registry()).await
}

#[test_support::test]
async fn a_url_alone_is_enough() {
    let toml = format!("driver = {{ name = 'redis', url = '{}' }}", server().url());
    let driver = open(&toml, Path::new("")).await.unwrap();
    driver.put("by-name:url", "v").await.unwrap();
    assert_eq!(server().cli(&["GET", "by-name:url"]), "v");
}

#[test_support::test]
async fn every_option_can_be_named() {
    let alone = RedisServer::start();
    let toml = format!(
        r#"
        driver = "redis"
        [options]
        host = "127.0.0.1"
        port = {}
        db = 3
        tls = false
        prefix = "app"
        ttl = 3600
        scanCount = 50
        timeout = 1.5
        connect_timeout = 1
        connections = 2
        preConnect = true
        raw_format = "base64"
        read_from = "primary"
        "#,
        alone.port()
    );
    let driver = open(&toml, Path::new("")).await.unwrap();
    driver.put("k", vec![0xff]).await.unwrap();
    assert_eq!(alone.cli(&["-n", "3", "GET", "app:k"]), "base64:/w==");
    let entry = driver.read(&key("k")).await.unwrap().unwrap();
    assert!(entry.expires_at.is_some());
    assert_eq!(
        alone
            .cli(&["INFO", "clients"])
            .lines()
            .nth(1)
            .map(str::trim),
        Some("connected_clients:3")
    );
}

#[test_support::test]
async fn tls_is_configured_by_files_beside_the_configuration() {
    let files = tls().files().folder();
    let toml = format!(
        r#"
        driver = "redis"
        [options]
        url = "rediss://localhost:{}"
        username = "{}"
        password = {{ env = "PASSWORD" }}
        base = "{}"
        tls = {{ ca = "ca.pem", cert = "client.pem", key = "client.key", serverName = "localhost" }}
        "#,
        tls().server().port(),
        RedisTls::USER,
        RedisTls::BASE
    );
    let driver = open(&toml, files).await.unwrap();
    driver.put("by-name", "v").await.unwrap();
    assert_eq!(tls().server().cli(&["GET", "sess:by-name"]), "v");
}

#[test_support::test]
async fn sentinels_and_clusters_are_configured_by_some_of_their_nodes() {
    let sentinel = format!(
        "driver = 'redis'\n[options.sentinel]\nname = 'main'\nnodes = {:?}",
        sentinels().addresses()
    );
    let cluster = format!(
        "driver = {{ name = 'redis', cluster = {:?} }}",
        &cluster().addresses()[..1]
    );
    for toml in [sentinel, cluster] {
        let driver = open(&toml, Path::new("")).await.unwrap();
        driver.put("by-name:place", "v").await.unwrap();
        assert_eq!(driver.get("by-name:place").await.unwrap().unwrap(), "v");
    }
}

#[test_support::test]
async fn mistakes_name_the_driver_and_the_option() {
    for (options, expected) in [
        (
            "hots = 'x'",
            "there is no option `hots` (did you mean `host`?)",
        ),
        ("url = 'redis://h:hush'", "`url` must be redis://"),
        (
            "port = 70000",
            "the option `port`: expected an integer from 0 to 65535",
        ),
        (
            "tls = 'yes'",
            "the option `tls`: expected true, false or a table",
        ),
        ("connections = 0", "`connections` must be from 1 to 64"),
        ("scan_count = 0", "`scan_count` must be from 1 to 100000"),
        (
            "timeout = 100000",
            "`timeout` must be from a millisecond to a day",
        ),
        (
            "read_from = 'replica'",
            "`read_from = \"replica\"` requires `cluster` or `sentinel`",
        ),
        (
            "read_from = 'any'",
            "the option `read_from` must be one of `primary`, `replica`",
        ),
        ("cluster = []", "`cluster` is empty"),
        (
            "cluster = ['h:x']",
            "`cluster` must hold `HOST:PORT` or URLs",
        ),
        ("cluster = ['h']\ndb = 1", "a cluster has only database 0"),
        (
            "[options.sentinel]\nname = ''\nnodes = ['h']",
            "`sentinel.name` is empty",
        ),
        (
            "[options.sentinel]\nname = 'x'\nnodes = []",
            "`sentinel.nodes` is empty",
        ),
        (
            "cluster = ['h']\nsentinel = { name = 'x', nodes = ['h'] }",
            "not both",
        ),
        (
            "tls = { ca = 'missing.pem' }",
            "`tls.ca`: missing.pem cannot be read as PEM",
        ),
        (
            "tls = { cert = 'client.pem' }",
            "`tls.cert` and `tls.key` are given together or not at all",
        ),
    ] {
        let toml = format!("driver = 'redis'\n[options]\n{options}");
        let error = open(&toml, Path::new("")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{options}");
        let text = error.to_string();
        assert!(
            text.starts_with("redis: open: ") && text.contains(expected),
            "{text}"
        );
        assert!(!format!("{error:?}").contains("hush"));
    }
}

/// The examples name servers that are nowhere, so they are opened without waiting for one.
#[test_support::test]
async fn the_examples_are_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if !name.starts_with("session.redis") {
            continue;
        }
        let toml = std::fs::read_to_string(&path).unwrap();
        let toml = toml.replace("[options]", "[options]\npre_connect = false");
        let toml = toml.replace("REDIS_PASSWORD", "PASSWORD");
        let opened = open(&toml, tls().files().folder()).await;
        opened
            .unwrap_or_else(|error| panic!("{name}: {error}"))
            .close()
            .await
            .unwrap();
        read += 1;
    }
    assert_eq!(read, 4);
}
