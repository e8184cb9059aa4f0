use std::fmt;

use crate::{Key, Prefix};

/// How many keys a page asks for when nobody says.
pub const DEFAULT_PAGE_SIZE: usize = 1_000;

/// Which keys to list, from where, and how many at once.
///
/// ```
/// use session_core::{ListOptions, Prefix};
///
/// let options = ListOptions::below(Prefix::new("users")).with_limit(100);
/// assert_eq!(options.limit, 100);
/// ```
#[derive(Clone, Debug)]
pub struct ListOptions {
    /// List the keys below this prefix.
    pub prefix: Prefix,
    /// Go on after the page that gave this cursor; `None` starts.
    pub cursor: Option<Cursor>,
    /// About how many keys a page holds; a backend that pages in its own way may give some more.
    pub limit: usize,
}

impl ListOptions {
    /// The first page of the keys below `prefix`.
    pub fn below(prefix: Prefix) -> Self {
        Self {
            prefix,
            cursor: None,
            limit: DEFAULT_PAGE_SIZE,
        }
    }

    /// Sets about how many keys a page holds; zero is taken as one.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Goes on after the page that gave `cursor`.
    #[must_use]
    pub fn after(mut self, cursor: Cursor) -> Self {
        self.cursor = Some(cursor);
        self
    }
}

impl Default for ListOptions {
    fn default() -> Self {
        Self::below(Prefix::root())
    }
}

/// Some of the keys asked for, and where to go on.
#[derive(Clone, Debug, Default)]
pub struct ListPage {
    /// The keys; may be empty even though more pages follow.
    pub keys: Vec<Key>,
    /// Where the next page starts; `None` after the last one.
    pub next: Option<Cursor>,
}

/// An opaque place in a listing, good for the driver and the prefix that gave it.
///
/// `Debug` hides it, since some backends make it of a key.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor that only the driver which makes it understands.
    pub fn new(cursor: impl Into<String>) -> Self {
        Self(cursor.into())
    }

    /// The text that the cursor was made from.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursor(..)")
    }
}
