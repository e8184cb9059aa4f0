//! Listings of keys, page by page.

use std::fmt;

use crate::{Key, Prefix};

/// How many keys a page of a listing asks for by default: 1,000.
pub const DEFAULT_PAGE_SIZE: usize = 1_000;

/// Which keys to list, where to start, and how many at once.
///
/// ```
/// use session_core::{ListOptions, Prefix};
///
/// let options = ListOptions::below(Prefix::new("users")?).with_limit(100);
/// assert_eq!(options.limit, 100);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListOptions {
    /// List the keys below this prefix.
    pub prefix: Prefix,
    /// Continue after the page that returned this cursor. `None` starts from the beginning.
    pub cursor: Option<Cursor>,
    /// About how many keys a page holds. A backend may return some more or fewer.
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

    /// Sets about how many keys a page holds. Zero means one.
    #[must_use]
    pub fn with_limit(mut self, limit: usize) -> Self {
        self.limit = limit.max(1);
        self
    }

    /// Continues after the page that returned `cursor`.
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

/// Some of the listed keys, and where to continue.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ListPage {
    /// The keys. They may be empty although more pages follow.
    pub keys: Vec<Key>,
    /// Where the next page starts. `None` on the last page.
    pub next: Option<Cursor>,
}

impl ListPage {
    /// A page of `keys`. `next` is where the next page starts; `None` makes it the last one.
    pub fn new(keys: Vec<Key>, next: Option<Cursor>) -> Self {
        Self { keys, next }
    }
}

/// An opaque position in a listing. It is valid for the driver and the prefix that it came from.
///
/// `Debug` does not show it, since some backends use a key as the cursor.
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// A cursor with this text, which only the driver that made it interprets.
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
