//! Which driver holds which keys of a storage.
//!
//! A storage has one driver at the root, and others mounted below it. The most specific mount that contains a key holds
//! it. [`Mounts`] is immutable: each mount and unmount makes a new table, and operations under way keep the table that
//! they started with.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use session_core::{Driver, Error, ErrorKind, Key, Prefix, Result};

/// A mount point of a storage: a prefix, and the driver that holds the keys below it.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{Driver, Result};
/// use session_storage::Storage;
///
/// fn with_cache(main: Arc<dyn Driver>, cache: Arc<dyn Driver>) -> Result<Storage> {
///     let storage = Storage::new(main);
///     storage.mount("cache", cache)?;
///     assert_eq!(storage.mount_of("cache:page")?.base().as_str(), "cache");
///     Ok(storage)
/// }
/// ```
#[derive(Clone)]
pub struct Mount {
    base: Prefix,
    driver: Arc<dyn Driver>,
    id: MountId,
}

/// Distinguishes a mount from an earlier one with the same base.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MountId(u64);

impl Mount {
    pub(crate) fn new(base: Prefix, driver: Arc<dyn Driver>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            base,
            driver,
            id: MountId(NEXT.fetch_add(1, atomic::Ordering::Relaxed)),
        }
    }

    /// The prefix. It is the root for the driver that the storage was created with.
    pub fn base(&self) -> &Prefix {
        &self.base
    }

    /// The driver. Its keys do not have the prefix.
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    pub(crate) fn id(&self) -> MountId {
        self.id
    }

    /// The same mount with its base relative to a part of the storage.
    pub(crate) fn with_base(&self, base: Prefix) -> Self {
        Self {
            base,
            ..self.clone()
        }
    }
}

impl fmt::Debug for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mount")
            .field("base", &self.base)
            .field("driver", &self.driver)
            .finish()
    }
}

/// The mount table of a storage.
#[derive(Clone)]
pub(crate) struct Mounts {
    root: Mount,
    /// Longest base first: the first mount that contains a key holds it.
    below: Vec<Mount>,
    closed: bool,
}

impl Mounts {
    pub(crate) fn new(driver: Arc<dyn Driver>) -> Self {
        Self {
            root: Mount::new(Prefix::root(), driver),
            below: Vec::new(),
            closed: false,
        }
    }

    /// This table, marked as closed.
    pub(crate) fn closed(&self) -> Self {
        Self {
            closed: true,
            ..self.clone()
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// This table with another mount.
    pub(crate) fn with(&self, mount: Mount) -> Result<Self> {
        if mount.base.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "cannot mount at the root, which is the driver that the storage was created with; choose a base below it",
            ));
        }
        if self.below.iter().any(|other| other.base == mount.base) {
            let message = format!(
                "another driver is already mounted at `{}`; unmount it first",
                mount.base.as_str()
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        let mut mounts = self.clone();
        let position = mounts.below.partition_point(|other| {
            compare_bases(other.base.as_str(), mount.base.as_str()).is_lt()
        });
        mounts.below.insert(position, mount);
        Ok(mounts)
    }

    /// This table without the mount at `base`, and the removed mount.
    pub(crate) fn without(&self, base: &Prefix) -> Result<(Self, Mount)> {
        let Some(position) = self.below.iter().position(|mount| mount.base == *base) else {
            let message = format!(
                "no driver is mounted at `{}` (the root cannot be unmounted)",
                base.as_str()
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        };
        let mut mounts = self.clone();
        let removed = mounts.below.remove(position);
        Ok((mounts, removed))
    }

    /// All mounts, longest base first and the root last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Mount> {
        self.below.iter().chain(std::iter::once(&self.root))
    }

    /// The mount that holds `key`, and the key in its driver.
    pub(crate) fn route(&self, key: &Key) -> (&Mount, Key) {
        self.below
            .iter()
            .find_map(|mount| Some((mount, mount.base.strip(key)?)))
            .unwrap_or_else(|| (&self.root, key.clone()))
    }

    /// The regions of drivers that hold the keys below `base`, in the order of the mounts.
    pub(crate) fn regions(&self, base: &Prefix) -> Vec<Region> {
        let owner = self
            .below
            .iter()
            .find(|mount| mount.base.strip_prefix(base).is_some())
            .unwrap_or(&self.root);
        let inside = self
            .below
            .iter()
            .filter(|mount| mount.id != owner.id && base.strip_prefix(&mount.base).is_some());
        inside
            .chain(std::iter::once(owner))
            .map(|mount| self.region(mount, base))
            .collect()
    }

    /// The region of `mount` below `base`.
    fn region(&self, mount: &Mount, base: &Prefix) -> Region {
        let others = self.below.iter().filter(|other| other.id != mount.id);
        let hidden = others.filter_map(|other| mount.base.strip_prefix(&other.base));
        let base = mount.base.strip_prefix(base).unwrap_or_default();
        Region {
            hidden: hidden
                .filter(|hidden| base.strip_prefix(hidden).is_some())
                .collect(),
            base,
            mount: mount.clone(),
        }
    }
}

/// The order of mounts: longer bases first, then by name. Listings rely on it from page to page.
pub(crate) fn compare_bases(one: &str, other: &str) -> Ordering {
    other.len().cmp(&one.len()).then(one.cmp(other))
}

/// A part of a driver: the keys below a prefix that no other mount hides.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) mount: Mount,
    /// The prefix in the driver.
    pub(crate) base: Prefix,
    /// The prefixes in the driver that other mounts hide.
    hidden: Vec<Prefix>,
}

impl Region {
    /// Whether other mounts hide a part of this region.
    pub(crate) fn is_partly_hidden(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Whether the driver's `key` is a key of the storage.
    pub(crate) fn is_visible(&self, key: &Key) -> bool {
        !self.hidden.iter().any(|hidden| hidden.contains(key))
    }
}
