//! Writes a flame graph of each code path, from samples of this program.

use std::error::Error;
use std::fs::{self, File};
use std::path::Path as FilePath;
use std::time::{Duration, Instant};

use instructions::path::{Path, run_while};
use pprof::ProfilerGuardBuilder;

/// How long each path is sampled.
const WATCHED: Duration = Duration::from_secs(4);
/// Samples per second. A prime number avoids aliasing with periodic work.
const FREQUENCY: i32 = 997;

const PATHS: [Path; 5] = [
    Path::Untouched,
    Path::Read,
    Path::ReadWrite,
    Path::ReadOneOfFive,
    Path::ReadWriteOneOfFive,
];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../target/flame");
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    for path in PATHS {
        let guard = ProfilerGuardBuilder::default()
            .frequency(FREQUENCY)
            .blocklist(&["libc", "libgcc", "pthread", "vdso"])
            .build()?;
        let end = Instant::now() + WATCHED;
        run_while(path, || Instant::now() < end);
        let file = folder.join(format!("{}.svg", path.name()));
        guard.report().build()?.flamegraph(File::create(&file)?)?;
        println!("{}", file.display());
    }
    Ok(())
}
