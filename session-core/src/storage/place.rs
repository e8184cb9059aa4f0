use std::cmp::Ordering;

use super::NAME;
use super::mounts::{Mount, order_of_bases};
use crate::{Cursor, Error, ErrorKind, Result};

/// A place in a listing over several mounts: in which of them, and where there.
///
/// As a cursor it is the base of the mount, which has no `/`, then `/`, then `=` and the driver's own cursor, or
/// nothing where that mount begins.
pub(crate) struct Place {
    mount: String,
    within: Option<Cursor>,
}

impl Place {
    pub(crate) fn parse(cursor: &Cursor) -> Result<Self> {
        let invalid = || {
            let message = "the cursor is not one that this storage gave; start without one";
            Error::new(ErrorKind::InvalidKey, message).with_context(NAME, "list")
        };
        let (mount, within) = cursor.as_str().split_once('/').ok_or_else(invalid)?;
        let within = match within.strip_prefix('=') {
            Some(within) => Some(Cursor::new(within)),
            None if within.is_empty() => None,
            None => return Err(invalid()),
        };
        Ok(Self {
            mount: mount.to_owned(),
            within,
        })
    }

    pub(crate) fn cursor(mount: &Mount, within: Option<&Cursor>) -> Cursor {
        let mut cursor = format!("{}/", mount.base().as_str());
        if let Some(within) = within {
            cursor.push('=');
            cursor.push_str(within.as_str());
        }
        Cursor::new(cursor)
    }

    /// Whether the listing has left `mount` behind. It goes by the order of bases, which stays the same although
    /// mounts come and go.
    pub(crate) fn is_after(&self, mount: &Mount) -> bool {
        order_of_bases(mount.base().as_str(), &self.mount) == Ordering::Less
    }

    /// Where to go on in `mount`, if it is the one of this place.
    pub(crate) fn within(&self, mount: &Mount) -> Option<Cursor> {
        let is_here = mount.base().as_str() == self.mount;
        self.within.clone().filter(|_| is_here)
    }
}
