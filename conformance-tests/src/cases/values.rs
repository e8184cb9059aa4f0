//! Values round-trip byte for byte, and removals take effect.

use bytes::Bytes;
use session_core::RemoveOptions;

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    empty_values_round_trip: "an empty value is a value and not a miss";
    binary_values_round_trip: "binary values round-trip byte for byte";
    values_of_one_mebibyte_round_trip [Need::ValuesOf(MEBIBYTE)]: "long values round-trip byte for byte";
    unicode_values_round_trip: "Unicode values round-trip byte for byte";
    values_that_look_like_base64_round_trip: "a value that starts with `base64:` is not decoded";
    values_that_look_like_json_round_trip: "a value that looks like JSON is not parsed";
    an_overwrite_replaces_the_whole_value: "a write replaces the value, longer or shorter";
    a_missing_key_is_a_miss: "a miss is not an error";
    a_removed_key_is_a_miss [Need::Writes]: "a removal removes the entry, and its key can be written again";
    removing_twice_succeeds [Need::Writes]: "a removal without a condition also succeeds if the key is absent";
    exists_and_metadata_agree_with_read: "exists and metadata describe the entry that a read returns";
}

const MEBIBYTE: usize = 1 << 20;

async fn round_trips(context: &Context, name: &str, value: Bytes) -> CaseResult {
    let key = context.key(name)?;
    context.write(&key, value.clone()).await?;
    let read = context.read(&key).await?;
    match read {
        Some(entry) if entry.value == value => Ok(()),
        Some(entry) => Err(Failure::new(excerpt(&value), excerpt(&entry.value))),
        None => Err(Failure::new(excerpt(&value), "a miss")),
    }
}

fn excerpt(value: &Bytes) -> String {
    let start = value.get(..40).unwrap_or(value);
    let more = if value.len() > start.len() { "…" } else { "" };
    let start = start.escape_ascii();
    format!("the {} bytes \"{start}{more}\"", value.len())
}

async fn empty_values_round_trip(context: Context) -> CaseResult {
    round_trips(&context, "empty", Bytes::new()).await?;
    same(
        "exists",
        context.driver.exists(&context.key("empty")?).await?,
        true,
    )
}

async fn binary_values_round_trip(context: Context) -> CaseResult {
    let every_byte: Bytes = (0..=u8::MAX).collect();
    round_trips(&context, "every", every_byte).await?;
    round_trips(&context, "zero", Bytes::from_static(b"a\0b")).await?;
    round_trips(&context, "half", Bytes::from_static(b"h\xc3")).await?;
    round_trips(&context, "newlines", Bytes::from_static(b"\r\n a \r\n\n")).await?;
    round_trips(&context, "mark", Bytes::from_static(b"\xef\xbb\xbfa")).await
}

async fn values_of_one_mebibyte_round_trip(context: Context) -> CaseResult {
    let pattern: Vec<u8> = (0..MEBIBYTE).map(|at| ((at * 31) >> 3) as u8).collect();
    round_trips(&context, "binary", pattern.into()).await?;
    round_trips(&context, "text", "long ".repeat(MEBIBYTE / 5).into()).await
}

async fn unicode_values_round_trip(context: Context) -> CaseResult {
    for (name, value) in [
        ("latin", "Grüße"),
        ("emoji", "👩‍👩‍👧 🇪🇺"),
        ("right-to-left", "שלום عليكم"),
        ("composed", "e\u{301} é"),
        ("last", "\u{10ffff}\u{fffd}\u{2028}"),
    ] {
        round_trips(&context, name, Bytes::from_static(value.as_bytes())).await?;
    }
    Ok(())
}

async fn values_that_look_like_base64_round_trip(context: Context) -> CaseResult {
    for (name, value) in [
        ("valid", "base64:aGVsbG8="),
        ("invalid", "base64:!!"),
        ("bare", "base64:"),
        ("twice", "base64:base64:aGVsbG8="),
        ("unmarked", "aGVsbG8="),
    ] {
        round_trips(&context, name, Bytes::from_static(value.as_bytes())).await?;
    }
    Ok(())
}

async fn values_that_look_like_json_round_trip(context: Context) -> CaseResult {
    for (name, value) in [
        ("null", "null"),
        ("number", "1.0"),
        ("large", "123456789012345678901234567890"),
        ("text", "\"quoted\""),
        ("object", r#"{ "a" : 1, "a": 2 }"#),
        ("true", "true"),
        ("undefined", "undefined"),
        ("space", " "),
        ("sql", "'; DROP TABLE sessions; --"),
    ] {
        round_trips(&context, name, Bytes::from_static(value.as_bytes())).await?;
    }
    Ok(())
}

async fn an_overwrite_replaces_the_whole_value(context: Context) -> CaseResult {
    for value in [
        "short",
        "a good deal longer",
        "b",
        "",
        "again",
        "\u{0}",
        "text",
    ] {
        round_trips(&context, "k", Bytes::from_static(value.as_bytes())).await?;
    }
    round_trips(&context, "k", Bytes::from_static(b"\xff\xfe")).await?;
    round_trips(&context, "k", Bytes::from_static(b"text after bytes")).await
}

async fn a_missing_key_is_a_miss(context: Context) -> CaseResult {
    let key = context.key("missing")?;
    same("the read", context.read(&key).await?, None)?;
    same("exists", context.driver.exists(&key).await?, false)?;
    let metadata = context.driver.metadata(&key).await?;
    same("the metadata", metadata, None)
}

async fn a_removed_key_is_a_miss(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    let _unconditional = context
        .driver
        .remove(&key, RemoveOptions::default())
        .await?;
    same("the read", context.read(&key).await?, None)?;
    same("exists", context.driver.exists(&key).await?, false)?;
    round_trips(&context, "k", Bytes::from_static(b"new")).await
}

async fn removing_twice_succeeds(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "value").await?;
    for _ in 0..3 {
        let outcome = context
            .driver
            .remove(&key, RemoveOptions::default())
            .await?;
        same("the removal", outcome, session_core::RemoveOutcome::Removed)?;
    }
    Ok(())
}

async fn exists_and_metadata_agree_with_read(context: Context) -> CaseResult {
    let key = context.key("k")?;
    context.write(&key, "five!").await?;
    same("exists", context.driver.exists(&key).await?, true)?;
    let entry = context.read_present(&key).await?;
    let metadata = context.driver.metadata(&key).await?;
    let metadata = metadata.ok_or_else(|| Failure::new("metadata", "a miss"))?;
    check(
        metadata.size.is_none_or(|size| size == 5),
        "a size of 5 bytes",
        format!("{:?}", metadata.size),
    )?;
    same("its version", metadata.version, entry.version)?;
    same("its expiry", metadata.expires_at, entry.expires_at)
}
