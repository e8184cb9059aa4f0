//! Checks the default members of the workspace.

use crate::command::root;

/// Returns the crates in the list `name` of the workspace manifest.
fn list(name: &str) -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).unwrap_or_default();
    let mut lines = manifest.lines();
    let start = format!("{name} = [");
    assert!(lines.any(|line| line == start), "there is no `{start}`");
    let entries = lines.take_while(|line| *line != "]");
    entries
        .map(|line| line.trim().trim_matches(['"', ',']).to_owned())
        .collect()
}

#[test]
fn every_crate_except_driver_dynamodb_is_a_default_member() {
    let mut expected = list("members");
    expected.retain(|member| member != "driver-dynamodb");
    assert_eq!(list("default-members"), expected);
}
