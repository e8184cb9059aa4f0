//! Whatever the document: an edit changes what it says and nothing else, and leaves nothing behind that it removed.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_devalue::{Document, ErrorKind, Limits, Node, ParseOptions, Value, WriteOptions};

fn options() -> ParseOptions {
    let limits = Limits { expansion: 1 << 16, ..Limits::default() };
    ParseOptions::new().limits(limits).any_custom_tag()
}

/// The values with names, by name; `None` for one that cannot be read.
fn values(document: &Document) -> Option<Vec<(String, Option<Value>)>> {
    let mut values: Vec<(String, Option<Value>)> = Vec::new();
    for entry in document.root().map_entries().ok()? {
        let (key, value) = entry.ok()?;
        let Some(name) = key.as_str() else { continue };
        let value = value.to_value().ok();
        match values.iter_mut().find(|(known, _)| *known == name) {
            Some((_, last)) => *last = value,
            None => values.push((name.into_owned(), value)),
        }
    }
    Some(values)
}

fuzz_target!(|input: (&str, u8, u8)| {
    let (text, removed, set) = input;
    let Ok(document) = Document::parse_with(text.to_owned(), options()) else { return };
    let Some(mut expected) = values(&document) else { return };
    let names: Vec<String> = expected.iter().map(|(name, _)| name.clone()).collect();
    let named = |index: u8| names.get(usize::from(index) % (names.len() + 1)).map_or("new", String::as_str);
    let (removed, set) = (named(removed), named(set));
    let Ok(mut edit) = document.edit() else { return };
    edit.remove(removed);
    edit.set(set, &[1, 2, 1]);
    let edited = match edit.finish(WriteOptions::new()) {
        Ok(edited) => edited,
        Err(error) => return assert_eq!(error.kind(), ErrorKind::Format, "{error}"),
    };
    let after = Document::parse_with(edited.clone(), options()).expect("what was edited can be read");

    expected.retain(|(name, _)| name != removed);
    let new = Some(Value::Array(vec![1.into(), 2.into(), 1.into()]));
    match expected.iter_mut().find(|(name, _)| name == set) {
        Some((_, value)) => *value = new,
        None => expected.push((set.to_owned(), new)),
    }
    // Longer references may make the difference for what is at the limit of expansion, so only what is read twice counts.
    let found = values(&after).expect("what was edited is a Map");
    assert!(found.len() == expected.len(), "other names: {edited}");
    for ((name, value), (found, read)) in expected.iter().zip(&found) {
        assert!(name == found, "another order: {edited}");
        assert!(value.is_none() || read.is_none() || value == read, "{name} changed: {edited}");
        assert!(value.is_some() || read.is_none(), "{name} can be read: {edited}");
    }

    // To edit nothing changes nothing.
    let mut edit = after.edit().expect("what was edited can be edited");
    edit.retain(|_: Node<'_>, _: Node<'_>| true);
    assert!(edit.finish(WriteOptions::new()).is_ok_and(|again| again == edited), "not stable: {edited}");
});
