//! The changes of a request to its session, which a commit writes and can replay after a conflict.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use foldhash::quality::RandomState;
use indexmap::IndexMap;
use serde_devalue::{Document, Node};

use super::Lifetime;
use super::reads::{Reads, Seen, is_same};
use super::record::{Item, Record};
use crate::{Error, ErrorKind, Result, Timestamp};

/// Makes the new value of an update from the old one.
pub(crate) type Replay = Arc<dyn Fn(Option<Node<'_>>) -> Result<Document> + Send + Sync>;

/// A map by name, in insertion order. Visitors may choose names, so the hash is seeded.
type ByName<T> = IndexMap<Box<str>, T, RandomState>;

/// The changes to a session since its last commit. They can be replayed on a record that another request changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    entries: ByName<EntryChange>,
    flashes: ByName<FlashChange>,
    /// The sequence number of the last `clear`. Earlier changes are dropped.
    cleared: Option<u64>,
    lifetime: Option<LifetimeChange>,
    /// What the request has read, if all of it must be unchanged at the commit.
    strict: Option<Arc<Reads>>,
    /// Incremented with each change, so that a commit can tell which changes came after its start.
    sequence: u64,
}

#[derive(Clone, Debug)]
struct EntryChange {
    sequence: u64,
    operation: Operation,
    /// The value after the operation, as far as this request knows.
    result: Option<Item>,
}

/// Where a value that replaces another came from.
#[derive(Clone, Debug)]
pub(crate) enum Basis {
    /// The request had not read the old value.
    Blind,
    /// The request had seen this.
    Read(Seen),
    /// The application does not mind if the change is lost.
    Volatile,
}

#[derive(Clone)]
enum Operation {
    /// Replaces the value by `result`.
    Replace(Basis),
    /// Applies these updates to the old value, in this order.
    Update(Vec<Replay>),
}

#[derive(Clone, Debug)]
struct FlashChange {
    sequence: u64,
    flash: Flash,
}

/// A change to a flashed value.
#[derive(Clone, Debug)]
pub(crate) enum Flash {
    Put(Item),
    /// This value was taken. A value that another request flashed in its place stays.
    Taken(Item),
}

#[derive(Clone, Copy, Debug)]
struct LifetimeChange {
    sequence: u64,
    lifetime: Lifetime,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Replace(_) => f.write_str("Replace"),
            Self::Update(replays) => write!(f, "Update({})", replays.len()),
        }
    }
}

/// What is known of a value from this request's changes, without the record.
pub(crate) enum Known<'a> {
    /// Nothing: the record has the value.
    No,
    /// This value, or that there is none.
    Yes(Option<&'a Item>),
}

impl Changes {
    /// The sequence number of the newest change.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn set(&mut self, name: &str, item: Item, basis: Basis) {
        self.replace(name, Some(item), basis);
    }

    pub(crate) fn remove(&mut self, name: &str, basis: Basis) {
        self.replace(name, None, basis);
    }

    fn replace(&mut self, name: &str, result: Option<Item>, basis: Basis) {
        let sequence = self.next();
        let change = EntryChange {
            sequence,
            operation: Operation::Replace(basis),
            result,
        };
        self.entries.insert(name.into(), change);
    }

    /// Requires that everything in `reads` is unchanged at the commit.
    pub(crate) fn require(&mut self, reads: Arc<Reads>) {
        self.strict = Some(reads);
    }

    /// Records an update, whose first result is `result`.
    pub(crate) fn update(&mut self, name: &str, replay: Replay, result: Item) {
        let sequence = self.next();
        if let Some(change) = self.entries.get_mut(name) {
            change.sequence = sequence;
            change.result = Some(result);
            // If this request set the value itself, the result of the update is known.
            if let Operation::Update(replays) = &mut change.operation {
                replays.push(replay);
            }
            return;
        }
        let change = EntryChange {
            sequence,
            operation: Operation::Update(vec![replay]),
            result: Some(result),
        };
        self.entries.insert(name.into(), change);
    }

    pub(crate) fn flash(&mut self, name: &str, flash: Flash) {
        let sequence = self.next();
        let change = FlashChange { sequence, flash };
        self.flashes.insert(name.into(), change);
    }

    pub(crate) fn set_lifetime(&mut self, lifetime: Lifetime) {
        let sequence = self.next();
        self.lifetime = Some(LifetimeChange { sequence, lifetime });
    }

    pub(crate) fn value(&self, name: &str) -> Known<'_> {
        match self.entries.get(name) {
            Some(change) => Known::Yes(change.result.as_ref()),
            None => self.unless_cleared(),
        }
    }

    fn unless_cleared(&self) -> Known<'_> {
        match self.cleared {
            Some(_) => Known::Yes(None),
            None => Known::No,
        }
    }

    /// Whether the record was cleared, so that only these changes remain.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared.is_some()
    }

    /// Removes all values: those in the record at the commit, and those set before this call.
    pub(crate) fn clear(&mut self) {
        let sequence = self.next();
        self.entries.clear();
        self.flashes.clear();
        self.cleared = Some(sequence);
    }

    /// The index of a name in [`names`](Self::names), and its value.
    pub(crate) fn position(&self, name: &str) -> Option<(usize, Option<&Item>)> {
        let (index, _, change) = self.entries.get_full(name)?;
        Some((index, change.result.as_ref()))
    }

    pub(crate) fn flashed(&self, name: &str) -> Known<'_> {
        match self.flashes.get(name) {
            Some(change) => Known::Yes(match &change.flash {
                Flash::Put(item) => Some(item),
                Flash::Taken(_) => None,
            }),
            None => self.unless_cleared(),
        }
    }

    /// The sequence number of the last change to a value.
    pub(crate) fn sequence_of(&self, name: &str) -> Option<u64> {
        Some(self.entries.get(name)?.sequence)
    }

    pub(crate) fn lifetime(&self) -> Option<&Lifetime> {
        self.lifetime.as_ref().map(|change| &change.lifetime)
    }

    /// The names that this request set, in insertion order.
    pub(crate) fn names(&self) -> impl ExactSizeIterator<Item = (&str, Option<&Item>)> {
        self.entries
            .iter()
            .map(|(name, change)| (&**name, change.result.as_ref()))
    }

    pub(crate) fn flashes(&self) -> impl Iterator<Item = (&str, &Flash)> {
        self.flashes
            .iter()
            .map(|(name, change)| (&**name, &change.flash))
    }

    /// Whether something is lost if these changes are not applied: not if they only remove values of a session that is
    /// gone, and not if they are all volatile.
    pub(crate) fn would_be_missed(&self) -> bool {
        let missed = |change: &EntryChange| match &change.operation {
            Operation::Replace(Basis::Volatile) => false,
            Operation::Replace(_) => change.result.is_some(),
            Operation::Update(_) => true,
        };
        self.lifetime.is_some()
            || self.entries.values().any(missed)
            || self
                .flashes()
                .any(|(_, flash)| matches!(flash, Flash::Put(_)))
    }

    /// Whether these changes only remove values.
    pub(crate) fn only_remove(&self) -> bool {
        let is_removal = |change: &EntryChange| {
            change.result.is_none() && matches!(change.operation, Operation::Replace(_))
        };
        self.lifetime.is_none()
            && self.entries.values().all(is_removal)
            && !self
                .flashes()
                .any(|(_, flash)| matches!(flash, Flash::Put(_)))
    }

    /// The bytes that these changes occupy while they wait, about.
    pub(crate) fn size(&self) -> usize {
        let item = |item: Option<&Item>| item.map_or(0, |item| item.document.as_bytes().len());
        let entries = self.names().map(|(name, result)| name.len() + item(result));
        let flashes = self.flashes().map(|(name, flash)| match flash {
            Flash::Put(value) | Flash::Taken(value) => name.len() + item(Some(value)),
        });
        entries.chain(flashes).sum()
    }

    /// The names of the values whose content after the commit is the one that this request knows. An update that was
    /// replayed may have given another.
    pub(crate) fn known(&self, replayed: bool) -> impl Iterator<Item = &str> {
        self.entries
            .iter()
            .filter(move |(_, change)| {
                !replayed || matches!(change.operation, Operation::Replace(_))
            })
            .map(|(name, _)| &**name)
    }

    /// Replays these changes on another record; `None` if one of them is stale.
    pub(crate) fn replayed(
        &self,
        base: Option<&Record>,
        default_expires: Option<f64>,
        now: Timestamp,
    ) -> Result<Option<Self>> {
        let is_stale = |name: &str, change: &EntryChange| match &change.operation {
            Operation::Replace(Basis::Read(seen)) => !is_same(name, seen.as_ref(), base, now),
            _ => false,
        };
        let mut entries = self.entries.iter();
        if entries.any(|(name, change)| is_stale(name, change))
            || self
                .strict
                .as_ref()
                .is_some_and(|reads| !reads.all_hold(base, now))
        {
            return Ok(None);
        }
        let mut replayed = self.clone();
        for (name, change) in replayed.entries.iter_mut() {
            let Operation::Update(replays) = &change.operation else {
                continue;
            };
            let mut current = base
                .filter(|_| self.cleared.is_none())
                .and_then(|record| record.item(name, || now));
            for replay in replays {
                let document = run(replay, current.as_ref(), name)?;
                let expires = match &current {
                    Some(item) => item.expires,
                    None => default_expires,
                };
                current = Some(Item::whole(document, expires));
            }
            change.result = current;
        }
        Ok(Some(replayed))
    }

    /// Drops the changes up to `sequence`, which a commit has written; `None` if no change is left.
    pub(crate) fn after(mut self, sequence: u64) -> Option<Self> {
        self.entries.retain(|_, change| change.sequence > sequence);
        self.flashes.retain(|_, change| change.sequence > sequence);
        self.cleared = self.cleared.filter(|cleared| *cleared > sequence);
        self.lifetime = self.lifetime.filter(|change| change.sequence > sequence);
        self.strict = None;
        let empty = self.entries.is_empty()
            && self.flashes.is_empty()
            && self.cleared.is_none()
            && self.lifetime.is_none();
        (!empty).then_some(self)
    }
}

/// Runs an update of the application again. It may run in another request's task, which a panic must not end.
fn run(replay: &Replay, current: Option<&Item>, name: &str) -> Result<Document> {
    let run = AssertUnwindSafe(|| replay(current.map(Item::node)));
    catch_unwind(run).unwrap_or_else(|_| {
        Err(Error::new(
            ErrorKind::Rejected,
            format!("the update of the session value `{name}` panicked when it ran again; nothing was changed"),
        ))
    })
}
