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

use crate::driver::NAME;
use crate::files::{Deadline, Files};
use crate::ignored::Ignored;
use crate::path::is_segment;

/// How many events of the file system a watcher may lag behind.
const BACKLOG: usize = 4_096;

/// How many of them are taken at once.
const AT_ONCE: usize = 256;

/// How many files are remembered that were told of because their folder was new.
const MOST_TOLD: usize = 10_000;

/// A watch over the folders of a prefix.
pub(crate) struct Watching {
    folders: Folders,
    events: mpsc::Receiver<notify::Result<Event>>,
    /// Whether there were more events than fit.
    overrun: Arc<AtomicBool>,
}

/// The folders that are watched, each by itself: one that is new is watched first and looked through then, so
/// that nothing in it is missed.
struct Folders {
    base: PathBuf,
    prefix: Prefix,
    ignored: Arc<Ignored>,
    watcher: RecommendedWatcher,
    /// What was told of when its folder was looked through, since the watch may tell of it again.
    told: HashMap<PathBuf, Identity>,
}

/// What tells a file from one that takes its place.
#[derive(PartialEq, Eq)]
struct Identity(u64, u64, i64, i64);

impl Watching {
    /// Begins to watch; it blocks.
    pub(crate) fn start(base: &Path, prefix: Prefix, ignored: Arc<Ignored>) -> Result<Self> {
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
        // What the system calls the base, since its events do.
        let base = base.canonicalize().map_err(|error| {
            let message = "the folder cannot be watched, since it is gone; put it back";
            Error::new(ErrorKind::Unavailable, message).with_source(error)
        })?;
        let mut folders = Folders {
            watcher: watcher.map_err(failed)?,
            base,
            prefix,
            ignored,
            told: HashMap::new(),
        };
        let base = folders.base.clone();
        folders.watch(&base, &mut |_, _| {})?;
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
    /// What the events come to.
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
                EventKind::Remove(RemoveKind::Folder) if *path == self.base => {
                    let message = "the folder that was watched is gone; put it back and watch anew";
                    return Err(Error::new(ErrorKind::Unavailable, message));
                }
                EventKind::Remove(RemoveKind::Folder) => {}
                EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                    self.told.remove(path);
                    changes.extend(self.change(path, ChangeKind::Removed));
                }
                kind => self.appeared(path, &kind, &mut changes)?,
            }
        }
        Ok(changes)
    }

    /// Something has appeared at `path`, or was written there.
    fn appeared(&mut self, path: &Path, kind: &EventKind, changes: &mut Vec<Change>) -> Result<()> {
        let Ok(metadata) = path.symlink_metadata() else {
            // It is gone again, which another event tells.
            return Ok(());
        };
        if metadata.is_dir() {
            let mut found = Vec::new();
            self.watch(path, &mut |path, metadata| {
                found.push((path.to_owned(), Identity::of(metadata)));
            })?;
            for (path, identity) in found {
                changes.extend(self.change(&path, ChangeKind::Written));
                if self.told.len() >= MOST_TOLD {
                    self.told.clear();
                }
                self.told.insert(path, identity);
            }
            return Ok(());
        }
        // A file that is written in its place is told of when it is done; a link to another is done at once.
        let is_begun = cfg!(target_os = "linux")
            && matches!(kind, EventKind::Create(CreateKind::File))
            && metadata.nlink() == 1;
        if is_begun {
            return Ok(());
        }
        let told = self.told.remove(path);
        if told != Some(Identity::of(&metadata)) {
            changes.extend(self.change(path, ChangeKind::Written));
        }
        Ok(())
    }

    /// Watches `folder` and those in it, and shows the files that are there.
    fn watch(
        &mut self,
        folder: &Path,
        show: &mut dyn FnMut(&Path, &std::fs::Metadata),
    ) -> Result<()> {
        if !self.leads_to_the_prefix(folder) {
            return Ok(());
        }
        match self.watcher.watch(folder, RecursiveMode::NonRecursive) {
            Ok(()) => {}
            // It is gone again.
            Err(error) if is_missing(&error) && folder != self.base => return Ok(()),
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
    fn leads_to_the_prefix(&self, folder: &Path) -> bool {
        let Some(path) = self.below_the_base(folder) else {
            return false;
        };
        if path.is_empty() {
            return true;
        }
        if !path.split('/').all(is_segment) || self.ignored.has_folder(&path) {
            return false;
        }
        let folder = format!("{}:", path.replace('/', ":"));
        let prefix = format!("{}:", self.prefix.as_str());
        self.prefix.is_root() || folder.starts_with(&prefix) || prefix.starts_with(&folder)
    }

    /// The path below the base, with `/` between names; empty for the base itself.
    fn below_the_base(&self, path: &Path) -> Option<String> {
        let path = path.strip_prefix(&self.base).ok()?;
        path.to_str().map(str::to_owned)
    }

    fn change(&self, path: &Path, kind: ChangeKind) -> Option<Change> {
        let path = self.below_the_base(path)?;
        if !path.split('/').all(is_segment) || self.ignored.has(&path) {
            return None;
        }
        let key = Key::new(&path).ok()?;
        self.prefix.contains(&key).then_some(Change { key, kind })
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

/// Whether an event of this kind may be a change of an entry. Reading makes most of the others.
fn changes_something(kind: &EventKind) -> bool {
    match kind {
        EventKind::Create(_) | EventKind::Remove(_) => true,
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        // What follows `From` and `To` for both together.
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
    let message = "this watcher was too slow and missed changes; watch anew";
    Error::new(ErrorKind::Unavailable, message).with_context(NAME, "watch")
}

/// What the system says, without the paths, since a file's name is a key.
fn failed(error: notify::Error) -> Error {
    let kind = error.kind;
    let message = match &kind {
        notify::ErrorKind::MaxFilesWatch => {
            "there are more folders than may be watched; raise the limit (`fs.inotify.max_user_watches`)"
        }
        _ => "the folder cannot be watched; see the limits of this user (`fs.inotify`)",
    };
    let error = Error::new(ErrorKind::Unavailable, message);
    match kind {
        notify::ErrorKind::Io(source) => error.with_source(source),
        _ => error,
    }
}
