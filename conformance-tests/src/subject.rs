use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use session_core::{Driver, Key};

/// The error of a hook, of any type.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

type ForeignWrite = dyn Fn(Key, Bytes) -> BoxFuture<'static, Result<(), HookError>> + Send + Sync;

pub(crate) type Convergence = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// The driver under test, and what its crate can do beside it so that more can be shown.
///
/// ```
/// use conformance_tests::{Fault, Faulty, Subject};
/// use driver_memory::MemoryDriver;
/// use session_core::ErrorKind;
///
/// let unreachable = Faulty::new(MemoryDriver::new());
/// unreachable.faults().outage(Fault::before(ErrorKind::Unavailable));
///
/// let subject = Subject::new(MemoryDriver::new()).with_outage(unreachable);
/// ```
///
/// A driver alone is a subject too. What is not told here is skipped, and the report says so.
#[derive(Clone)]
pub struct Subject {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) writer: Option<Arc<dyn Driver>>,
    pub(crate) outage: Option<Arc<dyn Driver>>,
    pub(crate) foreign_write: Option<Arc<ForeignWrite>>,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) shared_backend: bool,
    pub(crate) convergence: Option<Arc<Convergence>>,
}

impl Subject {
    /// A driver without more.
    pub fn new(driver: impl Driver) -> Self {
        Self {
            driver: Arc::new(driver),
            writer: None,
            outage: None,
            foreign_write: None,
            default_ttl: None,
            shared_backend: false,
            convergence: None,
        }
    }

    /// A driver that writes to the entries that this one reads. A driver that is read-only needs it, for there is
    /// nothing to show of it without entries.
    #[must_use]
    pub fn with_writer(mut self, driver: impl Driver) -> Self {
        self.writer = Some(Arc::new(driver));
        self
    }

    pub(crate) fn writer(&self) -> &Arc<dyn Driver> {
        self.writer.as_ref().unwrap_or(&self.driver)
    }

    /// A driver of the same kind whose backend is out of reach, so that every operation must fail.
    #[must_use]
    pub fn with_outage(mut self, driver: impl Driver) -> Self {
        self.outage = Some(Arc::new(driver));
        self
    }

    /// Writes to the backend as another program does that knows nothing of this driver: the value alone,
    /// under the whole key.
    #[must_use]
    pub fn with_foreign_write<F, Writing>(mut self, write: F) -> Self
    where
        F: Fn(Key, Bytes) -> Writing + Send + Sync + 'static,
        Writing: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.foreign_write = Some(Arc::new(move |key, value| Box::pin(write(key, value))));
        self
    }

    /// Says that the driver was opened with this `ttl` as its default.
    #[must_use]
    pub fn with_default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Says that every driver of the factory works on the same entries, which outlive it.
    #[must_use]
    pub fn with_shared_backend(mut self) -> Self {
        self.shared_backend = true;
        self
    }

    /// Waits until every reader sees what has been written, or panics where that cannot be known; called after each
    /// change. It is for a driver of [`Consistency::Eventual`](session_core::Consistency::Eventual) whose readers may
    /// truly be late, such as one that reads from replicas: without it they would be held to see each change at once.
    #[must_use]
    pub fn with_convergence<F, Waiting>(mut self, wait: F) -> Self
    where
        F: Fn() -> Waiting + Send + Sync + 'static,
        Waiting: Future<Output = ()> + Send + 'static,
    {
        self.convergence = Some(Arc::new(move || Box::pin(wait())));
        self
    }
}

impl<D: Driver> From<D> for Subject {
    fn from(driver: D) -> Self {
        Self::new(driver)
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject")
            .field("driver", &self.driver)
            .field("writer", &self.writer.is_some())
            .field("outage", &self.outage.is_some())
            .field("foreign_write", &self.foreign_write.is_some())
            .field("default_ttl", &self.default_ttl)
            .field("shared_backend", &self.shared_backend)
            .field("convergence", &self.convergence.is_some())
            .finish()
    }
}
