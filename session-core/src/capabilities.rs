use std::time::Duration;

/// Whose writes a condition sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Conditions {
    /// Conditions are refused with an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    #[default]
    None,
    /// Conditions hold among writers that take this driver's lock; others can slip between.
    Cooperating,
    /// Conditions hold against every writer of the backend.
    All,
}

/// What a listing promises of each key that is there throughout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Listing {
    /// Listing and clearing are refused with an error of kind
    /// [`Unsupported`](crate::ErrorKind::Unsupported).
    None,
    /// It comes at least once.
    #[default]
    AtLeastOnce,
    /// It comes exactly once.
    ExactlyOnce,
}

/// What a reader sees after a write was acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consistency {
    /// Any reader sees it, or what came after it.
    #[default]
    Strong,
    /// A reader may see the old state for some time.
    Eventual,
}

/// What a driver can do: plain data that callers decide by and the conformance suite holds it to.
///
/// ```
/// use session_core::{Capabilities, Conditions};
///
/// let capabilities = Capabilities {
///     conditions: Conditions::All,
///     reports_expiry: true,
///     ..Capabilities::default()
/// };
/// assert!(!capabilities.touch);
/// ```
///
/// The default promises what the four required methods give: no conditions, no touch, exact expiry to
/// the millisecond, listing at least once, strong consistency, keys below keys, no limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capabilities {
    /// Whether every change is refused with an error of kind [`Unsupported`](crate::ErrorKind::Unsupported).
    pub read_only: bool,
    /// Whether writes and removals take conditions, and against whom these hold.
    pub conditions: Conditions,
    /// Whether the backend itself removes what has ended, without a sweep by the driver.
    pub native_expiry: bool,
    /// How exactly an entry ends, as a reader sees it: it is gone at most this long after its time.
    pub expiry_granularity: Duration,
    /// The shortest time to live that is kept exactly; a shorter one is stretched to it. Zero if none.
    pub minimum_ttl: Duration,
    /// Whether reads and metadata tell when an entry ends.
    pub reports_expiry: bool,
    /// Whether [`read_value`](crate::Driver::read_value), which need not tell that, costs less than a read.
    pub cheap_value_reads: bool,
    /// Whether [`touch`](crate::Driver::touch) works.
    pub touch: bool,
    /// Whether listing works, and what it promises.
    pub listing: Listing,
    /// Whether a batch costs less than its parts one by one.
    pub batch: bool,
    /// Whether [`watch`](crate::Driver::watch) works.
    pub watch: bool,
    /// What a reader sees after a write.
    pub consistency: Consistency,
    /// Whether a key that has an entry may be the start of another that has one: `a` and `a:b`. Where it may not,
    /// the later of the two is refused with an error of kind [`InvalidKey`](crate::ErrorKind::InvalidKey).
    pub nested_keys: bool,
    /// Longest key in bytes, base included.
    pub max_key_size: Option<usize>,
    /// Longest value in bytes.
    pub max_value_size: Option<usize>,
}

impl Capabilities {
    /// What both promise: of each capability the lesser one.
    pub fn shared_with(self, other: Self) -> Self {
        Self {
            read_only: self.read_only || other.read_only,
            conditions: self.conditions.min(other.conditions),
            native_expiry: self.native_expiry && other.native_expiry,
            expiry_granularity: self.expiry_granularity.max(other.expiry_granularity),
            minimum_ttl: self.minimum_ttl.max(other.minimum_ttl),
            reports_expiry: self.reports_expiry && other.reports_expiry,
            cheap_value_reads: self.cheap_value_reads && other.cheap_value_reads,
            touch: self.touch && other.touch,
            listing: self.listing.min(other.listing),
            batch: self.batch && other.batch,
            watch: self.watch && other.watch,
            consistency: self.consistency.max(other.consistency),
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
            cheap_value_reads: false,
            touch: false,
            listing: Listing::default(),
            batch: false,
            watch: false,
            consistency: Consistency::default(),
            nested_keys: true,
            max_key_size: None,
            max_value_size: None,
        }
    }
}
