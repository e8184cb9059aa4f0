//! The settings of the session cookie.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use crate::durations;
use crate::{Error, ErrorKind, Result};

/// The default name of the cookie, which is Astro's.
pub const DEFAULT_COOKIE_NAME: &str = "astro-session";

/// The cookie that carries the session id.
///
/// ```
/// use session_core::{CookieOptions, SameSite};
///
/// let cookie = CookieOptions::default().with_name("__Host-shop").with_same_site(SameSite::Strict);
/// assert!(cookie.validate().is_ok());
/// assert!(cookie.with_secure(false).validate().is_err());
/// ```
///
/// The default is `astro-session` with `HttpOnly`, `Secure`, `SameSite=Lax` and `Path=/`. It lasts until the browser is
/// closed. `HttpOnly` cannot be switched off. Without `Secure` the cookie is also sent over plain HTTP, which a
/// development server on `http://` needs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CookieOptions {
    /// The name: a token of RFC 6265, so not empty and without spaces or separators. Default: `astro-session`.
    pub name: String,
    /// The domain that gets the cookie, with its subdomains. Default: `None`, only the host that set it.
    pub domain: Option<String>,
    /// The path prefix of requests that carry the cookie. Default: `/`.
    pub path: String,
    /// How long the browser keeps the cookie. Default: `None`, until it is closed.
    ///
    /// The cookie is sent again when the session is written or renewed. A session with `idle_timeout = "never"` is not
    /// renewed, so its cookie is sent only when it is written.
    #[serde(alias = "maxAge", deserialize_with = "durations::optional_seconds")]
    pub max_age: Option<Duration>,
    /// Which requests from other sites carry the cookie. Default: [`SameSite::Lax`].
    #[serde(alias = "sameSite")]
    pub same_site: SameSite,
    /// Whether the cookie is sent over HTTPS only. Default: `true`.
    pub secure: bool,
    /// Whether browsers keep a separate cookie for each top-level site that embeds this one (CHIPS). Default: `false`.
    pub partitioned: bool,
}

/// Which requests from other sites carry the cookie.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SameSite {
    /// No requests from other sites.
    Strict,
    /// Requests that follow a link.
    #[default]
    Lax,
    /// All requests; the cookie must be secure.
    None,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: DEFAULT_COOKIE_NAME.to_owned(),
            domain: None,
            path: "/".to_owned(),
            max_age: None,
            same_site: SameSite::Lax,
            secure: true,
            partitioned: false,
        }
    }
}

impl CookieOptions {
    /// Sets the [name](Self::name).
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets the [domain](Self::domain).
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sets the [path](Self::path).
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Sets the [maximum age](Self::max_age).
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Sets [which requests from other sites](Self::same_site) carry the cookie.
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets whether the cookie is [secure](Self::secure).
    #[must_use]
    pub fn with_secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Sets whether the cookie is [partitioned](Self::partitioned).
    #[must_use]
    pub fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// Checks for options that browsers would silently reject; an error of kind [`ErrorKind::InvalidConfig`] names them.
    pub fn validate(&self) -> Result<()> {
        let lower = self.name.to_ascii_lowercase();
        let refused = if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            "`cookie.name` must be a token: letters, digits and !#$%&'*+-.^_`|~ only"
        } else if self.max_age.is_some_and(|max_age| max_age.is_zero()) {
            "`cookie.max_age` must be above 0 s; leave it out for a cookie that lasts until the browser is closed"
        } else if self
            .domain
            .as_deref()
            .is_some_and(|domain| !is_attribute(domain))
        {
            "`cookie.domain` must be a host name without `;`"
        } else if !self.path.starts_with('/') || !is_attribute(&self.path) {
            "`cookie.path` must start with `/` and contain neither `;` nor control characters"
        } else if !self.secure && self.same_site == SameSite::None {
            "`cookie.same_site = \"none\"` needs `cookie.secure = true`"
        } else if !self.secure && self.partitioned {
            "`cookie.partitioned = true` needs `cookie.secure = true`"
        } else if !self.secure && lower.starts_with("__secure-") {
            "a cookie named `__Secure-…` needs `cookie.secure = true`"
        } else if lower.starts_with("__host-")
            && (!self.secure || self.path != "/" || self.domain.is_some())
        {
            "a cookie named `__Host-…` needs `cookie.secure = true`, `cookie.path = \"/\"` and no `cookie.domain`"
        } else {
            return Ok(());
        };
        Err(Error::new(ErrorKind::InvalidConfig, refused))
    }
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute(text: &str) -> bool {
    text.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
}

/// Deserializes options from a name or a table.
pub(super) fn name_or_table<'de, D: Deserializer<'de>>(
    from: D,
) -> std::result::Result<CookieOptions, D::Error> {
    struct NameOrTable;

    impl<'de> Visitor<'de> for NameOrTable {
        type Value = CookieOptions;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a name or a table")
        }

        fn visit_str<E: de::Error>(self, name: &str) -> std::result::Result<CookieOptions, E> {
            Ok(CookieOptions::default().with_name(name))
        }

        fn visit_map<A: MapAccess<'de>>(
            self,
            table: A,
        ) -> std::result::Result<CookieOptions, A::Error> {
            CookieOptions::deserialize(MapAccessDeserializer::new(table))
        }
    }

    from.deserialize_any(NameOrTable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_browsers_would_refuse_is_an_error() {
        let bad = [
            CookieOptions::default().with_name(""),
            CookieOptions::default().with_name("a b"),
            CookieOptions::default().with_max_age(Duration::ZERO),
            CookieOptions::default().with_name("a;b"),
            CookieOptions::default().with_path("shop"),
            CookieOptions::default().with_path("/;Secure"),
            CookieOptions::default().with_domain("a;b"),
            CookieOptions::default()
                .with_same_site(SameSite::None)
                .with_secure(false),
            CookieOptions::default()
                .with_partitioned(true)
                .with_secure(false),
            CookieOptions::default()
                .with_name("__Secure-a")
                .with_secure(false),
            CookieOptions::default()
                .with_name("__Host-a")
                .with_path("/x"),
            CookieOptions::default()
                .with_name("__host-a")
                .with_domain("example.org"),
        ];
        for options in bad {
            assert_eq!(
                options.validate().unwrap_err().kind(),
                ErrorKind::InvalidConfig,
                "{options:?}"
            );
        }
    }
}
