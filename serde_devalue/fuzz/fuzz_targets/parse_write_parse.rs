//! Whatever the input: no panic, and what is accepted is stable under writing and reading.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde_devalue::{
    Bytes, Document, Limits, ParseOptions, Value, Version, WriteOptions, Writer, from_slice, from_str,
};

#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "it is there to be deserialized into")]
struct Everything<'a> {
    #[serde(borrow, default)]
    a: Option<std::borrow::Cow<'a, str>>,
    #[serde(default)]
    b: Vec<Option<f64>>,
    #[serde(default)]
    c: BTreeMap<String, Everything<'a>>,
    #[serde(default)]
    d: Option<Bytes>,
    #[serde(default)]
    e: Option<Box<Everything<'a>>>,
    #[serde(default)]
    f: Option<Value>,
}

fn write(value: &Value, options: WriteOptions) -> String {
    let mut writer = Writer::new(options);
    writer.value(value);
    writer.finish().expect("what was read can be written")
}

fuzz_target!(|input: &[u8]| {
    let _ = from_slice::<Everything<'_>>(input);
    let _ = from_slice::<Vec<serde::de::IgnoredAny>>(input);
    let limits = Limits { expansion: 1 << 16, ..Limits::default() };
    let options = ParseOptions::new().limits(limits).any_custom_tag();
    let Ok(document) = Document::parse_with(input.to_vec(), options.clone()) else { return };
    let Ok(value) = document.root().to_value() else { return };

    let text = write(&value, WriteOptions::new());
    let again = Document::parse_with(text.clone(), options).expect("what was written can be read");
    assert!(again.root().to_value().expect("what was written can be read") == value, "the value changed");
    assert!(write(&value, WriteOptions::new()) == text, "the text changed");

    let mut writer = Writer::new(WriteOptions::new());
    writer.node(document.root()).expect("what was read can be passed on");
    assert!(writer.finish().expect("what was read can be passed on") == text, "the two ways of writing differ");

    let _ = write(&value, WriteOptions::astro().version(Version::V5));
    let _ = from_str::<Everything<'_>>(&text);
});
