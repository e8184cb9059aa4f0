use std::sync::Arc;

use http::HeaderValue;

use super::SessionId;
use super::changes::{Changes, Known};
use super::cookie::{CookieChange, RequestCookie};
use super::record::{Item, Record};
use crate::{Timestamp, Version};

/// What the store held under a session's id when it was last read or written.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    /// It was not read yet.
    Unread,
    /// No record.
    Absent,
    /// The session moved to another id.
    Tombstone,
    /// No record, where this request had read one.
    Gone,
    /// A record.
    Present(Snapshot),
}

/// A record with what its driver said of it.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(crate) record: Record,
    pub(crate) version: Option<Version>,
    pub(crate) expires_at: Option<Timestamp>,
}

/// What a request knows of its session and did to it.
#[derive(Debug)]
pub(crate) struct State {
    /// What the request's cookie said.
    pub(crate) cookie: RequestCookie,
    /// The request's `cookie` headers, where the session itself is in them; they are opened when it is needed.
    pub(crate) request_cookies: Vec<HeaderValue>,
    /// The id whose record this is about; `None` for a session that was never stored.
    pub(crate) id: Option<SessionId>,
    pub(crate) base: Base,
    /// Whether there was a record under `id` that this request saw: one that is missing then is gone.
    pub(crate) had_record: bool,
    /// Shared with a commit that runs, which therefore sees no later change.
    pub(crate) changes: Option<Arc<Changes>>,
    /// The id that the record will move to.
    pub(crate) next_id: Option<SessionId>,
    /// Whether the session is to move to a new id.
    pub(crate) regenerate: bool,
    /// Whether the handler asked the session for anything.
    pub(crate) used: bool,
    /// Whether the response has begun.
    pub(crate) sealed: bool,
    /// What the response does to the cookie. It is set once it is certain, and goes out on every path.
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

    /// Takes what the store holds under `id` now.
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

    /// The record, where there is one.
    pub(crate) fn record(&self) -> Option<&Record> {
        match &self.base {
            Base::Present(snapshot) => Some(&snapshot.record),
            _ => None,
        }
    }

    /// What this request's changes alone say of a value.
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

    /// A mark of the last change to the value called `name`.
    pub(crate) fn sequence_of(&self, name: &str) -> Option<u64> {
        self.changes.as_ref()?.sequence_of(name)
    }

    /// Forgets a move to a new id that a commit has made, and not one that was asked for meanwhile.
    pub(crate) fn forget_regenerate(&mut self, committed: Option<SessionId>) {
        if self.next_id == committed {
            self.regenerate = false;
            self.next_id = None;
        }
    }

    /// Forgets the changes that a commit has written.
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

    /// Makes this the session of a visitor without one.
    pub(crate) fn reset(&mut self) {
        self.id = None;
        self.base = Base::Absent;
        self.had_record = false;
        self.changes = None;
        self.next_id = None;
        self.regenerate = false;
    }
}
