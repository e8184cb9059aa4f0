use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{AtFlags, Mode, OFlags, RenameFlags};
use rustix::io::{Errno, Result};

use crate::folder::{Folder, widen};

const PREFIX: &str = ".unstorage-tmp-";

/// Whether a file of this name is one that is about to get another: `^\.unstorage-tmp-[\da-z-]+$`, as in
/// unstorage 2.
pub(crate) fn is_temporary(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    let is_of_it = |byte: u8| byte.is_ascii_digit() || byte.is_ascii_lowercase() || byte == b'-';
    !rest.is_empty() && rest.bytes().all(is_of_it)
}

/// unstorage's: the process, eight hexadecimal digits at random, a counter.
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

/// A file that is written under a temporary name, to become an entry in one step. Dropped before that, it goes.
pub(crate) struct Staged<'f> {
    folder: &'f Folder<'f>,
    name: Option<String>,
}

impl<'f> Staged<'f> {
    /// Writes `value` into a new file of `folder`, and has `finish` do the rest to it before it is closed.
    pub(crate) fn write(
        folder: &'f Folder<'f>,
        value: &[u8],
        mode: Mode,
        finish: impl FnOnce(&OwnedFd) -> Result<()>,
    ) -> Result<Self> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let (name, file) = loop {
            let name = temporary_name();
            match folder.open(&name, flags, mode) {
                Ok(file) => break (name, file),
                // That of a process before this one which had its number.
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

    /// Gives it `name` in place of what has it now.
    pub(crate) fn replace(mut self, name: &str) -> Result<()> {
        if let Some(temporary) = &self.name {
            self.folder.rename(temporary, name, RenameFlags::empty())?;
        }
        self.name = None;
        Ok(())
    }

    /// Gives it `name` unless anything has it; then it is [`Errno::EXIST`], and this is as it was.
    pub(crate) fn create(&mut self, name: &str) -> Result<()> {
        let Some(temporary) = &self.name else {
            return Ok(());
        };
        match self.folder.rename(temporary, name, RenameFlags::NOREPLACE) {
            // Not every file system has this kind of rename, and those that lack it have links.
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
            // What cannot be removed now is swept later.
            let _left_behind = self.folder.unlink(name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_temporary_names_are_unstorages() {
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
