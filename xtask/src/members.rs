//! What is built without being named.

use crate::command::root;

/// The crates in the list `name` of the root's manifest.
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
fn everything_but_the_driver_on_awss_sdk_is_built_by_default() {
    let mut expected = list("members");
    expected.retain(|member| member != "driver-dynamodb");
    assert_eq!(list("default-members"), expected);
}
