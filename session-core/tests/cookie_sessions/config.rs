//! `driver = "cookie"` in a configuration.

use session_core::ErrorKind;
use session_core::config::{ConfigContext, Registry, SessionConfig};
use session_core::session::SessionManager;

use crate::visitor::{OTHER_SECRET, SECRET};

async fn open(options: &str) -> Result<SessionManager, String> {
    let text = format!("driver = 'cookie'\n[options]\n{options}");
    let context = ConfigContext::default()
        .with_environment(|name| (name == "SECRET").then(|| SECRET.to_owned()));
    let config = SessionConfig::from_toml_str(&text)
        .map_err(|error| error.to_string())?
        .with_context(context);
    let opened = SessionManager::from_config(&config, &Registry::new()).await;
    opened.map_err(|error| {
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
        assert!(!error.to_string().contains("horse"), "{error}");
        error.to_string()
    })
}

#[test_support::test]
async fn it_opens_with_one_secret_or_several() {
    for options in [
        format!("secret = '{SECRET}'"),
        "secret = { env = 'SECRET' }".to_owned(),
        format!("secret = ['{OTHER_SECRET}', {{ env = 'SECRET' }}]"),
        "secret = { env = 'SECRET' }\nformat = 'astro-session'".to_owned(),
        "secret = { env = 'SECRET' }\naccept = ['astro-session']\nmaxParts = 3".to_owned(),
    ] {
        let store = open(&options).await.unwrap();
        assert!(store.driver().is_none());
        let session = store.create();
        session.set("name", "Ann").unwrap();
        session.save().await.unwrap();
    }
}

#[test_support::test]
async fn what_is_wrong_is_named() {
    for (options, expected) in [
        ("", "cookie: open: the option `secret` is missing"),
        ("secret = 'horse'", "at least 32 bytes"),
        ("secret = []", "need a `secret`"),
        ("secret = { env = 'NOTHING' }", "`NOTHING`"),
        (
            "secret = 3",
            "the option `secret`: expected a string or a list of strings",
        ),
        (
            "secret = { env = 'SECRET' }\nformat = 'jwt'",
            "must be one of `sealed`, `astro-session`",
        ),
        ("secret = { env = 'SECRET' }\nmax_parts = 12", "from 1 to 9"),
        (
            "secret = { env = 'SECRET' }\nformat = 'astro-session'\nmax_parts = 2",
            "`max_parts`",
        ),
        ("secrt = { env = 'SECRET' }", "did you mean `secret`?"),
    ] {
        let error = open(options).await.unwrap_err();
        assert!(error.contains(expected), "{options}: {error}");
    }
}
