use std::cmp::Ordering;

use session_core::{Cursor, Error, ErrorKind, Result};

use crate::NAME;
use crate::mounts::{Mount, compare_bases};

/// Where a listing over several mounts continues: in which mount, and where in it.
///
/// It is sent to the caller as a cursor: the base of the mount, which has no `/`, then `/`, then `=` and the driver's
/// own cursor. The last two are left out at the start of a mount.
pub(crate) struct ListPosition {
    base: String,
    driver_cursor: Option<Cursor>,
}

impl ListPosition {
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self> {
        let invalid = || {
            let message =
                "this cursor was not returned by this storage; list again without a cursor";
            Error::new(ErrorKind::InvalidKey, message).with_context(NAME, "list")
        };
        let (base, rest) = cursor.as_str().split_once('/').ok_or_else(invalid)?;
        let driver_cursor = match rest.strip_prefix('=') {
            Some(cursor) => Some(Cursor::new(cursor)),
            None if rest.is_empty() => None,
            None => return Err(invalid()),
        };
        Ok(Self {
            base: base.to_owned(),
            driver_cursor,
        })
    }

    pub(crate) fn cursor(mount: &Mount, driver_cursor: Option<&Cursor>) -> Cursor {
        let mut cursor = format!("{}/", mount.base().as_str());
        if let Some(driver_cursor) = driver_cursor {
            cursor.push('=');
            cursor.push_str(driver_cursor.as_str());
        }
        Cursor::new(cursor)
    }

    /// Whether the listing has finished `mount`. Only the order of bases counts, so that mounts may be added and removed
    /// between two pages.
    pub(crate) fn is_past(&self, mount: &Mount) -> bool {
        compare_bases(mount.base().as_str(), &self.base) == Ordering::Less
    }

    /// The driver's cursor, if the listing continues in `mount`.
    pub(crate) fn cursor_in(&self, mount: &Mount) -> Option<Cursor> {
        let is_here = mount.base().as_str() == self.base;
        self.driver_cursor.clone().filter(|_| is_here)
    }
}
