//! Counts the instructions of a request with callgrind and compares them with a baseline. This detects slow-downs even
//! on a busy machine.

mod callgrind;
mod kept;

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use instructions::path::{self, Path};

/// Counts the instructions of a request.
#[derive(Parser)]
enum Task {
    /// Fails if a path takes more instructions than the baseline plus the tolerance.
    Check,
    /// Saves the current counts as the baseline.
    Keep,
    /// Runs the requests of a path under a profiler such as callgrind.
    Run { path: Path },
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Check => count_all().and_then(|counts| kept::check(&counts)),
        Task::Keep => count_all().and_then(|counts| kept::keep(&counts)),
        Task::Run { path } => {
            path::run(path);
            return ExitCode::SUCCESS;
        }
    };
    match outcome {
        Ok(said) => {
            print!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn count_all() -> Result<BTreeMap<Path, u64>, String> {
    let paths = Path::value_variants().iter();
    paths
        .map(|path| callgrind::count(*path).map(|count| (*path, count)))
        .collect()
}
