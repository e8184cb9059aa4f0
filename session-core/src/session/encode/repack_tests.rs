//! The quick ways of reading and writing a record do what the general ones do, on every text.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_devalue::{Document, to_document};

use super::*;
use crate::session::Lifetime;
use crate::session::record::{self, Stored};

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn rules() -> LifetimeRules {
    LifetimeRules {
        idle: Some(Duration::from_secs(3_600)),
        absolute: None,
        touch_interval: None,
    }
}

/// Takes one choice after another; all are the first once none is left.
struct Choices(std::vec::IntoIter<u16>);

impl Choices {
    fn below(&mut self, count: usize) -> usize {
        usize::from(self.0.next().unwrap_or(0)) % count
    }

    fn of<T: Copy>(&mut self, options: &[T]) -> T {
        options[self.below(options.len())]
    }

    /// Whether something is, which is so once in so many times.
    fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == times - 1
    }
}

const STRINGS: [&str; 16] = [
    r#""a""#,
    r#""b""#,
    r#""user""#,
    r#""$session:lifetime""#,
    r#""$session:flash""#,
    r#""""#,
    r#""1""#,
    r#""<b>""#,
    r#""\u003Cb>""#,
    r#""\u003cb>""#,
    r#""a\nb\"\\c""#,
    r#""a\/b""#,
    "\"€ é 😀\"",
    "\"\u{2028}\"",
    r#""\u2028""#,
    r#""\ud800""#,
];

const PRIMITIVES: [&str; 19] = [
    "0",
    "1",
    "2",
    "1700000000001",
    "1600000000000",
    "-5",
    "-0",
    "1.5",
    "1.0",
    "1e3",
    "123456789012345",
    "1234567890123456",
    "9007199254740993",
    "true",
    "false",
    "null",
    r#"["BigInt","12"]"#,
    r#"["Date","2026-03-04T05:06:07.089Z"]"#,
    r#"["Date","2026-02-31T05:06:07Z"]"#,
];

/// The text of a Map whose entries refer to each other at random: most are records, some are nothing at all.
fn wild_text(choices: &mut Choices) -> String {
    let (strings, wrappers, others) = (3, 3, 1 + choices.below(9));
    let count = 1 + strings + wrappers + others;
    let among = |choices: &mut Choices, from: usize, count: usize| {
        (from + choices.below(count)).to_string()
    };
    let reference = |choices: &mut Choices| match choices.below(60) {
        special @ 0..4 => ["-1", "-2", "-3", "-6"][special].to_owned(),
        4 => among(choices, 0, count + 1),
        _ => among(choices, 1, count - 1),
    };
    let mut text = String::from("[[\"Map\"");
    for _ in 0..choices.below(5) {
        let (name, value) = match choices.once_in(20) {
            true => (reference(choices), reference(choices)),
            false => (
                among(choices, 1, strings),
                among(choices, 1 + strings, wrappers),
            ),
        };
        text.push_str(&format!(",{name},{value}"));
    }
    text.push(']');
    for _ in 0..strings {
        text.push(',');
        text.push_str(choices.of(&STRINGS));
    }
    for _ in 0..wrappers {
        let (data, expires) = match choices.once_in(4) {
            true => (reference(choices), reference(choices)),
            false => (reference(choices), "-1".to_owned()),
        };
        text.push_str(&format!(",{{\"data\":{data},\"expires\":{expires}}}"));
    }
    for _ in 0..others {
        let mut next = || reference(choices);
        let [a, b, c] = [next(), next(), next()];
        text.push(',');
        text.push_str(&match choices.below(30) {
            0..5 => choices.of(&STRINGS).to_owned(),
            5..14 => choices.of(&PRIMITIVES).to_owned(),
            14 => format!("{{\"created\":{a}}}"),
            15 => format!("{{\"created\":{a},\"deadline\":{b},\"idle\":{c},\"persistent\":{b}}}"),
            16..18 => format!("{{\"x\":{a},\"y z\":{b}}}"),
            18 => format!("{{\"x\":{a},\"x\":{b}}}"),
            19 => format!("{{\"b\":{a},\"1\":{b},\"0\":{c}}}"),
            20 => format!("{{\"__proto__\":{a}}}"),
            21 => format!("{{\"\\u0061\":{a},\"<\":{b}}}"),
            22..25 => format!("[{a},{b},{c}]"),
            25 => choices.of(&["[]", "{}", "[-7,3,1,0]", "[-2]"]).to_owned(),
            26 => format!("[\"Set\",{a},{b}]"),
            27 => format!("[\"Map\",{a},{b}]"),
            _ => format!("[ {a} , {b} ]"),
        });
    }
    text.push(']');
    text
}

/// A record in the form in which we and devalue write them, with values of many kinds.
fn plain_text(choices: &mut Choices) -> String {
    let mut changes = Changes::default();
    for name in ["user", "a", "cart", "note", "b"] {
        if !choices.once_in(3) {
            changes.set(name, item(choices));
        }
    }
    if choices.once_in(2) {
        changes.set_lifetime(Lifetime::idle(Duration::from_secs(60)).persistent());
    }
    let mut entries = Merged::new();
    merge_entries(&mut entries, None, &changes, NOW);
    let lifetime = rules().begin(NOW);
    write_anew(&entries, &[], Some(&lifetime)).unwrap_or_default()
}

fn item(choices: &mut Choices) -> Item {
    let document = match choices.below(9) {
        0 => to_document(&1_u32),
        1 => to_document(&choices.of(&[-1.5, 0.0, -0.0, 1e21, 7.0, f64::NAN])),
        2 => to_document(choices.of(&["a", "user", "", "<&>", "a\nb", "é€", "\u{1}", "\u{2029}"])),
        3 => to_document(&["a", "a"]),
        4 => to_document(&BTreeMap::from([("x", vec![1, 2]), ("y z", vec![])])),
        5 => to_document(&BTreeMap::from([("1", "a"), ("x", "b")])),
        6 => to_document(&Option::<u8>::None),
        7 => to_document(&(0..choices.below(90)).collect::<Vec<_>>()),
        _ => Document::parse(wild_text(choices)),
    };
    let expires = match choices.below(6) {
        0 => Some(1_700_000_000_001.0),
        1 => Some(1_800_000_000_000.5),
        _ => None,
    };
    Item::whole(
        document.unwrap_or_else(|_| to_document(&0).unwrap()),
        expires,
    )
}

fn changes(choices: &mut Choices) -> Changes {
    let mut changes = Changes::default();
    for _ in 0..choices.below(4) {
        let name = choices.of(&["user", "a", "b", "1", "new", "<b>", "€ é 😀"]);
        match choices.below(4) {
            0 => changes.remove(name),
            _ => changes.set(name, item(choices)),
        }
    }
    changes
}

fn lifetime(choices: &mut Choices) -> Option<RecordLifetime> {
    let asked = match choices.below(4) {
        0 => return None,
        1 => Lifetime::configured(),
        2 => Lifetime::never().with_absolute(Duration::from_millis(choices.below(3) as u64)),
        _ => Lifetime::idle(Duration::from_millis(choices.below(3) as u64)).persistent(),
    };
    Some(rules().begin(NOW).with(&asked, &rules(), NOW))
}

/// What both ways make of a record and changes to it; the quick one may have nothing to say.
fn both(text: &str, choices: &mut Choices) -> Option<(Option<String>, Option<String>)> {
    let base = match record::parse(text.to_owned().into()) {
        Ok(Stored::Record(record)) => Some(record),
        _ if choices.once_in(8) => None,
        _ => return None,
    };
    let changes = changes(choices);
    let lifetime = lifetime(choices);
    let mut entries = Merged::new();
    merge_entries(&mut entries, base.as_ref(), &changes, NOW);
    let quick = repack::write(
        base.as_ref().map(Record::document),
        &entries,
        lifetime.as_ref(),
    );
    let general = write_anew(&entries, &[], lifetime.as_ref()).ok();
    Some((quick.as_ref().map(text_of), general))
}

fn choices() -> impl Strategy<Value = Vec<u16>> {
    proptest::collection::vec(any::<u16>(), 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(20_000) })]

    #[test]
    fn a_record_is_read_the_same_in_both_ways(choices in choices(), damage in any::<Option<(u16, u8)>>()) {
        let mut choices = Choices(choices.into_iter());
        let text = match choices.once_in(2) {
            true => wild_text(&mut choices),
            false => plain_text(&mut choices),
        };
        let mut bytes = text.into_bytes();
        if let Some((place, byte)) = damage && !bytes.is_empty() {
            let place = usize::from(place) % bytes.len();
            bytes[place] = byte;
        }
        if let Ok(document) = Document::parse(bytes) {
            record::assert_read_the_same(&document);
        }
    }

    #[test]
    fn a_wild_record_is_written_the_same_in_both_ways(choices in choices()) {
        let mut choices = Choices(choices.into_iter());
        let text = wild_text(&mut choices);
        if let Some((Some(quick), general)) = both(&text, &mut choices) {
            prop_assert_eq!(Some(quick), general);
        }
    }

    #[test]
    fn a_plain_record_is_written_the_same_in_both_ways(choices in choices()) {
        let mut choices = Choices(choices.into_iter());
        let text = plain_text(&mut choices);
        if let Some((Some(quick), general)) = both(&text, &mut choices) {
            prop_assert_eq!(Some(quick), general);
        }
    }
}

/// The text of a record, which must read as if it were parsed.
fn text_of(document: &Document) -> String {
    record::assert_read_the_same(document);
    String::from_utf8(document.as_bytes().to_vec()).unwrap()
}

/// Writes a record with these changes in the quick way, which must do.
fn quick(base: Option<&str>, changes: &Changes) -> String {
    let base = base.map(|text| match record::parse(text.to_owned().into()) {
        Ok(Stored::Record(record)) => record,
        _ => panic!("no record"),
    });
    let mut entries = Merged::new();
    merge_entries(&mut entries, base.as_ref(), changes, NOW);
    let lifetime = rules().begin(NOW);
    let document = repack::write(
        base.as_ref().map(Record::document),
        &entries,
        Some(&lifetime),
    );
    let general = write_anew(&entries, &[], Some(&lifetime)).unwrap();
    assert_eq!(document.as_ref().map(text_of).as_deref(), Some(&*general));
    general
}

#[test]
fn what_sessions_usually_hold_is_written_in_the_quick_way() {
    let mut changes = Changes::default();
    let mut set = |name: &str, document: Result<Document, _>, expires| {
        let document: Result<_, serde_devalue::Error> = document;
        changes.set(name, Item::whole(document.unwrap(), expires));
    };
    set("visits", to_document(&1), None);
    set(
        "user",
        to_document(&BTreeMap::from([
            ("name", "Ann"),
            ("mail", "a@example.org"),
        ])),
        None,
    );
    set(
        "cart",
        to_document(&vec![(1, "shoe"), (2, "boot")]),
        Some(1_800_000_000_000.0),
    );
    set("note", to_document("line one\nline \"two\" <b>€</b>"), None);
    let first = quick(None, &changes);

    let mut changes = Changes::default();
    changes.set("visits", Item::whole(to_document(&2).unwrap(), None));
    let second = quick(Some(&first), &changes);
    assert_eq!(second.len(), first.len());

    changes.set(
        "visits",
        Item::whole(to_document(&vec!["Ann", "Bob"]).unwrap(), None),
    );
    changes.set("new", Item::whole(to_document(&"Ann").unwrap(), None));
    changes.remove("cart");
    quick(Some(&second), &changes);
}

#[test]
fn what_two_values_share_in_the_old_text_they_share_in_the_new() {
    let text =
        r#"[["Map",1,2,4,5],"a",{"data":3,"expires":-1},{"x":1},"b",{"data":3,"expires":-1}]"#;
    let mut changes = Changes::default();
    changes.set("0", Item::whole(to_document(&1).unwrap(), None));
    let written = quick(Some(text), &changes);
    assert_eq!(written.matches("{\"x\":").count(), 1, "{written}");
}

#[test]
fn a_text_of_many_entries_or_great_depth_is_left_to_the_general_way() {
    let deep = (0..100).fold(serde_devalue::Value::Number(1.0), |value, _| {
        serde_devalue::Value::Array(vec![value])
    });
    let many: Vec<u32> = (0..10_000).collect();
    for document in [to_document(&deep).unwrap(), to_document(&many).unwrap()] {
        let mut changes = Changes::default();
        changes.set("a", Item::whole(document, None));
        let mut entries = Merged::new();
        merge_entries(&mut entries, None, &changes, NOW);
        assert!(repack::write(None, &entries, None).is_none());
        assert!(write(None, &entries, &[], None).is_ok());
    }
}
