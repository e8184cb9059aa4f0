//! Edits of documents.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod arbitrary;

use proptest::prelude::*;
use serde_devalue::{
    Document, Edit, ErrorKind, Node, ParseOptions, Value, WriteOptions, Writer, from_str,
    to_document, to_document_with,
};

fn edited(text: &str, change: impl Fn(&mut Edit<'_>)) -> Result<String, serde_devalue::Error> {
    let document = Document::parse(text.to_owned())?;
    let mut edit = document.edit()?;
    change(&mut edit);
    edit.finish(WriteOptions::astro())
}

#[test]
fn what_is_not_changed_is_copied_as_text_whatever_it_is() {
    for value in [
        r#"["URL","https://xn--a/"]"#,
        r#"["Date","2026-03-04T05:06:07Z"]"#,
        r#"["BigInt","0x10"]"#,
        r#"["RegExp","a/b"]"#,
        r#"["Temporal.PlainDate","2026-03-04"]"#,
        r#"["URLSearchParams","a=%20"]"#,
        r#"["ArrayBuffer","AA"]"#,
        r#"[-7,4294967295]"#,
        r#"[-1,-2,-3,-9]"#,
        r#"{ "b" : -1 , "1" : -3 }"#,
        r#"["null","a",-1]"#,
        r#""<\u0041\ud800""#,
        "1.50",
        "9007199254740993",
    ] {
        let text = format!(r#"[["Map",1,2,3,4],"x","gone","a",{value}]"#);
        assert_eq!(
            edited(&text, |edit| _ = edit.remove("x")).unwrap(),
            format!(r#"[["Map",1,2],"a",{value}]"#)
        );
    }
}

#[test]
fn references_are_renumbered_and_nothing_else() {
    let text = r#"[["Map",1,2,3,4],"x",7,"a",[ 5 , -2, 6,12 , 13,14,15],{"k":7,"7":5,"u":-1},
        ["Map",8,4],1,"é",["Set",8],["Uint8Array",11,0,1],["ArrayBuffer","AAEC"],["null","k",1],["Object",7],
        [-7,12,1,7],["URL",16],"file:////server/x"]"#;
    assert_eq!(
        edited(text, |edit| _ = edit.remove("x")).unwrap(),
        r#"[["Map",1,2],"a",[ 3 , -2, 5,7 , 9,10,11],{"k":4,"7":3,"u":-1},1,["Map",6,2],"é",["null","k",8],"x",["Object",4],[-7,12,1,4],["URL",12],"file:////server/x"]"#
    );
}

#[test]
fn what_was_removed_is_gone_unless_something_shares_it() {
    let text = r#"[["Map",1,2,3,4],"token","secret","b",[5,2],"shared"]"#;
    assert!(
        edited(text, |edit| _ = edit.remove("token"))
            .unwrap()
            .contains("secret")
    );
    let text = edited(text, |edit| {
        edit.retain(|key, _| key.as_str().as_deref() == Some("token"))
    });
    assert_eq!(text.unwrap(), r#"[["Map",1,2],"token","secret"]"#);
}

#[test]
fn a_name_keeps_its_place_and_the_last_of_two_values_counts() {
    let text = r#"[["Map",1,2,3,4,1,5,-6,4],"a","first","b",2,"last"]"#;
    assert_eq!(
        edited(text, |edit| edit.set("b", &3)).unwrap(),
        r#"[["Map",1,2,3,4,-6,5],"a","last","b",3,2]"#
    );
    assert_eq!(
        edited(text, |edit| edit.set("a", "new")).unwrap(),
        r#"[["Map",1,2,3,4,-6,4],"a","new","b",2]"#
    );
}

#[test]
fn nothing_is_renumbered_around_an_unknown_tag_and_what_was_removed_is_blanked() {
    let text =
        r#"[["Map",1,2,3,4,5,6],"token","secret","known",["Odd",{"x":7}],"last","end","kept"]"#;
    let once = edited(text, |edit| {
        edit.remove("token");
        edit.set("last", &["new"]);
    });
    let once = once.unwrap();
    assert_eq!(
        once,
        r#"[["Map",3,4,5,8],0,0,"known",["Odd",{"x":7}],"last",0,"kept",[9],"new"]"#
    );
    let again = edited(&once, |edit| edit.set("last", &["newer"])).unwrap();
    assert_eq!(
        again,
        once.replace("new", "newer"),
        "the text does not grow"
    );
    let without = edited(&again, |edit| _ = edit.remove("known")).unwrap();
    assert_eq!(without, r#"[["Map",1,2],"last",[3],"newer"]"#);
}

#[test]
fn a_rewrite_keeps_the_indices_around_an_unknown_tag_like_an_edit() {
    let text = r#"[["Map",1,2,3,4],"token","secret","known",["Odd",{"x":3}]]"#;
    let document = Document::parse(text).unwrap();
    let rewritten = document.rewrite(WriteOptions::astro(), |writer| {
        for entry in document.root().map_entries()?.skip(1) {
            let (key, value) = entry?;
            writer.copy(key)?;
            writer.copy(value)?;
        }
        Ok(())
    });
    let edited = edited(text, |edit| _ = edit.remove("token"));
    assert_eq!(rewritten.unwrap().as_bytes(), edited.unwrap().as_bytes());
}

#[test]
fn a_reference_to_nothing_never_becomes_one_to_what_is_appended() {
    for value in [r#"["Odd",6]"#, r#"["Odd",{"x":[6]}]"#, r#"["Odd",5],[6]"#] {
        let text = format!(r#"[["Map",1,2,3,4],"token","secret","known",{value}]"#);
        let error = edited(&text, |edit| edit.set("new", &["appended"])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format, "{value}");
    }
}

#[test]
fn a_shared_text_is_not_expanded() {
    let long = "x".repeat(10_000);
    let items: String = (0..3_000).map(|index| format!(",{}", index + 4)).collect();
    let entries = r#",{"text":3}"#.repeat(3_000);
    let text = format!(
        r#"[["Map",1,2],"list",[{}],"{long}"{entries}]"#,
        &items[1..]
    );
    let kind = |result: Result<Value, serde_devalue::Error>| result.err().map(|error| error.kind());
    assert_eq!(kind(from_str(&text)), Some(ErrorKind::TooExpanded));
    let text = edited(&text, |edit| edit.set("n", &1)).unwrap();
    assert_eq!(text.matches(&long).count(), 1);
}

#[test]
fn what_could_not_be_read_again_is_no_document() {
    let repeated = vec!["y".repeat(2_000); 5_000];
    let error = to_document(&repeated).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooExpanded);
    assert!(error.to_string().contains("Limits::expansion"), "{error}");
    assert!(to_document(&vec!["y".repeat(2_000); 900]).is_ok());
    assert!(to_document(&vec![0; 200_000]).is_ok());
    let temporal: Value = from_str(r#"[["Temporal.Instant","2026-03-04T05:06:07Z"]]"#).unwrap();
    assert!(to_document(&temporal).is_ok());
    assert!(to_document_with(&temporal, WriteOptions::astro().portable()).is_err());
}

#[test]
fn only_a_map_can_be_edited_and_one_value_set_at_a_time() {
    assert!(Document::parse("[[1],2]").unwrap().edit().is_err());
    let nothing = edited(r#"[["Map"]]"#, |edit| edit.set_with("a", |_| Ok(())));
    assert_eq!(nothing.unwrap_err().kind(), ErrorKind::Unwritable);
    let broken = edited(r#"[["Map",1,2],"a",[9]]"#, |edit| edit.set("b", &1));
    assert_eq!(broken.unwrap_err().kind(), ErrorKind::Format);
}

/// The values by name, each on its own.
fn values(text: &str) -> Vec<(Option<String>, Value)> {
    let options = ParseOptions::new().any_custom_tag();
    let document = Document::parse_with(text.to_owned(), options).unwrap();
    let entries = document.root().map_entries().unwrap();
    let value = |node: Node<'_>| node.to_value().unwrap();
    entries
        .map(|entry| {
            entry
                .map(|(key, node)| (key.as_str().map(Into::into), value(node)))
                .unwrap()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_edit_changes_what_it_says_and_nothing_else(
        entries in proptest::collection::vec(("[a-d]", arbitrary::value()), 0..6),
        new in arbitrary::value(), name in "[a-f]", removed in "[a-d]",
    ) {
        let mut writer = Writer::new(WriteOptions::new());
        let pairs = entries.into_iter().map(|(name, value)| (name.as_str().into(), value));
        writer.value(&Value::Map(pairs.collect()));
        let Ok(text) = writer.finish() else { return Ok(()) };
        let document = Document::parse(text.clone()).unwrap();
        let new_document = to_document(&new).unwrap();
        let mut edit = document.edit().unwrap();
        edit.remove(&removed);
        edit.set_with(name.as_str(), |writer| writer.copy(new_document.root()));
        let edited = edit.finish(WriteOptions::new()).unwrap();
        let rewritten = document.rewrite(WriteOptions::new(), |writer| {
            let mut is_new = true;
            for entry in document.root().map_entries()? {
                let (key, value) = entry?;
                let found = key.as_str();
                if found.as_deref() == Some(&removed) {
                    continue;
                }
                let is_set = found.as_deref() == Some(&name);
                is_new &= !is_set;
                writer.copy(key)?;
                writer.copy(if is_set { new_document.root() } else { value })?;
            }
            if is_new {
                writer.string(&name);
                writer.copy(new_document.root())?;
            }
            Ok(())
        });
        let rewritten = rewritten.unwrap();
        prop_assert_eq!(rewritten.as_bytes(), edited.as_bytes());

        let mut expected = values(&text);
        expected.retain(|(found, _)| found.as_ref() != Some(&removed));
        match expected.iter_mut().find(|(found, _)| found.as_ref() == Some(&name)) {
            Some((_, value)) => *value = new,
            None => expected.push((Some(name), new)),
        }
        prop_assert_eq!(values(&edited), expected);
        // It is also what devalue would write.
        let mut writer = Writer::new(WriteOptions::new());
        writer.node(Document::parse(edited.clone()).unwrap().root()).unwrap();
        prop_assert_eq!(writer.finish().unwrap(), edited);
    }
}
