use std::hint::black_box;
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use async_trait::async_trait;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde::{Deserialize, Serialize};

use super::SESSIONS;

/// An operation of the callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Operation {
    Read,
    Write,
    /// Reads and then writes, conditionally if the store supports it.
    Commit,
}

impl Operation {
    pub(crate) const ALL: [Self; 3] = [Self::Read, Self::Write, Self::Commit];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Commit => "read + commit",
        }
    }
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Work {
    pub(crate) operation: Operation,
    pub(crate) callers: usize,
    /// Of each caller.
    pub(crate) operations: usize,
}

/// The duration of a round.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    pub(crate) seconds: f64,
    /// The database file and table, if another process can write to it.
    #[serde(default)]
    pub(crate) file: Option<(PathBuf, String)>,
}

/// A contender in a comparison.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// A note on its configuration.
    pub(crate) note: &'static str,
    /// Whether it is ours, which the others are compared with.
    pub(crate) is_ours: bool,
    pub(crate) runs: Runs,
}

/// How it runs, always in a separate process.
pub(crate) enum Runs {
    /// In this program.
    Here(fn() -> BoxFuture<'static, Box<dyn Worker>>),
    /// In this program, on the server with this URL.
    At(fn(String) -> BoxFuture<'static, Box<dyn Worker>>),
    /// In Node.js, as the unstorage driver with this name, with this number of sessions.
    InNode(&'static str, usize),
}

impl Contender {
    /// Whether it runs in this program.
    pub(crate) fn runs_here(&self) -> bool {
        matches!(self.runs, Runs::Here(_))
    }

    pub(crate) const fn here<S: Store>(open: fn() -> BoxFuture<'static, Box<dyn Worker>>) -> Self {
        Self {
            name: S::NAME,
            note: S::NOTE,
            is_ours: S::IS_OURS,
            runs: Runs::Here(open),
        }
    }

    pub(crate) const fn at<S: Store>(
        open: fn(String) -> BoxFuture<'static, Box<dyn Worker>>,
    ) -> Self {
        Self {
            name: S::NAME,
            note: S::NOTE,
            is_ours: S::IS_OURS,
            runs: Runs::At(open),
        }
    }
}

/// A store with sessions that runs rounds.
#[async_trait]
pub(crate) trait Worker: Send + Sync {
    async fn run(&self, work: Work) -> Took;
}

/// A store in this process. It is called statically, so that no dynamic call adds to its cost.
pub(crate) trait Store: Send + Sync + 'static {
    const NAME: &'static str;
    const NOTE: &'static str;
    const IS_OURS: bool = false;

    type Key: Send + Sync + 'static;

    /// See [`Took::file`].
    fn file(&self) -> Option<(PathBuf, &'static str)> {
        None
    }

    /// Creates the key of a session, before the measurement.
    fn key(&self, session: usize) -> Self::Key;

    /// Reads an existing session and returns a value that depends on it.
    fn read(&self, caller: usize, key: &Self::Key) -> impl Future<Output = usize> + Send;

    /// Writes a session unconditionally.
    fn write(&self, caller: usize, key: &Self::Key) -> impl Future<Output = ()> + Send;

    /// See [`Operation::Commit`].
    fn commit(&self, caller: usize, key: &Self::Key) -> impl Future<Output = ()> + Send;
}

/// Fills a store with sessions.
pub(crate) async fn filled<S: Store>(store: S) -> Box<dyn Worker> {
    Box::new(Filled::new(store, 1).await)
}

/// Fills a remote store with many concurrent writes.
pub(crate) async fn filled_at_once<S: Store>(store: S) -> Box<dyn Worker> {
    Box::new(Filled::new(store, 100).await)
}

/// Fills a blocking store. Each caller is an OS thread.
pub(crate) async fn filled_on_threads<S: Store>(store: S) -> Box<dyn Worker> {
    Box::new(OnThreads(Filled::new(store, 1).await))
}

struct Filled<S: Store> {
    store: Arc<S>,
    keys: Arc<Vec<S::Key>>,
}

impl<S: Store> Filled<S> {
    async fn new(store: S, at_once: usize) -> Self {
        let keys: Vec<S::Key> = (0..SESSIONS).map(|session| store.key(session)).collect();
        for keys in keys.chunks(at_once) {
            join_all(keys.iter().map(|key| store.write(0, key))).await;
        }
        Self {
            store: Arc::new(store),
            keys: Arc::new(keys),
        }
    }
}

#[async_trait]
impl<S: Store> Worker for Filled<S> {
    async fn run(&self, work: Work) -> Took {
        let started = Instant::now();
        let callers = (0..work.callers).map(|caller| {
            let (store, keys) = (Arc::clone(&self.store), Arc::clone(&self.keys));
            tokio::spawn(async move { call(&*store, &keys, caller, work).await })
        });
        for joined in join_all(callers).await {
            joined.expect("a caller finishes");
        }
        Took {
            seconds: started.elapsed().as_secs_f64(),
            file: (self.store.file()).map(|(file, table)| (file, table.to_owned())),
        }
    }
}

struct OnThreads<S: Store>(Filled<S>);

#[async_trait]
impl<S: Store> Worker for OnThreads<S> {
    async fn run(&self, work: Work) -> Took {
        let Filled { store, keys } = &self.0;
        // Do not measure the start of the threads.
        let ready = Barrier::new(work.callers + 1);
        let seconds = thread::scope(|scope| {
            let threads: Vec<_> = (0..work.callers)
                .map(|caller| {
                    let ready = &ready;
                    scope.spawn(move || {
                        ready.wait();
                        ready.wait();
                        let called = call(&**store, keys, caller, work).now_or_never();
                        called.expect("a blocking store is never pending");
                    })
                })
                .collect();
            ready.wait();
            let started = Instant::now();
            ready.wait();
            for thread in threads {
                thread.join().expect("a caller finishes");
            }
            started.elapsed().as_secs_f64()
        });
        Took {
            seconds,
            file: None,
        }
    }
}

async fn call<S: Store>(store: &S, keys: &[S::Key], caller: usize, work: Work) {
    let picked = Pick::new(caller).take(work.operations);
    let keys = picked.filter_map(|session| keys.get(session));
    match work.operation {
        Operation::Read => {
            for key in keys {
                black_box(store.read(caller, key).await);
            }
        }
        Operation::Write => {
            for key in keys {
                store.write(caller, key).await;
            }
        }
        Operation::Commit => {
            for key in keys {
                store.commit(caller, key).await;
            }
        }
    }
}

/// Picks sessions evenly, in a different order for each caller.
struct Pick(u64);

impl Pick {
    fn new(caller: usize) -> Self {
        Self(caller as u64 * 7_919 + 1)
    }
}

impl Iterator for Pick {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33)
            .ok()
            .map(|drawn| drawn % SESSIONS)
    }
}
