//! Configuration that was made to break its reader.

use proptest::prelude::*;

use crate::{CookieOptions, Error};

use super::{ConfigContext, SessionConfig};

fn shows(error: &Error, secret: &str) -> bool {
    format!("{error} {error:?}").contains(secret)
}

#[test]
fn bottomless_nesting_is_refused() {
    let depth = 100_000;
    for toml in [
        format!("driver = {}", "[".repeat(depth)),
        format!("driver = {}{}", "[".repeat(depth), "]".repeat(depth)),
        format!("driver = {}", "{a=".repeat(depth)),
        format!("driver = {}1{}", "{a=".repeat(depth), "}".repeat(depth)),
        format!("{}a = 1", "a.".repeat(depth)),
        format!("[{}a]", "a.".repeat(depth)),
        format!("[[{}a]]", "a.".repeat(depth)),
        format!("driver = {{ {}a = 1 }}", "a.".repeat(depth)),
        "[".repeat(depth),
        "[[a]]\n".repeat(depth),
    ] {
        let start: String = toml.chars().take(20).collect();
        assert!(SessionConfig::from_toml_str(&toml).is_err(), "{start}…");
    }
}

/// TOML that is nearly right: settings and options, with values of any kind, cut anywhere.
fn nearly_toml() -> impl Strategy<Value = String> {
    let name = prop_oneof![
        Just("driver".to_owned()),
        Just("ttl".to_owned()),
        Just("cookie".to_owned()),
        Just("idleTimeout".to_owned()),
        Just("max_record_size".to_owned()),
        Just("options".to_owned()),
        Just("options.token".to_owned()),
        "[a-zA-Z_.\"' é]{0,12}",
    ];
    let value = prop_oneof![
        any::<i64>().prop_map(|value| value.to_string()),
        any::<f64>().prop_map(|value| value.to_string()),
        Just("99999999999999999999".to_owned()),
        Just("{ env = 'HOME' }".to_owned()),
        Just("{ name = 'memory', secure = 1 }".to_owned()),
        Just("1979-05-27T07:32:00Z".to_owned()),
        "[\\[{]{0,60}",
        "\"\\PC{0,20}",
        "\\PC{0,30}",
    ];
    let line = prop_oneof![
        (name.clone(), value).prop_map(|(name, value)| format!("{name} = {value}")),
        name.prop_map(|name| format!("[{name}]")),
        "\\PC{0,40}",
    ];
    proptest::collection::vec(line, 0..8).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

    #[test]
    fn hostile_toml_never_panics(text in prop_oneof![nearly_toml(), any::<String>()]) {
        if let Ok(config) = SessionConfig::from_toml_str(&text) {
            let _ = format!("{config:?}");
            let _ = config.options.parse::<CookieOptions>("any", &ConfigContext::default());
        }
    }

    #[test]
    fn no_error_shows_a_value(before in nearly_toml(), after in "\\PC{0,20}", quote in "[\"'\\[{ ]{0,3}") {
        const SECRET: &str = "s3cr3tv4lue";
        let toml = format!("{before}\n[options]\ntoken = {quote}{SECRET}{after}\n");
        match SessionConfig::from_toml_str(&toml) {
            Ok(config) => {
                let shown = format!("{config:?}");
            prop_assert!(!shown.contains(SECRET));
                if let Err(error) = config.options.parse::<CookieOptions>("any", &ConfigContext::default()) {
                    prop_assert!(!shows(&error, SECRET), "{}", error);
                }
            }
            Err(error) => prop_assert!(!shows(&error, SECRET), "{}", error),
        }
    }
}
