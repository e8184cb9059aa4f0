//! Futures that complete even if their caller drops them.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A future that, once polled, completes even if it is dropped.
///
/// It runs in the task of its caller, at no extra cost, as long as that task awaits it. If it is dropped early (the client
/// disconnected, a timeout cancelled the handler), it moves into a task of `tracker`, whose owner waits for it.
pub(crate) struct DetachOnDrop<T: Send + 'static> {
    future: Option<BoxFuture<T>>,
    tracker: TaskTracker,
    /// Taken at the first poll, so that the owner waits.
    token: Option<TaskTrackerToken>,
    /// The runtime to continue on; set at the first poll.
    runtime: Option<Handle>,
}

impl<T: Send + 'static> DetachOnDrop<T> {
    pub(crate) fn new(
        tracker: &TaskTracker,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self {
        Self {
            future: Some(Box::pin(future)),
            tracker: tracker.clone(),
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
        // Without a runtime it cannot continue. The driver's contract then keeps the stored data consistent.
        if let Some(runtime) = self.runtime.take() {
            self.tracker.spawn_on(
                async move {
                    let _token = token;
                    future.await;
                },
                &runtime,
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use tokio::sync::Notify;

    use super::*;

    #[test_support::test]
    async fn a_dropped_future_goes_on_and_its_owner_waits_for_it() {
        let tracker = TaskTracker::new();
        let (go, done) = (Arc::new(Notify::new()), Arc::new(AtomicBool::new(false)));
        let (gate, flag) = (Arc::clone(&go), Arc::clone(&done));
        let mut future = DetachOnDrop::new(&tracker, async move {
            gate.notified().await;
            flag.store(true, Ordering::SeqCst);
        });
        assert!(futures_util::poll!(&mut future).is_pending());
        drop(future);

        go.notify_one();
        tracker.close();
        tracker.wait().await;
        assert!(done.load(Ordering::SeqCst));
    }

    #[test_support::test]
    async fn a_future_that_never_began_does_nothing() {
        let tracker = TaskTracker::new();
        let done = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&done);
        drop(DetachOnDrop::new(&tracker, async move {
            flag.store(true, Ordering::SeqCst);
        }));
        tracker.close();
        tracker.wait().await;
        assert!(!done.load(Ordering::SeqCst));
    }

    #[test_support::test]
    async fn the_owner_waits_for_what_still_runs_with_its_caller() {
        let tracker = TaskTracker::new();
        let go = Arc::new(Notify::new());
        let gate = Arc::clone(&go);
        let mut future = DetachOnDrop::new(&tracker, async move { gate.notified().await });
        assert!(futures_util::poll!(&mut future).is_pending());
        tracker.close();
        let mut waiting = std::pin::pin!(tracker.wait());
        assert!(futures_util::poll!(&mut waiting).is_pending());
        go.notify_one();
        future.await;
        waiting.await;
    }
}
