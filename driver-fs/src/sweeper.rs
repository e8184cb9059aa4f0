use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rustix::fs::AtFlags;
use rustix::io::Errno;
use session_core::{Prefix, Result, Timestamp};

use crate::error::from_errno;
use crate::ignored::Ignored;
use crate::path::is_segment;
use crate::sidecar;
use crate::staged;
use crate::store::{Store, modified_at};
use crate::threads::FileThreads;
use crate::walk::{File, Walk};

/// How many files are looked at before others have their turn.
const STEP: usize = 256;

/// How long others have after a step, at least; it is as long as the step took.
const LEAST_PAUSE: Duration = Duration::from_millis(2);

/// How long a temporary file, or what stood beside an entry that is gone, is left alone: no writer takes so long.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(600);

/// Removes what has ended, and what writers left behind that were killed. It ends when this is stopped or dropped.
pub(crate) struct Sweeper(Arc<Stop>);

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    told: Condvar,
}

impl Sweeper {
    /// Sweeps at once, and then every `interval`.
    pub(crate) fn start(
        threads: &FileThreads,
        store: Arc<Store>,
        ignored: Arc<Ignored>,
        interval: Duration,
    ) -> Result<Self> {
        let stop = Arc::new(Stop::default());
        let told = Arc::clone(&stop);
        threads.spawn("session-sweeper", move || {
            loop {
                if let Err(error) = sweep(&store, &ignored, &told) {
                    tracing::warn!(%error, "sweeping failed; the next turn tries again");
                }
                if told.within(interval) {
                    return;
                }
            }
        })?;
        Ok(Self(stop))
    }

    pub(crate) fn stop(&self) {
        *self.0.stopped.lock() = true;
        self.0.told.notify_all();
    }
}

impl Drop for Sweeper {
    fn drop(&mut self) {
        self.stop();
    }
}

impl fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}

impl Stop {
    /// Waits for so long, and says whether it was stopped meanwhile.
    fn within(&self, time: Duration) -> bool {
        let mut stopped = self.stopped.lock();
        if !*stopped {
            self.told.wait_for(&mut stopped, time);
        }
        *stopped
    }
}

/// Goes through all files once, step by step.
fn sweep(store: &Store, ignored: &Ignored, stop: &Stop) -> Result<()> {
    let root = Prefix::root();
    let mut walk = Walk::new(store, ignored, &root, None)?;
    let mut started = Instant::now();
    let mut looked_at = 0;
    while let Some(file) = walk.next()? {
        consider(store, &file)?;
        looked_at += 1;
        if looked_at % STEP == 0 {
            if stop.within(started.elapsed().max(LEAST_PAUSE)) {
                return Ok(());
            }
            started = Instant::now();
        }
    }
    Ok(())
}

/// Removes the file if nobody needs it any more.
fn consider(store: &Store, file: &File<'_>) -> Result<()> {
    let File { folder, name, .. } = file;
    let is_orphan = match sidecar::entry_of(name) {
        Some(entry) => folder.kind(entry).map_err(from_errno)?.is_none(),
        None => false,
    };
    if is_orphan || staged::is_temporary(name) {
        let stat = match folder.stat(name) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(()),
            Err(error) => return Err(from_errno(error)),
        };
        if Timestamp::now().saturating_since(modified_at(&stat)) < LEFT_BEHIND_AFTER {
            return Ok(());
        }
        return match folder.unlink(name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(from_errno(error)),
        };
    }
    // What is no file of an entry, or cannot be read, is not in the way of the others.
    if is_segment(name) && matches!(store.is_living(folder, name), Ok(false)) {
        store.remove_ended(folder, name)?;
    }
    Ok(())
}
