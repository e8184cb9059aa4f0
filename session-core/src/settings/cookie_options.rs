//! The settings of the session cookie.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserializer, MapAccess, Visitor};

use super::PreviousCookie;
use super::cookie_scope::{CookieScope, Refusal};
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
///
/// # After a change of name, domain or path
///
/// Browsers tell cookies apart by these three, so a visitor from before the change has two cookies. `previous` names what
/// the cookie was, and each response that sets or removes the cookie also removes that one:
///
/// ```toml
/// [cookie]
/// name = "shop"
/// path = "/shop"
/// previous = [{ path = "/" }, { name = "sid", path = "/" }]
/// ```
///
/// What an entry leaves out is as in the table around it. Where that has a `domain`, a cookie of the host alone is removed
/// without being named. Browsers keep partitioned cookies apart from others, so after a change of `partitioned` the old
/// cookie stays until it expires.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct CookieOptions {
    /// The name: a token of RFC 6265, so not empty and without spaces or separators. Default: `astro-session`.
    pub name: String,
    /// The domain that gets the cookie, with its subdomains. Default: `None`, only the host that set it.
    ///
    /// A host name alone, without scheme, port and path. A dot at its beginning is ignored, as browsers do.
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
    /// Cookies that a deploy has replaced by this one, which responses remove. Default: none.
    pub previous: Vec<PreviousCookie>,
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
            previous: Vec::new(),
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

    /// Also removes a cookie that a deploy has [replaced](Self::previous) by this one.
    #[must_use]
    pub fn with_previous(mut self, previous: PreviousCookie) -> Self {
        self.previous.push(previous);
        self
    }

    /// Checks for options that browsers would silently reject; an error of kind [`ErrorKind::InvalidConfig`] names them.
    pub fn validate(&self) -> Result<()> {
        let scope = self.scope();
        scope
            .check(self.secure)
            .map_err(|refusal| refused("cookie", &refusal))?;
        for previous in &self.previous {
            let previous = previous.scope(self);
            previous
                .check(self.secure)
                .map_err(|refusal| refused("cookie.previous", &refusal))?;
            if previous.is_same(&scope) {
                return Err(invalid(format!(
                    "`cookie.previous` names the cookie itself, {scope}; write what it was before, or leave it out"
                )));
            }
        }
        if self.max_age.is_some_and(|max_age| max_age.is_zero()) {
            return Err(invalid(
                "`cookie.max_age` must be above 0 s; leave it out for a cookie that lasts until the browser is closed",
            ));
        }
        if !self.secure && self.same_site == SameSite::None {
            return Err(invalid(
                "`cookie.same_site = \"none\"` needs `cookie.secure = true`",
            ));
        }
        if !self.secure && self.partitioned {
            return Err(invalid(
                "`cookie.partitioned = true` needs `cookie.secure = true`",
            ));
        }
        Ok(())
    }

    fn scope(&self) -> CookieScope<'_> {
        CookieScope {
            name: &self.name,
            domain: self.domain.as_deref(),
            path: &self.path,
        }
    }

    /// The cookies that responses remove: the [previous](Self::previous) ones, and where this one has a domain, those
    /// without. Never this one.
    #[cfg(feature = "session")]
    pub(crate) fn replaced(&self) -> Vec<CookieScope<'_>> {
        let own = self.scope();
        let host_only = |scope| CookieScope {
            domain: None,
            ..scope
        };
        let mut candidates = vec![host_only(own)];
        for previous in &self.previous {
            let scope = previous.scope(self);
            candidates.push(scope);
            if previous.domain.is_none() {
                candidates.push(host_only(scope));
            }
        }
        let mut replaced: Vec<CookieScope<'_>> = Vec::new();
        for scope in candidates {
            if !scope.is_same(&own) && !replaced.iter().any(|known| known.is_same(&scope)) {
                replaced.push(scope);
            }
        }
        replaced
    }
}

fn refused(table: &str, refusal: &Refusal) -> Error {
    let Refusal { option, advice } = refusal;
    invalid(format!("`{table}.{option}` {advice}"))
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
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

    #[test]
    fn a_refusal_names_the_option_and_what_to_do() {
        let message = |options: CookieOptions| options.validate().unwrap_err().to_string();
        let refused = message(CookieOptions::default().with_domain("https://example.com"));
        assert!(
            refused.starts_with("`cookie.domain` must be a host name"),
            "{refused}"
        );
        let previous = PreviousCookie::default().with_domain("example.com:3000");
        let refused = message(CookieOptions::default().with_previous(previous));
        assert!(
            refused.starts_with("`cookie.previous.domain` must"),
            "{refused}"
        );
        let previous = PreviousCookie::default()
            .with_name("__Host-a")
            .with_path("/x");
        let refused = message(CookieOptions::default().with_previous(previous));
        assert!(
            refused.starts_with("`cookie.previous.name` begins with"),
            "{refused}"
        );
    }

    #[test]
    fn a_previous_cookie_that_is_the_cookie_itself_is_refused() {
        let shop = || {
            CookieOptions::default()
                .with_name("shop")
                .with_domain("example.com")
                .with_path("/shop")
        };
        let previous = PreviousCookie::default;
        for itself in [
            previous(),
            previous().with_name("shop"),
            previous().with_domain(".Example.com").with_path("/shop"),
        ] {
            let error = shop().with_previous(itself.clone()).validate().unwrap_err();
            assert!(
                error.to_string().contains("the cookie itself"),
                "{itself:?}: {error}"
            );
        }
        for other in [
            previous().with_name("Shop"),
            previous().with_path("/"),
            previous().with_domain("www.example.com"),
            previous().with_name("__Host-shop"),
        ] {
            assert!(
                shop().with_previous(other.clone()).validate().is_ok(),
                "{other:?}"
            );
        }
    }

    #[cfg(feature = "session")]
    #[test]
    fn what_a_previous_cookie_leaves_out_is_as_in_the_cookie() {
        let previous = PreviousCookie::default;
        let options = CookieOptions::default()
            .with_name("shop")
            .with_domain("example.com")
            .with_path("/shop")
            .with_previous(previous().with_path("/"))
            .with_previous(previous().with_path("/"))
            .with_previous(previous().with_domain("old.example.com"))
            .with_previous(previous().with_name("__Host-sid"));
        let replaced: Vec<_> = options
            .replaced()
            .iter()
            .map(|scope| {
                format!(
                    "{} {} {}",
                    scope.name,
                    scope.domain.unwrap_or("-"),
                    scope.path
                )
            })
            .collect();
        assert_eq!(
            replaced,
            [
                "shop - /shop",
                "shop example.com /",
                "shop - /",
                "shop old.example.com /shop",
                "__Host-sid - /",
            ]
        );
        assert!(CookieOptions::default().replaced().is_empty());
    }

    #[cfg(feature = "config")]
    #[test]
    fn previous_cookies_are_a_list_of_tables_in_toml() {
        let text = r#"
            name = "shop"
            previous = [{ path = "/shop" }, { name = "sid", domain = "example.com" }]
        "#;
        let options: CookieOptions = toml::from_str(text).unwrap();
        let expected = CookieOptions::default()
            .with_name("shop")
            .with_previous(PreviousCookie::default().with_path("/shop"))
            .with_previous(
                PreviousCookie::default()
                    .with_name("sid")
                    .with_domain("example.com"),
            );
        assert_eq!(options, expected);
        assert!(toml::from_str::<CookieOptions>("previous = [{ paht = \"/\" }]").is_err());
    }
}
