use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicU64};

use crate::{Driver, Error, ErrorKind, Key, Prefix, Result};

/// A driver and the prefix below which a storage keeps its keys in it.
///
/// ```
/// use std::sync::Arc;
/// use session_core::{Driver, Result, storage::Storage};
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

/// Tells a mount from an earlier one at the same place.
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

    /// The prefix; the root for the driver that the storage was made with.
    pub fn base(&self) -> &Prefix {
        &self.base
    }

    /// The driver, which knows its keys without the prefix.
    pub fn driver(&self) -> &Arc<dyn Driver> {
        &self.driver
    }

    pub(crate) fn id(&self) -> MountId {
        self.id
    }

    /// The same mount, named by a prefix of a part of the storage.
    pub(crate) fn renamed(&self, base: Prefix) -> Self {
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

/// All mounts of a storage at one time: the root, and those below it.
#[derive(Clone)]
pub(crate) struct Mounts {
    root: Mount,
    /// Longest base first, so that the first that contains a key is the one that has it.
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

    /// These mounts, of which none is to be used any more.
    pub(crate) fn closed(&self) -> Self {
        Self {
            closed: true,
            ..self.clone()
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// These mounts and one more.
    pub(crate) fn with(&self, mount: Mount) -> Result<Self> {
        if mount.base.is_root() {
            return Err(Error::new(
                ErrorKind::InvalidConfig,
                "the root of a storage is the driver that it was made with; mount below it",
            ));
        }
        if self.below.iter().any(|other| other.base == mount.base) {
            let message = format!(
                "a driver is mounted at `{}` already; unmount it first",
                mount.base.as_str()
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        }
        let mut mounts = self.clone();
        let longer = mounts
            .below
            .partition_point(|other| order(other, &mount).is_lt());
        mounts.below.insert(longer, mount);
        Ok(mounts)
    }

    /// These mounts without the one at `base`, and that one.
    pub(crate) fn without(&self, base: &Prefix) -> Result<(Self, Mount)> {
        let Some(at) = self.below.iter().position(|mount| mount.base == *base) else {
            let message = format!(
                "no driver is mounted at `{}`; the root cannot be unmounted",
                base.as_str()
            );
            return Err(Error::new(ErrorKind::InvalidConfig, message));
        };
        let mut mounts = self.clone();
        let removed = mounts.below.remove(at);
        Ok((mounts, removed))
    }

    /// The mounts, longest base first and the root last.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Mount> {
        self.below.iter().chain(std::iter::once(&self.root))
    }

    /// The mount that has `key`, and the key there.
    pub(crate) fn route(&self, key: &Key) -> (&Mount, Key) {
        self.below
            .iter()
            .find_map(|mount| Some((mount, mount.base.strip(key)?)))
            .unwrap_or_else(|| (&self.root, key.clone()))
    }

    /// The parts of drivers that make up what lies below `base`, in the order of the mounts.
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

    /// The part of `mount` that lies below `base`.
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

/// Longer bases first, and those of one length in a fixed order, by which listings go on from page to page.
fn order(one: &Mount, other: &Mount) -> Ordering {
    order_of_bases(one.base.as_str(), other.base.as_str())
}

pub(crate) fn order_of_bases(one: &str, other: &str) -> Ordering {
    other.len().cmp(&one.len()).then(one.cmp(other))
}

/// A part of a driver: what lies below a prefix and is not hidden by other mounts.
#[derive(Clone)]
pub(crate) struct Region {
    pub(crate) mount: Mount,
    /// The prefix in the driver.
    pub(crate) base: Prefix,
    /// What other mounts hide, in the driver.
    hidden: Vec<Prefix>,
}

impl Region {
    /// Whether other mounts hide a part of it.
    pub(crate) fn is_covered(&self) -> bool {
        !self.hidden.is_empty()
    }

    /// Whether the storage finds `key` of the driver here.
    pub(crate) fn shows(&self, key: &Key) -> bool {
        !self.hidden.iter().any(|hidden| hidden.contains(key))
    }
}
