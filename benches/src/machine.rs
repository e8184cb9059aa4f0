//! Describes the machine and the run.

use std::process::Command;

/// Returns the facts by name.
pub(crate) fn describe(quick: bool) -> Vec<(&'static str, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpus = read("/proc/cpuinfo");
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name"))
        .map(|model| model.trim_start_matches([' ', '\t', ':']).to_owned());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let load = read("/proc/loadavg");
    let load: Vec<&str> = load.split_whitespace().take(3).collect();
    let length = if quick {
        "short, with rough results"
    } else {
        "whole"
    };
    vec![
        ("run", length.to_owned()),
        (
            "processor",
            format!(
                "{threads} × {}",
                model.unwrap_or_else(|| std::env::consts::ARCH.to_owned())
            ),
        ),
        (
            "load average at the start, over 1, 5 and 15 minutes",
            load.join(" "),
        ),
        (
            "compiler",
            first_line(Command::new("rustc").arg("--version")),
        ),
        (
            "revision",
            first_line(Command::new("git").args(["rev-parse", "--short", "HEAD"])),
        ),
    ]
}

fn first_line(command: &mut Command) -> String {
    let output = command.output().map(|output| output.stdout);
    let text = String::from_utf8(output.unwrap_or_default()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
