use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path as FilePath, PathBuf};

use instructions::path::Path;

/// The tolerated growth of a count in percent. Randomly seeded maps and the clock change it by less than one percent.
const TOLERANCE: u64 = 3;

type Counts = BTreeMap<Path, u64>;

/// Counts differ between processor architectures.
type ByArchitecture = BTreeMap<String, Counts>;

fn file() -> PathBuf {
    FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../instructions.json")
}

fn read() -> Result<ByArchitecture, String> {
    let text = std::fs::read(file())
        .map_err(|error| format!("cannot read `benches/instructions.json`: {error}"))?;
    serde_json::from_slice(&text)
        .map_err(|error| format!("`benches/instructions.json` is invalid: {error}"))
}

/// Saves the counts of this architecture as the baseline.
pub(crate) fn keep(counts: &Counts) -> Result<String, String> {
    let mut kept = if file().exists() {
        read()?
    } else {
        ByArchitecture::new()
    };
    kept.insert(std::env::consts::ARCH.to_owned(), counts.clone());
    let mut text = serde_json::to_string_pretty(&kept).map_err(|error| error.to_string())?;
    text.push('\n');
    std::fs::write(file(), text)
        .map_err(|error| format!("cannot write `benches/instructions.json`: {error}"))?;
    let mut table = String::new();
    for (path, count) in counts {
        let _ = writeln!(table, "{count:>8}  {}", path.name());
    }
    Ok(table)
}

/// Compares the counts with the baseline.
pub(crate) fn check(counts: &Counts) -> Result<String, String> {
    let kept = read()?;
    let Some(kept) = kept.get(std::env::consts::ARCH) else {
        let architecture = std::env::consts::ARCH;
        return Err(format!(
            "no baseline for {architecture}; create it with `cargo xtask bench --keep-instructions`"
        ));
    };
    compare(counts, kept)
}

fn compare(counts: &Counts, kept: &Counts) -> Result<String, String> {
    let mut table = format!("{:>8}  {:>8}  {:>7}\n", "now", "base", "");
    let mut slower = false;
    for (path, now) in counts {
        let Some(then) = kept.get(path) else {
            return Err(format!(
                "no baseline for `{}`; create it with `cargo xtask bench --keep-instructions`",
                path.name()
            ));
        };
        slower |= now * 100 > then * (100 + TOLERANCE);
        #[expect(clippy::cast_precision_loss, reason = "a count of some thousands")]
        let change = 100.0 * (*now as f64 / *then as f64 - 1.0);
        let _ = writeln!(
            table,
            "{now:>8}  {then:>8}  {change:>+6.1}%  {}",
            path.name()
        );
    }
    if slower {
        return Err(format!(
            "a request takes over {TOLERANCE} % more instructions than were kept:\n{table}Make it cheaper, or, where \
             it is worth that, run `cargo xtask bench --keep-instructions` and commit the file"
        ));
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_than_the_tolerance_is_an_error_and_less_is_not() {
        let counts = |count| Counts::from([(Path::Read, count)]);
        assert!(compare(&counts(1_030), &counts(1_000)).is_ok());
        assert!(compare(&counts(500), &counts(1_000)).is_ok());
        let error = compare(&counts(1_031), &counts(1_000)).unwrap_err();
        assert!(error.contains("read"), "{error}");
        assert!(compare(&counts(1), &Counts::new()).is_err());
    }
}
