//! Removes expired entries, and what killed writers left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::fs::AtFlags;
use rustix::io::Errno;
use session_core::{Cursor, Prefix, Result, Timestamp};

use super::directory::Order;
use super::error::from_errno;
use super::files::{Deadline, Files};
use super::ignored::Ignored;
use super::path::is_segment;
use super::sidecar;
use super::staged;
use super::store::{Store, modified_at};
use super::walk::{File, Walk};

/// How many files one step looks at.
const STEP: usize = 256;

/// The same where each step reads the names of the whole folder.
const STEP_BY_NAMES: usize = 10_000;

/// The shortest pause after a step. It is otherwise as long as the step took.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);

/// How long a temporary file, or the sidecar of an entry that is gone, is left alone: no writer takes so long.
const LEFT_BEHIND_AFTER: Duration = Duration::from_secs(600);

/// Sweeps at once, and then every `interval`. A step may take `timeout`.
pub(crate) async fn sweep_every(
    interval: Duration,
    files: Files,
    timeout: Duration,
    store: Arc<Store>,
    ignored: Arc<Ignored>,
) {
    loop {
        if let Err(error) = sweep(&files, timeout, &store, &ignored).await {
            tracing::warn!(%error, "sweeping failed; it is tried again after the interval");
        }
        tokio::time::sleep(interval).await;
    }
}

/// Goes through all files once, step by step.
async fn sweep(
    files: &Files,
    timeout: Duration,
    store: &Arc<Store>,
    ignored: &Arc<Ignored>,
) -> Result<()> {
    let mut cursor = None;
    loop {
        let started = Instant::now();
        let (store, ignored) = (Arc::clone(store), Arc::clone(ignored));
        let deadline = Deadline::after(timeout);
        let step = files.run(deadline, move || step(&store, &ignored, cursor.as_ref()));
        cursor = step.await?;
        if cursor.is_none() {
            return Ok(());
        }
        tokio::time::sleep(started.elapsed().max(SHORTEST_PAUSE)).await;
    }
}

/// Looks at some files from `cursor` on, and says where the next step begins, unless it was the last one.
fn step(store: &Store, ignored: &Ignored, cursor: Option<&Cursor>) -> Result<Option<Cursor>> {
    let root = Prefix::root();
    let mut walk = Walk::new(store, ignored, &root, cursor)?;
    let count = match store.order() {
        Order::Any => STEP,
        Order::Names => STEP_BY_NAMES,
    };
    for _ in 0..count {
        let Some(file) = walk.next()? else {
            return Ok(None);
        };
        sweep_file(store, &file)?;
    }
    Ok(Some(walk.cursor()))
}

/// Removes the file if it is expired, or was left behind.
fn sweep_file(store: &Store, file: &File) -> Result<()> {
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
    // A file that is not an entry, or that cannot be read, does not stop the sweep.
    if is_segment(name) && matches!(store.has_entry(folder, name), Ok(false)) {
        store.remove_expired(folder, name)?;
    }
    Ok(())
}
