use std::process::Command;

use clap::Args;

use crate::command::{Failure, cargo, root, run};
use crate::{debian, node};

/// What to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// Measure only what has this in its title, such as `requests` or `sqlite`.
    filter: Option<String>,
    /// A short version, for trying things out: its figures are rough.
    #[arg(long)]
    quick: bool,
    /// Instead, fail if a request takes more instructions than were kept.
    #[arg(long, conflicts_with_all = ["filter", "quick", "keep_instructions"])]
    check_instructions: bool,
    /// Instead, count the instructions of a request and keep them in `benches/instructions.json`.
    #[arg(long, conflicts_with_all = ["filter", "quick"])]
    keep_instructions: bool,
    /// Instead, draw where the time of a request goes: a flame graph of each path, in `benches/target/flame`.
    #[arg(long, conflicts_with_all = ["filter", "quick", "check_instructions", "keep_instructions"])]
    flame: bool,
}

/// Measures the workspace beside its peers.
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

/// Fails if a request takes more instructions than were kept. It builds nothing of the peers.
pub(crate) fn check_instructions() -> Result<(), Failure> {
    instructions("check")
}

/// The lints of the program that counts.
pub(crate) fn lint_instructions() -> Result<(), Failure> {
    let mut lints = cargo(&["clippy", "--package", "instructions", "--all-targets"]);
    lints.args(["--", "--deny", "warnings"]);
    lints.current_dir(root().join("benches"));
    run(lints)
}

/// Counts the instructions of a request, which are the same on a busy machine.
fn instructions(task: &str) -> Result<(), Failure> {
    ensure_valgrind()?;
    let mut count = built("instructions");
    count.arg(task);
    run(count)
}

/// A program of the benchmarks' own workspace.
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
        "counting instructions needs valgrind, which could not be installed here{}; install it by hand, then run \
         this again",
        reason.unwrap_or_default()
    )))
}
