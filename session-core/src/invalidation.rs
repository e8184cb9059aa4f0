//! How a driver says which entries have changed: what a cache of entries listens to.

use crate::Key;

/// Hears from a driver which entries have changed since they were read with
/// [`read_tracked`](crate::Driver::read_tracked).
///
/// ```
/// use session_core::{InvalidationListener, Key};
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// /// Counts what has changed.
/// #[derive(Default)]
/// struct Changes(AtomicU64);
///
/// impl InvalidationListener for Changes {
///     fn invalidate(&self, _key: &Key) {
///         self.0.fetch_add(1, Ordering::Relaxed);
///     }
///
///     fn invalidate_all(&self) {}
/// }
/// ```
///
/// A driver calls it before it returns the answer of any later operation, so the methods must not wait. It may call them
/// for entries that did not change.
pub trait InvalidationListener: Send + Sync + 'static {
    /// The entry of `key` was changed, removed, or expired, by anybody.
    fn invalidate(&self, key: &Key);

    /// Changes may have been missed, so that nothing which was read before can be relied on.
    fn invalidate_all(&self);
}
