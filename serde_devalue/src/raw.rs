//! The entries of a document as they stand in its text.

use std::fmt;

use crate::document::{Inner, NodeId};
use crate::entry::{Entries, Slot};

/// The entries of a [`Document`](crate::Document) as they stand in its text, for what reads or copies them by their form.
///
/// ```
/// let document = serde_devalue::Document::parse(r#"[{"user":1},"Ann"]"#)?;
/// let raw = document.raw();
/// assert_eq!(raw.text(0), Some(r#"{"user":1}"#));
/// assert_eq!(raw.plain_str(1), Some("Ann"));
/// assert_eq!(document.node(raw.id(1).unwrap()).as_str().as_deref(), Some("Ann"));
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// Their syntax has been checked, and nothing else. `Debug` shows their number only, since the data may be secret.
#[derive(Clone, Copy)]
pub struct RawEntries<'a>(Entries<'a, 'a>);

impl<'a> RawEntries<'a> {
    #[inline]
    pub(crate) fn new(document: &'a Inner) -> Self {
        Self(document.entries())
    }

    /// How many there are; none if the text is one of the numbers that stand for a value by themselves.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of the entry of this number: JSON, without white space around it.
    #[inline]
    pub fn text(&self, index: u32) -> Option<&'a str> {
        self.0.entry_text(index)
    }

    /// The string that the entry of this number is, if it is one and stands there without escapes.
    #[inline]
    pub fn plain_str(&self, index: u32) -> Option<&'a str> {
        self.0.plain_str(index)
    }

    /// The name of the entry of this number within its document, if there is one.
    #[inline]
    pub fn id(&self, index: u32) -> Option<NodeId> {
        ((index as usize) < self.len()).then(|| NodeId(Slot::of_entry(index)))
    }
}

impl fmt::Debug for RawEntries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawEntries")
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}
