//! The driver under test and what a test environment provides beside it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_core::future::BoxFuture;
use session_core::{Driver, Key};

/// The error of a hook.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

pub(crate) type ForeignWrite =
    dyn Fn(Key, Bytes) -> BoxFuture<'static, Result<(), HookError>> + Send + Sync;

pub(crate) type Convergence = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// The driver under test, with optional hooks that enable more cases.
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
/// A driver converts into a subject without hooks. Cases that need a missing hook are skipped and reported.
#[derive(Clone)]
pub struct Subject {
    pub(crate) driver: Arc<dyn Driver>,
    pub(crate) writer: Option<Arc<dyn Driver>>,
    pub(crate) outage: Option<Arc<dyn Driver>>,
    pub(crate) foreign_write: Option<Arc<ForeignWrite>>,
    pub(crate) default_ttl: Option<Duration>,
    pub(crate) shared_backend: bool,
    pub(crate) convergence: Option<Arc<Convergence>>,
    pub(crate) disruptions: Vec<Disruption>,
    pub(crate) clocks_of_clients: bool,
    pub(crate) budget: Duration,
}

/// A fault of the backend that the suite causes while operations are under way: its connections are cut, or it is
/// paused, or killed and started again.
///
/// ```
/// use conformance_tests::{Disruption, HookError};
///
/// async fn restart_the_server() -> Result<(), HookError> {
///     Ok(())
/// }
///
/// let restart = Disruption::new("restart", restart_the_server);
/// ```
///
/// The function returns once the backend can be reached again. Pause it for longer than the driver's timeout, or much
/// shorter. A subject whose backend is disrupted must not share it with cases that run at the same time.
#[derive(Clone)]
pub struct Disruption {
    pub(crate) name: String,
    pub(crate) cause: Arc<Cause>,
    pub(crate) loses_writes: bool,
}

type Cause = dyn Fn() -> BoxFuture<'static, Result<(), HookError>> + Send + Sync;

impl Disruption {
    /// Creates a disruption with a name for reports.
    pub fn new<F, Causing>(name: impl Into<String>, cause: F) -> Self
    where
        F: Fn() -> Causing + Send + Sync + 'static,
        Causing: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        Self {
            name: name.into(),
            cause: Arc::new(move || Box::pin(cause())),
            loses_writes: false,
        }
    }

    /// Declares that the backend may lose acknowledged writes, as a failover to a lagging replica does.
    #[must_use]
    pub fn losing_writes(mut self) -> Self {
        self.loses_writes = true;
        self
    }
}

impl fmt::Debug for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disruption")
            .field("name", &self.name)
            .field("loses_writes", &self.loses_writes)
            .finish_non_exhaustive()
    }
}

impl Subject {
    /// Creates a subject without hooks.
    pub fn new(driver: impl Driver) -> Self {
        Self {
            driver: Arc::new(driver),
            writer: None,
            outage: None,
            foreign_write: None,
            default_ttl: None,
            shared_backend: false,
            convergence: None,
            disruptions: Vec::new(),
            clocks_of_clients: false,
            budget: crate::budget::DEFAULT,
        }
    }

    /// Sets a driver that writes the entries which the driver under test reads.
    ///
    /// A read-only driver needs it: its cases have no entries otherwise.
    #[must_use]
    pub fn with_writer(mut self, driver: impl Driver) -> Self {
        self.writer = Some(Arc::new(driver));
        self
    }

    pub(crate) fn writer(&self) -> &Arc<dyn Driver> {
        self.writer.as_ref().unwrap_or(&self.driver)
    }

    /// Sets a driver of the same kind whose backend is unreachable. Every operation on it must fail.
    #[must_use]
    pub fn with_outage(mut self, driver: impl Driver) -> Self {
        self.outage = Some(Arc::new(driver));
        self
    }

    /// Sets a function that writes to the backend without the driver, as another program would.
    ///
    /// It gets the full key and writes the bare value.
    #[must_use]
    pub fn with_foreign_write<F, Writing>(mut self, write: F) -> Self
    where
        F: Fn(Key, Bytes) -> Writing + Send + Sync + 'static,
        Writing: Future<Output = Result<(), HookError>> + Send + 'static,
    {
        self.foreign_write = Some(Arc::new(move |key, value| Box::pin(write(key, value))));
        self
    }

    /// Declares the default `ttl` that the driver was opened with.
    #[must_use]
    pub fn with_default_ttl(mut self, ttl: Duration) -> Self {
        self.default_ttl = Some(ttl);
        self
    }

    /// Declares that all drivers of the factory share one backend, and that its entries outlive each driver.
    #[must_use]
    pub fn with_shared_backend(mut self) -> Self {
        self.shared_backend = true;
        self
    }

    /// Sets a function that waits until every reader sees all earlier changes. The suite calls it after each change.
    ///
    /// It is for drivers with [`Consistency::Eventual`](session_core::Consistency::Eventual) whose reads can lag, such
    /// as reads from replicas. Without it, the suite expects each change to be visible at once. The function may panic
    /// if it cannot tell.
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

impl Subject {
    /// Sets how long each generated case runs: 4 s by default. The variable `CONFORMANCE_SECONDS` overrides it.
    ///
    /// Use a second or less for a backend whose operations are slow or cost money, and for each further configuration of
    /// one driver. A case runs a few programs in any case.
    #[must_use]
    pub fn with_budget(mut self, budget: Duration) -> Self {
        self.budget = budget;
        self
    }

    /// Declares that the driver compares expiries with the clock of its own machine, because the backend does not.
    ///
    /// A touch or a conditional write that was sent just before an entry expires may then still be applied after another
    /// driver has found it expired. Without this, the suite reports that as an error.
    #[must_use]
    pub fn with_clocks_of_clients(mut self) -> Self {
        self.clocks_of_clients = true;
        self
    }

    /// Adds a fault of the backend, under which the suite checks what the driver says of each operation.
    #[must_use]
    pub fn with_disruption(mut self, disruption: Disruption) -> Self {
        self.disruptions.push(disruption);
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
            .field("disruptions", &self.disruptions)
            .field("clocks_of_clients", &self.clocks_of_clients)
            .field("budget", &self.budget)
            .finish()
    }
}
