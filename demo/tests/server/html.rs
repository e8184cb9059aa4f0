//! A strict checker for the HTML that the demo generates.

use std::collections::BTreeSet;

const VOID: [&str; 5] = ["meta", "link", "img", "input", "br"];

/// Panics unless all elements are closed properly, the page has one title and one main heading, ids are unique, and
/// every field has a label.
pub(crate) fn check(page: &str) {
    let rest = page
        .strip_prefix("<!DOCTYPE html>")
        .unwrap_or_else(|| panic!("no doctype: {page}"));
    let mut open: Vec<&str> = Vec::new();
    let mut ids = BTreeSet::new();
    let mut labelled = BTreeSet::new();
    let mut fields = BTreeSet::new();
    let count = |wanted: &str| page.matches(wanted).count();
    assert_eq!(count("<title>"), 1, "{page}");
    assert_eq!(count("<title></title>"), 0, "{page}");
    assert_eq!(count("<h1>"), 1, "{page}");

    for tag in rest.split('<').skip(1) {
        let (tag, _) = tag
            .split_once('>')
            .unwrap_or_else(|| panic!("`<{tag}` is not closed"));
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop(), Some(name), "{page}");
            continue;
        }
        let name = tag.split_whitespace().next().unwrap();
        if !VOID.contains(&name) {
            open.push(name);
        }
        if let Some(id) = attribute(tag, "id") {
            assert!(ids.insert(id), "the id `{id}` is not unique");
        }
        if name == "label" {
            labelled.insert(attribute(tag, "for").expect("a label needs `for`"));
        }
        if name == "input" && attribute(tag, "type") != Some("hidden") {
            fields.insert(attribute(tag, "id").expect("a field needs an id"));
        }
    }
    assert!(open.is_empty(), "{open:?} are not closed: {page}");
    assert_eq!(fields, labelled, "{page}");
}

fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = tag.split_once(&format!(" {name}=\""))?;
    Some(rest.split_once('"')?.0)
}
