//! The README says nothing that is not run.

use std::path::PathBuf;

use crate::command::root;

fn read(path: &str) -> String {
    let path: PathBuf = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The blocks of the README that are marked with `language`.
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
fn the_commands_are_those_that_tests_run() {
    let commands: Vec<String> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    // The demo's own tests start it so; CI runs the other one, and the example is a test target.
    let run = [
        "cargo run -p demo",
        "cargo run -p demo -- --config examples/session.memory.toml",
        "cargo xtask test",
        "cargo run -p conformance-tests --example custom_driver",
    ];
    for command in &commands {
        assert!(
            run.contains(&command.as_str()),
            "`{command}` is run by no test"
        );
    }
    assert!(commands.contains(&"cargo run -p demo".to_owned()));
    assert!(commands.contains(&"cargo xtask test".to_owned()));
}

#[test]
fn the_driver_of_ones_own_is_the_example_that_the_suite_runs_on() {
    let example = read("conformance-tests/examples/custom_driver.rs");
    let block = blocks("rust")
        .into_iter()
        .find(|block| block.contains("impl Driver for"))
        .expect("the README shows no driver");
    assert!(
        example.contains(&block),
        "the driver in the README differs from conformance-tests/examples/custom_driver.rs"
    );
}

#[test]
fn every_driver_crate_stands_in_the_table() {
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
