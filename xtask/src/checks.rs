use std::time::Duration;

use crate::command::{Failure, cargo, limit_all, run, run_tests};
use crate::{bench, debian, node};

/// The time limit of all checks together. It is shorter than the limit of CI, so that the output names what hung.
const LIMIT: Duration = Duration::from_secs(75 * 60);

/// Runs all tests and documentation tests.
pub(crate) fn test() -> Result<(), Failure> {
    limit_all(LIMIT);
    let path = node::ensure()?;
    debian::ensure()?;
    // Tests start the examples and the demo as processes.
    run(cargo(&[
        "build",
        "--workspace",
        "--all-features",
        "--bins",
        "--examples",
    ]))?;
    let all = ["test", "--workspace", "--all-features", "--no-fail-fast"];
    // Built separately, since no test finishes during the build.
    let mut build = cargo(&all);
    build.arg("--no-run").env("PATH", &path);
    run(build)?;
    let mut tests = cargo(&all);
    tests.env("PATH", path);
    run_tests(tests)
}

/// Runs the checks of CI. They include the instruction counts, which do not depend on the load of the machine.
pub(crate) fn ci() -> Result<(), Failure> {
    limit_all(LIMIT);
    run(cargo(&["fmt", "--all", "--check"]))?;
    let lints = |what: &[&str]| {
        let mut arguments = vec!["clippy"];
        arguments.extend(what);
        arguments.extend(["--", "--deny", "warnings"]);
        run(cargo(&arguments))
    };
    lints(&["--workspace", "--all-features", "--all-targets"])?;
    // Subsets of the features that users may select.
    lints(&["--package", "session-core"])?;
    lints(&["--package", "session-core", "--features", "config"])?;
    lints(&["--package", "session-core", "--features", "session"])?;
    lints(&["--package", "session-core", "--features", "cookie-session"])?;
    lints(&["--package", "session-core", "--features", "near-cache"])?;
    lints(&["--package", "session-kit", "--no-default-features"])?;
    lints(&["--package", "session-tower", "--no-default-features"])?;
    let mut docs = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "--deny warnings");
    run(docs)?;
    bench::lint_instructions()?;
    bench::check_instructions()?;
    test()
}
