//! URLs.

use std::fmt;

use crate::error::{Error, ErrorKind};

/// A URL in the normal form of browsers and Node.
///
/// ```
/// use serde_devalue::Url;
///
/// let url = Url::parse("https://EXAMPLE.com/a/../b")?;
/// assert_eq!(url.as_str(), "https://example.com/b");
/// assert!(Url::parse("/b").is_err());
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// It is parsed by the crate `url`. In other formats it serializes as a string.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Url(Box<str>);

impl Url {
    /// Parses and normalises an absolute URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        match ::url::Url::parse(text) {
            Ok(url) => Ok(Self(String::from(url).into())),
            Err(_) => Err(Error::new(ErrorKind::Data, None, "not an absolute URL")),
        }
    }

    /// Takes the text of a URL that JavaScript wrote. It is normalised if that cannot damage it.
    ///
    /// JavaScript accepts some host names that the crate `url` does not, and keeps the slashes of a file's path.
    pub(crate) fn written(text: &str) -> Option<Self> {
        let (scheme, _) = text.split_once(':')?;
        let is_scheme = scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
        match Self::parse(text) {
            Ok(url) if !scheme.eq_ignore_ascii_case("file") => Some(url),
            _ => is_scheme.then(|| Self(text.into())),
        }
    }

    /// Returns the URL as a string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Url({:?})", self.0)
    }
}

impl std::str::FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl From<Url> for String {
    fn from(url: Url) -> Self {
        url.0.into()
    }
}

/// Normalises search parameters like `new URLSearchParams(text).toString()`.
pub(crate) fn normalize_search_params(text: &str) -> String {
    let text = text.strip_prefix('?').unwrap_or(text);
    ::url::form_urlencoded::Serializer::new(String::with_capacity(text.len()))
        .extend_pairs(::url::form_urlencoded::parse(text.as_bytes()))
        .finish()
}
