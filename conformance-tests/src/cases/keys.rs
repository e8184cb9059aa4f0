//! Keys: normalisation, special characters, nesting and length.

use bytes::Bytes;
use session_core::{ErrorKind, Key, Outcome, RemoveOptions, WriteOptions};

use super::cases;
use crate::case::Need;
use crate::context::{Context, written};
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    keys_are_normalised_like_unstorage: "keys with the same normal form are equal, and no others are";
    special_characters_in_keys_are_literal: "no character of a key has a special meaning";
    similar_keys_are_distinct: "keys are compared by bytes: case, spaces and Unicode composition matter";
    a_key_and_its_child_are_distinct [Need::NestedKeys]: "a key may be the parent of another key";
    nested_keys_are_rejected_if_unsupported [Need::Writes, Need::NoNestedKeys]: "a nested key is rejected if the driver does not support it, and the existing entry stays";
    the_parent_of_a_key_is_not_an_entry: "a key that was never written has no entry, even if a key below it has one";
    dots_in_keys_do_not_traverse: "`.` and `..` in a key are literal or rejected; they never reach another key";
    long_keys_are_not_truncated: "keys are never truncated";
    keys_over_the_size_limit_are_rejected [Need::Writes, Need::KeyLimit]: "a key over the declared size limit is an error, and nothing is written";
}

/// Keys and their normal forms by `normalizeKey` of unstorage.
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

async fn keys_are_normalised_like_unstorage(context: Context) -> CaseResult {
    for (number, (given, normalised)) in GOLDEN.into_iter().enumerate() {
        let value = Bytes::from(number.to_string());
        if write_unless_rejected(&context, given, value.clone())
            .await?
            .is_none()
        {
            continue;
        }
        let read = context.read(&context.key(normalised)?).await?;
        let what = format!("the value at {normalised:?} after a write to {given:?}");
        same(&what, read.map(|entry| entry.value), Some(value))?;
        // Some keys are parents of others, and not every driver supports both at once.
        let given = context.key(given)?;
        let removed = context.writer.remove(&given, RemoveOptions::default());
        let _unconditional = removed.await?;
    }
    Ok(())
}

async fn all_are_distinct(context: &Context, names: &[&str]) -> CaseResult {
    let mut stored = Vec::new();
    for name in names {
        let value = Bytes::from(format!("value of {name}"));
        stored.extend(
            write_unless_rejected(context, name, value.clone())
                .await?
                .map(|key| (key, value)),
        );
    }
    for (key, value) in stored {
        let read = context.read(&key).await?.map(|entry| entry.value);
        same(
            &format!("the value of {:?}", key.as_str()),
            read,
            Some(value),
        )?;
    }
    Ok(())
}

/// Writes `value` and returns the key, or `None` if the driver rejects a key that it may reject.
pub(super) async fn write_unless_rejected(
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
        Err(error) if may_reject(&key) && error.kind() == ErrorKind::InvalidKey => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a driver may reject the key. Some backends cannot store path segments that a URL resolves, control
/// characters, or the suffix of metadata keys.
pub(crate) fn may_reject(key: &Key) -> bool {
    let name = key.as_str();
    name.contains("..")
        || name.split(':').any(|segment| segment == ".")
        || name.contains(|character: char| character.is_control())
        || name.ends_with('$')
}

async fn special_characters_in_keys_are_literal(context: Context) -> CaseResult {
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
    all_are_distinct(&context, &names).await
}

async fn similar_keys_are_distinct(context: Context) -> CaseResult {
    let names = [
        "key", "Key", "KEY", " key", "key ", "k ey", "ключ", "Ключ", "\u{e9}", "e\u{301}", "key1",
        "key10", "ß", "ss", "i", "İ",
    ];
    all_are_distinct(&context, &names).await
}

async fn a_key_and_its_child_are_distinct(context: Context) -> CaseResult {
    let names = ["user", "user:1", "user:1:cart", "user:10", "users", "user1"];
    all_are_distinct(&context, &names).await
}

async fn nested_keys_are_rejected_if_unsupported(context: Context) -> CaseResult {
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
        // Once the first is removed, the second can be written.
        let removed = context.driver.remove(&first, RemoveOptions::default());
        let _unconditional = removed.await?;
        context.write(&second, "second").await?;
        let value = context.read_present(&second).await?.value;
        same("the value of the second", value, "second".into())?;
    }
    Ok(())
}

async fn the_parent_of_a_key_is_not_an_entry(context: Context) -> CaseResult {
    let below = context.key("a:b:c")?;
    context.write(&below, "value").await?;
    for name in ["a", "a:b"] {
        let parent = context.key(name)?;
        let what = format!("the read of {name}, the parent of another key");
        same(&what, context.read(&parent).await?, None)?;
        same("exists", context.driver.exists(&parent).await?, false)?;
        same(
            "the metadata",
            context.driver.metadata(&parent).await?,
            None,
        )?;
        let removed = context.writer.remove(&parent, RemoveOptions::default());
        let _unconditional = removed.await?;
    }
    let value = context.read_present(&below).await?.value;
    same("the value below the removed keys", value, "value".into())
}

async fn dots_in_keys_do_not_traverse(context: Context) -> CaseResult {
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
    // The prefix of the neighbour is a sibling of the prefix of this case.
    let neighbour = context.neighbour()?;
    let key = context.key("k")?;
    let options = WriteOptions::default();
    written(neighbour.write(&key, "theirs".into(), options).await?)?;
    let mut read = Vec::new();
    for name in context.traversals_to_the_neighbour("k") {
        if let Ok(Some(entry)) = context.driver.read(&context.key(&name)?).await {
            read.push(entry);
        }
    }
    let _unconditional = neighbour.remove(&key, RemoveOptions::default()).await?;
    same("the entries that dots reach", read, Vec::new())
}

async fn long_keys_are_not_truncated(context: Context) -> CaseResult {
    for length in [100, 200, 250, 255, 300, 600, 1_100, 2_100, 5_000] {
        let mut stored = Vec::new();
        for last in ["a", "b"] {
            let key = context.key(&format!("{}{last}", "k".repeat(length)))?;
            let options = WriteOptions::default();
            match context.writer.write(&key, last.into(), options).await {
                Ok(outcome) => {
                    written(outcome)?;
                    stored.push((key, last));
                }
                Err(error) => check(
                    matches!(error.kind(), ErrorKind::TooLarge | ErrorKind::InvalidKey),
                    "an error that says that the key is too long",
                    format!("{error:?}"),
                )?,
            }
        }
        for (key, last) in stored {
            let value = context.read_present(&key).await?.value;
            let what = format!("the value of one of two keys of {} bytes", length + 1);
            same(&what, value, last.into())?;
        }
    }
    Ok(())
}

async fn keys_over_the_size_limit_are_rejected(context: Context) -> CaseResult {
    let Some(limit) = context.capabilities.max_key_size else {
        return Ok(());
    };
    let longest = Key::new(&"k".repeat(limit))?;
    context.write(&longest, "value").await?;
    same("exists", context.driver.exists(&longest).await?, true)?;
    let too_long = Key::new(&"k".repeat(limit + 1))?;
    let options = WriteOptions::default();
    let expected = format!("a key of {} bytes to be rejected", limit + 1);
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
