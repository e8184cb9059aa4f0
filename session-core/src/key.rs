use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Error, ErrorKind, Fingerprint};

/// A normalised, never empty key.
///
/// ```
/// use session_core::Key;
///
/// assert_eq!(Key::new("/users/42?tab=1")?.as_str(), "users:42");
/// assert!(Key::new("::").is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Segments are separated by `:`. Normalisation is that of unstorage's public `normalizeKey`: what
/// follows the first `?` is dropped, `/` and `\` become `:`, runs of `:` become one, one leading and
/// one trailing `:` go. Nothing is trimmed, lower-cased or percent-decoded, and `..` is an ordinary
/// segment (a driver for which it is special refuses it).
///
/// A session's key is its secret, so `Debug` shows a [`Fingerprint`] and there is no `Display`. One of up to 38 bytes,
/// as a session's is without a base, is no allocation.
#[derive(Clone)]
pub struct Key(Repr);

const INLINE: usize = 38;

#[derive(Clone)]
enum Repr {
    /// UTF-8, in as many of the bytes.
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Arc<str>),
}

impl Key {
    /// Normalises `key`; an error of kind [`ErrorKind::InvalidKey`] if nothing is left of it.
    pub fn new(key: &str) -> Result<Self, Error> {
        if is_normalised(key) {
            return Ok(Self::from_normalised(key));
        }
        let normalised = normalise(key);
        if normalised.is_empty() {
            return Err(Error::new(
                ErrorKind::InvalidKey,
                "the key is empty once it is normalised; give it at least one character other \
                 than `:`, `/` and `\\` before any `?`",
            ));
        }
        Ok(Self::from_normalised(&normalised))
    }

    /// The key of a text that is known to be normalised and not empty.
    #[inline]
    pub(crate) fn from_normalised(text: &str) -> Self {
        debug_assert!(is_normalised(text));
        let mut bytes = [0; INLINE];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text.as_bytes());
                Self(Repr::Inline { len, bytes })
            }
            _ => Self(Repr::Shared(text.into())),
        }
    }

    /// The normalised text. Take care where it goes: a session's key is its secret.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Shared(text) => text,
        }
    }

    /// The same in UTF-8, for what only compares or hashes it.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared(text) => text.as_bytes(),
        }
    }

    /// A mark that identifies the key in logs without giving it away.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(self.as_bytes())
    }
}

impl PartialEq for Key {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for Key {}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Key {
    /// That of the texts.
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.fingerprint())
    }
}

/// The start of a family of keys, which ends at a segment boundary.
///
/// ```
/// use session_core::{Key, Prefix};
///
/// let app = Prefix::new("app:");
/// assert!(app.contains(&Key::new("app:user")?));
/// assert!(!app.contains(&Key::new("app2:user")?));
/// assert!(!app.contains(&Key::new("app")?));
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Normalised as a [`Key`] is; the empty prefix is the root and contains every key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// The prefix of every key.
    pub fn root() -> Self {
        Self::default()
    }

    /// Normalises `prefix`; nothing left of it is the root.
    pub fn new(prefix: &str) -> Self {
        if is_normalised(prefix) {
            return Self(prefix.into());
        }
        Self(normalise(prefix).into())
    }

    /// The prefix that an option of a driver names. Empty is the root, and a trailing `:` may be left out.
    ///
    /// ```
    /// use session_core::Prefix;
    ///
    /// assert_eq!(Prefix::from_option("app:sessions")?.as_str(), "app:sessions");
    /// assert!(Prefix::from_option("?app").is_err());
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// An error of kind [`InvalidConfig`](crate::ErrorKind::InvalidConfig) if normalising changes the text: a prefix
    /// such as `?app` would otherwise mean every key.
    pub fn from_option(prefix: &str) -> Result<Self, Error> {
        let normalised = Self::new(prefix);
        if normalised.as_str() == prefix.strip_suffix(':').unwrap_or(prefix) {
            return Ok(normalised);
        }
        let means = match normalised.is_root() {
            true => "no prefix at all".to_owned(),
            false => format!("`{}`", normalised.as_str()),
        };
        Err(Error::new(
            ErrorKind::InvalidConfig,
            format!("the prefix {prefix:?} would mean {means}; use names separated by `:`"),
        ))
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The normalised text, without a trailing `:`; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `key` lies below this prefix. The key that equals the prefix does not.
    pub fn contains(&self, key: &Key) -> bool {
        self.is_root() || self.rest(key).is_some()
    }

    /// The key `key` below this prefix.
    pub fn join(&self, key: &Key) -> Key {
        if self.is_root() {
            return key.clone();
        }
        Key::from_normalised(&[&*self.0, ":", key.as_str()].concat())
    }

    /// The prefix `inner` below this one.
    #[must_use]
    pub fn join_prefix(&self, inner: &Self) -> Self {
        match (self.is_root(), inner.is_root()) {
            (true, _) => inner.clone(),
            (_, true) => self.clone(),
            _ => Self([&*self.0, ":", &*inner.0].concat().into()),
        }
    }

    /// What is left of `key` without this prefix; `None` if it does not lie below it.
    pub fn strip(&self, key: &Key) -> Option<Key> {
        if self.is_root() {
            return Some(key.clone());
        }
        self.rest(key).map(Key::from_normalised)
    }

    /// What is left of the prefix `inner` without this one; `None` if it is neither this one nor below it.
    pub fn strip_prefix(&self, inner: &Self) -> Option<Self> {
        if self.is_root() {
            return Some(inner.clone());
        }
        match inner.0.strip_prefix(&*self.0)? {
            "" => Some(Self::root()),
            rest => rest.strip_prefix(':').map(|rest| Self(rest.into())),
        }
    }

    fn rest<'k>(&self, key: &'k Key) -> Option<&'k str> {
        let rest = key.as_str().strip_prefix(&*self.0)?.strip_prefix(':')?;
        (!rest.is_empty()).then_some(rest)
    }
}

fn is_normalised(text: &str) -> bool {
    let mut after_separator = true;
    for byte in text.bytes() {
        match byte {
            b'?' | b'/' | b'\\' => return false,
            b':' if after_separator => return false,
            _ => after_separator = byte == b':',
        }
    }
    !after_separator
}

fn normalise(text: &str) -> String {
    let path = text.split('?').next().unwrap_or_default();
    let mut normalised = String::with_capacity(path.len());
    for segment in path
        .split([':', '/', '\\'])
        .filter(|segment| !segment.is_empty())
    {
        if !normalised.is_empty() {
            normalised.push(':');
        }
        normalised.push_str(segment);
    }
    normalised
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `normalizeKey` of unstorage 1.17.5 and 2.0.0-alpha.8.
    const GOLDEN: [(&str, &str); 21] = [
        ("foo", "foo"),
        ("/foo/bar", "foo:bar"),
        ("foo\\bar", "foo:bar"),
        ("foo::bar", "foo:bar"),
        (":foo:", "foo"),
        (" foo ", " foo "),
        ("foo?q=1", "foo"),
        ("?q", ""),
        ("foo/?x", "foo"),
        ("a//b///c", "a:b:c"),
        ("/", ""),
        (":", ""),
        ("::", ""),
        ("foo$", "foo$"),
        ("foo$/", "foo$"),
        ("FOO", "FOO"),
        ("../x", "..:x"),
        ("a%2Fb", "a%2Fb"),
        ("#h", "#h"),
        ("a/:/b", "a:b"),
        ("foo/bar?x=1:2", "foo:bar"),
    ];

    #[test]
    fn keys_are_normalised_as_unstorage_does() {
        for (input, expected) in GOLDEN {
            match Key::new(input) {
                Ok(key) => assert_eq!(key.as_str(), expected, "{input:?}"),
                Err(error) => {
                    assert_eq!(expected, "", "{input:?}");
                    assert_eq!(error.kind(), ErrorKind::InvalidKey);
                }
            }
            assert_eq!(Prefix::new(input).as_str(), expected, "{input:?}");
        }
    }

    #[test]
    fn keys_of_any_length_hold_their_text_and_compare_by_it() {
        let mut keys = Vec::new();
        for length in [1, INLINE - 2, INLINE - 1, INLINE, INLINE + 1, 1_000] {
            for text in ["a".repeat(length), format!("{}é", "a".repeat(length))] {
                let key = Key::new(&text).unwrap();
                assert_eq!(key.as_str(), text);
                assert_eq!(key, Key::new(&format!(":{text}")).unwrap());
                keys.push(key);
            }
        }
        let mut texts: Vec<_> = keys.iter().map(|key| key.as_str().to_owned()).collect();
        keys.sort();
        texts.sort();
        assert!(keys.iter().map(Key::as_str).eq(&texts));
        keys.dedup();
        assert_eq!(keys.len(), texts.len());
    }

    #[test]
    fn debug_of_a_key_does_not_show_it() {
        let key = Key::new("secret-session-id").unwrap();
        assert!(!format!("{key:?}").contains("secret"));
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        let prefix = Prefix::new("app");
        for (key, inside) in [("app:a", true), ("app2:a", false), ("app", false)] {
            assert_eq!(prefix.contains(&Key::new(key).unwrap()), inside, "{key}");
        }
        assert!(Prefix::root().contains(&Key::new("app").unwrap()));
    }

    #[test]
    fn strip_undoes_join() {
        let prefix = Prefix::new("a:b");
        let key = Key::new("c:d").unwrap();
        assert_eq!(prefix.strip(&prefix.join(&key)), Some(key));
    }

    #[test]
    fn prefixes_are_below_one_another_at_segments() {
        for (outer, inner, rest) in [
            ("", "a", Some("a")),
            ("a", "a", Some("")),
            ("a", "a:b:c", Some("b:c")),
            ("a", "ab", None),
            ("a:b", "a", None),
        ] {
            let below = Prefix::new(outer).strip_prefix(&Prefix::new(inner));
            assert_eq!(below, rest.map(Prefix::new), "{outer:?} {inner:?}");
        }
    }
}
