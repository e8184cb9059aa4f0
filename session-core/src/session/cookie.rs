//! Reads and writes the session cookie.

use std::borrow::Cow;
use std::time::Duration;

use cookie::{Cookie, Expiration};
use http::header::COOKIE;
use http::{HeaderMap, HeaderValue};
use memchr::memchr;
use percent_encoding::percent_decode_str;
use smallvec::SmallVec;

use super::lifetime::LONGEST_MAX_AGE;
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
    /// The cookies that this one has replaced. They are removed with each response that sets or removes this one.
    replaced: Vec<Cookie<'static>>,
}

impl Default for CookieCodec {
    fn default() -> Self {
        Self::new(&CookieOptions::default())
    }
}

impl CookieCodec {
    /// For options that are valid.
    pub(crate) fn new(options: &CookieOptions) -> Self {
        let cookie = |name: &str, domain: Option<&str>, path: &str| {
            let cookie = Cookie::build((name.to_owned(), ""))
                .path(path.to_owned())
                .http_only(true)
                .secure(options.secure)
                .same_site(match options.same_site {
                    SameSite::Strict => cookie::SameSite::Strict,
                    SameSite::Lax => cookie::SameSite::Lax,
                    SameSite::None => cookie::SameSite::None,
                })
                .partitioned(options.partitioned);
            match domain {
                Some(domain) => cookie.domain(domain.to_owned()).build(),
                None => cookie.build(),
            }
        };
        let replaced = options.replaced();
        Self {
            name: options.name.clone(),
            max_age: options.max_age,
            template: cookie(&options.name, options.domain.as_deref(), &options.path),
            replaced: replaced
                .into_iter()
                .map(|scope| cookie(scope.name, scope.domain, scope.path))
                .collect(),
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
        Some(left().map_or(LONGEST_MAX_AGE, |left| left.min(LONGEST_MAX_AGE)))
    }

    /// The session ids in the request's cookies with the name.
    pub(crate) fn read(&self, headers: &HeaderMap) -> RequestCookie {
        let mut found = RequestCookie::default();
        for value in headers
            .get_all(COOKIE)
            .into_iter()
            .flat_map(|header| values(header.as_bytes(), &self.name))
        {
            found.present = true;
            if let Some(id) = decode(value)
                && found.ids.len() < MOST_CANDIDATES
                && !found.ids.contains(&id)
            {
                found.ids.push(id);
            }
        }
        found
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
        Self::removal_of(&self.template, name)
    }

    /// The headers that remove the cookies that this one has replaced. `names` gives the names of all cookies that belong
    /// to the one of a name.
    pub(crate) fn removals_of_replaced(
        &self,
        names: impl Fn(&str) -> Vec<String>,
    ) -> impl Iterator<Item = HeaderValue> {
        self.replaced.iter().flat_map(move |cookie| {
            let names = names(cookie.name()).into_iter();
            names.filter_map(|name| Self::removal_of(cookie, &name).ok())
        })
    }

    fn removal_of(cookie: &Cookie<'static>, name: &str) -> Result<HeaderValue> {
        let mut cookie = cookie.clone();
        cookie.set_name(name.to_owned());
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

/// A browser sends a cookie more than once if its domain or path was changed, or if another site of the domain set it.
/// This many are looked at.
pub(crate) const MOST_CANDIDATES: usize = 4;

/// The session ids of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestCookie {
    /// Whether the request has a cookie with the name, of any value.
    pub(crate) present: bool,
    /// The different ids, in the order in which they came. Each may or may not have a record.
    pub(crate) ids: SmallVec<[SessionId; 1]>,
}

impl RequestCookie {
    /// The cookie of a request that carries `id`.
    pub(crate) fn of(id: SessionId) -> Self {
        Self {
            present: true,
            ids: SmallVec::from_slice(&[id]),
        }
    }
}

/// The values of the cookies called `name` in a `cookie` header.
pub(crate) fn values<'h>(header: &'h [u8], name: &str) -> impl Iterator<Item = &'h [u8]> {
    let mut pairs = Some(header);
    std::iter::from_fn(move || {
        loop {
            let rest = pairs?;
            let end = memchr(b';', rest);
            let pair = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
            pairs = end.and_then(|end| rest.get(end + 1..));
            let value = pair.trim_ascii_start().strip_prefix(name.as_bytes());
            if let Some(value) = value.and_then(|value| value.trim_ascii_start().strip_prefix(b"="))
            {
                return Some(value.trim_ascii());
            }
        }
    })
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
        RequestCookie::of(ID.parse().unwrap())
    }

    fn no_id() -> RequestCookie {
        RequestCookie {
            present: true,
            ..RequestCookie::default()
        }
    }

    #[test]
    fn the_cookie_is_found_among_others_and_over_several_headers() {
        assert_eq!(read(&[&format!("a=1;astro-session={ID}; b=2")]), id());
        assert_eq!(read(&["a=1", &format!("astro-session = {ID} ")]), id());
        assert_eq!(
            read(&[&format!("xastro-session={ID}")]),
            RequestCookie::default()
        );
        assert_eq!(
            read(&[&format!("astro-session2={ID}")]),
            RequestCookie::default()
        );
        assert_eq!(read(&[]), RequestCookie::default());
    }

    #[test]
    fn cookies_of_the_name_that_are_no_ids_are_skipped() {
        let twins = format!("astro-session=nonsense; astro-session=; astro-session={ID}");
        assert_eq!(read(&[&twins]), id());
        assert_eq!(read(&["astro-session=nonsense"]), no_id());
    }

    #[test]
    fn four_different_ids_are_candidates_in_their_order() {
        let ids: Vec<String> = (0..6)
            .map(|digit| ID.replacen('6', &digit.to_string(), 1))
            .collect();
        let pairs: Vec<String> = ids
            .iter()
            .flat_map(|id| [id, id])
            .map(|id| format!("astro-session={id}"))
            .collect();
        let found = read(&[&pairs[..3].join("; "), &pairs[3..].join(";")]);
        let found: Vec<&str> = found.ids.iter().map(SessionId::expose).collect();
        assert_eq!(found, ids[..4]);
    }

    #[test]
    fn a_percent_encoded_id_is_decoded() {
        let encoded = ID.replacen('6', "%36", 1);
        assert_eq!(read(&[&format!("astro-session={encoded}")]), id());
    }

    #[test]
    fn quotes_are_part_of_the_value() {
        assert_eq!(read(&[&format!("astro-session=\"{ID}\"")]), no_id());
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
