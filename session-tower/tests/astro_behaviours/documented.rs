//! Holds the table of `docs/astro-behaviours.md` to the tests.

use std::collections::BTreeSet;

const SOURCES: [&str; 5] = [
    include_str!("cookie.rs"),
    include_str!("loading.rs"),
    include_str!("values.rs"),
    include_str!("persisting.rs"),
    include_str!("setup.rs"),
];

/// The tests whose name begins with the number of a behaviour.
fn tests() -> BTreeSet<&'static str> {
    let lines = SOURCES.iter().flat_map(|source| source.lines());
    lines
        .filter_map(|line| line.split_once("fn b")?.1.split_once('('))
        .map(|(rest, _)| rest)
        .collect()
}

#[test]
fn every_behaviour_has_a_row_with_its_verdict_and_all_of_its_tests() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/astro-behaviours.md");
    let document = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Vec<&str>> = document
        .lines()
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.len() == 6 && cells[1].parse::<u32>().is_ok())
        .collect();
    assert_eq!(rows.len(), 38);

    let mut named = BTreeSet::new();
    for (row, number) in rows.iter().zip(1..) {
        assert_eq!(row[1], number.to_string());
        let verdicts = ["**same**", "**different**", "**not applicable**"];
        assert!(
            verdicts.iter().any(|verdict| row[3].starts_with(verdict)),
            "{number}"
        );
        let prefix = format!("{number:02}_");
        let names = row[4].split('`').filter_map(|name| name.strip_prefix('b'));
        let before = named.len();
        named.extend(names.inspect(|name| assert!(name.starts_with(&prefix), "b{name}")));
        assert!(named.len() > before, "no test for {number}");
    }
    assert_eq!(named, tests());
}
