//! Writes a file under a temporary name, and renames it.

use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use super::folder::{Folder, widen};

const PREFIX: &str = ".unstorage-tmp-";

/// Whether a file of this name is a temporary one, by the pattern of unstorage 2: `^\.unstorage-tmp-[\da-z-]+$`.
pub(crate) fn is_temporary(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    let is_of_it = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
    !rest.is_empty() && rest.bytes().all(is_of_it)
}

/// A temporary name as unstorage makes it: the process, eight random hexadecimal digits, a counter.
fn temporary_name() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(|| {
        let random = RandomState::new().hash_one(0_u8) & 0xffff_ffff;
        format!(
            "{PREFIX}{}-{random:08x}-",
            base36(u64::from(std::process::id()))
        )
    });
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{}{}", *PROCESS, base36(count))
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            break;
        }
    }
    digits.iter().rev().collect()
}

/// A file that is written under a temporary name, to become an entry in one step. If it is dropped before, it is
/// removed.
pub(crate) struct Staged<'f> {
    folder: &'f Folder,
    name: Option<String>,
}

impl<'f> Staged<'f> {
    /// Writes `value` to a new file in `folder`, and calls `finish` on it before it is closed.
    pub(crate) fn write(
        folder: &'f Folder,
        value: &[u8],
        mode: Mode,
        finish: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let (name, file) = loop {
            let name = temporary_name();
            match folder.open(&name, flags, mode) {
                Ok(file) => break (name, file),
                // An earlier process with the same id left it behind.
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        };
        let staged = Self {
            folder,
            name: Some(name),
        };
        widen(&file, mode)?;
        let mut rest = value;
        while !rest.is_empty() {
            let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, rest))?;
            rest = rest.get(written..).unwrap_or_default();
        }
        finish(&file)?;
        Ok(staged)
    }

    /// Renames it to `name`, and replaces the file of that name.
    pub(crate) fn replace(mut self, name: &str) -> Result<()> {
        if let Some(temporary) = &self.name {
            self.folder.rename(temporary, name, RenameFlags::empty())?;
        }
        self.name = None;
        Ok(())
    }

    /// Renames it to `name`. If there is a file of that name, the error is [`Errno::EXIST`] and nothing changes.
    pub(crate) fn create(&mut self, name: &str) -> Result<()> {
        let Some(temporary) = &self.name else {
            return Ok(());
        };
        match self.folder.rename(temporary, name, RenameFlags::NOREPLACE) {
            // Some file systems lack this kind of rename, but have links.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
                self.folder.link(temporary, name)?;
            }
            renamed => {
                renamed?;
                self.name = None;
            }
        }
        Ok(())
    }
}

impl Drop for Staged<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            // If this fails, the sweeper removes it later.
            let _left_behind = self.folder.unlink(name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_temporary_names_match_the_pattern_of_unstorage() {
        let name = temporary_name();
        assert!(is_temporary(&name), "{name}");
        assert_ne!(name, temporary_name());
        assert_eq!(base36(0), "0");
        assert_eq!(base36(35 + 36), "1z");
    }

    #[test]
    fn other_names_are_not_temporary() {
        for name in [
            ".unstorage-tmp-",
            ".unstorage-tmp-A",
            ".unstorage-tmp-a.b",
            "unstorage-tmp-a",
            "a",
        ] {
            assert!(!is_temporary(name), "{name}");
        }
    }
}
