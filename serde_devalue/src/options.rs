//! Options for writing.

/// Options for writing: the version of devalue, the form of URLs, and the depth limit.
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
    pub(crate) portable: bool,
}

/// The version of devalue whose output to produce.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Version {
    /// The output of devalue 5 after it is stored as UTF-8. The only difference is that a lone surrogate becomes U+FFFD, so
    /// it is lost.
    V5,
    /// The output of devalue 6, which keeps a lone surrogate as an escape. Devalue 5 reads it correctly too.
    #[default]
    V6,
}

/// The form of a URL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlForm {
    /// `["URL","href"]`, the form of devalue.
    #[default]
    Inline,
    /// `["URL",index]` with the text as a separate entry, the form of Astro's reducer.
    Reference,
}

impl WriteOptions {
    /// Creates options for the output of `devalue.stringify` version 6.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates options for the format of Astro's sessions: [`UrlForm::Reference`]. Unlike Astro, it keeps lone surrogates.
    pub fn astro() -> Self {
        Self::new().url(UrlForm::Reference)
    }

    /// Sets the version of devalue.
    #[must_use]
    pub fn version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// Sets the form of URLs.
    #[must_use]
    pub fn url(mut self, url: UrlForm) -> Self {
        self.url = url;
        self
    }

    /// Refuses what a reader may not know: custom tags, and `Temporal`, which Node reads from version 26 on.
    ///
    /// ```
    /// use serde_devalue::{Custom, Value, WriteOptions, to_string_with};
    ///
    /// let money = Custom { tag: "Money".to_owned(), value: 1250.into() };
    /// let options = WriteOptions::new().portable();
    /// assert!(to_string_with(&Value::Custom(Box::new(money)), options).is_err());
    /// ```
    #[must_use]
    pub fn portable(mut self) -> Self {
        self.portable = true;
        self
    }

    /// Sets the maximum nesting. The default is 512. JavaScript's reader overflows its stack between 1,000 and 5,000.
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
            portable: false,
        }
    }
}
