//! Checks that the commands and the code in the README are tested.

use std::path::PathBuf;

use crate::command::root;

fn read(path: &str) -> String {
    let path: PathBuf = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the code blocks of the README in `language`.
fn blocks(language: &str) -> Vec<String> {
    let readme = read("README.md");
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        if line == format!("```{language}") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push(block.join("\n"));
        }
    }
    blocks
}

#[test]
fn every_command_in_the_readme_is_tested() {
    let commands: Vec<String> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // The tests of the demo run the first two, CI runs the third, and the example is a test target.
    let tested = [
        "cargo run -p demo",
        "cargo run -p demo -- --config examples/session.memory.toml",
        "cargo xtask test",
        "cargo run -p conformance-tests --example custom_driver",
    ];
    for command in &commands {
        if let Some(added) = command.strip_prefix("cargo add ") {
            assert_can_be_added(added);
            continue;
        }
        assert!(
            tested.contains(&command.as_str()),
            "no test runs `{command}`"
        );
    }
    assert!(commands.contains(&"cargo run -p demo".to_owned()));
    assert!(commands.contains(&"cargo xtask test".to_owned()));
}

/// Asserts that the crate, if it is ours, has the features that a `cargo add` line names.
fn assert_can_be_added(added: &str) {
    let mut words = added.split(' ');
    let name = words.next().unwrap();
    let features = match (words.next(), words.next()) {
        (Some("--features"), Some(features)) => features,
        (None, None) => return,
        _ => panic!("`cargo add {added}` is not understood"),
    };
    let manifest = read(&format!("{name}/Cargo.toml"));
    for feature in features.split(',') {
        assert!(
            manifest.contains(&format!("\n{feature} = [")),
            "{name} has no feature `{feature}`"
        );
    }
}

#[test]
fn the_driver_in_the_readme_is_the_tested_example() {
    let example = read("conformance-tests/examples/custom_driver.rs");
    let block = blocks("rust")
        .into_iter()
        .find(|block| block.contains("impl Driver for"))
        .expect("the README has no driver example");
    assert!(
        example.contains(&block),
        "the driver in the README differs from conformance-tests/examples/custom_driver.rs"
    );
}

#[test]
fn every_driver_crate_is_in_the_table() {
    let readme = read("README.md");
    for entry in std::fs::read_dir(root()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if let Some(driver) = name.strip_prefix("driver-") {
            assert!(
                readme.contains(&format!("| `{driver}`")),
                "{name} is not in the table"
            );
        }
    }
}
