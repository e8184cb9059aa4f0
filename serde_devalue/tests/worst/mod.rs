//! The worst texts of a size, and what reads them.

#![allow(
    dead_code,
    reason = "each program that includes this uses a part of it"
)]
#![allow(clippy::expect_used, reason = "helpers of tests are tests")]

use std::collections::HashMap;
use std::hint::black_box;

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_devalue::{Bytes, Document, Error, Kind, Set, Value, WriteOptions, Writer, from_str};

#[derive(Deserialize)]
pub(crate) struct Known {
    #[serde(default)]
    known: Option<u8>,
}

/// A kind of text, by what is shared or repeated in it, and how to make it in about this many bytes.
pub(crate) type Text = (&'static str, fn(usize) -> String);

/// Half of the text refers to an entry that takes the other half.
fn shared(size: usize, entry: impl FnOnce(usize) -> String) -> String {
    let references = "1,".repeat(size / 4);
    format!("[[{references}1],{},0]", entry(size / 2))
}

pub(crate) const TEXTS: [Text; 19] = [
    ("references to a number", |size| {
        shared(2 * size, |_| "7".to_owned())
    }),
    ("references to a short string", |size| {
        shared(2 * size, |_| "\"abcdefghij\"".to_owned())
    }),
    ("a long string", |size| {
        shared(size, |half| format!("\"{}\"", "x".repeat(half)))
    }),
    ("a string of escapes", |size| {
        shared(size, |half| format!("\"{}\"", "\\n".repeat(half / 2)))
    }),
    ("a long number", |size| {
        shared(size, |half| format!("0.{}", "7".repeat(half)))
    }),
    ("a hexadecimal BigInt", |size| {
        shared(2 * size, |_| {
            format!("[\"BigInt\",\"0x{}\"]", "f".repeat(1_024))
        })
    }),
    ("a decimal BigInt", |size| {
        shared(size, |half| {
            format!("[\"BigInt\",\"{}\"]", "7".repeat(half))
        })
    }),
    ("many hexadecimal BigInts", |size| {
        let count = size / 1_100;
        let references: Vec<_> = (1..=count).map(|index| index.to_string()).collect();
        let entry = format!(",[\"BigInt\",\"0x{}\"]", "f".repeat(1_024));
        format!("[[{}]{}]", references.join(","), entry.repeat(count))
    }),
    ("an array", |size| {
        shared(size, |half| format!("[{}2]", "2,".repeat(half / 2)))
    }),
    ("a sparse array", |size| {
        shared(size, |half| {
            let items: String = (0..half / 9).map(|index| format!(",{index},2")).collect();
            format!("[-7,{}{items}]", half / 9)
        })
    }),
    ("holes", |size| {
        shared(2 * size, |_| "[-7,30000]".to_owned())
    }),
    ("unknown members", |size| {
        shared(size, |half| {
            let members: String = (0..half / 10)
                .map(|index| format!("\"x{index}\":2,"))
                .collect();
            format!("{{{members}\"y\":2}}")
        })
    }),
    ("members out of order", |size| {
        shared(size, |half| {
            let members: String = (0..half / 9)
                .map(|index| format!("\"{}\":2,", half - index))
                .collect();
            format!("{{{members}\"0\":2}}")
        })
    }),
    ("white space", |size| {
        shared(size, |half| format!("[{}2]", " ".repeat(half)))
    }),
    ("a Map", |size| {
        shared(size, |half| format!("[\"Map\"{}]", ",2,2".repeat(half / 4)))
    }),
    ("a Set", |size| {
        shared(size, |half| format!("[\"Set\"{}]", ",2".repeat(half / 2)))
    }),
    ("an ArrayBuffer", |size| {
        shared(size, |half| {
            format!("[\"ArrayBuffer\",\"{}\"]", "AAAA".repeat(half / 4))
        })
    }),
    ("views of a buffer", |size| {
        let count = size / 50;
        let references: Vec<_> = (2..count + 2).map(|index| index.to_string()).collect();
        let buffer = format!("[\"ArrayBuffer\",\"{}\"]", "AAAA".repeat(size / 8));
        let views = ",[\"Uint8Array\",1]".repeat(count);
        format!("[[{}],{buffer}{views}]", references.join(","))
    }),
    ("small objects", |size| {
        let count = size / 14;
        let references: Vec<_> = (1..=count).map(|index| index.to_string()).collect();
        format!(
            "[[{}]{}]",
            references.join(","),
            ",{\"\":0}".repeat(count).replace(":0", ":1")
        )
    }),
];

/// What reads a text.
pub(crate) type Reader = (&'static str, fn(&str) -> Result<(), Error>);

fn read<T: DeserializeOwned>(text: &str) -> Result<(), Error> {
    black_box(from_str::<T>(text)?);
    Ok(())
}

pub(crate) const READERS: [Reader; 15] = [
    ("Value", read::<Value>),
    ("Vec<Value>", read::<Vec<Value>>),
    ("IgnoredAny", read::<IgnoredAny>),
    ("Vec<IgnoredAny>", read::<Vec<IgnoredAny>>),
    ("Vec<Vec<IgnoredAny>>", read::<Vec<Vec<IgnoredAny>>>),
    ("Vec<Vec<Option<f64>>>", read::<Vec<Vec<Option<f64>>>>),
    ("Vec<struct>", read::<Vec<Known>>),
    ("Vec<f64>", read::<Vec<f64>>),
    ("Vec<String>", read::<Vec<String>>),
    ("Vec<Option<u8>>", read::<Vec<Option<u8>>>),
    ("Vec<HashMap>", read::<Vec<HashMap<String, f64>>>),
    ("Vec<Set<Vec<f64>>>", read::<Vec<Set<Vec<f64>>>>),
    ("Vec<Bytes>", read::<Vec<Bytes>>),
    ("Writer::node", |text| {
        let document = Document::parse(text.to_owned())?;
        let mut writer = Writer::new(WriteOptions::new());
        writer.node(document.root())?;
        black_box(writer.finish()?);
        Ok(())
    }),
    ("Node", |text| {
        let document = Document::parse(text.to_owned())?;
        for node in document.root().elements()? {
            let node = node?;
            match node.kind() {
                Kind::Object => _ = black_box(node.object_entries()?.count()),
                Kind::Array | Kind::Set => _ = black_box(node.elements().map(Iterator::count)),
                Kind::Map => _ = black_box(node.map_entries()?.count()),
                Kind::Number => _ = black_box(node.as_f64()),
                _ => _ = black_box(node.as_str()),
            }
        }
        Ok(())
    }),
];
