use clap::Args;

use crate::command::{Failure, cargo, root, run};

/// What to measure.
#[derive(Args)]
pub(crate) struct Bench {
    /// Measure only what has this in its title, such as `requests` or `sqlite`.
    filter: Option<String>,
    /// A short version, for trying things out: its figures are rough.
    #[arg(long)]
    quick: bool,
}

/// Measures the workspace beside its peers.
pub(crate) fn bench(bench: &Bench) -> Result<(), Failure> {
    let mut measure = cargo(&["run", "--release", "--package", "benches", "--"]);
    measure.current_dir(root().join("benches"));
    if bench.quick {
        measure.arg("--quick");
    }
    measure.args(&bench.filter);
    run(measure)
}
