//! What a reader accepts.

/// How much a hostile text may cost its reader.
///
/// ```
/// use serde_devalue::{Document, ErrorKind, Limits};
///
/// let limits = Limits { size: 16, ..Limits::default() };
/// let error = Document::parse_with("[\"a text of more than sixteen bytes\"]", limits).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TooLarge);
/// ```
///
/// The memory that parsing takes is at most about three times the text's size, whatever is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many bytes the text may have: 64 MiB by default, 2 GiB at most.
    pub size: usize,
    /// How deeply values may be nested when they are turned into a Rust type or a [`Value`](crate::Value), or written
    /// anew: 512 by default. JavaScript's own reader overflows its stack somewhere between 1,000 and 5,000.
    ///
    /// The syntax itself may nest 512 deep in any case; what devalue writes nests two deep.
    pub depth: usize,
    /// How much shared references may expand, in values plus bytes of strings beyond the size of the text: 4 Mi by
    /// default. A text without shared references never meets it, however large.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 64 << 20,
            depth: 512,
            expansion: 4 << 20,
        }
    }
}

/// How to read: limits, and the tags that are known beyond the format's own.
///
/// ```
/// use serde_devalue::{Document, Kind, ParseOptions};
///
/// let options = ParseOptions::new().custom_tag("Money");
/// let document = Document::parse_with(r#"[["Money",1],1250]"#, options)?;
/// assert_eq!(document.root().kind(), Kind::Custom);
/// assert_eq!(document.root().deserialize::<u32>()?, 1250);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// As in devalue, where a reviver does this, a tag that nobody declared is an error when the value is decoded.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    pub(crate) limits: Limits,
    pub(crate) custom_tags: Vec<Box<str>>,
    pub(crate) any_tag: bool,
}

impl ParseOptions {
    /// The default limits, and no tag beyond the format's own.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads under these limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Accepts values with this tag, one of an application's own.
    #[must_use]
    pub fn custom_tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.custom_tags.push(tag.into());
        self
    }

    /// Accepts values with any tag: for a tool that only passes them on.
    #[must_use]
    pub fn any_custom_tag(mut self) -> Self {
        self.any_tag = true;
        self
    }

    pub(crate) fn accepts(&self, tag: &str) -> bool {
        self.any_tag || self.custom_tags.iter().any(|known| **known == *tag)
    }
}

impl From<Limits> for ParseOptions {
    fn from(limits: Limits) -> Self {
        Self::new().limits(limits)
    }
}
