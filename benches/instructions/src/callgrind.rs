use std::path::Path as FilePath;
use std::process::{Command, Stdio};

use instructions::path::{COUNTED, COUNTED_FUNCTION, Path};

/// Counts the instructions of a request in a separate process.
pub(crate) fn count(path: Path) -> Result<u64, String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../target/callgrind");
    std::fs::create_dir_all(&output).map_err(|error| error.to_string())?;
    let output = output.join(format!("{}.out", path.name()));
    let valgrind = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        .arg(format!("--toggle-collect={COUNTED_FUNCTION}"))
        .arg(format!("--callgrind-out-file={}", output.display()))
        .arg(own)
        .args(["run", path.name()])
        // Makes the C library use its oldest functions on every processor.
        .env(
            "GLIBC_TUNABLES",
            "glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-AVX_Fast_Unaligned_Load,-SSE4_2,-SSSE3",
        )
        .stdin(Stdio::null())
        .output()
        .map_err(|error| {
            format!("cannot start valgrind ({error}); install it with `apt-get install valgrind`")
        })?;
    let stderr = String::from_utf8_lossy(&valgrind.stderr);
    if !valgrind.status.success() {
        return Err(format!("valgrind failed:\n{stderr}"));
    }
    let profile = std::fs::read_to_string(&output).map_err(|error| error.to_string())?;
    let total = total(&profile).ok_or("callgrind wrote no total")?;
    Ok(total / COUNTED as u64)
}

/// Returns the first number after `totals:`.
fn total(profile: &str) -> Option<u64> {
    let line = profile
        .lines()
        .find_map(|line| line.strip_prefix("totals:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_total_is_found() {
        assert_eq!(
            total("events: Ir\nsummary: 1\ntotals: 123456\n"),
            Some(123_456)
        );
        assert_eq!(total("events: Ir\n"), None);
    }
}
