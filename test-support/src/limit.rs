//! Time limits of tests: the code behind the attribute [`test`](crate::test), and [`step`].
//!
//! An async test that exceeds its limit panics. If it blocks its thread instead, a watcher thread exits the process
//! after a grace period, and prints every running test with its last step.

use std::cell::RefCell;
use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

/// How long a test over its limit may take to finish before the process exits. A limit shorter than this is used instead.
const GRACE: Duration = Duration::from_secs(30);

/// The exit status of the process, the same as for failed tests.
const FAILED: i32 = 101;

/// The running tests of this process.
static RUNNING: Mutex<Vec<Arc<Test>>> = Mutex::new(Vec::new());

thread_local! {
    /// The test that this thread belongs to.
    static CURRENT: RefCell<Option<Arc<Test>>> = const { RefCell::new(None) };
}

struct Test {
    name: &'static str,
    limit: Duration,
    began: Instant,
    step: Mutex<Option<(Instant, String)>>,
    is_over_its_limit: Notify,
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, limit, .. } = self;
        let age = self.began.elapsed();
        write!(
            f,
            "test {name} has a limit of {limit:?} and has run for {age:.1?}; "
        )?;
        match &*self.step.lock() {
            Some((at, step)) => write!(f, "last step, {:.1?} ago: {step}", at.elapsed()),
            None => f.write_str("no step recorded"),
        }
    }
}

/// Records what the test does now. The message of a test over its limit contains the last step.
///
/// It works on the thread of the test, on the threads of its tokio runtime, and on threads that called [`join`]. On
/// other threads it does nothing.
pub fn step(step: impl Into<String>) {
    CURRENT.with_borrow(|test| {
        if let Some(test) = test {
            *test.step.lock() = Some((Instant::now(), step.into()));
        }
    });
}

/// Returns a function that makes [`step`] work on the thread that calls it.
pub fn join() -> impl FnOnce() + Send + 'static {
    let test = CURRENT.with_borrow(Clone::clone);
    move || CURRENT.set(test)
}

/// Runs a test, and exits the process if the test is still running some time after its limit.
pub fn run<T>(name: &'static str, limit: Duration, test: impl FnOnce() -> T) -> T {
    let _watched = Watched::new(Arc::new(Test {
        name,
        limit,
        began: Instant::now(),
        step: Mutex::default(),
        is_over_its_limit: Notify::new(),
    }));
    test()
}

/// Runs an async test inside [`run`]. It panics once the test is over its limit.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    let current = CURRENT.with_borrow(Clone::clone).expect("a running test");
    tokio::select! {
        biased;
        () = current.is_over_its_limit.notified() => panic!("{current}"),
        done = test => done,
    }
}

/// Creates a current-thread runtime, optionally with a paused clock.
pub fn current_thread(start_paused: bool) -> Runtime {
    runtime(Builder::new_current_thread().start_paused(start_paused))
}

/// Creates a multi-thread runtime with `workers` threads, or one per processor.
pub fn multi_thread(workers: Option<usize>) -> Runtime {
    let mut builder = Builder::new_multi_thread();
    if let Some(workers) = workers {
        builder.worker_threads(workers);
    }
    runtime(&mut builder)
}

fn runtime(builder: &mut Builder) -> Runtime {
    let test = CURRENT.with_borrow(Clone::clone);
    builder
        .enable_all()
        .on_thread_start(move || CURRENT.set(test.clone()))
        .build()
        .unwrap()
}

/// A running test and the thread that watches its limit in real time.
struct Watched {
    test: Arc<Test>,
    ended: Option<Sender<()>>,
    watch: Option<JoinHandle<()>>,
}

impl Watched {
    fn new(test: Arc<Test>) -> Self {
        RUNNING.lock().push(Arc::clone(&test));
        CURRENT.set(Some(Arc::clone(&test)));
        let (ended, end) = channel();
        let watch = std::thread::spawn({
            let test = Arc::clone(&test);
            move || watch(&test, &end)
        });
        Self {
            test,
            ended: Some(ended),
            watch: Some(watch),
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        drop(self.ended.take());
        let _ = self.watch.take().map(JoinHandle::join);
        CURRENT.set(None);
        RUNNING
            .lock()
            .retain(|running| !Arc::ptr_eq(running, &self.test));
    }
}

fn watch(test: &Test, end: &Receiver<()>) {
    let runs_after = |time| end.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if runs_after(test.limit) {
        test.is_over_its_limit.notify_one();
        if runs_after(GRACE.min(test.limit)) {
            exit_process(test);
        }
    }
}

/// Prints the running tests and exits the process.
fn exit_process(test: &Test) -> ! {
    let mut message = format!("\n{test}; it cannot be stopped, so this process exits\n");
    let running = RUNNING.lock();
    for other in running.iter().filter(|other| other.began != test.began) {
        let _ = writeln!(message, "also running: {other}");
    }
    // Bypasses the harness, which buffers the output of a test until it finishes.
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::exit(FAILED)
}
