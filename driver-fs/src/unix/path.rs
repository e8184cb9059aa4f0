//! Turns keys into paths, and refuses keys that have none.

use session_core::{Error, ErrorKind, Key};

use super::error::invalid_key;
use super::sidecar;
use super::staged;

/// The longest file name on common file systems.
const LONGEST_NAME: usize = 255;

/// The longest key: the longest path of a system call, with room for a separator.
const LONGEST_KEY: usize = 4_000;

/// How many segments a key may have, so that nobody can make a folder that takes long to walk through.
pub(crate) const MAX_SEGMENTS: usize = 64;

/// The path of an entry in the root: folders and a file name. None of them leads out of the root.
#[derive(Clone, Copy)]
pub(crate) struct EntryPath<'k> {
    key: &'k str,
    folders: Option<&'k str>,
    name: &'k str,
}

impl<'k> EntryPath<'k> {
    /// The path of `key`, if it has one.
    pub(crate) fn of(key: &'k Key) -> Result<Self, Error> {
        let text = key.as_str();
        if text.len() > LONGEST_KEY {
            return Err(Error::new(
                ErrorKind::TooLarge,
                "the key is longer than 4,000 bytes, the longest that fits into a path; use a shorter one",
            ));
        }
        if text.split(':').count() > MAX_SEGMENTS {
            return Err(invalid_key(
                "the key has more than 64 segments, and each is a folder; use fewer",
            ));
        }
        for segment in text.split(':') {
            check(segment)?;
        }
        let (folders, name) = match text.rsplit_once(':') {
            Some((folders, name)) => (Some(folders), name),
            None => (None, text),
        };
        Ok(Self {
            key: text,
            folders,
            name,
        })
    }

    /// The path from the root on.
    pub(crate) fn in_root(&self) -> String {
        self.key.replace(':', "/")
    }

    /// The names of the folders, from the root on.
    pub(crate) fn folders(&self) -> impl DoubleEndedIterator<Item = &'k str> {
        self.folders.into_iter().flat_map(|text| text.split(':'))
    }

    /// The name of the file.
    pub(crate) fn name(&self) -> &'k str {
        self.name
    }
}

/// Whether a file or folder of this name is a segment of a key, and not a file of the driver or of no key.
pub(crate) fn is_segment(name: &str) -> bool {
    let is_normalised = !name.is_empty() && !name.contains([':', '/', '\\', '?']);
    is_normalised && check(name).is_ok()
}

fn check(segment: &str) -> Result<(), Error> {
    if segment == "." || segment == ".." {
        return Err(invalid_key(
            "a segment of the key is `.` or `..`, which cannot be a file name; use another",
        ));
    }
    if segment.contains('\0') {
        return Err(invalid_key(
            "the key contains a NUL character, which a file name cannot contain; remove it",
        ));
    }
    if segment.len() > LONGEST_NAME {
        return Err(Error::new(
            ErrorKind::TooLarge,
            "a segment of the key is longer than 255 bytes, the longest file name; use a shorter one",
        ));
    }
    if staged::is_temporary(segment) || sidecar::is_sidecar(segment) {
        return Err(invalid_key(
            "a segment of the key is a file name that this driver or unstorage reserves; use another",
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_could_leave_the_base_or_mean_something_else_are_refused() {
        let long = "x".repeat(256);
        let longer = "x:".repeat(2_100);
        let deep = "x:".repeat(64) + "x";
        for text in [
            "..",
            "../x",
            "a/../b",
            "a:..",
            ".",
            "a:.:b",
            "a\0b",
            ".unstorage-tmp-1-0000abcd-2",
            ".x.expires$",
            &long,
            &longer,
            &deep,
        ] {
            let key = Key::new(text).unwrap();
            assert!(EntryPath::of(&key).is_err(), "{text}");
        }
    }

    #[test]
    fn keys_that_only_look_dangerous_are_not_refused() {
        let deep = "x:".repeat(63) + "x";
        for text in [
            &deep,
            "x..",
            "..x",
            "...",
            "a..:b",
            "te..st",
            ".hidden",
            "a%2e%2e:b",
            "nul",
            "a:con.txt",
            "COM1",
            ".unstorage-tmp-",
            "expires$",
            "~",
            "-rf",
        ] {
            let key = Key::new(text).unwrap();
            assert!(EntryPath::of(&key).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_absolute_path_is_a_path_in_the_folder() {
        let key = Key::new("/etc/passwd").unwrap();
        let path = EntryPath::of(&key).unwrap();
        assert_eq!(path.folders().collect::<Vec<_>>(), ["etc"]);
        assert_eq!(path.name(), "passwd");
    }
}
