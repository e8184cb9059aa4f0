//! Limits and options for reading.

/// Limits on the resources that a hostile text can use.
///
/// ```
/// use serde_devalue::{Document, ErrorKind, Limits};
///
/// let limits = Limits { size: 16, ..Limits::default() };
/// let error = Document::parse_with("[\"a text of more than sixteen bytes\"]", limits).unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::TooLarge);
/// ```
///
/// Parsing uses at most about three times the size of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of the text in bytes. The default is 64 MiB, the maximum 2 GiB.
    pub size: usize,
    /// The maximum nesting of values that are converted to a Rust type or a [`Value`](crate::Value), or written again. The
    /// default is 512. JavaScript's own reader overflows its stack between 1,000 and 5,000.
    ///
    /// The syntax itself may always nest 512 levels deep. Devalue writes two levels.
    pub depth: usize,
    /// The maximum expansion of shared references, in values plus string bytes beyond the size of the text. The default
    /// is 4 Mi. A text without shared references never reaches it.
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

/// Options for reading: limits and custom tags.
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
/// As in devalue without a reviver, decoding a value with an undeclared tag is an error.
#[derive(Clone, Debug, Default)]
pub struct ParseOptions {
    pub(crate) limits: Limits,
    pub(crate) custom_tags: Vec<Box<str>>,
    pub(crate) any_tag: bool,
}

impl ParseOptions {
    /// Creates options with the default limits and no custom tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the limits.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Accepts values with this custom tag.
    #[must_use]
    pub fn custom_tag(mut self, tag: impl Into<Box<str>>) -> Self {
        self.custom_tags.push(tag.into());
        self
    }

    /// Accepts values with any tag, for tools that only forward them.
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
