//! The configuration of `driver = "cookie"`.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, Deserializer, SeqAccess, Visitor};

use super::{CookieFormat, CookieSessionOptions, Secret};
use crate::Result;
use crate::config::SessionConfig;

/// The `[options]` of `driver = "cookie"`.
#[derive(Deserialize)]
struct Written {
    secret: Secrets,
    format: Option<Format>,
    accept: Option<Vec<Format>>,
    max_parts: Option<u8>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Format {
    Sealed,
    AstroSession,
}

impl From<Format> for CookieFormat {
    fn from(format: Format) -> Self {
        match format {
            Format::Sealed => Self::Sealed,
            Format::AstroSession => Self::AstroSession,
        }
    }
}

/// One secret, or several of which the first writes.
struct Secrets(Vec<Secret>);

impl<'de> Deserialize<'de> for Secrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SecretsVisitor)
    }
}

struct SecretsVisitor;

impl<'de> Visitor<'de> for SecretsVisitor {
    type Value = Secrets;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or a list of strings")
    }

    fn visit_str<E: de::Error>(self, secret: &str) -> Result<Secrets, E> {
        Ok(Secrets(vec![secret.into()]))
    }

    fn visit_string<E: de::Error>(self, secret: String) -> Result<Secrets, E> {
        Ok(Secrets(vec![secret.into()]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Secrets, A::Error> {
        let mut secrets = Vec::new();
        while let Some(secret) = list.next_element::<String>()? {
            secrets.push(secret.into());
        }
        Ok(Secrets(secrets))
    }
}

/// Parses the options of `config`, whose driver is `cookie`.
pub(crate) fn options_from(config: &SessionConfig) -> Result<CookieSessionOptions> {
    let written: Written = config.parse_options()?;
    let mut options = CookieSessionOptions::new(written.secret.0);
    if let Some(format) = written.format {
        options = options.with_format(format.into());
    }
    for format in written.accept.into_iter().flatten() {
        options = options.with_accepted(format.into());
    }
    if let Some(parts) = written.max_parts {
        options = options.with_max_parts(parts);
    }
    Ok(options)
}
