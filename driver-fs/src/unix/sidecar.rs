//! Names of the files beside entries.

/// The name of a file beside an entry is `.NAME.expires$`. unstorage takes names that end in `$` for metadata, and
/// does not list them.
const BEFORE: &str = ".";
const AFTER: &str = ".expires$";

/// The name of the file beside the entry `name`.
pub(crate) fn name_for(name: &str) -> String {
    [BEFORE, name, AFTER].concat()
}

/// The name of the entry to which a sidecar of this name belongs.
pub(crate) fn entry_of(name: &str) -> Option<&str> {
    let entry = name.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    (!entry.is_empty()).then_some(entry)
}

pub(crate) fn is_sidecar(name: &str) -> bool {
    entry_of(name).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sidecar_names_its_entry() {
        assert_eq!(entry_of(&name_for("a")), Some("a"));
        assert_eq!(entry_of("a"), None);
        assert_eq!(entry_of("..expires$"), None);
    }
}
