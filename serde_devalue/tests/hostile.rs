//! Hostile texts.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod worst;

use std::collections::HashMap;
use std::fmt::Write;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_devalue::{
    Document, ErrorKind, Kind, Limits, ParseOptions, Value, WriteOptions, Writer, from_str,
    from_str_with,
};

fn kind_of<T>(result: Result<T, serde_devalue::Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

#[test]
fn tens_of_millions_of_brackets_are_an_error() {
    for bracket in ["[", "{\"a\":", "[[", "[{\"a\":["] {
        let text = bracket.repeat(50_000_000 / bracket.len());
        let kind = kind_of(Document::parse(text));
        assert!(
            matches!(kind, Some(ErrorKind::TooDeep | ErrorKind::Syntax)),
            "{kind:?}"
        );
    }
}

/// `[[1],[2],[3],…]`: what nests a level for each entry.
fn nested(depth: usize) -> String {
    let mut text = "[".to_owned();
    for index in 1..depth {
        write!(text, "[{index}],").unwrap();
    }
    text.push_str("[]]");
    text
}

#[derive(Debug, Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn depth(&self) -> usize {
        std::iter::successors(Some(self), |nested| nested.0.first()).count()
    }
}

#[test]
fn values_as_deep_as_the_limit_fit_a_small_stack_and_deeper_ones_are_an_error() {
    let run = || {
        let limit = Limits::default().depth;
        assert!(from_str::<Value>(&nested(limit)).is_ok());
        let deepest: Nested = from_str(&nested(limit)).unwrap();
        assert_eq!(deepest.depth(), limit);
        for depth in [limit + 1, 100_000] {
            assert_eq!(
                kind_of(from_str::<Value>(&nested(depth))),
                Some(ErrorKind::TooDeep)
            );
            assert_eq!(
                kind_of(from_str::<Nested>(&nested(depth))),
                Some(ErrorKind::TooDeep)
            );
            let document = Document::parse(nested(depth)).unwrap();
            let mut writer = Writer::new(WriteOptions::new());
            assert_eq!(
                kind_of(writer.node(document.root())),
                Some(ErrorKind::TooDeep)
            );
        }
    };
    // The stack of a thread of tokio's, and of a test's.
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

#[test]
fn a_value_that_contains_itself_is_an_error_for_a_rust_type_and_a_value_otherwise() {
    assert_eq!(
        kind_of(from_str::<Nested>("[[1],[0]]")),
        Some(ErrorKind::Cycle)
    );
    let cycle: Value = from_str("[[1],[0]]").unwrap();
    assert_eq!(serde_devalue::to_string(&cycle).unwrap(), "[[1],[0]]");
}

#[test]
fn what_is_not_asked_for_is_not_looked_at() {
    #[derive(Deserialize)]
    struct Name<'a> {
        name: &'a str,
    }
    let text = r#"[{"parent":0,"name":1,"odd":2},"Ann",["NoSuchTag",77]]"#;
    assert_eq!(from_str::<Name<'_>>(text).unwrap().name, "Ann");
}

/// Doubles with every entry: 2^60 leaves at the end.
fn doubling(levels: usize) -> String {
    let mut text = "[".to_owned();
    for index in 1..levels {
        write!(text, "[{index},{index}],").unwrap();
    }
    text.push_str("\"leaf\"]");
    text
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Tree {
    Leaf(String),
    Branch(Vec<Tree>),
}

impl Tree {
    fn leaves(&self) -> Vec<&str> {
        match self {
            Self::Leaf(leaf) => vec![leaf],
            Self::Branch(branches) => branches.iter().flat_map(Self::leaves).collect(),
        }
    }
}

#[test]
fn shared_references_cannot_expand_without_bound() {
    let small: Tree = from_str(&doubling(3)).unwrap();
    assert_eq!(small.leaves(), ["leaf"; 4]);
    assert_eq!(
        kind_of(from_str::<Tree>(&doubling(60))),
        Some(ErrorKind::TooExpanded)
    );
    let shared: Value = from_str(&doubling(60)).unwrap();
    assert_eq!(serde_devalue::to_string(&shared).unwrap(), doubling(60));

    let long = "x".repeat(100_000);
    let text = format!("[[{}1],\"{long}\"]", "1,".repeat(1_000));
    assert_eq!(
        kind_of(from_str::<Vec<String>>(&text)),
        Some(ErrorKind::TooExpanded)
    );
    assert_eq!(
        kind_of(from_str::<Value>(&text)),
        Some(ErrorKind::TooExpanded)
    );
}

#[test]
fn what_is_costly_to_decode_cannot_be_referred_to_without_bound() {
    let long = "1".repeat(100_000);
    let many = |first: &str| format!("[[{}],{first},\"data:{long}\"]", vec!["1"; 1_000].join(","));
    let entries = |entry: &str| {
        let indices: Vec<String> = (2..1_002).map(|index| index.to_string()).collect();
        format!(
            "[[{}],\"data:{long}\",{}]",
            indices.join(","),
            vec![entry; 1_000].join(",")
        )
    };
    let buffer = format!("[\"ArrayBuffer\",\"{long}\"]");
    let views = entries("[\"Uint8Array\",1]").replace(&format!("\"data:{long}\""), &buffer);
    let map = format!("[[\"Map\"{}],\"{long}\",2]", ",1,2".repeat(1_000));
    for text in [
        many(&format!("[\"BigInt\",\"{long}\"]")),
        entries("[\"URL\",1]"),
        views,
        map,
    ] {
        assert_eq!(
            kind_of(from_str::<Value>(&text)),
            Some(ErrorKind::TooExpanded),
            "{}",
            &text[text.len() - 40..]
        );
    }
    for text in [
        many(&format!("[\"BigInt\",\"{long}\"]")),
        entries("[\"URL\",1]"),
    ] {
        assert_eq!(
            kind_of(from_str::<Vec<String>>(&text)),
            Some(ErrorKind::TooExpanded)
        );
    }
    assert_eq!(
        kind_of(from_str::<Vec<serde_devalue::Bytes>>(
            &entries("[\"Uint8Array\",1]").replace(&format!("\"data:{long}\""), &buffer)
        )),
        Some(ErrorKind::TooExpanded)
    );
}

#[test]
fn a_text_without_sharing_never_meets_the_limit_of_expansion() {
    let options = ParseOptions::new().limits(Limits {
        expansion: 0,
        ..Limits::default()
    });
    let words: Vec<String> = (0..5_000).map(|number| format!("word {number}")).collect();
    let text = serde_devalue::to_string(&words).unwrap();
    assert_eq!(
        from_str_with::<Vec<String>>(&text, &options).unwrap(),
        words
    );
    assert_eq!(
        from_str_with::<Value>(&text, &options).unwrap(),
        serde_devalue::to_value(&words).unwrap()
    );
}

#[test]
fn the_length_of_a_sparse_array_allocates_nothing() {
    let text = "[[-7,4294967295]]";
    let allocations = allocation_counter::measure(|| {
        assert!(from_str::<Value>(text).is_ok());
        assert_eq!(
            kind_of(from_str::<Vec<IgnoredAny>>(text)),
            Some(ErrorKind::TooExpanded)
        );
    });
    assert!(allocations.bytes_max < 4_096, "{allocations:?}");
}

#[test]
fn the_memory_of_reading_is_bounded_whatever_is_shared() {
    const SIZE: usize = 50_000;
    for (name, text) in worst::TEXTS {
        let text = text(SIZE);
        let limit = 20 * text.len() as u64 + 2 * Limits::default().expansion as u64;
        for (reader, read) in worst::READERS {
            let allocated = allocation_counter::measure(|| drop(read(&text)));
            assert!(
                allocated.bytes_max < limit,
                "{name} by {reader}: {allocated:?}"
            );
        }
    }
}

#[test]
fn a_text_above_the_limit_of_size_is_refused_unread() {
    let limits = Limits {
        size: 10,
        ..Limits::default()
    };
    assert_eq!(
        kind_of(Document::parse_with("[\"0123456789\"]", limits)),
        Some(ErrorKind::TooLarge)
    );
    assert!(Document::parse_with("[\"01234\"]", limits).is_ok());
}

#[test]
fn the_memory_of_parsing_is_bounded_by_the_size_of_the_text() {
    let text = format!("[{}1]", "1,".repeat(1_000_000));
    let allocations = allocation_counter::measure(|| {
        Document::parse(bytes::Bytes::copy_from_slice(text.as_bytes())).unwrap();
    });
    assert!(
        allocations.bytes_max < 8 * text.len() as u64,
        "{allocations:?}"
    );
}

#[test]
fn errors_say_where() {
    for (text, position) in [
        ("", 0),
        ("[1,]", 3),
        ("[\"a\tb\"]", 3),
        ("[[\"Map\",1,9],\"a\"]", 10),
        ("[{\"a\":1,\"__proto__\":1},2]", 8),
        ("[[1],[\"NoSuchTag\",1]]", 6),
        ("[[1],[\"BigInt\",\"1.5\"]]", 14),
    ] {
        let error = from_str::<Value>(text).unwrap_err();
        assert_eq!(error.position(), Some(position), "{text} {error}");
    }
    let error = from_str::<HashMap<String, u8>>(r#"[{"a":1,"b":2},7,"seven"]"#).unwrap_err();
    assert_eq!(error.position(), Some(17), "{error}");
}

#[test]
fn errors_do_not_quote_the_data() {
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Strict {
        age: u8,
        colour: Option<Colour>,
    }
    #[derive(Debug, PartialEq, Deserialize)]
    enum Colour {
        Red,
    }
    let right = Strict {
        age: 7,
        colour: Some(Colour::Red),
    };
    let text = r#"[{"age":1,"colour":2},7,"Red"]"#;
    assert_eq!(from_str::<Strict>(text).unwrap(), right);
    for text in [
        r#"[{"age":1},"secret"]"#,
        r#"[{"secret":1},"a"]"#,
        r#"[{"colour":1},"secret"]"#,
        r#"[["secret",1]]"#,
        r#"["secret"#,
        r#"[["URL","secret"]]"#,
        r#"[["Date",1],secret]"#,
    ] {
        let errors = [
            from_str::<Strict>(text).unwrap_err(),
            from_str::<std::net::IpAddr>(text).unwrap_err(),
        ];
        for error in errors {
            assert!(
                !format!("{error} {error:?} {error:#?}").contains("secret"),
                "{error:?}"
            );
        }
    }
}

#[test]
fn bytes_that_are_not_utf8_are_an_error_where_they_are() {
    let error = Document::parse(&b"[\"a\xff\"]"[..]).unwrap_err();
    assert_eq!(
        (error.kind(), error.position()),
        (ErrorKind::Syntax, Some(3))
    );
}

#[test]
fn an_entry_that_nothing_can_be_made_of_has_a_kind_all_the_same() {
    let document = Document::parse(r#"[["NoSuchTag"],[null],{"a":"b"}]"#).unwrap();
    assert_eq!(document.root().kind(), Kind::Custom);
    assert!(document.root().to_value().is_err());
}
