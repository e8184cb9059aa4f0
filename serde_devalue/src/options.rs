//! How to write.

/// How to write: for which version of devalue, with which form of URL, and how deep.
///
/// ```
/// use serde_devalue::{Url, WriteOptions, to_string_with};
///
/// let url = Url::parse("https://example.com")?;
/// assert_eq!(to_string_with(&url, WriteOptions::new())?, r#"[["URL","https://example.com/"]]"#);
/// assert_eq!(to_string_with(&url, WriteOptions::astro())?, r#"[["URL",1],"https://example.com/"]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    pub(crate) version: Version,
    pub(crate) url: UrlForm,
    pub(crate) depth: usize,
}

/// Whose bytes to write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// Those that end up in a store when devalue 5 writes, which differ in one thing only: a lone surrogate becomes
    /// U+FFFD. This loses data, as it does there.
    V5,
    /// Those of devalue 6, which keeps a lone surrogate as an escape. Devalue 5 reads that rightly, too.
    #[default]
    V6,
}

/// How to write a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlForm {
    /// `["URL","href"]`, devalue's own.
    #[default]
    Inline,
    /// `["URL",index]` with the text as an entry of its own: what Astro's reducer makes of it.
    Reference,
}

impl WriteOptions {
    /// What `devalue.stringify` of version 6 writes.
    pub fn new() -> Self {
        Self::default()
    }

    /// What Astro writes into its sessions, but for lone surrogates, which are kept: [`UrlForm::Reference`].
    pub fn astro() -> Self {
        Self::new().url(UrlForm::Reference)
    }

    /// For this version of devalue.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// With this form of URL.
    #[must_use]
    pub fn url(mut self, url: UrlForm) -> Self {
        self.url = url;
        self
    }

    /// Refuses what is nested deeper than this: 512 by default. JavaScript's reader overflows its stack somewhere
    /// between 1,000 and 5,000.
    #[must_use]
    pub fn depth(mut self, depth: usize) -> Self {
        self.depth = depth;
        self
    }
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            version: Version::default(),
            url: UrlForm::default(),
            depth: 512,
        }
    }
}
