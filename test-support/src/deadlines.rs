//! Servers that never respond, and a check that every call of a driver ends nevertheless.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{BoxFuture, FutureExt, join_all};
use parking_lot::Mutex;
use session_core::{
    Conditions, Driver, Key, ListOptions, Outcome, Prefix, RemoveOptions, Result, TouchOptions,
    Write, WriteOptions,
};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::AbortHandle;

/// How many callers call each method at the same time.
const CALLERS: usize = 64;

/// By how much a call may outlast its timeout.
const TOLERANCE: Duration = Duration::from_secs(1);

/// A server on loopback that never responds.
pub struct SilentServer {
    port: u16,
    received: Arc<Mutex<HashMap<usize, Vec<u8>>>>,
    task: Option<AbortHandle>,
    _held: (Option<TcpListener>, Vec<TcpStream>),
}

impl SilentServer {
    /// Starts a server that accepts connections and reads requests, and never responds.
    pub async fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(HashMap::<usize, Vec<u8>>::new()));
        let all = Arc::clone(&received);
        let accept = async move {
            let mut connections = tokio::task::JoinSet::new();
            for number in 0.. {
                let (mut stream, _) = listener.accept().await.unwrap();
                let all = Arc::clone(&all);
                connections.spawn(async move {
                    let mut buffer = vec![0; 64 * 1024];
                    while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                        let bytes = &buffer[..length];
                        all.lock()
                            .entry(number)
                            .or_default()
                            .extend_from_slice(bytes);
                    }
                });
            }
        };
        let task = tokio::spawn(accept).abort_handle();
        Self {
            port,
            received,
            task: Some(task),
            _held: (None, Vec::new()),
        }
    }

    /// Starts a server whose connection queue is full, so that connecting to it never completes.
    pub async fn unreachable() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queue = Vec::new();
        let connect =
            || tokio::time::timeout(Duration::from_millis(200), TcpStream::connect(address));
        while let Ok(Ok(waiting)) = connect().await {
            queue.push(waiting);
        }
        Self {
            port: address.port(),
            received: Arc::default(),
            task: None,
            _held: (Some(listener), queue),
        }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The words of all requests that it has received: letters, digits, `-` and `_`.
    pub fn received_words(&self) -> HashSet<String> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let all = self.received.lock();
        let words = all
            .values()
            .flat_map(|bytes| bytes.split(move |byte| !is_word(*byte)));
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect()
    }
}

impl Drop for SilentServer {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The outcome of the error for each key of a call; `None` if it succeeded.
type Outcomes = Vec<Option<Outcome>>;

struct Method {
    name: &'static str,
    changes: bool,
    call: fn(Arc<dyn Driver>, Key) -> BoxFuture<'static, Outcomes>,
}

fn one<T>(result: Result<T>) -> Outcomes {
    vec![result.err().map(|error| error.outcome())]
}

macro_rules! method {
    ($name:literal, $changes:literal, |$driver:ident, $key:ident| $call:expr) => {
        Method {
            name: $name,
            changes: $changes,
            call: |$driver, $key| async move { $call }.boxed(),
        }
    };
}

fn methods(driver: &dyn Driver) -> Vec<Method> {
    let mut methods = vec![
        method!("read", false, |driver, key| one(driver.read(&key).await)),
        method!("exists", false, |driver, key| one(driver
            .exists(&key)
            .await)),
        method!("metadata", false, |driver, key| one(driver
            .metadata(&key)
            .await)),
        method!("read_many", false, |driver, key| one(driver
            .read_many(&several(&key))
            .await)),
        method!("list", false, |driver, _key| one(driver
            .list(ListOptions::default())
            .await)),
        method!("clear", true, |driver, key| {
            one(driver.clear(&Prefix::from(&key)).await)
        }),
        method!("write", true, |driver, key| {
            one(driver
                .write(&key, "value".into(), WriteOptions::default())
                .await)
        }),
        method!("remove", true, |driver, key| {
            one(driver.remove(&key, RemoveOptions::default()).await)
        }),
        method!("write_many", true, |driver, key| {
            let write = |key| Write::new(key, "value");
            let writes = several(&key).into_iter().map(write).collect();
            let results = driver.write_many(writes).await;
            assert_eq!(results.len(), several(&key).len());
            results.into_iter().flat_map(one).collect()
        }),
        method!("remove_many", true, |driver, key| {
            one(driver.remove_many(&several(&key)).await)
        }),
    ];
    if driver.capabilities().touch {
        methods.push(method!("touch", true, |driver, key| {
            one(driver.touch(&key, TouchOptions::default()).await)
        }));
    }
    if driver.capabilities().conditions != Conditions::None {
        methods.push(method!("write_if_absent", true, |driver, key| {
            one(driver
                .write(&key, "value".into(), WriteOptions::if_absent())
                .await)
        }));
    }
    methods
}

/// The keys of a batch: `key` first.
fn several(key: &Key) -> Vec<Key> {
    let others = (1..40).map(|number| Key::new(&format!("{}-{number}-", key.as_str())).unwrap());
    std::iter::once(key.clone()).chain(others).collect()
}

/// Calls each method of `driver` by 64 concurrent callers, and then closes it. `server` is the server of the driver.
///
/// Each call must end within `timeout` and a second more, with an error of the right outcome: not applied for reads and for
/// changes that were not sent, and unknown for changes whose request has reached the server. A change that was not sent
/// must not be sent later.
pub async fn every_call_ends(driver: Arc<dyn Driver>, server: &SilentServer, timeout: Duration) {
    let mut not_applied = Vec::new();
    let mut unknown = Vec::new();
    for method in methods(&*driver) {
        let call = |number: usize| {
            let name = format!("{}-{number}-", method.name);
            let call = (method.call)(Arc::clone(&driver), Key::new(&name).unwrap());
            tokio::spawn(async move {
                let started = Instant::now();
                (name, call.await, started.elapsed())
            })
        };
        let all_called = join_all((0..CALLERS).map(call)).await;
        let received = server.received_words();
        for called in all_called {
            let (name, outcomes, took) = called.unwrap();
            assert!(took < timeout + TOLERANCE, "{name} took {took:?}");
            let batch = several(&Key::new(&name).unwrap());
            for (key, outcome) in batch.iter().zip(outcomes) {
                let outcome = outcome.unwrap_or_else(|| panic!("{name} succeeded"));
                if !method.changes {
                    assert_eq!(outcome, Outcome::NotApplied, "{name}");
                } else if outcome == Outcome::NotApplied {
                    // A clear lists its prefix before it changes anything, so the server may have seen the word.
                    if method.name != "clear" {
                        not_applied.push(key.as_str().to_owned());
                    }
                } else if !received.contains(key.as_str()) {
                    // A removal of many keys has one outcome for all of them.
                    let sent = match method.name {
                        "remove_many" => batch.as_slice(),
                        _ => std::slice::from_ref(key),
                    };
                    let names = sent.iter().map(|key| key.as_str().to_owned());
                    unknown.push(names.collect::<HashSet<_>>());
                }
            }
        }
    }
    // What was sent may still be on its way to a busy server.
    let until = Instant::now() + Duration::from_secs(10);
    while !unknown.is_empty() && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let received = server.received_words();
        unknown.retain(|keys| keys.is_disjoint(&received));
    }
    // On a busy machine the time of a call may end in the moment of sending, and "unknown" is right then too.
    let few = CALLERS / 8;
    assert!(unknown.len() <= few, "none of {unknown:?} was sent");
    let started = Instant::now();
    let closing = join_all((0..CALLERS).map(|_| driver.close())).await;
    assert!(
        started.elapsed() < timeout + TOLERANCE,
        "close took {:?}",
        started.elapsed()
    );
    for closed in closing {
        closed.unwrap();
    }
    let received = server.received_words();
    for key in not_applied {
        assert!(!received.contains(&key), "{key} was sent");
    }
}
