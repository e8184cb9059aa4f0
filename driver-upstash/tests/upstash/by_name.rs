//! The driver by its name in configuration.

use driver_upstash::{TOKEN_VARIABLE, URL_VARIABLE, UpstashOptions};
use session_core::config::{ConfigContext, Registry, SessionConfig};
use session_core::{DriverExt, ErrorKind};

use crate::support::{Gateway, TOKEN};

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register::<UpstashOptions>("upstash");
    registry
}

#[test_support::test]
async fn url_and_token_come_from_the_environment_where_they_are_not_set() {
    let gateway = Gateway::start();
    let url = gateway.url().to_owned();
    let environment = move |name: &str| match name {
        URL_VARIABLE => Some(url.clone()),
        TOKEN_VARIABLE => Some(TOKEN.to_owned()),
        _ => None,
    };
    let toml = "
        driver = 'upstash'
        [options]
        base = 'sessions'
        ttl = 60
        scanCount = 50
        timeout = 2.5
        retry = { attempts = 2, minDelay = 0.01, max_delay = 0.5 }
        readYourWrites = false
        read_regions = true
    ";
    let config = SessionConfig::from_toml_str(toml)
        .unwrap()
        .with_context(ConfigContext::new(".").with_environment(environment));
    let driver = config.open_driver(&registry()).await.unwrap();
    driver.put("k", "v").await.unwrap();
    assert_eq!(gateway.redis().cli(&["GET", "sessions:k"]), "v");
    let left: u32 = gateway.redis().cli(&["TTL", "sessions:k"]).parse().unwrap();
    assert!((50..=60).contains(&left));
}

#[test_support::test]
async fn configuration_errors_name_the_driver_and_the_option() {
    for (options, expected) in [
        (
            "",
            "upstash: open: `url` is missing; set it, or the environment variable `UPSTASH_REDIS_REST_URL`",
        ),
        (
            "url = 'https://h'",
            "upstash: open: `token` is missing; set it, or the environment variable `UPSTASH_REDIS_REST_TOKEN`",
        ),
        (
            "url = 'rediss://h', token = 't'",
            "upstash: open: the URL must begin with `https://` or `http://`, followed by a host",
        ),
        (
            "url = 'https://h', tokn = 't'",
            "upstash: open: there is no option `tokn` (did you mean `token`?)",
        ),
        (
            "url = 'https://h', token = 't', scan_count = 0",
            "upstash: open: `scan_count` must be greater than zero",
        ),
        (
            "url = 'https://h', token = 't', prefix = '?'",
            "upstash: open: the prefix \"?\" contains `?`, `.` or `..`; use names separated by `:`",
        ),
        (
            "url = 'https://h', token = 't', timeout = 0",
            "upstash: open: the option `timeout`: expected a number of seconds above 0, got another integer",
        ),
    ] {
        let toml = match options {
            "" => "driver = 'upstash'".to_owned(),
            options => format!("driver = {{ name = 'upstash', {options} }}"),
        };
        let config = SessionConfig::from_toml_str(&toml)
            .unwrap()
            .with_context(ConfigContext::new(".").with_environment(|_| None));
        let error = config.open_driver(&registry()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert_eq!(error.to_string(), expected);
    }
}
