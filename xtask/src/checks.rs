use crate::command::{Failure, cargo, run};
use crate::{bench, debian, node};

/// All tests and documentation tests.
pub(crate) fn test() -> Result<(), Failure> {
    let path = node::ensure()?;
    debian::ensure()?;
    // Tests start examples and the demo as processes of their own.
    run(cargo(&[
        "build",
        "--workspace",
        "--all-features",
        "--bins",
        "--examples",
    ]))?;
    let mut tests = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    tests.env("PATH", path);
    run(tests)
}

/// What CI checks. How many instructions a request takes is the same on a busy machine, so that is among it.
pub(crate) fn ci() -> Result<(), Failure> {
    run(cargo(&["fmt", "--all", "--check"]))?;
    let lints = |what: &[&str]| {
        let mut arguments = vec!["clippy"];
        arguments.extend(what);
        arguments.extend(["--", "--deny", "warnings"]);
        run(cargo(&arguments))
    };
    lints(&["--workspace", "--all-features", "--all-targets"])?;
    // What a user gets who takes a part of it.
    lints(&["--package", "session-core"])?;
    lints(&["--package", "session-core", "--features", "config"])?;
    lints(&["--package", "session-core", "--features", "session"])?;
    lints(&["--package", "session-core", "--features", "cookie-session"])?;
    lints(&["--package", "session-kit", "--no-default-features"])?;
    lints(&["--package", "session-tower", "--no-default-features"])?;
    let mut docs = cargo(&["doc", "--workspace", "--all-features", "--no-deps"]);
    docs.env("RUSTDOCFLAGS", "--deny warnings");
    run(docs)?;
    bench::lint_instructions()?;
    bench::check_instructions()?;
    test()
}
