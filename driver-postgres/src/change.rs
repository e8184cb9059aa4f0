//! The changes of single keys, several of which share a statement.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use session_core::{ConflictState, Entry, ErrorKind, Key, Outcome, Timestamp, Version};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::{Arguments, Row};
use tokio::time::Instant;

use crate::error::Failure;
use crate::statements::Changing;
use crate::store::{Lease, Store};

/// The change of a key.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
    pub(crate) condition: Condition,
    /// What a put stores.
    pub(crate) value: Bytes,
    pub(crate) is_text: bool,
    /// The expiry that a put or a touch sets, in milliseconds.
    pub(crate) expires_at: Option<i64>,
    /// The revision that a put sets.
    pub(crate) revision: i64,
    /// Nobody waits for it any longer.
    pub(crate) deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Put,
    Delete,
    Touch,
}

/// What must hold for a change to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Always,
    /// There is no entry, or it has expired.
    IfAbsent,
    /// There is an entry of this revision that has not expired.
    IfRevision(i64),
}

/// What became of a change.
#[derive(Debug)]
pub(crate) enum Changed {
    Yes,
    /// Its condition did not hold, or there was nothing to change. This is the current entry.
    No(ConflictState),
}

/// Those who wait for the changes of a batch, by their place in it.
pub(crate) trait Callers: Send {
    /// Whether the caller still waits.
    fn is_waiting(&self, place: usize) -> bool;

    fn answer(&mut self, place: usize, answer: Result<Changed, Failure>);
}

/// Callers that are one, who gets all answers at the end.
impl Callers for Vec<Option<Result<Changed, Failure>>> {
    fn is_waiting(&self, _place: usize) -> bool {
        true
    }

    fn answer(&mut self, place: usize, answer: Result<Changed, Failure>) {
        if let Some(answered) = self.get_mut(place) {
            *answered = Some(answer);
        }
    }
}

/// Takes changes of one kind that fit into one statement: each key once, and not too many bytes.
#[derive(Debug)]
pub(crate) struct Batch {
    kind: Kind,
    keys: HashSet<Key>,
    size: usize,
}

impl Batch {
    pub(crate) const LONGEST: usize = 128;
    const LARGEST: usize = 1 << 20;

    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            keys: HashSet::new(),
            size: 0,
        }
    }

    /// Whether the change belongs to the batch, which counts it in then.
    pub(crate) fn takes(&mut self, change: &Change) -> bool {
        let fits = self.keys.is_empty()
            || self.keys.len() < Self::LONGEST && self.size + change.value.len() <= Self::LARGEST;
        let takes = fits && change.kind == self.kind && self.keys.insert(change.key.clone());
        if takes {
            self.size += change.value.len();
        }
        takes
    }
}

impl Store {
    /// Makes the changes of a [`Batch`] in one statement. Those that it leaves undecided, since another transaction was at
    /// their rows, are made one by one, and so are all of them if the server refuses the statement, so that the one to
    /// blame fails alone.
    pub(crate) async fn change(
        &self,
        lease: &mut Lease<'_>,
        changes: &[Change],
        callers: &mut impl Callers,
    ) {
        let Some(first) = changes.first() else {
            return;
        };
        let sql = self.changing(first.kind);
        let mut left: Vec<usize> = (0..changes.len()).collect();
        if changes.len() > 1 {
            // Rows are locked in this order.
            let mut ordered: Vec<&Change> = changes.iter().collect();
            ordered.sort_by(|one, other| one.key.cmp(&other.key));
            let place_of: std::collections::HashMap<&Key, usize> = changes
                .iter()
                .enumerate()
                .map(|(place, change)| (&change.key, place))
                .collect();
            let ran = lease
                .change(&sql.skipping, arguments(&ordered), self.deadline())
                .await;
            match ran.and_then(|rows| decide(&ordered, &rows, false)) {
                Ok(decisions) => {
                    let mut undecided = Vec::new();
                    for (change, decision) in ordered.iter().zip(decisions) {
                        let Some(place) = place_of.get(&change.key) else {
                            continue;
                        };
                        match decision {
                            Some(changed) => callers.answer(*place, Ok(changed)),
                            None => undecided.push(*place),
                        }
                    }
                    left = undecided;
                }
                Err(failure) if failure.is_refusal => {}
                Err(failure) => {
                    for place in left {
                        callers.answer(place, Err(failure.clone()));
                    }
                    return;
                }
            }
        }
        for place in left {
            let Some(change) = changes.get(place).filter(|_| callers.is_waiting(place)) else {
                continue;
            };
            let changed = self.change_one(lease, change).await;
            callers.answer(place, changed);
        }
    }

    /// Makes one change, and waits for whoever holds its row.
    async fn change_one(&self, lease: &mut Lease<'_>, change: &Change) -> Result<Changed, Failure> {
        let sql = self.changing(change.kind);
        loop {
            if change.deadline <= Instant::now() {
                let mut failure = Failure::unanswered();
                failure.outcome = Outcome::NotApplied;
                return Err(failure);
            }
            let arguments = arguments(&[change]);
            let rows = lease
                .change(&sql.waiting, arguments, change.deadline)
                .await?;
            // The row was inserted by another transaction while the statement ran.
            if let Some(changed) = decide(&[change], &rows, true)?.pop().flatten() {
                return Ok(changed);
            }
        }
    }

    fn changing(&self, kind: Kind) -> &Changing {
        match kind {
            Kind::Put => &self.statements.put,
            Kind::Delete => &self.statements.delete,
            Kind::Touch => &self.statements.touch,
        }
    }
}

fn arguments(changes: &[&Change]) -> PgArguments {
    fn each<'c, T>(changes: &'c [&'c Change], get: impl Fn(&'c Change) -> T) -> Vec<T> {
        changes.iter().map(|change| get(change)).collect()
    }
    let (mode, expected): (Vec<i16>, Vec<i64>) = changes
        .iter()
        .map(|change| match change.condition {
            Condition::Always => (0, 0),
            Condition::IfAbsent => (1, 0),
            Condition::IfRevision(revision) => (2, revision),
        })
        .unzip();
    let mut arguments = PgArguments::default();
    // None of these types can fail to encode, and the server would miss one that did.
    let _added = arguments
        .add(each(changes, |change| change.key.as_bytes()))
        .and_then(|()| arguments.add(each(changes, |change| &*change.value)))
        .and_then(|()| arguments.add(each(changes, |change| change.is_text)))
        .and_then(|()| arguments.add(each(changes, |change| change.expires_at)))
        .and_then(|()| arguments.add(each(changes, |change| change.revision)))
        .and_then(|()| arguments.add(mode))
        .and_then(|()| arguments.add(expected));
    arguments
}

/// What became of each of `changes`, in their order; `None` if the statement did not decide it.
fn decide(
    changes: &[&Change],
    rows: &[PgRow],
    has_waited: bool,
) -> Result<Vec<Option<Changed>>, Failure> {
    let mut decided: Vec<Option<Changed>> = changes.iter().map(|_| None).collect();
    for row in rows {
        let place = row.try_get::<i64, _>(0).map_err(Failure::of)?;
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        if let (Some(change), Some(decided)) = (changes.get(place), decided.get_mut(place)) {
            *decided = decision(change, row, has_waited)?;
        }
    }
    Ok(decided)
}

fn decision(change: &Change, row: &PgRow, has_waited: bool) -> Result<Option<Changed>, Failure> {
    let read = || {
        let is_done: bool = row.try_get(1)?;
        let has_row: bool = row.try_get(2)?;
        let is_gone: Option<bool> = row.try_get(3)?;
        Ok((is_done, has_row, is_gone.unwrap_or(true)))
    };
    let (is_done, has_row, is_gone) = read().map_err(Failure::of)?;
    let is_put_anyway = change.kind == Kind::Put && change.condition == Condition::Always;
    Ok(match (is_done, has_row) {
        (true, _) => Some(Changed::Yes),
        (false, true) if is_put_anyway => {
            return Err(Failure::new(
                ErrorKind::Backend,
                Outcome::NotApplied,
                "the server left the row unchanged; check for triggers or policies on the table that refuse changes",
            ));
        }
        (false, true) if is_gone => Some(Changed::No(ConflictState::Absent)),
        (false, true) => {
            let entry = entry(row, 4).map_err(Failure::of)?;
            Some(Changed::No(ConflictState::Present(entry)))
        }
        // An insertion that met another one, or a row that was skipped.
        (false, false) if change.kind == Kind::Put && !is_conditional(change) => None,
        (false, false) => has_waited.then_some(Changed::No(ConflictState::Absent)),
    })
}

fn is_conditional(change: &Change) -> bool {
    matches!(change.condition, Condition::IfRevision(_))
}

/// The entry whose value, expiry and revision stand from `column` on.
pub(crate) fn entry(row: &PgRow, column: usize) -> Result<Entry, sqlx::Error> {
    let value: Vec<u8> = row.try_get(column)?;
    let expires_at: Option<i64> = row.try_get(column + 1)?;
    let revision: i64 = row.try_get(column + 2)?;
    Ok(Entry::new(value)
        .with_version(version(revision))
        .with_expires_at(time(expires_at)))
}

pub(crate) fn time(millis: Option<i64>) -> Option<Timestamp> {
    millis.map(|millis| Timestamp::from_millis(u64::try_from(millis).unwrap_or(0)))
}

/// Milliseconds as the table stores them. Later times become the latest one.
pub(crate) fn millis(time: Timestamp) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

/// The version of a revision. A row that unstorage wrote before our columns were added counts as revision 0, which no
/// write gets.
pub(crate) fn version(revision: i64) -> Version {
    Version::from_bytes(&revision.to_be_bytes())
}

/// The revision of a version, or `None` if the version was not made by this driver.
pub(crate) fn revision(version: &Version) -> Option<i64> {
    version.as_bytes().try_into().ok().map(i64::from_be_bytes)
}

/// Gives every write a revision that no other write has had.
///
/// It counts from a random 64-bit number, so that two processes, or one before and after a restart, use different
/// numbers. A row that is removed and written again does not get a number that a reader may still have.
#[derive(Debug)]
pub(crate) struct Revisions(AtomicU64);

impl Revisions {
    pub(crate) fn new() -> Self {
        // The standard library keys its hashers with the operating system's random numbers.
        Self(AtomicU64::new(
            RandomState::new().hash_one(std::process::id()),
        ))
    }

    pub(crate) fn next(&self) -> i64 {
        loop {
            let next = self.0.fetch_add(1, Ordering::Relaxed);
            // Zero means a row without a revision.
            if next != 0 {
                return i64::from_be_bytes(next.to_be_bytes());
            }
        }
    }
}
