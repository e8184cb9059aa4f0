//! Keeps values of files that have not changed in memory.

use std::collections::HashMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::Duration;

use parking_lot::Mutex;
use rustix::fs::Stat;
use session_core::{Entry, Key, Timestamp};

use super::store::timestamp;

/// How many bytes are kept at most, including the overhead of keeping them.
const LIMIT: usize = 32 * 1024 * 1024;

/// Roughly how many bytes an entry takes besides its key and its value.
const OVERHEAD: usize = 256;

/// The longest value that is kept, so that no value displaces many others.
const LONGEST: usize = LIMIT / 128;

/// How long a file must have been unchanged before its value is kept: longer than the resolution of the times of any
/// file system, so that the next change has another time.
const LEFT_ALONE: Duration = Duration::from_secs(3);

/// The entries that were read lately, each with the identity of its file.
///
/// There are two generations. The older one is dropped when the younger one has half of the room.
pub(crate) struct Cache {
    /// The file system whose files are kept. `None` keeps nothing.
    device: Option<i128>,
    generations: Mutex<Generations>,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Key, Cached>,
    old: HashMap<Key, Cached>,
    /// The size of the young ones.
    size: usize,
}

struct Cached {
    identity: Identity,
    entry: Entry,
}

/// Identifies a file: its number, its size, and when it was last written and changed. Every change of its content or
/// its attributes updates the latter, which no program can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Identity([i128; 7]);

impl Identity {
    pub(crate) fn of(stat: &Stat) -> Self {
        // The fields have other types on other systems.
        Self([
            i128::from(stat.st_dev),
            i128::from(stat.st_ino),
            i128::from(stat.st_size),
            i128::from(stat.st_mtime),
            i128::from(stat.st_mtime_nsec),
            i128::from(stat.st_ctime),
            i128::from(stat.st_ctime_nsec),
        ])
    }
}

/// The file systems whose information about a file is always current: those that only this machine writes to. A
/// network file system may give outdated information for a while.
#[cfg(target_os = "linux")]
const LOCAL: [i128; 8] = [
    0xef53,      // ext2 to ext4
    0x5846_5342, // XFS
    0x9123_683e, // Btrfs
    0xf2f5_2010, // F2FS
    0xca45_1a4e, // bcachefs
    0x2fc1_2fc1, // ZFS
    0x0102_1994, // tmpfs
    0x794c_7630, // overlayfs, as in containers
];

#[cfg(target_os = "linux")]
fn is_local(folder: &OwnedFd) -> bool {
    rustix::fs::fstatfs(folder).is_ok_and(|reported| {
        let kind = i128::from(reported.f_type) & 0xffff_ffff;
        LOCAL.contains(&kind)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_local(_folder: &OwnedFd) -> bool {
    false
}

impl Cache {
    /// A cache for files on the file system of `folder`. It keeps nothing if other machines may write there.
    pub(crate) fn in_folder(folder: &OwnedFd) -> Self {
        let stat = rustix::fs::fstat(folder).ok();
        Self::of_device(
            stat.filter(|_| is_local(folder))
                .map(|stat| i128::from(stat.st_dev)),
        )
    }

    fn of_device(device: Option<i128>) -> Self {
        Self {
            device,
            generations: Mutex::default(),
        }
    }

    /// Whether there is an entry of `key`, whatever its file.
    pub(crate) fn has(&self, key: &Key) -> bool {
        let generations = self.generations.lock();
        generations.young.contains_key(key) || generations.old.contains_key(key)
    }

    /// The entry of `key`, if it was read from the file with this `identity`. If not, the entry is dropped.
    pub(crate) fn get(&self, key: &Key, identity: Option<Identity>) -> Option<Entry> {
        let mut generations = self.generations.lock();
        if let Some(cached) = generations.young.get(key)
            && Some(cached.identity) == identity
        {
            return Some(cached.entry.clone());
        }
        let cached = generations.take(key)?;
        if Some(cached.identity) != identity {
            return None;
        }
        let entry = cached.entry.clone();
        generations.put(key.clone(), cached);
        Some(entry)
    }

    /// Keeps `entry`, if the file that it was read from has been unchanged for long enough. `stat` was taken
    /// afterwards.
    pub(crate) fn put(&self, key: &Key, entry: &Entry, stat: &Stat) {
        let changed_at = timestamp(stat.st_ctime, stat.st_ctime_nsec);
        let is_here = self.device == Some(i128::from(stat.st_dev));
        if !is_here
            || entry.value.len() > LONGEST
            || Timestamp::now().saturating_since(changed_at) < LEFT_ALONE
        {
            return;
        }
        let cached = Cached {
            identity: Identity::of(stat),
            entry: entry.clone(),
        };
        let mut generations = self.generations.lock();
        generations.take(key);
        generations.put(key.clone(), cached);
    }
}

impl Generations {
    fn take(&mut self, key: &Key) -> Option<Cached> {
        if let Some(cached) = self.young.remove(key) {
            self.size -= cached.size(key);
            return Some(cached);
        }
        self.old.remove(key)
    }

    /// Adds an entry that neither generation has.
    fn put(&mut self, key: Key, cached: Cached) {
        let size = cached.size(&key);
        if self.size + size > LIMIT / 2 {
            self.old = std::mem::take(&mut self.young);
            self.size = 0;
        }
        self.size += size;
        self.young.insert(key, cached);
    }
}

impl Cached {
    fn size(&self, key: &Key) -> usize {
        OVERHEAD + key.as_str().len() + self.entry.value.len()
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").finish_non_exhaustive()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn stat() -> Stat {
        rustix::fs::stat(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn it_never_holds_more_than_its_limit_and_keeps_used_values() {
        let mut stat = stat();
        let cache = Cache::of_device(Some(i128::from(stat.st_dev)));
        stat.st_ctime = 0;
        let identity = Some(Identity::of(&stat));
        let entry = Entry::new(vec![0; LONGEST]);
        let used = Key::new("used").unwrap();
        cache.put(&used, &entry, &stat);
        for number in 0..1_000 {
            let key = Key::new(&format!("k{number}")).unwrap();
            cache.put(&key, &entry, &stat);
            assert!(cache.get(&used, identity).is_some(), "{number}");
            let generations = cache.generations.lock();
            let all = generations.young.iter().chain(&generations.old);
            let held: usize = all.map(|(key, cached)| cached.size(key)).sum();
            assert!(held <= LIMIT, "{held}");
        }
    }

    #[test]
    fn a_long_or_recently_changed_value_is_not_kept() {
        let (mut stat, key) = (stat(), Key::new("k").unwrap());
        let cache = Cache::of_device(Some(i128::from(stat.st_dev)));
        stat.st_ctime = 0;
        cache.put(&key, &Entry::new(vec![0; LONGEST + 1]), &stat);
        assert!(!cache.has(&key));
        let now = Timestamp::now().as_millis() / 1_000;
        stat.st_ctime = now.try_into().unwrap();
        cache.put(&key, &Entry::new("v"), &stat);
        assert!(!cache.has(&key));
    }

    #[test]
    fn a_value_on_another_file_system_is_not_kept() {
        let (mut stat, key) = (stat(), Key::new("k").unwrap());
        stat.st_ctime = 0;
        for device in [None, Some(i128::from(stat.st_dev) + 1)] {
            let cache = Cache::of_device(device);
            cache.put(&key, &Entry::new("v"), &stat);
            assert!(!cache.has(&key));
        }
    }

    #[test]
    fn a_value_of_another_file_is_dropped() {
        let (mut stat, key) = (stat(), Key::new("k").unwrap());
        let cache = Cache::of_device(Some(i128::from(stat.st_dev)));
        stat.st_ctime = 0;
        cache.put(&key, &Entry::new("v"), &stat);
        stat.st_ctime_nsec += 1;
        assert_eq!(cache.get(&key, Some(Identity::of(&stat))), None);
        assert!(!cache.has(&key));
    }
}
