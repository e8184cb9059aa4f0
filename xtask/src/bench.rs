//! The benchmarks and the instruction counts, which live in the workspace `benches`.

use std::process::Command;

use clap::Args;

use crate::command::{Failure, cargo, root, run};
use crate::{debian, node};

/// What to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// Run only the benchmarks whose title contains this, such as `requests` or `sqlite`.
    filter: Option<String>,
    /// Run a short version with rough results.
    #[arg(long)]
    quick: bool,
    /// Compare the instruction counts with the baseline and fail if they grew. Runs no benchmarks.
    #[arg(long, conflicts_with_all = ["filter", "quick", "keep_instructions"])]
    check_instructions: bool,
    /// Count instructions and save them as the baseline in `benches/instructions.json`. Runs no benchmarks.
    #[arg(long, conflicts_with_all = ["filter", "quick"])]
    keep_instructions: bool,
    /// Write a flame graph of each code path to `benches/target/flame`. Runs no benchmarks.
    #[arg(long, conflicts_with_all = ["filter", "quick", "check_instructions", "keep_instructions"])]
    flame: bool,
}

/// Runs the benchmarks against other session libraries.
pub(crate) fn bench(bench: &Bench) -> Result<(), Failure> {
    if bench.check_instructions {
        return check_instructions();
    }
    if bench.flame {
        return run(built("flame"));
    }
    if bench.keep_instructions {
        return instructions("keep");
    }
    debian::ensure()?;
    let path = node::ensure()?;
    let mut measure = built("benches");
    if bench.quick {
        measure.arg("--quick");
    }
    measure.args(&bench.filter).env("PATH", path);
    run(measure)
}

/// Fails if a request takes more instructions than the baseline. It does not build the other libraries.
pub(crate) fn check_instructions() -> Result<(), Failure> {
    instructions("check")
}

/// Runs Clippy on the program that counts instructions.
pub(crate) fn lint_instructions() -> Result<(), Failure> {
    let mut lints = cargo(&["clippy", "--package", "instructions", "--all-targets"]);
    lints.args(["--", "--deny", "warnings"]);
    lints.current_dir(root().join("benches"));
    run(lints)
}

/// Counts the instructions of requests. Unlike times, they do not depend on the load of the machine.
fn instructions(task: &str) -> Result<(), Failure> {
    ensure_valgrind()?;
    let mut count = built("instructions");
    count.arg(task);
    run(count)
}

/// Returns a command that runs a program of the workspace `benches`.
fn built(package: &str) -> Command {
    let mut command = cargo(&["run", "--quiet", "--release", "--package", package, "--"]);
    command.current_dir(root().join("benches"));
    command
}

fn ensure_valgrind() -> Result<(), Failure> {
    let is_there = || {
        let version = Command::new("valgrind").arg("--version").output();
        version.is_ok_and(|output| output.status.success())
    };
    if is_there() {
        return Ok(());
    }
    eprintln!("xtask: valgrind is missing; installing it");
    let installed = debian::install(&["valgrind"]);
    if is_there() {
        return Ok(());
    }
    let reason = installed.err().map(|error| format!(" ({error})"));
    Err(Failure::new(format!(
        "counting instructions needs valgrind, which could not be installed{}; install it manually and run this \
         again",
        reason.unwrap_or_default()
    )))
}
