use bytes::Bytes;
use session_core::{ErrorKind, Key, Outcome, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    keys_are_normalised_as_unstorage_does: "keys that normalise to one text are one key, and others are not";
    special_characters_in_keys_are_ordinary: "no character of a key is special";
    keys_that_differ_little_are_apart: "a key is compared by its bytes: case, spaces and composition count";
    a_key_and_a_key_below_it_are_apart: "a key may be the start of another";
    keys_longer_than_the_limit_are_refused [Need::Writes, Need::KeyLimit]: "a key over the declared limit is an error, and nothing is written";
}

/// What `normalizeKey` of unstorage makes of a key.
const GOLDEN: [(&str, &str); 15] = [
    ("/foo/bar", "foo:bar"),
    ("foo\\bar", "foo:bar"),
    ("foo::bar", "foo:bar"),
    (":foo:", "foo"),
    (" foo ", " foo "),
    ("foo?q=1", "foo"),
    ("foo:?", "foo"),
    ("a//b///c", "a:b:c"),
    ("foo$", "foo$"),
    ("foo$/", "foo$"),
    ("FOO", "FOO"),
    ("a%2Fb", "a%2Fb"),
    ("#h", "#h"),
    ("a/:/b", "a:b"),
    ("foo/bar?x=1:2", "foo:bar"),
];

async fn keys_are_normalised_as_unstorage_does(context: Context) -> CaseResult {
    for (number, (given, normalised)) in GOLDEN.into_iter().enumerate() {
        let value = Bytes::from(number.to_string());
        if hold(&context, given, value.clone()).await?.is_none() {
            continue;
        }
        let read = context.read(&context.key(normalised)?).await?;
        let what = format!("the value at {normalised:?} after a write to {given:?}");
        same(&what, read.map(|entry| entry.value), Some(value))?;
    }
    Ok(())
}

async fn all_hold_their_own(context: &Context, names: &[&str]) -> CaseResult {
    let mut held = Vec::new();
    for name in names {
        let value = Bytes::from(format!("value of {name}"));
        held.extend(
            hold(context, name, value.clone())
                .await?
                .map(|key| (key, value)),
        );
    }
    for (key, value) in held {
        let read = context.read(&key).await?.map(|entry| entry.value);
        same(
            &format!("the value of {:?}", key.as_str()),
            read,
            Some(value),
        )?;
    }
    Ok(())
}

/// Writes `value` and gives the key, or nothing if it is one that the driver refuses and may.
pub(super) async fn hold(
    context: &Context,
    name: &str,
    value: Bytes,
) -> Result<Option<Key>, Failure> {
    let key = context.key(name)?;
    match context
        .writer
        .write(&key, value, WriteOptions::default())
        .await
    {
        Ok(outcome) => {
            written(outcome)?;
            Ok(Some(key))
        }
        Err(error) if may_refuse(&key) && error.kind() == ErrorKind::InvalidKey => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Some backends have no way to hold these, and then say so: what a path or a URL resolves, what no header or file
/// name has, and what stands for the metadata of another key.
fn may_refuse(key: &Key) -> bool {
    let name = key.as_str();
    name.contains("..")
        || name.split(':').any(|segment| segment == ".")
        || name.contains(|character: char| character.is_control())
        || name.ends_with('$')
}

async fn special_characters_in_keys_are_ordinary(context: Context) -> CaseResult {
    let names = [
        "*",
        "a*",
        "a%",
        "a_",
        "a.",
        "[ab]",
        "a[b",
        "{a}",
        "^a$",
        "a|b",
        "~",
        "a'b",
        "a\"b",
        "a`b",
        "a;b",
        "a,b",
        "a&b",
        "a=b",
        "a+b",
        "a b",
        "a#b",
        "a@b",
        "a!b",
        "(a)",
        "<a>",
        "a%00b",
        "%",
        "_",
        "-a",
        "a\tb",
        "a\nb",
        "a\u{0}b",
        "..",
        "..:x",
        "x:..:y",
        ".",
        "ключ",
        "键",
        "🔑",
        "é",
        "constructor",
        "__proto__",
        "null",
    ];
    all_hold_their_own(&context, &names).await
}

async fn keys_that_differ_little_are_apart(context: Context) -> CaseResult {
    let names = [
        "key", "Key", "KEY", " key", "key ", "k ey", "ключ", "Ключ", "\u{e9}", "e\u{301}", "key1",
        "key10", "ß", "ss", "i", "İ",
    ];
    all_hold_their_own(&context, &names).await
}

async fn a_key_and_a_key_below_it_are_apart(context: Context) -> CaseResult {
    let names = ["user", "user:1", "user:1:cart", "user:10", "users", "user1"];
    all_hold_their_own(&context, &names).await
}

async fn keys_longer_than_the_limit_are_refused(context: Context) -> CaseResult {
    let Some(limit) = context.capabilities.max_key_size else {
        return Ok(());
    };
    let longest = Key::new(&"k".repeat(limit))?;
    context.write(&longest, "value").await?;
    same("exists", context.driver.exists(&longest).await?, true)?;
    let too_long = Key::new(&"k".repeat(limit + 1))?;
    let options = WriteOptions::default();
    let expected = format!("a key of {} bytes to be refused", limit + 1);
    match context.driver.write(&too_long, "v".into(), options).await {
        Ok(outcome) => Err(Failure::new(expected, format!("{outcome:?}"))),
        Err(error) => check(
            matches!(error.kind(), ErrorKind::InvalidKey | ErrorKind::TooLarge)
                && error.outcome() == Outcome::NotApplied,
            expected,
            format!("{error:?}"),
        ),
    }
}
