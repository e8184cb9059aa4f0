use std::process::Command;

use crate::command::{Failure, run};

/// What the tests run beside Node.js, each with Debian's package that brings it and an argument with which it prints
/// something and ends.
const PROGRAMS: &[Program] = &[
    Program {
        name: "redis-server",
        package: "redis-server",
        harmless: &["--version"],
    },
    Program {
        name: "redis-cli",
        package: "redis-tools",
        harmless: &["--version"],
    },
    Program {
        name: "chromium",
        package: "chromium",
        harmless: &["--version"],
    },
    Program {
        name: "chromedriver",
        package: "chromium-driver",
        harmless: &["--version"],
    },
    // The module that Debian keeps apart from Python itself.
    Program {
        name: "python3",
        package: "python3-venv",
        harmless: &["-c", "import venv, ensurepip"],
    },
];

struct Program {
    name: &'static str,
    package: &'static str,
    harmless: &'static [&'static str],
}

/// Installs what the tests run and this machine lacks. Services that Debian would start with it are not started.
pub(crate) fn ensure() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    eprintln!(
        "xtask: missing, and to be installed: {}",
        packages.join(", ")
    );
    let installed = install(&packages);
    let still: Vec<_> = self::missing().iter().map(|program| program.name).collect();
    if still.is_empty() {
        return Ok(());
    }
    let reason = installed.err().map(|error| format!(" ({error})"));
    Err(Failure::new(format!(
        "the tests need {}, which could not be installed here{}; install it by hand, then run this again",
        still.join(", "),
        reason.unwrap_or_default()
    )))
}

fn missing() -> Vec<&'static Program> {
    let is_missing = |program: &&Program| {
        let done = Command::new(program.name).args(program.harmless).output();
        !done.is_ok_and(|output| output.status.success())
    };
    PROGRAMS.iter().filter(is_missing).collect()
}

/// Installs Debian's `packages`.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // A `redis-server` of the system would take the default port, and nothing here uses it.
        command
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .env("RUNLEVEL", "1");
        run(command)
    };
    apt(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt(&arguments)
}
