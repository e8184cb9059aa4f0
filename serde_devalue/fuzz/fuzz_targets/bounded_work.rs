//! Whatever the input: time and memory are linear in its size plus the limit of expansion.
//!
//! Time is counted in bytes looked at, so that a slow machine changes nothing.

#![no_main]

use std::collections::HashMap;
use std::hint::black_box;

use libfuzzer_sys::fuzz_target;
use serde::de::{Deserialize, IgnoredAny};
use serde_devalue::{
    Bytes, Document, Limits, ParseOptions, Set, Value, WriteOptions, Writer, from_str_with, work,
};

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "it is there to be deserialized into")]
struct Known {
    #[serde(default)]
    known: Option<u8>,
}

/// Small, so that the inputs that fuzzing makes reach it.
const EXPANSION: usize = 1 << 14;

fn check(text: &str, reader: &str, read: impl Fn()) {
    let budget = 17 * text.len() + EXPANSION;
    let work = work::of(&read);
    assert!(work <= 4 * budget as u64 + 1_000, "{reader}: {work} steps for a budget of {budget}");
    let memory = allocation_counter::measure(&read).bytes_max;
    assert!(memory <= 8 * budget as u64 + 10_000, "{reader}: {memory} bytes for a budget of {budget}");
}

fn read<T: for<'t> Deserialize<'t>>(text: &str, options: &ParseOptions, reader: &str) {
    check(text, reader, || drop(black_box(from_str_with::<T>(text, options))));
}

fuzz_target!(|text: &str| {
    let limits = Limits { expansion: EXPANSION, ..Limits::default() };
    let options = &ParseOptions::new().limits(limits).any_custom_tag();
    read::<Value>(text, options, "Value");
    read::<Vec<Value>>(text, options, "values");
    read::<Vec<Vec<IgnoredAny>>>(text, options, "ignored");
    read::<Vec<Vec<Option<f64>>>>(text, options, "arrays");
    read::<Vec<Known>>(text, options, "structs");
    read::<Vec<Option<f64>>>(text, options, "numbers");
    read::<Vec<Option<String>>>(text, options, "strings");
    read::<Vec<HashMap<String, IgnoredAny>>>(text, options, "maps");
    read::<Set<Vec<Bytes>>>(text, options, "bytes");
    let Ok(document) = Document::parse_with(text.to_owned(), options.clone()) else { return };
    check(text, "node", || {
        let mut writer = Writer::new(WriteOptions::new());
        let _ = writer.node(document.root());
        let _ = black_box(writer.finish());
    });
    check(text, "iterators", || {
        let nodes = document.root().map_entries().into_iter().flatten();
        for (name, value) in nodes.flatten() {
            let members = value.object_entries().map(|members| members.take(2).count());
            black_box((name.as_str(), members.ok()));
        }
    });
});
