//! Reads and writes the session cookie.

use std::borrow::Cow;
use std::time::Duration;

use cookie::{Cookie, Expiration};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;
use percent_encoding::percent_decode_str;

use super::{CookieOptions, SameSite, SessionId};
use crate::{Error, ErrorKind, Result};

/// The change to the session cookie in a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CookieChange {
    /// Sets it to `id`, with a Max-Age if the cookie is to be kept when the browser is closed.
    Set {
        id: SessionId,
        max_age: Option<Duration>,
    },
    /// Stores the session itself in the cookie, split over several cookies if it is too large for one.
    #[cfg(feature = "cookie-session")]
    Hold(Vec<HeaderValue>),
    /// Removes it from the browser.
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
        Self::new(&CookieOptions::default())
    }
}

impl CookieCodec {
    /// For options that are valid.
    pub(crate) fn new(options: &CookieOptions) -> Self {
        let mut template = Cookie::build((options.name.clone(), ""))
            .path(options.path.clone())
            .http_only(true)
            .secure(options.secure)
            .same_site(match options.same_site {
                SameSite::Strict => cookie::SameSite::Strict,
                SameSite::Lax => cookie::SameSite::Lax,
                SameSite::None => cookie::SameSite::None,
            })
            .partitioned(options.partitioned)
            .build();
        if let Some(domain) = &options.domain {
            template.set_domain(domain.clone());
        }
        Self {
            name: options.name.clone(),
            max_age: options.max_age,
            template,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The Max-Age of the cookie of a session that expires after `left` and is kept when the browser is closed if
    /// `persistent`.
    pub(crate) fn max_age(
        &self,
        persistent: bool,
        left: impl FnOnce() -> Option<Duration>,
    ) -> Option<Duration> {
        if !persistent {
            return self.max_age;
        }
        // Browsers cut it to 400 days, which is what a session without expiry asks for.
        const LONGEST: Duration = Duration::from_secs(400 * 24 * 60 * 60);
        Some(left().map_or(LONGEST, |left| left.min(LONGEST)))
    }

    /// The session id in the request's cookie; of several cookies with the name, the first counts.
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

    /// The value of the first cookie with the name in a header.
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

    /// The `Set-Cookie` header that sets the cookie `name` to `value`.
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
            // Rounded up, so that a month stays a month although a moment has passed.
            let seconds = max_age.as_millis().div_ceil(1_000);
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
            cookie.set_max_age(cookie::time::Duration::seconds(seconds));
        }
        Self::header(&cookie)
    }

    /// The `Set-Cookie` header that removes the cookie `name` from the browser.
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

/// The session id of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestCookie {
    /// The request has no cookie with the name.
    Missing,
    /// The cookie is not a session id.
    NoId,
    /// The cookie has this id, which may or may not have a record.
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
    use crate::session::DEFAULT_COOKIE_NAME;

    const ID: &str = "6f1c2d34-5e6f-4a7b-8c9d-0e1f2a3b4c5d";

    fn codec() -> CookieCodec {
        CookieCodec::default()
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
}
