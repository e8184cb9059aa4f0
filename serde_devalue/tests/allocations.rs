//! The number of allocations when reading and writing. The README lists them.

#![allow(clippy::unwrap_used)]

mod record;

use std::hint::black_box;

use allocation_counter::measure;
use serde_devalue::{Document, Map, WriteOptions, Writer, from_str, to_string};

fn allocations<T>(run: impl FnOnce() -> T) -> u64 {
    measure(|| {
        black_box(run());
    })
    .count_total
}

fn text() -> String {
    to_string(&Map(&record::typical())).unwrap()
}

#[test]
fn parsing_allocates_the_document_and_its_index() {
    let bytes = bytes::Bytes::from(text());
    // The first clone of `Bytes` allocates what later ones share.
    let clone = bytes.clone();
    assert_eq!(allocations(|| Document::parse(clone).unwrap()), 2);
}

#[test]
fn walking_over_a_document_allocates_nothing() {
    let document = Document::parse(text()).unwrap();
    let walk = || {
        let mut strings = 0;
        for entry in document.root().map_entries().unwrap() {
            let (key, entry) = entry.unwrap();
            strings += key.as_str().unwrap().len();
            strings += entry.object_entries().unwrap().count();
        }
        strings
    };
    assert_eq!(allocations(walk), 0);
}

#[test]
fn reading_allocates_the_index_and_what_the_type_holds() {
    let text = text();
    let borrowed: record::Borrowed<'_> = from_str(&text).unwrap();
    assert_eq!(to_string(&Map(&borrowed)).unwrap(), text);
    // Three vectors, of which one grows once, and the index.
    assert_eq!(
        allocations(|| from_str::<record::Borrowed<'_>>(&text).unwrap()),
        4
    );
    // Those, and fourteen strings.
    assert_eq!(
        allocations(|| from_str::<record::Record>(&text).unwrap()),
        18
    );
}

#[test]
fn writing_allocates_the_buffers_of_the_writer_and_the_text() {
    let record = record::typical();
    assert_eq!(allocations(|| to_string(&Map(&record)).unwrap()), 4);
}

#[test]
fn rewriting_a_record_from_its_nodes_allocates_little_more() {
    let document = Document::parse(text()).unwrap();
    let rewrite = || record::rewrite(&document, Writer::new(WriteOptions::astro()));
    assert_eq!(allocations(rewrite), 8);
}
