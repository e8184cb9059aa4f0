use std::fmt;
use std::sync::Arc;

use foldhash::quality::RandomState;
use indexmap::IndexMap;
use serde_devalue::{Document, Node};

use super::Lifetime;
use super::record::{Item, Record};
use crate::{Result, Timestamp};

/// Makes the new value of an update from the old one.
pub(crate) type Replay = Arc<dyn Fn(Option<Node<'_>>) -> Result<Document> + Send + Sync>;

/// Values by name, in the order in which the names were first used. Visitors may choose names, so the hash is seeded.
type ByName<T> = IndexMap<Box<str>, T, RandomState>;

/// What was done to a session since its last commit, so that it can be done again to a record that somebody
/// else changed meanwhile.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes {
    entries: ByName<EntryChange>,
    flashes: ByName<FlashChange>,
    /// When everything was cleared; what was done before that is forgotten.
    cleared: Option<u64>,
    lifetime: Option<LifetimeChange>,
    /// Grows with each change, so that a commit can tell those that came after it began.
    sequence: u64,
}

#[derive(Clone, Debug)]
struct EntryChange {
    sequence: u64,
    operation: Operation,
    /// What the value is after the operation, as far as this request knows.
    result: Option<Item>,
}

#[derive(Clone)]
enum Operation {
    /// The value is `result`, whatever it was.
    Replace,
    /// The value is made from what it was by each of these in turn.
    Update(Vec<Replay>),
}

#[derive(Clone, Debug)]
struct FlashChange {
    sequence: u64,
    flash: Flash,
}

/// What was done to a flashed value.
#[derive(Clone, Debug)]
pub(crate) enum Flash {
    Put(Item),
    /// This one was taken; one that somebody else has put in its place is not it.
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
            Self::Replace => f.write_str("Replace"),
            Self::Update(replays) => write!(f, "Update({})", replays.len()),
        }
    }
}

/// What this request's changes alone say of a value.
pub(crate) enum Known<'a> {
    /// Nothing: it is what the record says.
    No,
    /// It is this, or absent.
    Yes(Option<&'a Item>),
}

impl Changes {
    /// A mark of the newest change.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    fn next(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    pub(crate) fn set(&mut self, name: &str, item: Item) {
        self.replace(name, Some(item));
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.replace(name, None);
    }

    fn replace(&mut self, name: &str, result: Option<Item>) {
        let sequence = self.next();
        let operation = Operation::Replace;
        let change = EntryChange {
            sequence,
            operation,
            result,
        };
        self.entries.insert(name.into(), change);
    }

    /// Keeps an update, whose first result is `result`.
    pub(crate) fn update(&mut self, name: &str, replay: Replay, result: Item) {
        let sequence = self.next();
        if let Some(change) = self.entries.get_mut(name) {
            change.sequence = sequence;
            change.result = Some(result);
            // A value that this request set itself is known, and so is what an update makes of it.
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

    /// Whether nothing of the record is left but what is changed here.
    pub(crate) fn is_cleared(&self) -> bool {
        self.cleared.is_some()
    }

    /// Removes everything: what the record has at the commit, and what was set before.
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

    /// How many names were set.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
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

    /// A mark of the last change to a value.
    pub(crate) fn sequence_of(&self, name: &str) -> Option<u64> {
        Some(self.entries.get(name)?.sequence)
    }

    pub(crate) fn lifetime(&self) -> Option<&Lifetime> {
        self.lifetime.as_ref().map(|change| &change.lifetime)
    }

    /// The names that this request set, in the order in which it first did.
    pub(crate) fn names(&self) -> impl Iterator<Item = (&str, Option<&Item>)> {
        self.entries
            .iter()
            .map(|(name, change)| (&**name, change.result.as_ref()))
    }

    pub(crate) fn flashes(&self) -> impl Iterator<Item = (&str, &Flash)> {
        self.flashes
            .iter()
            .map(|(name, change)| (&**name, &change.flash))
    }

    /// These changes as they come out on another record than the one that they were made on.
    pub(crate) fn replayed(
        &self,
        base: Option<&Record>,
        default_expires: Option<f64>,
        now: Timestamp,
    ) -> Result<Self> {
        let mut replayed = self.clone();
        for (name, change) in replayed.entries.iter_mut() {
            let Operation::Update(replays) = &change.operation else {
                continue;
            };
            let mut current = base
                .filter(|_| self.cleared.is_none())
                .and_then(|record| record.item(name, || now));
            for replay in replays {
                let document = replay(current.as_ref().map(Item::node))?;
                let expires = match &current {
                    Some(item) => item.expires,
                    None => default_expires,
                };
                current = Some(Item::whole(document, expires));
            }
            change.result = current;
        }
        Ok(replayed)
    }

    /// Forgets what a commit of the changes up to `sequence` has written; `None` if nothing is left.
    pub(crate) fn after(mut self, sequence: u64) -> Option<Self> {
        self.entries.retain(|_, change| change.sequence > sequence);
        self.flashes.retain(|_, change| change.sequence > sequence);
        self.cleared = self.cleared.filter(|cleared| *cleared > sequence);
        self.lifetime = self.lifetime.filter(|change| change.sequence > sequence);
        let empty = self.entries.is_empty()
            && self.flashes.is_empty()
            && self.cleared.is_none()
            && self.lifetime.is_none();
        (!empty).then_some(self)
    }
}
