//! The path of a request: which item or base it names.

use percent_encoding::percent_decode_str;
use session_core::{Key, Prefix};

use crate::response::Rejection;

/// What a request reads or changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// A single item.
    Item(Key),
    /// All items below a prefix.
    Base(Prefix),
}

impl Target {
    /// Parses the path of a request. It is percent-decoded once. Encoded separators are separators, too.
    pub(crate) fn of(path: &str, max_key: usize) -> Result<Self, Rejection> {
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(|_| Rejection::bad_request("the key is not UTF-8"))?;
        if decoded.len() > max_key + 2 {
            return Err(Rejection::key_too_long());
        }
        if decoded.contains('?') {
            return Err(Rejection::bad_request("a key must not contain `?`"));
        }
        if path.is_empty() || path.ends_with([':', '/']) {
            return Ok(Self::Base(Prefix::new(&decoded)));
        }
        if decoded.ends_with([':', '/', '\\']) {
            let message = "an encoded separator at the end is ambiguous; send `/` or `:` unencoded";
            return Err(Rejection::bad_request(message));
        }
        Key::new(&decoded)
            .map(Self::Item)
            .map_err(|_| Rejection::bad_request("the key is empty"))
    }

    /// The key in unstorage's notation: a base ends with `:`, and the root is empty.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Item(key) => key.as_str().to_owned(),
            Self::Base(base) if base.is_root() => String::new(),
            Self::Base(base) => format!("{}:", base.as_str()),
        }
    }

    /// The item, for requests that cannot address a base: a base is the item with that key.
    pub(crate) fn as_item(&self) -> Result<Key, Rejection> {
        match self {
            Self::Item(key) => Ok(key.clone()),
            Self::Base(base) => {
                Key::new(base.as_str()).map_err(|_| Rejection::bad_request("the key is empty"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(path: &str) -> Result<String, u16> {
        let target = Target::of(path, 64);
        target
            .map(|target| target.name())
            .map_err(|rejection| rejection.into_response().status().as_u16())
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
            ("", ""),
            ("/", ""),
            ("/:", ""),
            ("/a/", "a:"),
            ("/a:", "a:"),
            ("/a/:", "a:"),
            ("/a%2Fb/", "a:b:"),
        ] {
            assert_eq!(name(path), Ok(expected.to_owned()), "{path}");
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
            (long.as_str(), 414),
        ] {
            assert_eq!(name(path), Err(status), "{path}");
        }
        assert!(Target::of("/", 64).unwrap().as_item().is_err());
        let base = Target::of("/a/", 64).unwrap();
        assert_eq!(base.as_item().unwrap().as_str(), "a");
    }
}
