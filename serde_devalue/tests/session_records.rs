//! Session records, read and written entry by entry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

use serde_devalue::{Document, Kind, WriteOptions, Writer, to_document};

const RECORD: &str = r#"[["Map",1,2,4,5],"user",{"data":3,"expires":-1},"alice","cart",{"data":6,"expires":8},[7,7],"shoe",1795298151123]"#;

#[test]
fn entries_are_decoded_one_by_one() {
    let document = Document::parse(RECORD).unwrap();
    let mut read = Vec::new();
    for entry in document.root().map_entries().unwrap() {
        let (key, entry) = entry.unwrap();
        let mut data = None;
        let mut expires = None;
        for member in entry.object_entries().unwrap() {
            match member.unwrap() {
                (key, node) if key == "data" => data = Some(node),
                (key, node) if key == "expires" => expires = node.as_f64(),
                _ => {}
            }
        }
        read.push((
            key.as_str().unwrap().into_owned(),
            data.unwrap().kind(),
            expires,
        ));
    }
    assert_eq!(
        read,
        [
            ("user".to_owned(), Kind::String, None),
            ("cart".to_owned(), Kind::Array, Some(1_795_298_151_123.0))
        ]
    );
}

#[test]
fn a_record_is_rewritten_from_old_and_new_nodes_as_devalue_would_write_it() {
    let old = Document::parse(RECORD).unwrap();
    let (_, cart) = old.root().map_entries().unwrap().nth(1).unwrap().unwrap();
    let (_, data) = cart.object_entries().unwrap().next().unwrap().unwrap();
    let fresh = to_document(&("hat", "shoe")).unwrap();

    let mut writer = Writer::new(WriteOptions::astro());
    writer.begin_map();
    for (key, node) in [
        ("cart", data),
        ("wishes", fresh.root()),
        ("cart again", data),
    ] {
        writer.string(key);
        writer.begin_object();
        writer.key("data");
        writer.node(node).unwrap();
        writer.key("expires");
        writer.undefined();
        writer.end();
    }
    writer.end();
    assert_eq!(
        writer.finish().unwrap(),
        r#"[["Map",1,2,5,6,9,10],"cart",{"data":3,"expires":-1},[4,4],"shoe","wishes",{"data":7,"expires":-1},[8,4],"hat","cart again",{"data":3,"expires":-1}]"#
    );
}

#[test]
fn a_document_and_its_clones_go_between_threads() {
    fn is_shareable<T: Send + Sync + Clone + 'static>(_: &T) {}
    is_shareable(&Document::parse(RECORD).unwrap());
}

#[test]
fn debug_shows_nothing_of_the_data() {
    let document = Document::parse(RECORD).unwrap();
    let displayed = format!(
        "{document:?} {:?} {:?}",
        document.root(),
        document.root().id()
    );
    assert!(
        !displayed.contains("alice") && !displayed.contains("user"),
        "{displayed}"
    );
}

#[test]
fn a_node_id_of_another_document_is_undefined_and_no_panic() {
    let long = Document::parse(RECORD).unwrap();
    let (_, far) = long.root().map_entries().unwrap().nth(1).unwrap().unwrap();
    let short = Document::parse("[null]").unwrap();
    assert_eq!(short.node(far.id()).kind(), Kind::Undefined);
}
