//! The state of a session in one request: what was read, what was changed, and what happens to the cookie.

use std::sync::Arc;

use http::HeaderValue;

use super::SessionId;
use super::changes::{Basis, Changes, Known};
use super::commit::{CommitOutput, SaveOutcome};
use super::cookie::{CookieChange, RequestCookie};
use super::reads::{Reads, Seen};
use super::record::{Item, Record};
use super::tombstone::{MoveKind, Tombstone};
use crate::{Error, Timestamp, Version};

/// What the driver had stored under a session's id when it was last read or written.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// It was not read yet.
    Unread,
    /// No record.
    Absent,
    /// The session moved to another id.
    Tombstone(Box<Moved>),
    /// A record that cannot be parsed.
    Corrupt(CorruptRecord),
    /// No record any more: this request has read one before.
    Gone,
    /// A record.
    Present(Snapshot),
}

/// A tombstone with its version.
#[derive(Clone, Debug)]
pub(crate) struct Moved {
    pub(crate) tombstone: Tombstone,
    pub(crate) version: Option<Version>,
}

/// A record that cannot be parsed, with its version.
#[derive(Clone, Debug)]
pub(crate) struct CorruptRecord {
    pub(crate) version: Option<Version>,
    pub(crate) error: Arc<Error>,
}

/// A record with its version and expiry.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: Record,
    pub(crate) version: Option<Version>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// The state of a session in a request: what was read, and the changes.
#[derive(Debug)]
pub(crate) struct State {
    /// The session ids in the request's cookies.
    pub(crate) cookie: RequestCookie,
    /// The request's `cookie` headers, if they contain the session itself. They are opened when the session is needed.
    pub(crate) request_cookies: Vec<HeaderValue>,
    /// The id of the record; `None` for a session that was never stored.
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    /// Whether this request has seen a record under `id`. If it is missing later, the session was destroyed.
    pub(crate) had_record: bool,
    /// Shared with a running commit, which does not see later changes.
    pub(crate) changes: Option<Arc<Changes>>,
    /// What the request has read.
    pub(crate) reads: Reads,
    /// Whether a commit requires that nothing that was read has changed.
    pub(crate) strict: bool,
    /// Whether the client has another id than `id`, from before a `rotate`.
    pub(crate) followed: bool,
    /// The id that the record will move to.
    pub(crate) next_id: Option<SessionId>,
    /// Whether the session moves to a new id at the commit, and how.
    pub(crate) moves: Option<MoveKind>,
    /// Whether a failed load was reported to the hook.
    pub(crate) load_failure_reported: bool,
    /// Whether the handler used the session.
    pub(crate) used: bool,
    /// Whether the response is sent as it is if changes were lost, such as for `GET`.
    pub(crate) ignores_lost_changes: bool,
    /// Whether the response has begun.
    pub(crate) sealed: bool,
    /// The change to the cookie in the response. It is set when it is certain, and sent in every case.
    pub(crate) response_cookie: Option<CookieChange>,
}

impl State {
    pub(crate) fn new(cookie: RequestCookie) -> Self {
        let id = cookie.ids.first().copied();
        Self {
            cookie,
            request_cookies: Vec::new(),
            id,
            base: if id.is_some() {
                Base::Unread
            } else {
                Base::Absent
            },
            had_record: false,
            changes: None,
            reads: Reads::default(),
            strict: false,
            followed: false,
            next_id: None,
            moves: None,
            load_failure_reported: false,
            used: false,
            ignores_lost_changes: false,
            sealed: false,
            response_cookie: None,
        }
    }

    /// The state of a request whose cookies contain the session itself.
    pub(crate) fn from_cookies(cookie: RequestCookie, request_cookies: Vec<HeaderValue>) -> Self {
        let present = cookie.present;
        let mut state = Self::new(RequestCookie {
            present,
            ..RequestCookie::default()
        });
        state.request_cookies = request_cookies;
        if present {
            state.base = Base::Unread;
        }
        state
    }

    /// Sets what the driver has stored under `id` now.
    pub(crate) fn set_base(&mut self, base: Base) {
        self.had_record |= matches!(base, Base::Present(_));
        self.base = match base {
            Base::Absent if self.had_record => Base::Gone,
            base => base,
        };
    }

    /// Sets the id under which the session was found, which is another one since a `rotate` or if there are several
    /// cookies.
    pub(crate) fn moved_to(&mut self, id: SessionId) {
        if self.id != Some(id) {
            self.followed |= !self.cookie.ids.contains(&id);
            self.id = Some(id);
        }
    }

    /// Notes what a commit has done to values that were read.
    pub(crate) fn note_committed(&mut self, changes: &Changes, done: &CommitOutput) {
        match (done.outcome, &done.base) {
            // The application is told, and reads again.
            (SaveOutcome::Gone | SaveOutcome::Stale, _) => self.reads = Reads::default(),
            (SaveOutcome::Written, Base::Present(snapshot)) => {
                for name in changes.known(done.replayed) {
                    self.reads.note_written(name, &snapshot.record);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn changes_mut(&mut self) -> &mut Changes {
        Arc::make_mut(self.changes.get_or_insert_default())
    }

    /// The record, if there is one.
    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.base {
            Base::Present(snapshot) => Some(&snapshot.record),
            _ => None,
        }
    }

    /// What a request sees of a value that is read now.
    fn seen(&self) -> Seen {
        self.record().cloned()
    }

    /// Notes that the value called `name` was read from the record.
    pub(crate) fn note_read(&mut self, name: &str) {
        let seen = self.seen();
        self.reads.note(name, seen);
    }

    /// Notes that all values were read.
    pub(crate) fn note_read_all(&mut self) {
        let seen = self.seen();
        self.reads.note_all(seen);
    }

    /// What a new value of `name` was computed from.
    pub(crate) fn basis_of(&self, name: &str) -> Basis {
        match self.reads.of(name) {
            Some(seen) => Basis::Read(seen.clone()),
            None => Basis::Blind,
        }
    }

    /// What is known of a value from this request's changes, without the record.
    pub(crate) fn known(&self, name: &str) -> Known<'_> {
        match &self.changes {
            Some(changes) => changes.value(name),
            None => Known::No,
        }
    }

    /// The value called `name` as the request sees it.
    pub(crate) fn item(&self, name: &str, now: impl FnOnce() -> Timestamp) -> Option<Item> {
        match self.known(name) {
            Known::Yes(item) => item.cloned(),
            Known::No => self.record()?.item(name, now),
        }
    }

    /// The same, and notes that the request has read it.
    pub(crate) fn read_item(
        &mut self,
        name: &str,
        now: impl FnOnce() -> Timestamp,
    ) -> Option<Item> {
        if matches!(self.known(name), Known::No) {
            self.note_read(name);
        }
        self.item(name, now)
    }

    /// The flashed value called `name` as the request sees it.
    pub(crate) fn flash(&self, name: &str) -> Option<Item> {
        match self.changes.as_ref().map(|changes| changes.flashed(name)) {
            Some(Known::Yes(item)) => item.cloned(),
            Some(Known::No) | None => self.record()?.flash(name),
        }
    }

    /// The sequence number of the last change to the value called `name`.
    pub(crate) fn sequence_of(&self, name: &str) -> Option<u64> {
        self.changes.as_ref()?.sequence_of(name)
    }

    /// Clears a move that a commit has done, but not one that was requested meanwhile.
    pub(crate) fn forget_move(&mut self, committed: Option<SessionId>) {
        if self.next_id == committed {
            self.moves = None;
            self.next_id = None;
        }
    }

    /// Drops the changes that a commit has written.
    pub(crate) fn forget(&mut self, committed: Option<&Arc<Changes>>) {
        let Some(committed) = committed else { return };
        let Some(changes) = self.changes.take() else {
            return;
        };
        if !Arc::ptr_eq(&changes, committed) {
            let sequence = committed.sequence();
            self.changes = Arc::unwrap_or_clone(changes).after(sequence).map(Arc::new);
        }
    }

    /// Resets this to an empty session.
    pub(crate) fn reset(&mut self) {
        self.id = None;
        self.base = Base::Absent;
        self.had_record = false;
        self.changes = None;
        self.reads = Reads::default();
        self.followed = false;
        self.next_id = None;
        self.moves = None;
    }
}
