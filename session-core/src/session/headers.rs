//! The response headers of a session: `Set-Cookie`, `Cache-Control` and `Vary`.

use http::header::{CACHE_CONTROL, Entry, SET_COOKIE, VARY};
use http::{HeaderMap, HeaderName, HeaderValue};

/// Adds the session's cookie to a response, and keeps shared caches from storing it.
pub(crate) fn set_cookie(headers: &mut HeaderMap, cookie: HeaderValue) {
    headers.append(SET_COOKIE, cookie);
    force_private(headers);
}

/// Adds `Vary: Cookie` to a response.
pub(crate) fn vary_by_cookie(headers: &mut HeaderMap) {
    const COOKIE: HeaderValue = HeaderValue::from_static("cookie");
    match headers.entry(VARY) {
        Entry::Vacant(none) => {
            none.insert(COOKIE);
        }
        Entry::Occupied(mut there) => {
            let already = there
                .iter()
                .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
                .map(<[u8]>::trim_ascii)
                .any(|name| name == b"*" || name.eq_ignore_ascii_case(b"cookie"));
            if !already {
                there.append(COOKIE);
            }
        }
    }
}

/// Forces `Cache-Control: private`, so that only the visitor's browser may store the response.
///
/// Directives for shared caches are removed from `Cache-Control`. Headers that override it for a content delivery
/// network (such as those of RFC 9213) are removed.
fn force_private(headers: &mut HeaderMap) {
    let directives: Vec<String> = headers
        .get_all(CACHE_CONTROL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(split_directives)
        .filter(|directive| !speaks_to_shared_caches(directive))
        .map(str::to_owned)
        .collect();
    let mut value = String::from("private");
    for directive in directives {
        value.push_str(", ");
        value.push_str(&directive);
    }
    let value = HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("private"));
    headers.insert(CACHE_CONTROL, value);

    let overrides: Vec<HeaderName> = headers
        .keys()
        .filter(|name| {
            let name = name.as_str();
            name.ends_with("cdn-cache-control")
                || ["surrogate-control", "x-accel-expires", "edge-control"].contains(&name)
        })
        .cloned()
        .collect();
    for name in overrides {
        headers.remove(name);
    }
}

/// Splits at commas outside of quotes.
fn split_directives(value: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    value
        .split(move |character| {
            if character == '"' {
                quoted = !quoted;
            }
            character == ',' && !quoted
        })
        .map(str::trim)
        .filter(|directive| !directive.is_empty())
}

fn speaks_to_shared_caches(directive: &str) -> bool {
    let name = directive.split('=').next().unwrap_or_default().trim();
    ["public", "private", "s-maxage", "proxy-revalidate"]
        .iter()
        .any(|known| name.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_cookie(headers: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, HeaderValue::from_static(value));
        }
        set_cookie(&mut map, HeaderValue::from_static("a=b"));
        map
    }

    #[test]
    fn private_overrides_the_cache_control_of_the_application() {
        for (value, expected) in [
            ("public, max-age=60", "private, max-age=60"),
            ("S-MaxAge=60, no-cache", "private, no-cache"),
            ("no-store", "private, no-store"),
            ("private=\"set-cookie, x\", max-age=1", "private, max-age=1"),
        ] {
            let headers = after_cookie(&[("cache-control", value)]);
            assert_eq!(headers["cache-control"], expected);
        }
        assert_eq!(after_cookie(&[])["cache-control"], "private");
    }

    #[test]
    fn headers_that_overrule_it_for_networks_go() {
        let headers = after_cookie(&[
            ("cdn-cache-control", "max-age=60"),
            ("vercel-cdn-cache-control", "max-age=60"),
            ("surrogate-control", "max-age=60"),
        ]);
        assert_eq!(headers.len(), 2, "{headers:?}");
    }

    #[test]
    fn vary_is_added_once() {
        for value in ["*", "accept, Cookie"] {
            let mut headers = HeaderMap::new();
            headers.insert(VARY, HeaderValue::from_static(value));
            vary_by_cookie(&mut headers);
            assert_eq!(headers.get_all(VARY).iter().count(), 1);
        }
        let mut headers = HeaderMap::new();
        headers.insert(VARY, HeaderValue::from_static("accept"));
        vary_by_cookie(&mut headers);
        vary_by_cookie(&mut headers);
        assert_eq!(headers.get_all(VARY).iter().count(), 2);
    }
}
