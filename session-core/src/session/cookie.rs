use std::borrow::Cow;
use std::time::Duration;

use cookie::{Cookie, Expiration};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;
use percent_encoding::percent_decode_str;

pub use cookie::SameSite;

use super::SessionId;
use crate::{Error, ErrorKind, Result};

/// The cookie's name when nobody gives one: Astro's.
pub const DEFAULT_COOKIE_NAME: &str = "astro-session";

/// The cookie that carries the session id.
///
/// ```
/// use session_core::session::{CookieOptions, SameSite};
///
/// let cookie = CookieOptions::default().with_name("__Host-shop").with_same_site(SameSite::Strict);
/// assert!(cookie.validate().is_ok());
/// assert!(cookie.with_secure(false).validate().is_err());
/// ```
///
/// The default is `astro-session` with `HttpOnly`, `Secure`, `SameSite=Lax` and `Path=/`, for as long as the
/// browser runs. `HttpOnly` cannot be switched off. Without `Secure` the cookie also goes over plain HTTP,
/// as a server under development on `http://` needs it.
#[derive(Clone, Debug)]
pub struct CookieOptions {
    name: Cow<'static, str>,
    domain: Option<String>,
    path: String,
    max_age: Option<Duration>,
    same_site: SameSite,
    secure: bool,
    partitioned: bool,
}

impl Default for CookieOptions {
    fn default() -> Self {
        Self {
            name: DEFAULT_COOKIE_NAME.into(),
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
    /// Sets the name: a token of RFC 6265, so neither empty nor with spaces or separators.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Cow::Owned(name.into());
        self
    }

    /// Sends the cookie to `domain` and its subdomains, not to the host alone that set it.
    #[must_use]
    pub fn with_domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Sends the cookie only below `path`.
    #[must_use]
    pub fn with_path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Keeps the cookie for this long, also beyond the end of the browser. It is sent anew when the session is
    /// written or kept alive; that of a session with `idle_timeout = "never"` only when it is written.
    #[must_use]
    pub fn with_max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// Sets whether requests from other sites carry the cookie.
    #[must_use]
    pub fn with_same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Sets whether the cookie goes over HTTPS only.
    #[must_use]
    pub fn with_secure(mut self, secure: bool) -> Self {
        self.secure = secure;
        self
    }

    /// Keeps the cookie apart for each top-level site that embeds this one (CHIPS).
    #[must_use]
    pub fn with_partitioned(mut self, partitioned: bool) -> Self {
        self.partitioned = partitioned;
        self
    }

    /// The name of the cookie.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Checks what browsers would refuse in silence; an error of kind
    /// [`ErrorKind::InvalidConfig`] says what.
    pub fn validate(&self) -> Result<()> {
        if self.name.is_empty() || !self.name.bytes().all(is_token_byte) {
            return Err(invalid(
                "`cookie.name` must be a token: letters, digits and !#$%&'*+-.^_`|~ only",
            ));
        }
        if self.max_age.is_some_and(|max_age| max_age.is_zero()) {
            return Err(invalid(
                "`cookie.max_age = 0` would take the cookie away at once; leave it out for a cookie that lasts as \
                 long as the browser runs",
            ));
        }
        if let Some(domain) = &self.domain
            && !is_attribute(domain)
        {
            return Err(invalid("`cookie.domain` must be a host name without `;`"));
        }
        if !self.path.starts_with('/') || !is_attribute(&self.path) {
            return Err(invalid(
                "`cookie.path` must start with `/` and hold neither `;` nor control characters",
            ));
        }
        if !self.secure {
            if self.same_site == SameSite::None {
                return Err(invalid(
                    "`cookie.same_site = \"none\"` needs `cookie.secure = true`",
                ));
            }
            if self.partitioned {
                return Err(invalid(
                    "`cookie.partitioned = true` needs `cookie.secure = true`",
                ));
            }
        }
        let lower = self.name.to_ascii_lowercase();
        if lower.starts_with("__secure-") && !self.secure {
            return Err(invalid(
                "a cookie named `__Secure-…` needs `cookie.secure = true`",
            ));
        }
        if lower.starts_with("__host-")
            && (!self.secure || self.path != "/" || self.domain.is_some())
        {
            return Err(invalid(
                "a cookie named `__Host-…` needs `cookie.secure = true`, `cookie.path = \"/\"` and no `cookie.domain`",
            ));
        }
        Ok(())
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

/// RFC 9110, section 5.6.2.
fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_attribute(text: &str) -> bool {
    text.bytes()
        .all(|byte| (b' '..=b'~').contains(&byte) && byte != b';')
}

/// What a response does to the cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieChange {
    /// Sets it to `id`, with a Max-Age if the session's cookie is to outlive the browser.
    Set {
        id: SessionId,
        max_age: Option<Duration>,
    },
    /// Puts the session itself into it, and into more where one is too small.
    #[cfg(feature = "cookie-session")]
    Hold(Vec<HeaderValue>),
    /// Takes it from the browser.
    Remove,
}

/// Reads and writes the cookie as configured.
#[derive(Debug)]
pub(crate) struct CookieCodec {
    name: String,
    max_age: Option<Duration>,
    template: Cookie<'static>,
}

impl Default for CookieCodec {
    fn default() -> Self {
        Self::trusting(&CookieOptions::default())
    }
}

impl CookieCodec {
    pub(crate) fn new(options: &CookieOptions) -> Result<Self> {
        options.validate()?;
        Ok(Self::trusting(options))
    }

    fn trusting(options: &CookieOptions) -> Self {
        let mut template = Cookie::build((options.name.clone(), ""))
            .path(options.path.clone())
            .http_only(true)
            .secure(options.secure)
            .same_site(options.same_site)
            .partitioned(options.partitioned)
            .build();
        if let Some(domain) = &options.domain {
            template.set_domain(domain.clone());
        }
        Self {
            name: options.name.clone().into_owned(),
            max_age: options.max_age,
            template,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The Max-Age of the cookie of a session that ends after `left` and is to outlive the browser if
    /// `persistent`.
    pub(crate) fn max_age(
        &self,
        persistent: bool,
        left: impl FnOnce() -> Option<Duration>,
    ) -> Option<Duration> {
        if !persistent {
            return self.max_age;
        }
        // Browsers cut it to 400 days; a session without an end asks for that much.
        const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
        Some(left().map_or(LONGEST, |left| left.min(LONGEST)))
    }

    /// The id that the request's cookie names; the first of several cookies of the name counts, and one that
    /// is no id counts as none.
    pub(crate) fn read(&self, headers: &HeaderMap) -> RequestCookie {
        let mut values = headers
            .get_all(COOKIE)
            .into_iter()
            .filter_map(|header| self.value_in(header.as_bytes()));
        match values.next().map(decode) {
            Some(Some(id)) => RequestCookie::Id(id),
            Some(None) => RequestCookie::NoId,
            None => RequestCookie::Missing,
        }
    }

    /// The value of the first cookie of the name in a header.
    fn value_in<'h>(&self, header: &'h [u8]) -> Option<&'h [u8]> {
        let mut pairs = header;
        loop {
            let end = memchr(b';', pairs);
            let pair = end.and_then(|end| pairs.get(..end)).unwrap_or(pairs);
            let rest = pair.trim_ascii_start().strip_prefix(self.name.as_bytes());
            if let Some(value) = rest.and_then(|rest| rest.trim_ascii_start().strip_prefix(b"=")) {
                return Some(value.trim_ascii());
            }
            pairs = pairs.get(end? + 1..)?;
        }
    }

    /// The `Set-Cookie` header that gives the cookie `name` this value.
    pub(crate) fn set(
        &self,
        name: &str,
        value: &str,
        max_age: Option<Duration>,
    ) -> Result<HeaderValue> {
        let mut cookie = self.template.clone();
        if name != self.name {
            cookie.set_name(name.to_owned());
        }
        cookie.set_value(value.to_owned());
        if let Some(max_age) = max_age {
            // Rounded up: a month stays a month although some of it has passed.
            let seconds = max_age.as_millis().div_ceil(1_000);
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            cookie.set_max_age(cookie::time::Duration::seconds(seconds));
        }
        Self::header(&cookie)
    }

    /// The `Set-Cookie` header that takes the cookie `name` from the browser.
    pub(crate) fn removal(&self, name: &str) -> Result<HeaderValue> {
        let mut cookie = self.template.clone();
        if name != self.name {
            cookie.set_name(name.to_owned());
        }
        cookie.set_value("deleted");
        cookie.set_max_age(cookie::time::Duration::ZERO);
        cookie.set_expires(Expiration::from(cookie::time::OffsetDateTime::UNIX_EPOCH));
        Self::header(&cookie)
    }

    fn header(cookie: &Cookie<'_>) -> Result<HeaderValue> {
        let mut header = HeaderValue::try_from(cookie.to_string()).map_err(|error| {
            Error::new(
                ErrorKind::InvalidConfig,
                "the session cookie does not fit into a header; check `cookie.path` and `cookie.domain`",
            )
            .with_source(error)
        })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

/// What a request says of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestCookie {
    /// It has no cookie of the name.
    Missing,
    /// It has one that is no session id.
    NoId,
    /// It has this id, which may or may not have a record.
    Id(SessionId),
}

fn decode(value: &[u8]) -> Option<SessionId> {
    /// A UUID of which every byte is percent-encoded.
    const LONGEST: usize = 3 * 36;
    if let Some(id) = SessionId::parse(value) {
        return Some(id);
    }
    if value.len() > LONGEST || !value.contains(&b'%') {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let decoded: Cow<'_, [u8]> = percent_decode_str(text).into();
    SessionId::parse(&decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";

    fn codec() -> CookieCodec {
        CookieCodec::new(&CookieOptions::default()).unwrap()
    }

    fn read(headers: &[&str]) -> RequestCookie {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(COOKIE, HeaderValue::from_bytes(header.as_bytes()).unwrap());
        }
        codec().read(&map)
    }

    fn id() -> RequestCookie {
        RequestCookie::Id(ID.parse().unwrap())
    }

    #[test]
    fn the_cookie_is_found_among_others_and_over_several_headers() {
        assert_eq!(read(&[&format!("a=1;astro-session={ID}; b=2")]), id());
        assert_eq!(read(&["a=1", &format!("astro-session = {ID} ")]), id());
        assert_eq!(
            read(&[&format!("xastro-session={ID}")]),
            RequestCookie::Missing
        );
        assert_eq!(
            read(&[&format!("astro-session2={ID}")]),
            RequestCookie::Missing
        );
        assert_eq!(read(&[]), RequestCookie::Missing);
    }

    #[test]
    fn the_first_cookie_of_the_name_counts() {
        let second = format!("astro-session=nonsense; astro-session={ID}");
        assert_eq!(read(&[&second]), RequestCookie::NoId);
    }

    #[test]
    fn a_percent_encoded_id_is_decoded() {
        let encoded = ID.replacen('6', "%36", 1);
        assert_eq!(read(&[&format!("astro-session={encoded}")]), id());
    }

    #[test]
    fn quotes_are_part_of_the_value() {
        assert_eq!(
            read(&[&format!("astro-session=\"{ID}\"")]),
            RequestCookie::NoId
        );
    }

    #[test]
    fn the_header_carries_the_secure_defaults() {
        let header = codec().set(DEFAULT_COOKIE_NAME, ID, None).unwrap();
        assert!(header.is_sensitive());
        let text = header.to_str().unwrap();
        assert!(text.starts_with(&format!("astro-session={ID}; ")), "{text}");
        for attribute in ["HttpOnly", "Secure", "SameSite=Lax", "Path=/"] {
            assert!(text.contains(attribute), "{text} has no {attribute}");
        }
        assert!(!text.contains("Max-Age"), "{text}");
    }

    #[test]
    fn removing_keeps_domain_and_path() {
        let options = CookieOptions::default()
            .with_domain("example.org")
            .with_path("/shop");
        let header = CookieCodec::new(&options)
            .unwrap()
            .removal(DEFAULT_COOKIE_NAME)
            .unwrap();
        let text = header.to_str().unwrap();
        for attribute in [
            "Domain=example.org",
            "Path=/shop",
            "Max-Age=0",
            "01 Jan 1970",
        ] {
            assert!(text.contains(attribute), "{text} has no {attribute}");
        }
    }

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
