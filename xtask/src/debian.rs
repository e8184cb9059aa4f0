use std::process::Command;

use crate::command::{Failure, run};

/// The programs that the tests need beside Node.js. Each has its Debian package and arguments that make it exit at once.
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
    // Debian puts these where no path leads.
    Program {
        name: "sh",
        package: "postgresql",
        harmless: &[
            "-c",
            "for bin in /usr/lib/postgresql/*/bin/postgres; do $bin --version && exit; done; exit 1",
        ],
    },
    Program {
        name: "sh",
        package: "pgbouncer",
        harmless: &["-c", "PATH=$PATH:/usr/sbin pgbouncer --version"],
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
    // Debian packages this module separately from Python.
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

/// Installs missing programs that the tests need, without starting their services.
pub(crate) fn ensure() -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().map(|program| program.package).collect();
    eprintln!(
        "xtask: installing missing packages: {}",
        packages.join(", ")
    );
    let installed = install(&packages);
    let still_missing: Vec<_> = self::missing().iter().map(|program| program.name).collect();
    if still_missing.is_empty() {
        return Ok(());
    }
    let reason = installed.err().map(|error| format!(" ({error})"));
    Err(Failure::new(format!(
        "the tests need {}, which could not be installed{}; install it manually and run this again",
        still_missing.join(", "),
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

/// Installs Debian packages.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    let apt = |arguments: &[&str]| {
        let mut command = Command::new("apt-get");
        // Do not start the services: a system `redis-server` would occupy the default port.
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
