use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use session_core::{
    Bytes, Capabilities, Conditions, ConflictState, Driver, Entry, Error, ErrorKind, Key,
    ListOptions, ListPage, Outcome, RemoveOptions, RemoveOutcome, Result, TouchOptions, Version,
    WriteCondition, WriteOptions, WriteOutcome, async_trait,
};
use tokio::sync::oneshot;

tokio::task_local! {
    /// Which request the running task belongs to.
    pub(crate) static REQUEST: usize;
}

/// Whether the backend does what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Backend {
    Right,
    /// It writes whatever the condition says.
    IgnoresConditions,
    /// It applies a write and calls it a conflict, once.
    ReportsFalseConflicts,
}

/// How an operation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Ending {
    Answered,
    /// It fails, and says that it was not applied.
    Refused,
    /// It is applied, and the answer is lost.
    AnswerLost,
    /// It is not applied, and nobody knows.
    RequestLost,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Read,
    Change,
}

struct Waiting {
    operation: Operation,
    open: oneshot::Sender<Ending>,
}

/// A session that got a new id.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The revision of the tombstone.
    pub(crate) revision: u64,
    /// Whether it is the only successor, or the first of several.
    pub(crate) is_first: bool,
}

/// The session ids in a tombstone: three digits for each byte, and three zeros between two keys.
fn successors(value: &[u8]) -> Vec<String> {
    let Some(digits) = value.strip_prefix(b"0e") else {
        return Vec::new();
    };
    let bytes: Vec<u8> = digits[1..]
        .chunks(3)
        .map(|digits| std::str::from_utf8(digits).unwrap().parse().unwrap())
        .collect();
    bytes
        .split(|byte| *byte == 0)
        .map(|key| String::from_utf8(key.to_vec()).unwrap())
        .collect()
}

/// The store behind all servers, with a gate before each operation.
pub(crate) struct World {
    backend: Backend,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, (Bytes, u64)>,
    /// The tombstones that were written, in their order.
    moves: Vec<Move>,
    revision: u64,
    waiting: BTreeMap<usize, Waiting>,
    false_conflict_given: bool,
}

impl World {
    pub(crate) fn new(backend: Backend) -> Arc<Self> {
        Arc::new(Self {
            backend,
            state: Mutex::new(State::default()),
        })
    }

    pub(crate) fn put(&self, key: &str, value: &str) {
        let mut state = self.state.lock().unwrap();
        state.write(key, Bytes::copy_from_slice(value.as_bytes()));
    }

    pub(crate) fn moves(&self) -> Vec<Move> {
        self.state.lock().unwrap().moves.clone()
    }

    pub(crate) fn revision(&self) -> u64 {
        self.state.lock().unwrap().revision
    }

    pub(crate) fn entries(&self) -> Vec<(String, Bytes)> {
        let state = self.state.lock().unwrap();
        let entries = state.entries.iter();
        entries
            .map(|(key, (value, _))| (key.clone(), value.clone()))
            .collect()
    }

    /// The requests that stand before a gate, and what they are about to do.
    pub(crate) fn waiting(&self) -> Vec<(usize, Operation)> {
        let state = self.state.lock().unwrap();
        let waiting = state.waiting.iter();
        waiting
            .map(|(request, waiting)| (*request, waiting.operation))
            .collect()
    }

    pub(crate) fn open(&self, request: usize, ending: Ending) {
        let waiting = self.state.lock().unwrap().waiting.remove(&request);
        waiting.unwrap().open.send(ending).unwrap();
    }

    async fn gate<T>(&self, operation: Operation, apply: impl FnOnce() -> T) -> Result<T> {
        let (open, opened) = oneshot::channel();
        let request = REQUEST.get();
        let waiting = Waiting { operation, open };
        let before = self.state.lock().unwrap().waiting.insert(request, waiting);
        assert!(before.is_none(), "one request does two things at once");
        let error =
            |outcome| Error::new(ErrorKind::Unavailable, "as planned").with_outcome(outcome);
        match opened.await.unwrap() {
            Ending::Answered => Ok(apply()),
            Ending::Refused => Err(error(Outcome::NotApplied)),
            Ending::AnswerLost => {
                apply();
                Err(error(Outcome::Unknown))
            }
            Ending::RequestLost => Err(error(Outcome::Unknown)),
        }
    }
}

impl State {
    fn entry(&self, key: &str) -> Option<Entry> {
        let (value, revision) = self.entries.get(key)?;
        Some(Entry::new(value.clone()).with_version(Version::from_u64(*revision)))
    }

    fn current(&self, key: &str) -> ConflictState {
        self.entry(key)
            .map_or(ConflictState::Absent, ConflictState::Present)
    }

    fn version(&self, key: &str) -> Option<Version> {
        self.entry(key).and_then(|entry| entry.version)
    }

    fn write(&mut self, key: &str, value: Bytes) -> Version {
        self.revision += 1;
        for (place, to) in successors(&value).into_iter().enumerate() {
            if !self
                .moves
                .iter()
                .any(|earlier| earlier.from == key && earlier.to == to)
            {
                self.moves.push(Move {
                    from: key.to_owned(),
                    to,
                    revision: self.revision,
                    is_first: place == 0,
                });
            }
        }
        self.entries.insert(key.to_owned(), (value, self.revision));
        Version::from_u64(self.revision)
    }
}

/// A server's connection to the world.
pub(crate) struct Connection(pub(crate) Arc<World>);

#[async_trait]
impl Driver for Connection {
    fn name(&self) -> &str {
        "world"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
            .with_conditions(Conditions::All)
            .with_touch(true)
    }

    async fn read(&self, key: &Key) -> Result<Option<Entry>> {
        let world = &self.0;
        world
            .gate(Operation::Read, || {
                world.state.lock().unwrap().entry(key.as_str())
            })
            .await
    }

    async fn write(&self, key: &Key, value: Bytes, options: WriteOptions) -> Result<WriteOutcome> {
        let world = &self.0;
        let key = key.as_str();
        world
            .gate(Operation::Change, || {
                let mut state = world.state.lock().unwrap();
                let holds = match &options.condition {
                    WriteCondition::Always => true,
                    _ if world.backend == Backend::IgnoresConditions => true,
                    WriteCondition::IfAbsent => state.version(key).is_none(),
                    WriteCondition::IfVersion(version) => {
                        state.version(key).as_ref() == Some(version)
                    }
                };
                if !holds {
                    return WriteOutcome::Conflict(state.current(key));
                }
                let version = state.write(key, value);
                if world.backend == Backend::ReportsFalseConflicts && !state.false_conflict_given {
                    state.false_conflict_given = true;
                    return WriteOutcome::Conflict(ConflictState::Unknown);
                }
                WriteOutcome::written(Some(version))
            })
            .await
    }

    async fn remove(&self, key: &Key, options: RemoveOptions) -> Result<RemoveOutcome> {
        let world = &self.0;
        let key = key.as_str();
        world
            .gate(Operation::Change, || {
                let mut state = world.state.lock().unwrap();
                if let Some(version) = &options.if_version
                    && state.version(key).as_ref() != Some(version)
                {
                    return RemoveOutcome::Conflict(state.current(key));
                }
                state.entries.remove(key);
                RemoveOutcome::Removed
            })
            .await
    }

    async fn list(&self, _options: ListOptions) -> Result<ListPage> {
        Err(Error::unsupported(self.name(), "list"))
    }

    async fn touch(&self, key: &Key, options: TouchOptions) -> Result<bool> {
        let world = &self.0;
        let key = key.as_str();
        world
            .gate(Operation::Change, || {
                let state = world.state.lock().unwrap();
                let version = state.version(key);
                version.is_some() && (options.if_version.is_none() || options.if_version == version)
            })
            .await
    }
}
