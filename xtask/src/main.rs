//! Sets up, tests and checks the workspace: `cargo xtask test`, `cargo xtask ci`.

mod bench;
mod checks;
mod command;
mod debian;
#[cfg(test)]
mod members;
mod node;
#[cfg(test)]
mod readme;
#[cfg(unix)]
mod watch;

use std::process::ExitCode;

use clap::Parser;

/// Sets up, tests and checks the workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Task {
    /// Runs all tests and documentation tests. Installs missing programs and kills tests that hang.
    Test,
    /// Runs the checks of CI: formatting, lints, documentation and all tests.
    Ci,
    /// Runs the benchmarks against other session libraries.
    Bench(bench::Bench),
}

fn main() -> ExitCode {
    let outcome = match Task::parse() {
        Task::Test => checks::test(),
        Task::Ci => checks::ci(),
        Task::Bench(bench) => bench::bench(&bench),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
