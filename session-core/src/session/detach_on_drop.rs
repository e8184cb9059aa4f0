//! Futures that complete even if their caller drops them.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::commit::Claim;
use super::manager::ManagerInner;
use crate::{Error, ErrorKind, Result};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The most commits of a manager that run on although their callers have gone.
const MOST_DETACHED: usize = 4_096;

/// Counts the futures that run on although their callers have gone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Detached(Arc<AtomicUsize>);

impl Detached {
    /// An error if so many run that no further one may begin.
    pub(crate) fn check(&self) -> Result<()> {
        if self.0.load(Ordering::Relaxed) < MOST_DETACHED {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!(
                "{MOST_DETACHED} commits of clients that have disconnected are running already, so this one did not \
                 begin; check whether the storage is slow"
            ),
        ))
    }

    fn begin(&self) -> Running {
        self.0.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }
}

struct Running(Detached);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A future that, once it has claimed its work, completes even if it is dropped.
///
/// It runs in the task of its caller, at no extra cost, as long as that task awaits it. If it is dropped early (the client
/// disconnected, a timeout cancelled the handler), it moves into a task of `tracker`, whose owner waits for it. If it has
/// not claimed its work by then, it ends, and nothing is done.
pub(crate) struct DetachOnDrop<T: Send + 'static> {
    future: Option<BoxFuture<T>>,
    claim: Claim,
    tracker: TaskTracker,
    detached: Detached,
    /// Taken at the first poll, so that the owner waits.
    token: Option<TaskTrackerToken>,
    /// The runtime to continue on; set at the first poll.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    /// `claim` is what the future sets when it begins to do something.
    pub(crate) fn new(
        manager: &ManagerInner,
        claim: Claim,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self::within(&manager.tasks, &manager.detached, claim, future)
    }

    fn within(
        tracker: &TaskTracker,
        detached: &Detached,
        claim: Claim,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self {
            future: Some(Box::pin(future)),
            claim,
            tracker: tracker.clone(),
            detached: detached.clone(),
            token: None,
            runtime: None,
        }
    }
}

impl<T: Send + 'static> Future for DetachOnDrop<T> {
    type Output = T;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = self.get_mut();
        this.token.get_or_insert_with(|| this.tracker.token());
        // Taken out while it is polled, so that a future that panics is not polled again.
        let Some(mut future) = this.future.take() else {
            return Poll::Pending;
        };
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => {
                this.token = None;
                Poll::Ready(output)
            }
            Poll::Pending => {
                this.future = Some(future);
                this.runtime = this.runtime.take().or_else(|| Handle::try_current().ok());
                Poll::Pending
            }
        }
    }
}

impl<T: Send + 'static> Drop for DetachOnDrop<T> {
    fn drop(&mut self) {
        let (Some(token), Some(future)) = (self.token.take(), self.future.take()) else {
            return;
        };
        if !self.claim.is_set() {
            return;
        }
        // Without a runtime it cannot continue. The driver's contract then keeps the stored data consistent.
        if let Some(runtime) = self.runtime.take() {
            let running = self.detached.begin();
            self.tracker.spawn_on(
                async move {
                    let _running = (token, running);
                    future.await;
                },
                &runtime,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use tokio::sync::Notify;

    use super::*;

    struct Scene {
        tracker: TaskTracker,
        detached: Detached,
        claim: Claim,
        go: Arc<Notify>,
        done: Arc<AtomicBool>,
    }

    impl Scene {
        fn new() -> Self {
            Self {
                tracker: TaskTracker::new(),
                detached: Detached::default(),
                claim: Claim::default(),
                go: Arc::default(),
                done: Arc::default(),
            }
        }

        /// A future that is done once it may go on.
        fn future(&self) -> DetachOnDrop<()> {
            let (gate, flag) = (Arc::clone(&self.go), Arc::clone(&self.done));
            let claim = self.claim.clone();
            DetachOnDrop::within(&self.tracker, &self.detached, claim, async move {
                gate.notified().await;
                flag.store(true, Ordering::SeqCst);
            })
        }

        async fn is_done(&self) -> bool {
            self.go.notify_one();
            self.tracker.close();
            self.tracker.wait().await;
            self.done.load(Ordering::SeqCst)
        }
    }

    #[test_support::test]
    async fn a_dropped_future_goes_on_and_its_owner_waits_for_it() {
        let scene = Scene::new();
        let mut future = scene.future();
        assert!(futures_util::poll!(&mut future).is_pending());
        scene.claim.set();
        drop(future);
        assert_eq!(scene.detached.0.load(Ordering::SeqCst), 1);
        assert!(scene.is_done().await);
        assert_eq!(scene.detached.0.load(Ordering::SeqCst), 0);
    }

    #[test_support::test]
    async fn a_future_that_has_claimed_nothing_ends_when_it_is_dropped() {
        let scene = Scene::new();
        let mut future = scene.future();
        assert!(futures_util::poll!(&mut future).is_pending());
        drop(future);
        assert!(!scene.is_done().await);
    }

    #[test_support::test]
    async fn a_future_that_never_began_does_nothing() {
        let scene = Scene::new();
        scene.claim.set();
        drop(scene.future());
        assert!(!scene.is_done().await);
    }

    #[test_support::test]
    async fn the_owner_waits_for_what_still_runs_with_its_caller() {
        let scene = Scene::new();
        let mut future = scene.future();
        assert!(futures_util::poll!(&mut future).is_pending());
        scene.tracker.close();
        let mut waiting = std::pin::pin!(scene.tracker.wait());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        scene.go.notify_one();
        future.await;
        waiting.await;
    }

    #[test]
    fn no_further_commit_begins_while_too_many_run_for_nobody() {
        let detached = Detached::default();
        let running: Vec<Running> = (0..MOST_DETACHED).map(|_| detached.begin()).collect();
        let error = detached.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Contended);
        drop(running);
        assert!(detached.check().is_ok());
    }
}
