//! A decorator that injects faults.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_core::stream::BoxStream;
use parking_lot::Mutex;
use session_core::{
    Change, Driver, Entry, Error, ErrorKind, Key, ListOptions, ListPage, Metadata, Outcome, Prefix,
    RemoveOptions, RemoveOutcome, Result, TouchOptions, Write, WriteOptions, WriteOutcome,
    delegate_driver,
};

use crate::Operation;

/// A driver that injects faults into the operations of an inner driver.
///
/// ```
/// use conformance_tests::{Fault, Faulty, Operation};
/// use driver_memory::MemoryDriver;
/// use session_core::{DriverExt, ErrorKind, Result};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let driver = Faulty::new(MemoryDriver::new());
/// let faults = driver.faults();
///
/// // The response to the next write is lost. The write is applied, but the caller gets an error.
/// faults.next(Operation::Write, Fault::after(ErrorKind::TimedOut));
/// assert!(driver.put("greeting", "hello").await.is_err());
/// assert_eq!(driver.get("greeting").await?.unwrap(), "hello");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Faulty<D> {
    inner: D,
    faults: Faults,
}

impl<D: Driver> Faulty<D> {
    /// Creates a driver that forwards to `inner` until a fault is planned.
    pub fn new(inner: D) -> Self {
        Self {
            inner,
            faults: Faults::default(),
        }
    }

    /// Returns the handle that plans faults.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    async fn run<T>(
        &self,
        operation: Operation,
        inner: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let Some(fault) = self.faults.take(operation) else {
            return inner.await;
        };
        tokio::time::sleep(fault.delay).await;
        match fault.moment {
            Moment::Before => {}
            Moment::After => drop(inner.await),
            Moment::Delay => return inner.await,
        }
        Err(fault.error(self.inner.name(), operation))
    }
}

/// A way for an operation to fail.
#[derive(Clone, Debug)]
pub struct Fault {
    moment: Moment,
    kind: ErrorKind,
    outcome: Outcome,
    delay: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    Before,
    After,
    Delay,
}

impl Fault {
    /// The operation is not applied and fails with `kind` and [`Outcome::NotApplied`].
    pub fn before(kind: ErrorKind) -> Self {
        Self {
            moment: Moment::Before,
            kind,
            outcome: Outcome::NotApplied,
            delay: Duration::ZERO,
        }
    }

    /// The operation is applied, but fails with `kind` and [`Outcome::Unknown`], as if the response were lost.
    pub fn after(kind: ErrorKind) -> Self {
        Self {
            moment: Moment::After,
            outcome: Outcome::Unknown,
            ..Self::before(kind)
        }
    }

    /// The operation succeeds after a delay.
    pub fn slow(delay: Duration) -> Self {
        Self {
            moment: Moment::Delay,
            delay,
            ..Self::before(ErrorKind::Backend)
        }
    }

    /// Sets the outcome that the error reports, which may be wrong on purpose.
    #[must_use]
    pub fn with_outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }

    /// Adds a delay before the operation.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    fn error(&self, driver: &str, operation: Operation) -> Error {
        Error::new(self.kind, "injected fault")
            .with_outcome(self.outcome)
            .with_context(driver, operation.name())
    }
}

/// The plan of faults. Clones share the plan.
#[derive(Clone, Debug, Default)]
pub struct Faults(Arc<Mutex<Plan>>);

#[derive(Debug, Default)]
struct Plan {
    once: VecDeque<(Operation, Fault)>,
    every_other: Option<EveryOther>,
    always: Vec<(Operation, Fault)>,
}

/// A fault for every other call of each operation.
#[derive(Debug)]
struct EveryOther {
    fault: Fault,
    begun: [u64; Operation::ALL.len()],
}

impl EveryOther {
    /// Returns the fault for the first call and then for every other call.
    fn take(&mut self, operation: Operation) -> Option<Fault> {
        let begun = self.begun.get_mut(operation as usize)?;
        *begun += 1;
        (*begun % 2 == 1).then(|| self.fault.clone())
    }
}

impl Faults {
    /// Makes the next `operation` fail. Repeated calls queue up faults.
    pub fn next(&self, operation: Operation, fault: Fault) {
        self.0.lock().once.push_back((operation, fault));
    }

    /// Makes every `operation` fail that has no other fault planned.
    pub fn always(&self, operation: Operation, fault: Fault) {
        let mut plan = self.0.lock();
        plan.always.retain(|(planned, _)| *planned != operation);
        plan.always.push((operation, fault));
    }

    /// Makes every other call of each operation fail, starting with the first.
    pub fn every_other(&self, fault: Fault) {
        let begun = [0; Operation::ALL.len()];
        self.0.lock().every_other = Some(EveryOther { fault, begun });
    }

    /// Makes every operation fail, as if the backend were unreachable.
    pub fn outage(&self, fault: Fault) {
        for operation in Operation::ALL {
            self.always(operation, fault.clone());
        }
    }

    /// Removes all planned faults.
    pub fn clear(&self) {
        *self.0.lock() = Plan::default();
    }

    fn take(&self, operation: Operation) -> Option<Fault> {
        let mut plan = self.0.lock();
        let planned = plan
            .once
            .iter()
            .position(|(planned, _)| *planned == operation);
        if let Some((_, fault)) = planned.and_then(|at| plan.once.remove(at)) {
            return Some(fault);
        }
        if let Some(fault) = plan
            .every_other
            .as_mut()
            .and_then(|plan| plan.take(operation))
        {
            return Some(fault);
        }
        let always = plan
            .always
            .iter()
            .find(|(planned, _)| *planned == operation);
        always.map(|(_, fault)| fault.clone())
    }
}

#[async_trait]
impl<D: Driver> Driver for Faulty<D> {
    delegate_driver!(this => this.inner, except read, write, remove, list, exists, metadata, touch, read_many, write_many, remove_many, clear, watch, close);

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        self.run(Operation::Read, self.inner.read(key)).await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        self.run(Operation::Write, self.inner.write(key, value, options))
            .await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        self.run(Operation::Remove, self.inner.remove(key, options))
            .await
    }

    async fn list(&self, options: ListOptions) -> Result<ListPage> {
        self.run(Operation::List, self.inner.list(options)).await
    }

    async fn exists(&self, key: &Key) -> Result<bool> {
        self.run(Operation::Exists, self.inner.exists(key)).await
    }

    async fn metadata(&self, key: &Key) -> Result<Option<Metadata>> {
        self.run(Operation::Metadata, self.inner.metadata(key))
            .await
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        self.run(Operation::Touch, self.inner.touch(key, options))
            .await
    }

    async fn read_many(&self, keys: &[Key]) -> Result<Vec<Option<Entry>>> {
        self.run(Operation::ReadMany, self.inner.read_many(keys))
            .await
    }

    async fn write_many(&self, writes: Vec<Write>) -> Vec<Result<WriteOutcome>> {
        let count = writes.len();
        let inner = self.inner.write_many(writes);
        match self.faults.take(Operation::WriteMany) {
            None => inner.await,
            Some(fault) => {
                let error = || fault.error(self.inner.name(), Operation::WriteMany);
                tokio::time::sleep(fault.delay).await;
                match fault.moment {
                    Moment::Before => {}
                    Moment::After => drop(inner.await),
                    Moment::Delay => return inner.await,
                }
                std::iter::repeat_with(|| Err(error()))
                    .take(count)
                    .collect()
            }
        }
    }

    async fn remove_many(&self, keys: &[Key]) -> Result<()> {
        self.run(Operation::RemoveMany, self.inner.remove_many(keys))
            .await
    }

    async fn clear(&self, prefix: &Prefix) -> Result<()> {
        self.run(Operation::Clear, self.inner.clear(prefix)).await
    }

    async fn watch(&self, prefix: &Prefix) -> Result<BoxStream<'static, Result<Change>>> {
        self.run(Operation::Watch, self.inner.watch(prefix)).await
    }

    async fn close(&self) -> Result<()> {
        self.run(Operation::Close, self.inner.close()).await
    }
}
