//! Keys and key prefixes, normalised like those of unstorage.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::{Error, ErrorKind, Fingerprint};

/// A normalised key, which is never empty.
///
/// ```
/// use session_core::Key;
///
/// assert_eq!(Key::new("/users/42?tab=1")?.as_str(), "users:42");
/// assert!(Key::new("::").is_err());
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// Segments are separated by `:`. Keys are normalised like `normalizeKey` of unstorage: the first `?` and the text after
/// it are dropped, `/` and `\` become `:`, runs of `:` become one, and a leading or trailing `:` is removed. Nothing is
/// trimmed, lower-cased or percent-decoded. `..` is an ordinary segment; a driver for which it is special rejects it.
///
/// The key of a session is a secret, so `Debug` shows a [`Fingerprint`] and there is no `Display`. A key of up to 38
/// bytes, such as a session id, needs no allocation.
#[derive(Clone)]
pub struct Key(Repr);

const INLINE: usize = 38;

#[derive(Clone)]
enum Repr {
    /// UTF-8 in the first `len` bytes.
    Inline {
        len: u8,
        bytes: [u8; INLINE],
    },
    Shared(Arc<str>),
}

impl Key {
    /// Normalises `key`; an error of kind [`ErrorKind::InvalidKey`] if the result is empty.
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

    /// Makes a key from a text that is normalised and not empty.
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

    /// Makes a key from a short ASCII text that is normalised.
    #[cfg(feature = "session")]
    pub(crate) fn of_ascii<const LEN: usize>(text: &[u8; LEN]) -> Self {
        const { assert!(0 < LEN && LEN <= INLINE) };
        let mut bytes = [0; INLINE];
        if let Some(place) = bytes.first_chunk_mut() {
            *place = *text;
        }
        let len = LEN as u8;
        Self(Repr::Inline { len, bytes })
    }

    /// Returns the normalised text. The key of a session is a secret: do not log it.
    #[inline]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Repr::Inline { .. } => std::str::from_utf8(self.as_bytes()).unwrap_or_default(),
            Repr::Shared(text) => text,
        }
    }

    /// Returns the normalised text as UTF-8 bytes, to compare or hash it.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Repr::Inline { len, bytes } => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Repr::Shared(text) => text.as_bytes(),
        }
    }

    /// Returns a fingerprint, which identifies the key in logs without revealing it.
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
    /// Compares the texts.
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

/// A common start of keys, which ends at a segment boundary.
///
/// ```
/// use session_core::{Key, Prefix};
///
/// let app = Prefix::new("app:")?;
/// assert!(app.contains(&Key::new("app:user")?));
/// assert!(!app.contains(&Key::new("app2:user")?));
/// assert!(!app.contains(&Key::new("app")?));
/// # Ok::<(), session_core::Error>(())
/// ```
///
/// It is normalised like a [`Key`]. The empty prefix is the root, which contains every key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// Returns the prefix of every key.
    pub fn root() -> Self {
        Self::default()
    }

    /// Normalises `prefix`. A text without a name, such as the empty one, is the root.
    ///
    /// ```
    /// use session_core::Prefix;
    ///
    /// assert_eq!(Prefix::new("/app/users/")?.as_str(), "app:users");
    /// assert!(Prefix::new("?app").is_err());
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// A text of which a part would be dropped or could be resolved is an error of kind
    /// [`InvalidKey`](ErrorKind::InvalidKey): `?app` would mean every key, `tenant?1` would be `tenant`, and `.` and `..`
    /// are places for some backends. [`Prefix::from`] takes any key.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        Self::of_kind(prefix, ErrorKind::InvalidKey)
    }

    fn of_kind(prefix: &str, kind: ErrorKind) -> Result<Self, Error> {
        let mut names = prefix.split(SEPARATORS);
        if prefix.contains('?') || names.any(|name| matches!(name, "." | "..")) {
            let message = format!(
                "the prefix {prefix:?} contains `?`, `.` or `..`; use names separated by `:`"
            );
            return Err(Error::new(kind, message));
        }
        if is_normalised(prefix) {
            return Ok(Self(prefix.into()));
        }
        Ok(Self(normalise(prefix).into()))
    }

    /// Parses the `prefix` option of a driver. The empty string is the root, and a trailing `:` is optional.
    ///
    /// ```
    /// use session_core::Prefix;
    ///
    /// assert_eq!(Prefix::from_option("app:sessions")?.as_str(), "app:sessions");
    /// assert!(Prefix::from_option("?app").is_err());
    /// assert!(Prefix::from_option("..").is_err());
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// A text that [`new`](Self::new) refuses, or that normalising changes in any other way, is an error of kind
    /// [`InvalidConfig`](crate::ErrorKind::InvalidConfig).
    pub fn from_option(prefix: &str) -> Result<Self, Error> {
        let normalised = Self::of_kind(prefix, ErrorKind::InvalidConfig)?;
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

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the normalised text, without a trailing `:`; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns whether `key` is below this prefix. A key that equals the prefix is not.
    pub fn contains(&self, key: &Key) -> bool {
        self.is_root() || self.rest(key).is_some()
    }

    /// Returns `key` with this prefix in front.
    pub fn join(&self, key: &Key) -> Key {
        if self.is_root() {
            return key.clone();
        }
        Key::from_normalised(&[&*self.0, ":", key.as_str()].concat())
    }

    /// Returns `inner` with this prefix in front.
    #[must_use]
    pub fn join_prefix(&self, inner: &Self) -> Self {
        match (self.is_root(), inner.is_root()) {
            (true, _) => inner.clone(),
            (_, true) => self.clone(),
            _ => Self([&*self.0, ":", &*inner.0].concat().into()),
        }
    }

    /// Returns `key` without this prefix; `None` if it is not below the prefix.
    pub fn strip(&self, key: &Key) -> Option<Key> {
        if self.is_root() {
            return Some(key.clone());
        }
        self.rest(key).map(Key::from_normalised)
    }

    /// Returns `inner` without this prefix; `None` if it neither equals this prefix nor is below it.
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

/// The keys below a key.
impl From<&Key> for Prefix {
    fn from(key: &Key) -> Self {
        Self(key.as_str().into())
    }
}

const SEPARATORS: [char; 3] = [':', '/', '\\'];

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
    for segment in path.split(SEPARATORS).filter(|segment| !segment.is_empty()) {
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

    /// Written by `normalizeKey` of unstorage 1.17.6 and 2.0.0-beta.0.
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
            let is_refused = input.contains('?') || input.contains("..");
            match Prefix::new(input) {
                Ok(prefix) => {
                    assert_eq!(prefix.as_str(), expected, "{input:?}");
                    assert!(!is_refused, "{input:?}");
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::InvalidKey);
                    assert!(is_refused, "{input:?}");
                }
            }
        }
    }

    #[test]
    fn a_prefix_that_would_mean_another_is_an_error() {
        for prefix in ["?", "?app", "tenant?1", ".", "..", "a/..", "a:.:b", "..\\a"] {
            let error = Prefix::new(prefix).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidKey, "{prefix:?}");
            let error = Prefix::from_option(prefix).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidConfig, "{prefix:?}");
        }
        for prefix in ["...", "a.b", ".a", "a..", "$"] {
            assert_eq!(Prefix::new(prefix).unwrap().as_str(), prefix);
        }
        for root in ["", ":", "/"] {
            assert!(Prefix::new(root).unwrap().is_root());
        }
        let dots = Key::new("..:a").unwrap();
        assert!(Prefix::from(&Key::new("..").unwrap()).contains(&dots));
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
        let prefix = Prefix::new("app").unwrap();
        for (key, inside) in [("app:a", true), ("app2:a", false), ("app", false)] {
            assert_eq!(prefix.contains(&Key::new(key).unwrap()), inside, "{key}");
        }
        assert!(Prefix::root().contains(&Key::new("app").unwrap()));
    }

    #[test]
    fn strip_undoes_join() {
        let prefix = Prefix::new("a:b").unwrap();
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
            let prefix = |text| Prefix::new(text).unwrap();
            let below = prefix(outer).strip_prefix(&prefix(inner));
            assert_eq!(below, rest.map(prefix), "{outer:?} {inner:?}");
        }
    }
}
