//! Reports changes of files.

use std::collections::HashMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::Stream;
use futures_util::stream;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RemoveKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use session_core::{Change, ChangeKind, Error, ErrorKind, Key, Prefix, Result};
use tokio::sync::mpsc;

use super::driver::NAME;
use super::files::{Deadline, Files};
use super::ignored::Ignored;
use super::path::{MAX_SEGMENTS, is_segment};

/// How many events of the file system may wait for a watcher.
const BACKLOG: usize = 4_096;

/// How many events are handled at once.
const AT_ONCE: usize = 256;

/// How many files are remembered that were reported because their folder was new.
const MOST_REPORTED: usize = 10_000;

/// A watch over the folders of a prefix.
pub(crate) struct Watching {
    folders: Folders,
    events: mpsc::Receiver<notify::Result<Event>>,
    /// Whether there were more events than fit.
    overrun: Arc<AtomicBool>,
}

/// The watched folders, each with a watch of its own. A new folder is watched first and read then, so that nothing in
/// it is missed.
struct Folders {
    root: PathBuf,
    prefix: Prefix,
    ignored: Arc<Ignored>,
    watcher: RecommendedWatcher,
    /// Files that were reported when their folder was read, since the watch may report them again.
    reported: HashMap<PathBuf, Identity>,
}

/// Distinguishes a file from one that replaces it.
#[derive(PartialEq, Eq)]
struct Identity(u64, u64, i64, i64);

impl Watching {
    /// Begins to watch. It blocks.
    pub(crate) fn start(root: &Path, prefix: Prefix, ignored: Arc<Ignored>) -> Result<Self> {
        let (sender, events) = mpsc::channel(BACKLOG);
        let overrun = Arc::new(AtomicBool::new(false));
        let too_many = Arc::clone(&overrun);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let matters = event.as_ref().map_or(true, |event| {
                event.need_rescan() || changes_something(&event.kind)
            });
            if matters && let Err(mpsc::error::TrySendError::Full(_)) = sender.try_send(event) {
                too_many.store(true, Ordering::Release);
            }
        });
        // The path by which the system calls the root in its events.
        let root = root.canonicalize().map_err(|error| {
            let message = "the folder cannot be watched, since it was removed; put it back";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        let mut folders = Folders {
            watcher: watcher.map_err(failed)?,
            root,
            prefix,
            ignored,
            reported: HashMap::new(),
        };
        let root = folders.root.clone();
        folders.watch(&root, &mut |_, _| {})?;
        Ok(Self {
            folders,
            events,
            overrun,
        })
    }
}

/// The changes that `watching` sees. Looking at the files of some changes may take `timeout`.
pub(crate) fn changes(
    watching: Watching,
    files: Files,
    timeout: Duration,
) -> impl Stream<Item = Result<Change>> + Send {
    let start = Some((watching, Vec::new().into_iter()));
    stream::unfold(start, move |state| {
        let files = files.clone();
        async move {
            let (mut watching, mut ready) = state?;
            loop {
                if let Some(change) = ready.next() {
                    return Some((Ok(change), Some((watching, ready))));
                }
                let mut events = Vec::new();
                if watching.events.recv_many(&mut events, AT_ONCE).await == 0 {
                    return None;
                }
                if watching.overrun.load(Ordering::Acquire) {
                    return Some((Err(missed()), None));
                }
                let Watching {
                    mut folders,
                    events: receiver,
                    overrun,
                } = watching;
                let understood = files.run(Deadline::after(timeout), move || {
                    let changes = folders.understand(events);
                    Ok((folders, changes))
                });
                let (folders, changes) = match understood.await {
                    Ok(understood) => understood,
                    Err(error) if error.kind() == ErrorKind::Closed => return None,
                    Err(error) => return Some((Err(error.with_context(NAME, "watch")), None)),
                };
                watching = Watching {
                    folders,
                    events: receiver,
                    overrun,
                };
                match changes {
                    Ok(changes) => ready = changes.into_iter(),
                    Err(error) => return Some((Err(error.with_context(NAME, "watch")), None)),
                }
            }
        }
    })
}

impl Folders {
    /// Turns events into changes.
    fn understand(&mut self, events: Vec<notify::Result<Event>>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for event in events {
            let event = event.map_err(failed)?;
            if event.need_rescan() {
                return Err(missed());
            }
            let Some(path) = event.paths.first() else {
                continue;
            };
            match event.kind {
                EventKind::Remove(RemoveKind::Folder) if *path == self.root => {
                    let message = "the watched folder was removed; put it back and watch again";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                EventKind::Remove(RemoveKind::Folder) => {}
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                    self.reported.remove(path);
                    changes.extend(self.change(path, ChangeKind::Removed));
                }
                kind => self.appeared(path, &kind, &mut changes)?,
            }
        }
        Ok(changes)
    }

    /// A file or folder was created or written at `path`.
    fn appeared(&mut self, path: &Path, kind: &EventKind, changes: &mut Vec<Change>) -> Result<()> {
        let Ok(metadata) = path.symlink_metadata() else {
            // It was removed again, which another event reports.
            return Ok(());
        };
        if metadata.is_dir() {
            let mut found = Vec::new();
            self.watch(path, &mut |path, metadata| {
                found.push((path.to_owned(), Identity::of(metadata)));
            })?;
            for (path, identity) in found {
                changes.extend(self.change(&path, ChangeKind::Written));
                if self.reported.len() >= MOST_REPORTED {
                    self.reported.clear();
                }
                self.reported.insert(path, identity);
            }
            return Ok(());
        }
        // A file that is written in place is reported when it is closed. A new link to a file is reported at once.
        let is_begun = cfg!(target_os = "linux")
            && matches!(kind, EventKind::Create(CreateKind::File))
            && metadata.nlink() == 1;
        if is_begun {
            return Ok(());
        }
        let reported = self.reported.remove(path);
        if reported != Some(Identity::of(&metadata)) {
            changes.extend(self.change(path, ChangeKind::Written));
        }
        Ok(())
    }

    /// Watches `folder` and those in it, and calls `show` for the files that are there.
    fn watch(
        &mut self,
        folder: &Path,
        show: &mut dyn FnMut(&Path, &std::fs::Metadata),
    ) -> Result<()> {
        if !self.may_hold_prefix(folder) {
            return Ok(());
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            // It was removed again.
            Err(error) if is_missing(&error) && folder != self.root => return Ok(()),
            Err(error) => return Err(failed(error)),
        }
        let Ok(entries) = folder.read_dir() else {
            return Ok(());
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.is_dir() {
                self.watch(&path, show)?;
            } else {
                show(&path, &metadata);
            }
        }
        Ok(())
    }

    /// Whether there may be keys of the prefix in `folder`, or in a folder within it.
    fn may_hold_prefix(&self, folder: &Path) -> bool {
        let Some(path) = self.path_in_root(folder) else {
            return false;
        };
        if path.is_empty() {
            return true;
        }
        let is_deep = path.split('/').count() >= MAX_SEGMENTS;
        if is_deep || !path.split('/').all(is_segment) || self.ignored.has_folder(&path) {
            return false;
        }
        let folder = format!("{}:", path.replace('/', ":"));
        let prefix = format!("{}:", self.prefix.as_str());
        self.prefix.is_root() || folder.starts_with(&prefix) || prefix.starts_with(&folder)
    }

    /// The path in the root, with `/` between names; empty for the root itself.
    fn path_in_root(&self, path: &Path) -> Option<String> {
        let path = path.strip_prefix(&self.root).ok()?;
        path.to_str().map(str::to_owned)
    }

    fn change(&self, path: &Path, kind: ChangeKind) -> Option<Change> {
        let path = self.path_in_root(path)?;
        if !path.split('/').all(is_segment) || self.ignored.has(&path) {
            return None;
        }
        let key = Key::new(&path).ok()?;
        self.prefix.contains(&key).then_some(Change::new(key, kind))
    }
}

impl Identity {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self(
            metadata.dev(),
            metadata.ino(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        )
    }
}

/// Whether an event of this kind may be a change of an entry. Most other events are made by reading.
fn changes_something(kind: &EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        // `Both` follows after `From` and `To`.
        EventKind::Modify(ModifyKind::Name(mode)) => *mode != RenameMode::Both,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Any) => !cfg!(target_os = "linux"),
        _ => false,
    }
}

fn is_missing(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => error.kind() == std::io::ErrorKind::NotFound,
        _ => false,
    }
}

fn missed() -> Error {
    let message = "this watcher was too slow and missed changes; watch again";
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}

/// The error of the system, without paths, since the name of a file is a key.
fn failed(error: notify::Error) -> Error {
    let kind = error.kind;
    let message = match &kind {
        notify::ErrorKind::MaxFilesWatch => {
            "too many folders are watched; raise the limit (`fs.inotify.max_user_watches`)"
        }
        _ => "the folder cannot be watched; check the limits of this user (`fs.inotify`)",
    };
    let error = Error::new(ErrorKind::Unavailable, message);
    match kind {
        notify::ErrorKind::Io(source) => error.with_source(source),
        _ => error,
    }
}
