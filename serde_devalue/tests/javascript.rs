//! Interoperability with the real devalue, versions 5 and 6, on Node.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod arbitrary;
mod describe;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use serde_devalue::{Document, Value, WriteOptions, Writer, from_str};
use serde_json::{Value as Json, json};

const COUNT: usize = 2_000;

/// The folder with the scripts and the two packages, which are installed there once.
fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/javascript");
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("serde_devalue-javascript");
        std::fs::create_dir_all(&folder).unwrap();
        for file in [
            "package.json",
            "package-lock.json",
            "describe.mjs",
            "values.mjs",
            "run.mjs",
        ] {
            std::fs::copy(from.join(file), folder.join(file)).unwrap();
        }
        let mut npm = Command::new("npm");
        npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .current_dir(&folder);
        let output = npm
            .output()
            .unwrap_or_else(|error| panic!("{error}: {INSTALL}"));
        assert!(
            output.status.success(),
            "npm ci failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        folder
    })
}

const INSTALL: &str = "these tests need `node` (20 or later) and `npm` on the PATH: \
    install Node.js by the system's package manager, such as `apt-get install nodejs npm`";

fn node(arguments: &[&str], input: &str) -> String {
    let mut child = Command::new("node")
        .arg("run.mjs")
        .args(arguments)
        .current_dir(folder())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{error}: {INSTALL}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let feeding = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // A script that writes does not read.
    let _ = feeding.join();
    assert!(output.status.success(), "node {arguments:?} failed");
    String::from_utf8(output.stdout).unwrap()
}

fn javascript_reads_what_rust_writes(version: &str) {
    let mut runner = TestRunner::default();
    let strategy = arbitrary::value();
    let lines: Vec<String> = (0..COUNT)
        .map(|_| {
            let value = strategy.new_tree(&mut runner).unwrap().current();
            let mut writer = Writer::new(WriteOptions::new());
            writer.value(&value);
            json!({ "wire": writer.finish().unwrap(), "description": describe::describe(&value) })
                .to_string()
        })
        .collect();
    let found = node(&["read", version], &lines.join("\n"));
    assert_eq!(found.trim_end(), format!("read {COUNT}"), "read otherwise");
}

fn rust_reads_what_javascript_writes(version: &str, seed: &str) {
    let written = node(&["write", version, seed, &COUNT.to_string()], "");
    assert_eq!(written.lines().count(), COUNT);
    for line in written.lines() {
        let line: Json = serde_json::from_str(line).unwrap();
        let wire = line["wire"].as_str().unwrap();
        let value: Value = from_str(wire).unwrap_or_else(|error| panic!("{error}: {wire}"));
        assert_eq!(describe::describe(&value), line["description"], "{wire}");

        let mut by_value = Writer::new(WriteOptions::new());
        by_value.value(&value);
        assert_eq!(by_value.finish().unwrap(), wire);
        let mut by_node = Writer::new(WriteOptions::new());
        by_node
            .node(Document::parse(wire.to_owned()).unwrap().root())
            .unwrap();
        assert_eq!(by_node.finish().unwrap(), wire);
    }
}

#[test]
fn devalue_5_reads_what_rust_writes() {
    javascript_reads_what_rust_writes("5");
}

#[test]
fn devalue_6_reads_what_rust_writes_and_would_write_the_same_bytes() {
    javascript_reads_what_rust_writes("6");
}

#[test]
fn rust_reads_what_devalue_5_writes_and_writes_the_same_bytes() {
    rust_reads_what_javascript_writes("5", "5");
}

#[test]
fn rust_reads_what_devalue_6_writes_and_writes_the_same_bytes() {
    rust_reads_what_javascript_writes("6", "6");
}
