//! Limits and options for reading.

use std::cell::Cell;

use crate::error::{Error, ErrorKind};

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
/// Time and memory are linear in the size of the text plus `expansion`, whatever the text and whatever reads it. Each visit
/// of a value costs 32 bytes plus the length of its entry, so that references to one large entry cannot multiply the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The maximum size of the text in bytes. The default is 64 MiB, the maximum 2 GiB.
    pub size: usize,
    /// The maximum nesting of values that are converted to a Rust type or a [`Value`](crate::Value), or written again. The
    /// default is 512. JavaScript's own reader overflows its stack between 1,000 and 5,000.
    ///
    /// The syntax itself may always nest 512 levels deep. Devalue writes two levels.
    pub depth: usize,
    /// The memory and work that shared references may add, in bytes. The default is 2 MiB.
    ///
    /// Reading may cost 17 bytes for each byte of the text, plus this much. A text without shared references, or with
    /// references to short values only, never reaches it.
    pub expansion: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            size: 64 << 20,
            depth: 512,
            expansion: 2 << 20,
        }
    }
}

/// The cost of visiting a value besides its text: about the size of a small Rust value.
pub(crate) const VISIT: usize = 32;
/// What a byte of text may cost. A reference takes at least two bytes, so no text is refused for being dense.
const PER_BYTE: usize = 17;

/// What one reading may still cost, in bytes of memory or of text. See [`Limits::expansion`].
pub(crate) struct Budget(Cell<usize>);

impl Budget {
    pub(crate) fn new(text: usize, limits: &Limits) -> Self {
        let base = text.saturating_mul(PER_BYTE);
        Self(Cell::new(base.saturating_add(limits.expansion)))
    }

    #[inline(always)]
    pub(crate) fn charge(&self, cost: usize) -> Result<(), Error> {
        match self.0.get().checked_sub(cost) {
            Some(rest) => {
                self.0.set(rest);
                Ok(())
            }
            None => Err(over_budget()),
        }
    }
}

impl Clone for Budget {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

#[cold]
fn over_budget() -> Error {
    Error::new(
        ErrorKind::TooExpanded,
        None,
        "shared references expand to more than `Limits::expansion`",
    )
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
