//! The state of a session in one request: what was read, what was changed, and what happens to the cookie.

use std::sync::Arc;

use http::HeaderValue;

use super::SessionId;
use super::changes::{Changes, Known};
use super::cookie::{CookieChange, RequestCookie};
use super::record::{Item, Record};
use crate::{Timestamp, Version};

/// What the driver had stored under a session's id when it was last read or written.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// It was not read yet.
    Unread,
    /// No record.
    Absent,
    /// The session moved to another id.
    Tombstone,
    /// No record any more: this request has read one before.
    Gone,
    /// A record.
    Present(Snapshot),
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
    /// The session id in the request's cookie.
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
    /// The id that the record will move to.
    pub(crate) next_id: Option<SessionId>,
    /// Whether the session moves to a new id at the commit.
    pub(crate) regenerate: bool,
    /// Whether the handler used the session.
    pub(crate) used: bool,
    /// Whether the response has begun.
    pub(crate) sealed: bool,
    /// The change to the cookie in the response. It is set when it is certain, and sent in every case.
    pub(crate) response_cookie: Option<CookieChange>,
}

impl State {
    pub(crate) fn new(cookie: RequestCookie) -> Self {
        let id = match cookie {
            RequestCookie::Id(id) => Some(id),
            RequestCookie::Missing | RequestCookie::NoId => None,
        };
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
            next_id: None,
            regenerate: false,
            used: false,
            sealed: false,
            response_cookie: None,
        }
    }

    /// The state of a request whose cookies contain the session itself.
    pub(crate) fn from_cookies(cookie: RequestCookie, request_cookies: Vec<HeaderValue>) -> Self {
        let is_there = cookie != RequestCookie::Missing;
        let mut state = Self::new(match is_there {
            true => RequestCookie::NoId,
            false => RequestCookie::Missing,
        });
        state.request_cookies = request_cookies;
        if is_there {
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

    /// Clears a `regenerate` that a commit has done, but not one that was requested meanwhile.
    pub(crate) fn forget_regenerate(&mut self, committed: Option<SessionId>) {
        if self.next_id == committed {
            self.regenerate = false;
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
        self.next_id = None;
        self.regenerate = false;
    }
}
