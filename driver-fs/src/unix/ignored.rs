//! The option `ignore`.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use session_core::{Error, ErrorKind};

/// Which files in the root are not entries.
#[derive(Clone, Debug)]
pub(crate) struct Ignored {
    files: GlobSet,
    /// Folders in which everything is ignored, so that they need not be read.
    folders: GlobSet,
}

impl Ignored {
    pub(crate) fn new(patterns: &[String]) -> Result<Self, Error> {
        let whole_folders = patterns
            .iter()
            .filter_map(|pattern| pattern.strip_suffix("/**"));
        Ok(Self {
            files: set(patterns.iter().map(String::as_str))?,
            folders: set(whole_folders)?,
        })
    }

    /// Whether the file at `path`, in the root and with `/` between names, is ignored.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.is_match(path)
    }

    pub(crate) fn has_folder(&self, path: &str) -> bool {
        self.folders.is_match(path)
    }
}

fn set<'p>(patterns: impl Iterator<Item = &'p str>) -> Result<GlobSet, Error> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        let glob = GlobBuilder::new(pattern).literal_separator(true).build();
        set.add(glob.map_err(invalid)?);
    }
    set.build().map_err(invalid)
}

fn invalid(error: globset::Error) -> Error {
    Error::new(
        ErrorKind::InvalidConfig,
        "`ignore` contains an invalid pattern; fix it, as in `**/cache/**`",
    )
    .with_source(error)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_paths_in_the_folder() {
        let patterns = ["**/node_modules/**".to_owned(), "*.tmp".to_owned()];
        let ignored = Ignored::new(&patterns).unwrap();
        assert!(ignored.has("a/node_modules/b/c"));
        assert!(ignored.has_folder("a/node_modules"));
        assert!(ignored.has_folder("node_modules"));
        assert!(ignored.has("x.tmp"));
        assert!(!ignored.has("a/x.tmp"));
        assert!(!ignored.has_folder("a"));
        assert!(!ignored.has("node_modules"));
    }

    #[test]
    fn an_invalid_pattern_is_an_error() {
        let error = Ignored::new(&["[".to_owned()]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    }
}
