//! Converts keys to paths of the protocol, and back.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use session_core::{Error, ErrorKind, Key, Prefix, Result};

use crate::Dialect;

/// The characters that are percent-encoded in a path.
///
/// They are those that the URL standard encodes, and `%` and `#`. Servers decode the path once.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// The path of an item.
pub(crate) fn item(key: &Key) -> Result<String> {
    join(key.as_str().split(':'))
}

fn join<'s>(segments: impl Iterator<Item = &'s str>) -> Result<String> {
    let mut path = String::new();
    for segment in segments {
        if matches!(segment, "." | "..") {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "a segment of the key is `.` or `..`, which a URL cannot contain; use another key",
            ));
        }
        path.push('/');
        path.extend(utf8_percent_encode(segment, ENCODED));
    }
    Ok(path)
}

/// The path that lists the items below a prefix, and possibly more.
///
/// unstorage's `redis` driver treats brackets as a pattern that does not match itself, so the path stops before them.
pub(crate) fn listing(prefix: &Prefix, dialect: Dialect) -> Result<String> {
    let is_pattern = |segment: &&str| dialect != Dialect::SessionServer && segment.contains('[');
    let segments = prefix
        .as_str()
        .split(':')
        .filter(|segment| !segment.is_empty());
    Ok(join(segments.take_while(|segment| !is_pattern(segment)))? + "/:")
}

/// The key of an item in a listing; `None` if it is not normalised, since unstorage did not write it then.
pub(crate) fn listed(name: &str) -> Option<Key> {
    let expected = name.replace('/', ":");
    let key = Key::new(&expected).ok()?;
    (key.as_str() == expected).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_become_paths_that_a_url_does_not_change() {
        for (key, path) in [
            ("a:b", "/a/b"),
            ("sp ace:ü", "/sp%20ace/%C3%BC"),
            ("50%", "/50%25"),
            ("#h", "/%23h"),
            ("a%2Fb", "/a%252Fb"),
            ("x..:.y", "/x../.y"),
            ("a@b+c&d=e;f,g", "/a@b+c&d=e;f,g"),
            ("a\nb\0", "/a%0Ab%00"),
        ] {
            let name = key.replace(':', "/");
            let key = Key::new(key).unwrap();
            assert_eq!(item(&key).unwrap(), path);
            assert_eq!(listed(&name), Some(key));
        }
    }

    #[test]
    fn keys_that_cannot_be_sent_are_refused() {
        for key in ["..", "..:x", "x:..:y", ".", "a:."] {
            let key = Key::new(key).unwrap();
            assert_eq!(item(&key).unwrap_err().kind(), ErrorKind::InvalidKey);
        }
    }

    #[test]
    fn a_listing_path_ends_with_a_colon() {
        assert_eq!(listing(&Prefix::root(), Dialect::V1).unwrap(), "/:");
        assert_eq!(
            listing(&Prefix::new("a:b").unwrap(), Dialect::V1).unwrap(),
            "/a/b/:"
        );
        assert_eq!(
            listing(&Prefix::new("a:[b]:c").unwrap(), Dialect::V1).unwrap(),
            "/a/:"
        );
        let whole = listing(&Prefix::new("a:[b]:c").unwrap(), Dialect::SessionServer);
        assert_eq!(whole.unwrap(), "/a/[b]/c/:");
        assert_eq!(
            listing(&Prefix::new("a$").unwrap(), Dialect::V1).unwrap(),
            "/a$/:"
        );
    }

    #[test]
    fn names_that_are_not_normalised_are_not_listed() {
        for name in ["", "/", "a//b", "a?b"] {
            assert_eq!(listed(name), None, "{name}");
        }
    }
}
