//! What a driver supports.

use std::time::Duration;

/// Which concurrent writes a condition detects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Conditions {
    /// Conditions are refused with an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    #[default]
    None,
    /// Conditions hold among writers that take this driver's lock. Other writers can write in between.
    Advisory,
    /// Conditions hold against every writer of the backend.
    All,
}

/// How often a listing returns a key that exists during the whole listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Listing {
    /// Listing and clearing are refused with an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    None,
    /// At least once.
    #[default]
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

/// What a reader sees after a write was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Consistency {
    /// Every reader sees that write, or a later one.
    #[default]
    Strong,
    /// A reader may see an older state for some time.
    Eventual,
}

/// What a driver supports. Callers adapt to it, and the conformance suite verifies it.
///
/// ```
/// use session_core::{Capabilities, Conditions};
///
/// let capabilities = Capabilities::default()
///     .with_conditions(Conditions::All)
///     .with_reports_expiry(true);
/// assert!(!capabilities.touch);
/// ```
///
/// The default promises what the four required methods give: no conditions, no touch, expiry to the millisecond,
/// listing at least once, strong consistency, nested keys, no limits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether every change is refused with an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    pub read_only: bool,
    /// Whether writes and removals take conditions, and against whom these hold.
    pub conditions: Conditions,
    /// Whether the backend itself removes what has expired, without a sweep by the driver.
    pub native_expiry: bool,
    /// How long after its time an expired entry may still be seen. Default: 1 ms.
    pub expiry_granularity: Duration,
    /// The shortest time to live that is kept exactly. A shorter one is extended to it. Default: zero.
    pub minimum_ttl: Duration,
    /// Whether reads and metadata tell when an entry expires.
    pub reports_expiry: bool,
    /// Whether [`touch`](crate::Driver::touch) works.
    pub touch: bool,
    /// Whether listing works, and what it promises.
    pub listing: Listing,
    /// Whether a batch costs less than its parts one by one.
    pub batch: bool,
    /// Whether [`watch`](crate::Driver::watch) works.
    pub watch: bool,
    /// Whether [`listen`](crate::Driver::listen), [`read_tracked`](crate::Driver::read_tracked) and
    /// [`sync_invalidations`](crate::Driver::sync_invalidations) work.
    pub invalidations: bool,
    /// What a reader sees after a write.
    pub consistency: Consistency,
    /// Whether listings leave out keys that end in `$`, where unstorage keeps the metadata of the key before it. Such
    /// keys can be read, written and removed nevertheless, and clearing removes those of the keys that are listed.
    pub unlisted_metadata: bool,
    /// Whether `a` and `a:b` may both have an entry. Where they may not, a write of the second one is an error of kind
    /// [`InvalidKey`](crate::ErrorKind::InvalidKey). Default: `true`.
    pub nested_keys: bool,
    /// The longest key in bytes, the prefix included.
    pub max_key_size: Option<usize>,
    /// The longest value in bytes.
    pub max_value_size: Option<usize>,
}

impl Capabilities {
    /// Sets [`read_only`](Self::read_only).
    #[must_use]
    pub fn with_read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Sets [`conditions`](Self::conditions).
    #[must_use]
    pub fn with_conditions(mut self, conditions: Conditions) -> Self {
        self.conditions = conditions;
        self
    }

    /// Sets [`native_expiry`](Self::native_expiry).
    #[must_use]
    pub fn with_native_expiry(mut self, native_expiry: bool) -> Self {
        self.native_expiry = native_expiry;
        self
    }

    /// Sets [`expiry_granularity`](Self::expiry_granularity).
    #[must_use]
    pub fn with_expiry_granularity(mut self, expiry_granularity: Duration) -> Self {
        self.expiry_granularity = expiry_granularity;
        self
    }

    /// Sets [`minimum_ttl`](Self::minimum_ttl).
    #[must_use]
    pub fn with_minimum_ttl(mut self, minimum_ttl: Duration) -> Self {
        self.minimum_ttl = minimum_ttl;
        self
    }

    /// Sets [`reports_expiry`](Self::reports_expiry).
    #[must_use]
    pub fn with_reports_expiry(mut self, reports_expiry: bool) -> Self {
        self.reports_expiry = reports_expiry;
        self
    }

    /// Sets [`touch`](Self::touch).
    #[must_use]
    pub fn with_touch(mut self, touch: bool) -> Self {
        self.touch = touch;
        self
    }

    /// Sets [`listing`](Self::listing).
    #[must_use]
    pub fn with_listing(mut self, listing: Listing) -> Self {
        self.listing = listing;
        self
    }

    /// Sets [`batch`](Self::batch).
    #[must_use]
    pub fn with_batch(mut self, batch: bool) -> Self {
        self.batch = batch;
        self
    }

    /// Sets [`watch`](Self::watch).
    #[must_use]
    pub fn with_watch(mut self, watch: bool) -> Self {
        self.watch = watch;
        self
    }

    /// Sets [`invalidations`](Self::invalidations).
    #[must_use]
    pub fn with_invalidations(mut self, invalidations: bool) -> Self {
        self.invalidations = invalidations;
        self
    }

    /// Sets [`consistency`](Self::consistency).
    #[must_use]
    pub fn with_consistency(mut self, consistency: Consistency) -> Self {
        self.consistency = consistency;
        self
    }

    /// Sets [`unlisted_metadata`](Self::unlisted_metadata).
    #[must_use]
    pub fn with_unlisted_metadata(mut self, unlisted_metadata: bool) -> Self {
        self.unlisted_metadata = unlisted_metadata;
        self
    }

    /// Sets [`nested_keys`](Self::nested_keys).
    #[must_use]
    pub fn with_nested_keys(mut self, nested_keys: bool) -> Self {
        self.nested_keys = nested_keys;
        self
    }

    /// Sets [`max_key_size`](Self::max_key_size).
    #[must_use]
    pub fn with_max_key_size(mut self, max_key_size: impl Into<Option<usize>>) -> Self {
        self.max_key_size = max_key_size.into();
        self
    }

    /// Sets [`max_value_size`](Self::max_value_size).
    #[must_use]
    pub fn with_max_value_size(mut self, max_value_size: impl Into<Option<usize>>) -> Self {
        self.max_value_size = max_value_size.into();
        self
    }

    /// Combines the capabilities of two drivers: the weaker of each.
    pub fn shared_with(self, other: Self) -> Self {
        Self {
            read_only: self.read_only || other.read_only,
            conditions: self.conditions.min(other.conditions),
            native_expiry: self.native_expiry && other.native_expiry,
            expiry_granularity: self.expiry_granularity.max(other.expiry_granularity),
            minimum_ttl: self.minimum_ttl.max(other.minimum_ttl),
            reports_expiry: self.reports_expiry && other.reports_expiry,
            touch: self.touch && other.touch,
            listing: self.listing.min(other.listing),
            batch: self.batch && other.batch,
            watch: self.watch && other.watch,
            invalidations: self.invalidations && other.invalidations,
            consistency: self.consistency.max(other.consistency),
            unlisted_metadata: self.unlisted_metadata || other.unlisted_metadata,
            nested_keys: self.nested_keys && other.nested_keys,
            max_key_size: lesser(self.max_key_size, other.max_key_size),
            max_value_size: lesser(self.max_value_size, other.max_value_size),
        }
    }
}

fn lesser(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        Self {
            read_only: false,
            conditions: Conditions::default(),
            native_expiry: false,
            expiry_granularity: Duration::from_millis(1),
            minimum_ttl: Duration::ZERO,
            reports_expiry: false,
            touch: false,
            listing: Listing::default(),
            batch: false,
            watch: false,
            invalidations: false,
            consistency: Consistency::default(),
            unlisted_metadata: false,
            nested_keys: true,
            max_key_size: None,
            max_value_size: None,
        }
    }
}
