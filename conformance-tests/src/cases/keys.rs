use bytes::Bytes;
use session_core::{ErrorKind, Key, Outcome, RemoveOptions, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    keys_are_normalised_as_unstorage_does: "keys that normalise to one text are one key, and others are not";
    special_characters_in_keys_are_ordinary: "no character of a key is special";
    keys_that_differ_little_are_apart: "a key is compared by its bytes: case, spaces and composition count";
    a_key_and_a_key_below_it_are_apart [Need::NestedKeys]: "a key may be the start of another";
    a_key_below_another_is_refused_where_it_has_no_place [Need::Writes, Need::NoNestedKeys]: "a key that has no place beside another's is refused, and the other stays";
    the_start_of_a_key_is_no_entry: "a key that was never written has no entry, also where keys below it have";
    dots_in_keys_lead_nowhere: "`.` and `..` in a key are ordinary, or refused; they lead to no other key";
    long_keys_that_differ_at_their_end_are_apart: "no key is cut";
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
        // Some of them are the start of others, and not every driver holds both.
        let given = context.key(given)?;
        let removed = context.writer.remove(&given, RemoveOptions::default());
        let _unconditional = removed.await?;
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

async fn a_key_below_another_is_refused_where_it_has_no_place(context: Context) -> CaseResult {
    for (first, second) in [("a", "a:b"), ("c:d", "c"), ("e", "e:f:g"), ("h:i:j", "h:i")] {
        let (first, second) = (context.key(first)?, context.key(second)?);
        context.write(&first, "first").await?;
        let options = WriteOptions::default();
        let expected = "an error of kind InvalidKey that says not applied";
        match context
            .driver
            .write(&second, "second".into(), options)
            .await
        {
            Ok(outcome) => return Err(Failure::new(expected, format!("{outcome:?}"))),
            Err(error) => check(
                error.kind() == ErrorKind::InvalidKey && error.outcome() == Outcome::NotApplied,
                expected,
                format!("{error:?}"),
            )?,
        }
        let value = context.read_present(&first).await?.value;
        same("the value of the first", value, "first".into())?;
        same("the read of the second", context.read(&second).await?, None)?;
        // Once the first is gone, the second has a place.
        let removed = context.driver.remove(&first, RemoveOptions::default());
        let _unconditional = removed.await?;
        context.write(&second, "second").await?;
        let value = context.read_present(&second).await?.value;
        same("the value of the second", value, "second".into())?;
    }
    Ok(())
}

async fn the_start_of_a_key_is_no_entry(context: Context) -> CaseResult {
    let below = context.key("a:b:c")?;
    context.write(&below, "value").await?;
    for name in ["a", "a:b"] {
        let start = context.key(name)?;
        let what = format!("the read of {name}, the start of another");
        same(&what, context.read(&start).await?, None)?;
        same("exists", context.driver.exists(&start).await?, false)?;
        same("the metadata", context.driver.metadata(&start).await?, None)?;
        let removed = context.writer.remove(&start, RemoveOptions::default());
        let _unconditional = removed.await?;
    }
    let value = context.read_present(&below).await?.value;
    same(
        "the value below keys that were removed",
        value,
        "value".into(),
    )
}

async fn dots_in_keys_lead_nowhere(context: Context) -> CaseResult {
    for (dotted, plain) in [
        ("x:..:a", "a"),
        ("b:.:c", "b:c"),
        ("d:.", "d"),
        (".:e", "e"),
        ("..:..:f", "f"),
    ] {
        let (dotted, plain) = (context.key(dotted)?, context.key(plain)?);
        context.write(&plain, "plain").await?;
        let options = WriteOptions::default();
        match context
            .writer
            .write(&dotted, "dotted".into(), options)
            .await
        {
            Ok(outcome) => {
                written(outcome)?;
                let value = context.read_present(&dotted).await?.value;
                same("the value of the key with dots", value, "dotted".into())?;
            }
            Err(error) => same("the kind of the error", error.kind(), ErrorKind::InvalidKey)?,
        }
        let value = context.read_present(&plain).await?.value;
        same("the value of the key without dots", value, "plain".into())?;
    }
    // The base of a neighbour is beside that of this case.
    let neighbour = context.neighbour();
    let key = context.key("k")?;
    let options = WriteOptions::default();
    written(neighbour.write(&key, "theirs".into(), options).await?)?;
    let mut read = Vec::new();
    for name in context.ways_to_the_neighbour("k") {
        if let Ok(Some(entry)) = context.driver.read(&context.key(&name)?).await {
            read.push(entry);
        }
    }
    let _unconditional = neighbour.remove(&key, RemoveOptions::default()).await?;
    same("what is found by dots", read, Vec::new())
}

async fn long_keys_that_differ_at_their_end_are_apart(context: Context) -> CaseResult {
    for length in [100, 200, 250, 255, 300, 600, 1_100, 2_100, 5_000] {
        let mut held = Vec::new();
        for end in ["a", "b"] {
            let key = context.key(&format!("{}{end}", "k".repeat(length)))?;
            let options = WriteOptions::default();
            match context.writer.write(&key, end.into(), options).await {
                Ok(outcome) => {
                    written(outcome)?;
                    held.push((key, end));
                }
                Err(error) => check(
                    matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::InvalidKey),
                    "an error that says that the key is too long",
                    format!("{error:?}"),
                )?,
            }
        }
        for (key, end) in held {
            let value = context.read_present(&key).await?.value;
            let what = format!("the value of one of two keys of {} bytes", length + 1);
            same(&what, value, end.into())?;
        }
    }
    Ok(())
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
