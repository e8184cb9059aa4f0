//! The raw entries of a document.

use std::fmt;

use crate::document::{Inner, NodeId};
use crate::entry::{Entries, Slot};

/// The raw entries of a [`Document`](crate::Document), for code that inspects or copies their text.
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
/// Only their syntax is checked. `Debug` shows only their number, since the data may be secret.
#[derive(Clone, Copy)]
pub struct RawEntries<'a>(Entries<'a, 'a>);

impl<'a> RawEntries<'a> {
    #[inline]
    pub(crate) fn new(document: &'a Inner) -> Self {
        Self(document.entries())
    }

    /// Returns the number of entries. It is 0 if the text is a single number, which represents a special value.
    #[inline]
    pub fn len(&self) -> usize {
        self.0.count()
    }

    /// Returns `true` if there are no entries.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the text of the entry with this index: JSON without surrounding white space.
    #[inline]
    pub fn text(&self, index: u32) -> Option<&'a str> {
        self.0.entry_text(index)
    }

    /// Returns the entry with this index if it is a string without escapes.
    #[inline]
    pub fn plain_str(&self, index: u32) -> Option<&'a str> {
        self.0.plain_str(index)
    }

    /// Returns the id of the entry with this index, if it exists.
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
