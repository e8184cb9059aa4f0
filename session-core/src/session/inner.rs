//! What is behind a handle: the state of a session in one request, its loads, and its commit.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use smallvec::SmallVec;

use super::backing::Backing;
use super::changes::Known;
use super::commit::{self, Claim, CommitInput, CommitOutput, SaveOutcome, corrupt_again};
use super::cookie::CookieChange;
use super::destroy;
use super::state::{Base, State};
use super::{SessionEvent, SessionId, SessionManager};
use crate::{Error, ErrorKind, Outcome, Result};

/// What kind of handle a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Belongs to a request. It is committed before the response, which carries its cookie.
    Request,
    /// Works on an id that the client has. Only [`Session::save`] commits it.
    Detached,
    /// Belongs to no request. [`Session::save`] gives it an id.
    Standalone,
}

/// The part of a session that its handles share.
pub(crate) struct Inner {
    manager: SessionManager,
    mode: Mode,
    /// Locked while the record is read or written, so that loads and commits of one handle do not overlap.
    io: futures_util::lock::Mutex<()>,
    state: Mutex<State>,
}

impl Inner {
    pub(crate) fn new(manager: SessionManager, mode: Mode, state: State) -> Self {
        Self {
            manager,
            mode,
            io: futures_util::lock::Mutex::default(),
            state: Mutex::new(state),
        }
    }

    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    pub(crate) fn manager(&self) -> &SessionManager {
        &self.manager
    }

    /// Locks `io`, waiting at most the commit's deadline.
    pub(crate) async fn lock_io(&self) -> Result<futures_util::lock::MutexGuard<'_, ()>> {
        if let Some(io) = self.io.try_lock() {
            return Ok(io);
        }
        let limit = self.manager.inner().settings.commit_deadline;
        let locked = Box::pin(tokio::time::timeout(limit, self.io.lock())).await;
        locked.map_err(|_| {
            Error::new(
                ErrorKind::Contended,
                format!(
                    "another task has been loading or saving this session for {limit:?}; await its call to the session, \
                     or drop it"
                ),
            )
        })
    }

    /// Whether the record is still being read or written, by a clone or by a call that a timeout dropped.
    pub(crate) fn is_busy(&self) -> bool {
        self.io.try_lock().is_none()
    }

    /// Locks the state for a change; an error once the response has begun.
    pub(crate) fn change(&self) -> Result<MutexGuard<'_, State>> {
        let mut state = self.state.lock();
        if state.sealed {
            return Err(Error::new(
                ErrorKind::ResponseStarted,
                "the response has begun, so a change of the session would be lost; change it in the handler, \
                 or use a handle from `detach`",
            ));
        }
        state.used = true;
        Ok(state)
    }

    pub(crate) fn known_presence(&self, name: &str) -> Option<bool> {
        let mut state = self.state.lock();
        state.used = true;
        match state.known(name) {
            Known::Yes(item) => Some(item.is_some()),
            Known::No => None,
        }
    }

    /// Reads the record if it was not read yet. The caller holds `io`.
    ///
    /// A record that cannot be parsed is an error, and is read again the next time.
    pub(crate) async fn load_locked(&self) -> Result<()> {
        let Some(ids) = self.unread() else {
            return Ok(());
        };
        let (id, base) = self.read(&ids).await?;
        if let Base::Corrupt(corrupt) = &base {
            let error = corrupt_again(corrupt);
            self.report_failed_load(id, &error);
            return Err(error);
        }
        let mut state = self.state.lock();
        state.moved_to(id);
        state.set_base(base);
        Ok(())
    }

    /// The ids that the session may have, if it was not read yet.
    fn unread(&self) -> Option<SmallVec<[SessionId; 1]>> {
        let mut state = self.state.lock();
        state.used = true;
        self.open_cookie(&mut state);
        match (&state.base, state.id) {
            (Base::Unread, Some(id)) if state.cookie.ids.contains(&id) => {
                Some(state.cookie.ids.clone())
            }
            (Base::Unread, Some(id)) => Some(SmallVec::from_slice(&[id])),
            _ => None,
        }
    }

    /// Opens the session in the request's cookies, if it is stored there and not open yet.
    fn open_cookie(&self, state: &mut State) {
        let manager = self.manager.inner();
        let backing = manager.backing.cookie();
        if let (Some(backing), Base::Unread, None) = (backing, &state.base, state.id) {
            let base = backing.open(manager, &state.request_cookies);
            state.set_base(base);
        }
    }

    /// Reads the first session that exists of these ids, and reports an error to the hook.
    pub(crate) async fn read(&self, ids: &[SessionId]) -> Result<(SessionId, Base)> {
        let read = self.manager.inner().load_first(ids).await;
        if let (Err(error), Some(id)) = (&read, ids.first()) {
            self.report_failed_load(*id, error);
        }
        read
    }

    fn report_failed_load(&self, id: SessionId, error: &Error) {
        self.state.lock().load_failure_reported = true;
        let event = SessionEvent::LoadFailed(error);
        self.manager.inner().report(Some(id.fingerprint()), &event);
    }

    /// Runs the commit protocol on the changes so far.
    pub(crate) async fn commit(&self, claim: Claim) -> Result<CommitOutput> {
        let _io = self.lock_io().await?;
        let committed = match self.begin_commit(claim).await {
            Ok(input) => {
                let committed = self.run_commit(&input).await;
                self.end_commit(&input, &committed);
                committed
            }
            Err(error) => Err(error),
        };
        self.report_commit(&committed);
        committed
    }

    /// Reads the record if the commit needs it, and takes the changes so far.
    async fn begin_commit(&self, claim: Claim) -> Result<CommitInput> {
        let manager = self.manager.inner();
        manager.detached.check()?;
        let is_needed = {
            let state = self.state.lock();
            state.changes.is_some() || state.moves.is_some()
        };
        let mut corrupt = None;
        if is_needed && let Some(ids) = self.unread() {
            let (id, base) = manager.load_first(&ids).await?;
            let mut state = self.state.lock();
            state.moved_to(id);
            match base {
                // Reads must go on failing.
                Base::Corrupt(_) => corrupt = Some(base),
                base => state.set_base(base),
            }
        }
        let mut state = self.state.lock();
        if state.strict && state.changes.is_some() {
            let reads = Arc::new(state.reads.clone());
            state.changes_mut().require(reads);
        }
        Ok(CommitInput {
            id: state.id,
            base: corrupt.unwrap_or_else(|| state.base.clone()),
            changes: state.changes.clone(),
            moves: state.moves,
            next_id: state.next_id,
            may_create: self.mode != Mode::Detached,
            followed: state.followed,
            claim,
        })
    }

    async fn run_commit(&self, input: &CommitInput) -> Result<CommitOutput> {
        let manager = self.manager.inner();
        match &manager.backing {
            Backing::Driver(_) => commit::commit(manager, input).await,
            Backing::Cookie(cookie) => {
                let request_cookies = self.state.lock().request_cookies.clone();
                cookie.commit(manager, input, &request_cookies)
            }
        }
    }

    /// Notes what a commit did in the state.
    fn end_commit(&self, input: &CommitInput, committed: &Result<CommitOutput>) {
        let changes = input.changes.as_ref();
        let mut state = self.state.lock();
        match committed {
            Ok(done) => {
                // A change without effect on a session that is not stored may still affect later changes.
                let stays = done.outcome == SaveOutcome::Unchanged
                    && !matches!(done.base, Base::Present(_));
                if !stays {
                    state.forget(changes);
                    state.forget_move(input.next_id);
                }
                if let Some(changes) = changes {
                    state.note_committed(changes, done);
                }
                state.id = done.id;
                state.followed &= done.cookie.is_none();
                state.set_base(done.base.clone());
                let sent = state.response_cookie.take();
                state.response_cookie = match sent {
                    Some(CookieChange::Set { id, .. })
                        if done.outcome == SaveOutcome::Gone && done.id == Some(id) =>
                    {
                        None
                    }
                    sent => done.cookie.clone().or(sent),
                };
            }
            Err(error) if error.outcome() == Outcome::Unknown => {
                state.forget(changes);
                state.forget_move(input.next_id);
                state.base = match state.id {
                    Some(_) => Base::Unread,
                    None => Base::Absent,
                };
            }
            Err(_) => {}
        }
    }

    fn report_commit(&self, committed: &Result<CommitOutput>) {
        let (id, load_failure_reported) = {
            let mut state = self.state.lock();
            let reported = std::mem::take(&mut state.load_failure_reported);
            (state.id, reported)
        };
        let report = |event: &SessionEvent<'_>| {
            let session = id.map(|id| id.fingerprint());
            self.manager.inner().report(session, event);
        };
        match committed {
            Ok(done) => match done.outcome {
                SaveOutcome::Gone if done.lost => report(&SessionEvent::Gone),
                SaveOutcome::Stale => report(&SessionEvent::Stale),
                _ => {}
            },
            // The handler's read has failed before, for the same reason.
            Err(_) if load_failure_reported => {}
            Err(error) => report(&SessionEvent::CommitFailed(error)),
        }
    }

    pub(crate) async fn destroy(&self) -> Result<()> {
        let _io = self.lock_io().await?;
        let (id, known, others) = {
            let mut state = self.state.lock();
            // If the response gets lost, a record that is missing later counts as destroyed.
            state.had_record |= state.id.is_some();
            let known = match &state.base {
                Base::Present(snapshot) => Some(snapshot.clone()),
                _ => None,
            };
            let others = state.cookie.ids.iter().copied();
            let others: SmallVec<[SessionId; 1]> =
                others.filter(|other| Some(*other) != state.id).collect();
            (state.id, known, others)
        };
        let manager = self.manager.inner();
        if manager.backing.cookie().is_none() {
            if let Some(id) = id {
                destroy::destroy(manager, id, known.as_ref()).await?;
            }
            for other in others {
                destroy::destroy(manager, other, None).await?;
            }
        }
        let mut state = self.state.lock();
        let has_cookie = state.cookie.present || state.response_cookie.is_some();
        state.reset();
        if has_cookie {
            state.response_cookie = Some(CookieChange::Remove);
        }
        Ok(())
    }
}
