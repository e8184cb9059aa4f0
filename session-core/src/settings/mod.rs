//! The settings of sessions, each defined once.
//!
//! [`SessionSettings`] is used by the builder of a session manager, by TOML files and in an application's own
//! configuration. To add a setting, add a field with its doc, its default and, if its name has several words, its
//! camelCase alias. Then add a row in `settings.md`, which is the table in the documentation.

mod cookie_options;
mod cookie_scope;
mod previous_cookie;

use std::time::Duration;

use serde::Deserialize;

use crate::durations;
use crate::{Error, ErrorKind, OnCommitError, OnCorruptRecord, OnLostChange, Result};

pub use cookie_options::{CookieOptions, DEFAULT_COOKIE_NAME, SameSite};
pub use previous_cookie::PreviousCookie;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The settings of sessions: their lifetime, their cookie, and how they are committed.
///
/// ```
/// use std::time::Duration;
/// use session_core::SessionSettings;
///
/// let mut settings = SessionSettings::default();
/// settings.idle_timeout = Some(Duration::from_secs(30 * 60));
/// settings.cookie = settings.cookie.with_name("shop");
/// assert!(settings.validate().is_ok());
/// ```
///
/// It implements `Deserialize`, so it nests in an application's own configuration. There, and in TOML, the settings are:
#[doc = ""]
#[doc = include_str!("settings.md")]
///
/// Names are accepted in snake_case and camelCase. Seconds may have a fraction and must be above zero.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SessionSettings {
    /// How long a value that is set without an expiry lives; `None` is as long as its session. Default: `None`.
    #[serde(deserialize_with = "durations::lifetime")]
    pub ttl: Option<Duration>,
    /// The cookie that carries the session id. Default: [`CookieOptions::default`]. In a file, a string is its name.
    #[serde(deserialize_with = "cookie_options::name_or_table")]
    pub cookie: CookieOptions,
    /// How long a session lives after the last request that loaded it; `None` disables the timeout. Default: 14 days.
    #[serde(alias = "idleTimeout", deserialize_with = "durations::lifetime")]
    pub idle_timeout: Option<Duration>,
    /// How long a session lives in total, regardless of activity; `None` disables the timeout. Default: `None`.
    #[serde(alias = "absoluteTimeout", deserialize_with = "durations::lifetime")]
    pub absolute_timeout: Option<Duration>,
    /// The longest absolute timeout that [`set_lifetime`](crate::session::Session::set_lifetime) can give a session,
    /// counted from its creation; `None` is no limit. Default: `None`.
    #[serde(alias = "maxLifetime", deserialize_with = "durations::lifetime")]
    pub max_lifetime: Option<Duration>,
    /// How far the expiry of a session that is only read must move before it is renewed. Each renewal costs one operation.
    /// Default: `None`, which is a twentieth of the idle timeout, at most an hour.
    #[serde(
        alias = "touchInterval",
        deserialize_with = "durations::optional_seconds"
    )]
    pub touch_interval: Option<Duration>,
    /// How long a request that still carries an id from before a `regenerate` or `rotate` is recognised. Default: 60 s.
    #[serde(alias = "regenerateGrace", deserialize_with = "durations::seconds")]
    pub regenerate_grace: Duration,
    /// How long a commit retries while others change the same session. Default: 2 s.
    #[serde(alias = "commitDeadline", deserialize_with = "durations::seconds")]
    pub commit_deadline: Duration,
    /// The maximum size of a stored session, in bytes. Default: 1 MiB.
    ///
    /// A larger one is an error of kind [`ErrorKind::TooLarge`], when it is written and when it is read.
    #[serde(alias = "maxRecordSize")]
    pub max_record_size: usize,
    /// The memory for parsed records, in bytes, so that a session that is used again is not parsed again; 0 is none.
    /// Default: 16 MiB.
    #[serde(alias = "recordCache")]
    pub record_cache: usize,
    /// What happens to a response whose session could not be written. Default: [`OnCommitError::Fail`].
    #[serde(alias = "onCommitError")]
    pub on_commit_error: OnCommitError,
    /// What happens to a response whose changes were lost to another request. Default: [`OnLostChange::Fail`].
    #[serde(alias = "onLostChange")]
    pub on_lost_change: OnLostChange,
    /// What happens to a stored record that cannot be parsed. Default: [`OnCorruptRecord::Fail`].
    #[serde(alias = "onCorruptRecord")]
    pub on_corrupt_record: OnCorruptRecord,
}

impl Default for SessionSettings {
    fn default() -> Self {
        Self {
            ttl: None,
            cookie: CookieOptions::default(),
            idle_timeout: Some(14 * DAY),
            absolute_timeout: None,
            max_lifetime: None,
            touch_interval: None,
            regenerate_grace: MINUTE,
            commit_deadline: Duration::from_secs(2),
            max_record_size: 1024 * 1024,
            record_cache: 16 * 1024 * 1024,
            on_commit_error: OnCommitError::Fail,
            on_lost_change: OnLostChange::Fail,
            on_corrupt_record: OnCorruptRecord::Fail,
        }
    }
}

impl SessionSettings {
    /// Checks that the settings are valid together; an error of kind [`ErrorKind::InvalidConfig`] says which are not.
    pub fn validate(&self) -> Result<()> {
        let is_zero = |timeout: Option<Duration>| timeout.is_some_and(|timeout| timeout.is_zero());
        if [self.idle_timeout, self.absolute_timeout, self.max_lifetime]
            .into_iter()
            .any(is_zero)
        {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "`idle_timeout`, `absolute_timeout` and `max_lifetime` must be above 0 s, or \"never\"",
            ));
        }
        self.cookie.validate()
    }
}

#[cfg(all(test, feature = "config"))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const TABLE: &str = include_str!("settings.md");

    /// The name and the default of each row; no default where the column is prose.
    fn rows() -> Vec<(&'static str, Option<&'static str>)> {
        let code = |cell: Option<&&'static str>| cell?.trim().strip_prefix('`')?.split('`').next();
        TABLE
            .lines()
            .skip(2)
            .map(|row| {
                let cells: Vec<_> = row.split('|').collect();
                (code(cells.get(1)).unwrap_or_default(), code(cells.get(3)))
            })
            .collect()
    }

    #[test]
    fn the_documented_table_has_every_setting() {
        let error = toml::from_str::<SessionSettings>("unknown = 1").unwrap_err();
        let settings: BTreeSet<_> = error
            .message()
            .split('`')
            .skip(3)
            .step_by(2)
            .filter(|name| !name.contains(char::is_uppercase))
            .collect();
        let documented: BTreeSet<_> = rows().into_iter().map(|(name, _)| name).collect();
        assert_eq!(settings, documented);
    }

    #[test]
    fn the_documented_defaults_are_the_defaults() {
        let mut checked = 0;
        for (name, default) in rows() {
            let Some(default) = default else {
                assert_eq!(name, "touch_interval", "only this default is not a value");
                assert_eq!(SessionSettings::default().touch_interval, None);
                continue;
            };
            let settings: SessionSettings = toml::from_str(&format!("{name} = {default}")).unwrap();
            assert_eq!(settings, SessionSettings::default(), "{name} = {default}");
            checked += 1;
        }
        assert_eq!(checked, 12);
    }

    #[test]
    fn settings_nest_in_an_application_s_own_configuration() {
        #[derive(Deserialize)]
        struct App {
            session: SessionSettings,
        }

        let json = r#"{ "session": { "idleTimeout": "never", "cookie": "shop", "commit_deadline": 0.5 } }"#;
        let app: App = serde_json::from_str(json).unwrap();
        let mut expected = SessionSettings::default();
        expected.idle_timeout = None;
        expected.cookie = expected.cookie.with_name("shop");
        expected.commit_deadline = Duration::from_millis(500);
        assert_eq!(app.session, expected);
    }

    #[test]
    fn timeouts_of_zero_are_refused() {
        let settings = SessionSettings {
            absolute_timeout: Some(Duration::ZERO),
            ..SessionSettings::default()
        };
        let error = settings.validate().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
