//! Properties of all values.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod arbitrary;

use proptest::prelude::*;
use serde_devalue::{
    Document, ErrorKind, Value, WriteOptions, Writer, from_slice, from_str, to_string,
};

fn written(value: &Value) -> String {
    let mut writer = Writer::new(WriteOptions::new());
    writer.value(value);
    writer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_value_is_read_as_it_was_written(value in arbitrary::value()) {
        let text = written(&value);
        prop_assert_eq!(from_str::<Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_node_is_written_as_its_value_is(value in arbitrary::value()) {
        let text = written(&value);
        let mut writer = Writer::new(WriteOptions::new());
        writer.node(Document::parse(text.clone()).unwrap().root()).unwrap();
        prop_assert_eq!(writer.finish().unwrap(), text);
    }

    #[test]
    fn white_space_changes_nothing(value in arbitrary::value(), space in "[ \t\r\n]{0,3}") {
        let text = written(&value);
        let mut spaced = space.clone();
        let mut in_string = false;
        let mut escaped = false;
        for char in text.chars() {
            if !in_string && "[]{},:".contains(char) {
                spaced.extend([space.as_str(), char.encode_utf8(&mut [0; 4]), space.as_str()]);
            } else {
                spaced.push(char);
            }
            in_string ^= char == '"' && !escaped;
            escaped = char == '\\' && !escaped;
        }
        prop_assert_eq!(from_str::<Value>(&spaced).unwrap(), value);
    }

    #[test]
    fn a_damaged_text_is_an_error_or_another_value_and_no_panic(
        value in arbitrary::value(), cut in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let text = written(&value);
        let mut damaged = text.clone().into_bytes();
        damaged[cut.index(text.len())] = byte;
        let _ = from_slice::<Value>(&damaged);
        let _ = from_slice::<std::collections::HashMap<String, Vec<u8>>>(&damaged);
        let _ = from_slice::<Value>(&damaged[..cut.index(text.len())]);
    }

    #[test]
    fn doubles_are_read_to_the_bit(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        let read: f64 = from_str(&to_string(&number).unwrap()).unwrap();
        prop_assert!(read.to_bits() == bits || number.is_nan() && read.is_nan());
    }

    #[test]
    fn arbitrary_text_is_no_panic(text in "[\\[\\]{}\",:0-9a-zA-Z\\\\ -]{0,60}") {
        match from_str::<Value>(&text) {
            Ok(value) => prop_assert_eq!(from_str::<Value>(&written(&value)).unwrap(), value),
            Err(error) => prop_assert_ne!(error.kind(), ErrorKind::Unwritable),
        }
    }
}
