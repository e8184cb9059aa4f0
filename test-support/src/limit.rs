//! Limits of tests: what the attribute [`test`](crate::test) makes of a function, and [`step`].

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

/// How long a test that is over its limit has for its end, before the process ends. A shorter limit counts again.
const GRACE: Duration = Duration::from_secs(30);

/// The status with which the process ends, which is that of tests that failed.
const FAILED: i32 = 101;

/// The tests that run in this process.
static RUNNING: Mutex<Vec<Arc<Test>>> = Mutex::new(Vec::new());

thread_local! {
    /// The test that this thread works for.
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
            "test {name} has a limit of {limit:?} and runs for {age:.1?}; "
        )?;
        match &*self.step.lock() {
            Some((at, step)) => write!(f, "its last step, {:.1?} ago: {step}", at.elapsed()),
            None => f.write_str("it noted no step"),
        }
    }
}

/// Notes what the test of this thread does now, so that it says so if it is over its limit.
///
/// It works on the thread of the test, on those of the test's tokio runtime, and where [`join`] was called. Elsewhere it
/// does nothing.
pub fn step(step: impl Into<String>) {
    CURRENT.with_borrow(|test| {
        if let Some(test) = test {
            *test.step.lock() = Some((Instant::now(), step.into()));
        }
    });
}

/// What makes [`step`] work on another thread, to be called there.
pub fn join() -> impl FnOnce() + Send + 'static {
    let test = CURRENT.with_borrow(Clone::clone);
    move || CURRENT.set(test)
}

/// Runs a test, and ends the process if it is still not done some time after its limit.
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

/// What an async test awaits in [`run`]: it panics once the test is over its limit.
pub async fn within<T>(test: impl Future<Output = T>) -> T {
    let current = CURRENT.with_borrow(Clone::clone).expect("a test that runs");
    tokio::select! {
        biased;
        () = current.is_over_its_limit.notified() => panic!("{current}"),
        done = test => done,
    }
}

/// A runtime on the thread of the test, whose clock may stand still.
pub fn current_thread(start_paused: bool) -> Runtime {
    runtime(Builder::new_current_thread().start_paused(start_paused))
}

/// A runtime of several threads: so many, or as many as there are processors.
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

/// A test while it runs, and the thread that watches it on real time.
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
            end_process(test);
        }
    }
}

/// Ends the process, after saying which tests run.
fn end_process(test: &Test) -> ! {
    let mut message = format!("\n{test}; it cannot be stopped, so this process ends\n");
    let running = RUNNING.lock();
    for other in running.iter().filter(|other| other.began != test.began) {
        let _ = writeln!(message, "beside it, {other}");
    }
    // Past the harness, which keeps what a test prints until the test has ended.
    let _ = std::io::stderr().write_all(message.as_bytes());
    std::process::exit(FAILED)
}
