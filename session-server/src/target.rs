//! The path of a request: which item or base it names.

use http::Method;
use percent_encoding::percent_decode_str;
use session_core::{Key, Prefix};

use crate::authorization::AccessTarget;
use crate::response::Rejection;

/// What a request of `method` for `path` reads or changes.
///
/// The path is percent-decoded once. Encoded separators are separators, too. A path that ends with a separator is a base,
/// unless the method cannot address one.
pub(crate) fn of(method: &Method, path: &str, max_key: usize) -> Result<AccessTarget, Rejection> {
    let decoded = percent_decode_str(path)
        .decode_utf8()
        .map_err(|_| Rejection::bad_request("the key is not UTF-8"))?;
    if decoded.len() > max_key + 2 {
        return Err(Rejection::key_too_long());
    }
    if decoded.contains('?') {
        return Err(Rejection::bad_request("a key must not contain `?`"));
    }
    let is_base = path.is_empty() || path.ends_with([':', '/']);
    if is_base && matches!(*method, Method::GET | Method::DELETE) {
        return match Prefix::new(&decoded) {
            Ok(base) => Ok(AccessTarget::Below(base)),
            Err(_) => Err(Rejection::bad_request(
                "a base must not contain `.` or `..`",
            )),
        };
    }
    if !is_base && decoded.ends_with([':', '/', '\\']) {
        let message = "an encoded separator at the end is ambiguous; send `/` or `:` unencoded";
        return Err(Rejection::bad_request(message));
    }
    match Key::new(&decoded) {
        Ok(key) => Ok(AccessTarget::Item(key)),
        // There is no item without a name.
        Err(_) if *method == Method::HEAD => Err(Rejection::not_found()),
        Err(_) => Err(Rejection::bad_request("the key is empty")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The key of an item, or the prefix and `:`.
    fn name(method: &Method, path: &str) -> Result<String, u16> {
        match of(method, path, 64) {
            Ok(AccessTarget::Item(key)) => Ok(key.as_str().to_owned()),
            Ok(AccessTarget::Below(base)) => Ok(format!("{}:", base.as_str())),
            Err(rejection) => Err(rejection.into_response().status().as_u16()),
        }
    }

    #[test]
    fn paths_are_keys_and_bases() {
        for (path, expected) in [
            ("/a/b", "a:b"),
            ("/a:b", "a:b"),
            ("//a///b", "a:b"),
            ("/sp%20ace/%C3%BC", "sp ace:ü"),
            ("/100%", "100%"),
            ("/a%zzb", "a%zzb"),
            ("/a%252Fb", "a%2Fb"),
            ("/a%2Fb%3Ac%5Cd", "a:b:c:d"),
            ("/..%2f..%2fetc/passwd", "..:..:etc:passwd"),
            ("/../x", "..:x"),
            ("/a$", "a$"),
            ("/a%00b", "a\0b"),
            ("", ":"),
            ("/", ":"),
            ("/:", ":"),
            ("/a/", "a:"),
            ("/a:", "a:"),
            ("/a/:", "a:"),
            ("/a%2Fb/", "a:b:"),
        ] {
            assert_eq!(name(&Method::GET, path), Ok(expected.to_owned()), "{path}");
        }
    }

    #[test]
    fn an_invalid_key_is_rejected() {
        let long = format!("/{}", "x".repeat(70));
        for (path, status) in [
            ("/a%3Fb", 400),
            ("/%ff", 400),
            ("/a%2F", 400),
            ("/a%3A", 400),
            ("/%5C", 400),
            ("/../", 400),
            ("/a/%2e/", 400),
            (long.as_str(), 414),
        ] {
            assert_eq!(name(&Method::GET, path), Err(status), "{path}");
        }
    }

    #[test]
    fn a_method_that_cannot_address_a_base_addresses_the_item_of_its_name() {
        for method in [Method::PUT, Method::HEAD] {
            for path in ["/a/", "/a:", "/a/:"] {
                assert_eq!(name(&method, path), Ok("a".to_owned()), "{method} {path}");
            }
        }
        assert_eq!(name(&Method::PUT, "/"), Err(400));
        assert_eq!(name(&Method::HEAD, "/"), Err(404));
    }
}
