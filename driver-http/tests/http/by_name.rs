//! The driver by its name in configuration.

use driver_http::{Dialect, HttpOptions};
use session_core::config::{ConfigContext, Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind};

use crate::support::{TOKEN, Unstorage};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<HttpOptions>("http");
    registry
}

#[test_support::test]
async fn all_options_are_accepted_in_both_spellings() {
    let server = Unstorage::start(Dialect::V2, &["memory"]);
    let toml = format!(
        r#"
        driver = "http"
        [options]
        url = "{}"
        prefix = "sessions"
        token = {{ env = "STORAGE_TOKEN" }}
        headers = {{ x-app = "shop" }}
        dialect = "v2"
        ttl = 60
        timeout = 2.5
        retry = {{ attempts = 2, minDelay = 0.01, max_delay = 0.5 }}
        "#,
        server.url
    );
    let environment = |name: &str| (name == "STORAGE_TOKEN").then(|| TOKEN.to_owned());
    let config = SessionConfig::from_toml_str(&toml)
        .unwrap()
        .with_context(ConfigContext::new(".").with_environment(environment));
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    let all = server.driver();
    assert_eq!(all.get("sessions:k").await.unwrap().unwrap(), "v");
}

#[test_support::test]
async fn configuration_errors_name_the_driver_and_the_option() {
    for (options, expected) in [
        ("", "http: open: the option `url` is missing"),
        (
            "url = 'http://h', dialect = 'v3'",
            "http: open: the option `dialect` must be one of `v1`, `v2`, `session-server`",
        ),
        (
            "url = 'http://h', retry = { attempts = -1 }",
            "http: open: the option `retry.attempts`: expected an integer from 0 to 4294967295, got a negative integer",
        ),
        (
            "base = 'h'",
            "http: open: the URL is not valid; expected one such as `https://host/path`",
        ),
        (
            "url = 'http://h', token = ''",
            "http: open: `token` is empty",
        ),
        (
            "url = 'http://h', headers = { 'a b' = 'c' }",
            "http: open: `headers` contains an invalid header name",
        ),
        (
            "url = 'http://h', prefix = '?'",
            "http: open: the prefix \"?\" contains `?`, `.` or `..`; use names separated by `:`",
        ),
    ] {
        let toml = match options {
            "" => "driver = 'http'".to_owned(),
            options => format!("driver = {{ name = 'http', {options} }}"),
        };
        let config = SessionConfig::from_toml_str(&toml).unwrap();
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.to_string(), expected);
    }
}
