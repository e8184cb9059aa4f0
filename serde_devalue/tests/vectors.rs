//! Test vectors from the real package.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod describe;

use describe::describe;
use serde_devalue::{
    Document, Error, UrlForm, Value, Version, WriteOptions, Writer, from_str, to_string_with,
};
use serde_json::Value as Json;

fn cases(kind: &str) -> Vec<Json> {
    let all: Vec<Json> = serde_json::from_str(include_str!("vectors/devalue.json")).unwrap();
    let cases: Vec<Json> = all
        .into_iter()
        .filter(|case| case["kind"] == kind)
        .collect();
    assert!(cases.len() > 30, "the vectors are there");
    cases
}

fn options(case: &Json) -> WriteOptions {
    match case["mode"].as_str().unwrap() {
        "astro" => WriteOptions::astro(),
        _ => WriteOptions::new(),
    }
}

/// Runs every case and shows all that fail, not the first.
fn check(kind: &str, case_fails: impl Fn(&Json) -> Option<String>) {
    let cases = cases(kind);
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| Some(format!("{}: {}", case["name"], case_fails(case)?)))
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {}:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn differs<T: PartialEq + std::fmt::Debug>(found: T, expected: T) -> Option<String> {
    (found != expected).then(|| format!("\n  found    {found:?}\n  expected {expected:?}"))
}

fn rewrite_by_node(text: &str, options: WriteOptions) -> Result<String, Error> {
    let document = Document::parse(text.to_owned())?;
    let mut writer = Writer::new(options);
    writer.node(document.root())?;
    writer.finish()
}

fn rewrite_by_value(text: &str, options: WriteOptions) -> Result<String, Error> {
    let mut writer = Writer::new(options);
    writer.value(&from_str::<Value>(text)?);
    writer.finish()
}

#[test]
fn what_devalue_wrote_is_described_as_it_describes_it() {
    // The description of what is nested deeply is nested deeply itself, and made by recursion.
    let describing = std::thread::Builder::new()
        .stack_size(64 << 20)
        .spawn(describe_all)
        .unwrap();
    describing.join().unwrap();
}

fn describe_all() {
    for kind in ["roundtrip", "decode"] {
        check(kind, |case| {
            if case["json_description"].is_null() {
                return None;
            }
            match Document::parse(case["wire"].as_str().unwrap().to_owned())
                .and_then(|text| text.root().to_value())
            {
                Ok(value) => differs(describe(&value), case["json_description"].clone()),
                Err(error) => Some(error.to_string()),
            }
        });
    }
}

#[test]
fn what_devalue_wrote_is_written_again_byte_for_byte() {
    check("roundtrip", |case| {
        let wire = case["wire"].as_str().unwrap();
        match (
            rewrite_by_node(wire, options(case)),
            rewrite_by_value(wire, options(case)),
        ) {
            (Ok(by_node), Ok(by_value)) => {
                differs(by_node.as_str(), wire).or_else(|| differs(by_value.as_str(), wire))
            }
            (by_node, by_value) => Some(format!("{:?} {:?}", by_node.err(), by_value.err())),
        }
    });
}

#[test]
fn a_value_keeps_its_bytes_through_serde() {
    check("roundtrip", |case| {
        let wire = case["wire"].as_str().unwrap();
        let text = from_str::<Value>(wire).and_then(|value| to_string_with(&value, options(case)));
        differs(text.as_deref().ok(), Some(wire))
    });
}

#[test]
fn what_devalue_would_write_otherwise_is_written_in_its_way() {
    check("decode", |case| {
        let wire = case["wire"].as_str().unwrap();
        let expected = case["rewire"].as_str().unwrap();
        match (
            rewrite_by_node(wire, options(case)),
            rewrite_by_value(wire, options(case)),
        ) {
            (Ok(by_node), Ok(by_value)) => {
                differs(by_node.as_str(), expected).or_else(|| differs(by_value.as_str(), expected))
            }
            (by_node, by_value) => Some(format!("{:?} {:?}", by_node.err(), by_value.err())),
        }
    });
}

#[test]
fn what_devalue_refuses_is_refused_by_both_ways_of_reading() {
    check("error", |case| {
        let input = case["input"].as_str().unwrap();
        if case["runtime_dependent"].as_bool() == Some(true) {
            return None;
        }
        match (
            rewrite_by_node(input, options(case)),
            from_str::<Value>(input),
        ) {
            (Err(_), Err(_)) => None,
            (by_node, by_value) => Some(format!("accepted: {by_node:?} {by_value:?}")),
        }
    });
}

#[test]
fn devalue_5_gets_the_bytes_that_end_up_in_its_store() {
    check("roundtrip", |case| {
        let wire = case["wire"].as_str().unwrap();
        let expected = match case["wire_v5_utf8_hex"].as_str() {
            Some(hex) => hex_bytes(hex),
            None => wire.as_bytes().to_vec(),
        };
        let text = rewrite_by_node(wire, options(case).version(Version::V5)).unwrap();
        differs(text.as_bytes(), &expected)
    });
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn both_forms_of_a_url_are_read_for_all_versions() {
    let expected: Value = from_str(r#"[["URL","https://e.com/x"]]"#).unwrap();
    assert_eq!(
        from_str::<Value>(r#"[["URL",1],"https://e.com/x"]"#).unwrap(),
        expected
    );
    let mut writer = Writer::new(WriteOptions::new().url(UrlForm::Reference));
    writer.value(&expected);
    assert_eq!(writer.finish().unwrap(), r#"[["URL",1],"https://e.com/x"]"#);
}

#[test]
fn every_record_that_an_astro_app_stored_is_written_again_byte_for_byte() {
    let mut records = 0;
    for stores in [
        include_str!("vectors/astro-redis.json"),
        include_str!("vectors/astro-fs.json"),
        include_str!("vectors/astro-sqlite.json"),
    ] {
        let steps: Vec<Json> = serde_json::from_str(stores).unwrap();
        for step in &steps {
            let Some(record) = step["value"]
                .as_str()
                .filter(|record| record.starts_with("[["))
            else {
                continue;
            };
            assert_eq!(
                rewrite_by_node(record, WriteOptions::astro()).unwrap(),
                record
            );
            assert_eq!(
                rewrite_by_value(record, WriteOptions::astro()).unwrap(),
                record
            );
            records += 1;
        }
    }
    assert!(records > 20, "only {records} records");
}
