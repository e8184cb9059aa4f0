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
use serde_devalue::{Document, Edit, RegExp, Value, WriteOptions, Writer, from_str};
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

/// Edits records at random. More of them: `DEVALUE_EDITS=100000 cargo test -p serde_devalue --test javascript`.
fn javascript_makes_of_an_edit_what_it_says(version: &str) {
    let count = std::env::var("DEVALUE_EDITS").map_or(COUNT, |count| count.parse().unwrap());
    let mut runner = TestRunner::default();
    let records = proptest::collection::vec(("[a-e]", arbitrary::value()), 0..5);
    let strategy = (records, "[a-f]", "[a-e]", arbitrary::value());
    let wire = |value: &Value| {
        let mut writer = Writer::new(WriteOptions::new());
        writer.value(value);
        writer.finish().unwrap()
    };
    let lines: Vec<String> = (0..count)
        .map(|_| {
            let (record, name, removed, value) =
                strategy.new_tree(&mut runner).unwrap().current();
            // Every value on its own, since anchors count from the start of a value.
            let mut values: Vec<(String, Value)> = Vec::new();
            for (name, value) in record {
                values.retain(|(known, _)| *known != name);
                values.push((name, value));
            }
            let mut edit = Edit::new();
            for (name, value) in &values {
                edit.set(name, value);
            }
            let before = edit.finish(WriteOptions::new()).unwrap();
            let document = Document::parse(before.clone()).unwrap();
            let value = wire(&value);
            let new = Document::parse(value.clone()).unwrap();
            let mut edit = document.edit().unwrap();
            edit.remove(&removed);
            edit.set_with(name.as_str(), |writer| writer.copy(new.root()));
            let after = edit.finish(WriteOptions::new()).unwrap();
            json!({ "before": before, "removed": removed, "name": name, "value": value, "after": after })
                .to_string()
        })
        .collect();
    let found = node(&["edit", version], &lines.join("\n"));
    assert_eq!(
        found.trim_end(),
        format!("read {count}"),
        "edited otherwise"
    );
}

#[test]
fn devalue_5_reads_an_edited_record_as_the_edit_says() {
    javascript_makes_of_an_edit_what_it_says("5");
}

#[test]
fn devalue_6_would_write_the_bytes_of_an_edited_record() {
    javascript_makes_of_an_edit_what_it_says("6");
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

#[test]
fn a_regexp_that_is_refused_is_one_that_javascript_refuses() {
    let mut runner = TestRunner::default();
    let strategy = (
        r"([a-c0-2,{}()\[\]*+?|^$\\:=!<&-]|\(\?:|\[\^|a\{1,2\}){0,8}",
        "[gimsuvyd]{0,2}",
    );
    let patterns: Vec<(String, String)> = (0..20 * COUNT)
        .map(|_| strategy.new_tree(&mut runner).unwrap().current())
        .collect();
    let lines: Vec<String> = patterns
        .iter()
        .map(|pattern| json!(pattern).to_string())
        .collect();
    let valid = node(&["regexps"], &lines.join("\n"));
    let (mut invalid, mut refused) = (0, 0);
    for ((source, flags), valid) in patterns.iter().zip(valid.lines()) {
        let is_refused = RegExp::new(source, flags).is_none();
        assert!(
            !is_refused || valid == "false",
            "/{source}/{flags} is valid"
        );
        invalid += usize::from(valid == "false");
        refused += usize::from(is_refused);
    }
    assert_eq!(valid.lines().count(), patterns.len());
    assert!(
        refused * 10 > invalid * 8,
        "{refused} of {invalid} are found"
    );
}
