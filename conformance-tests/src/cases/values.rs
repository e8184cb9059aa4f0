use bytes::Bytes;
use session_core::RemoveOptions;

use super::cases;
use crate::case::Need;
use crate::context::Context;
use crate::failure::{CaseResult, Failure, check, same};

cases! {
    empty_values_come_back: "an empty value is a value and not a miss";
    binary_values_come_back: "values come back byte for byte, also those that are no text";
    values_of_a_mebibyte_come_back [Need::ValuesOf(MEBIBYTE)]: "values come back byte for byte, also long ones";
    unicode_values_come_back: "values come back byte for byte, whatever their script";
    values_that_look_like_base64_come_back: "a text that begins with `base64:` comes back as it is";
    values_that_look_like_json_come_back: "nothing is made of a value but its bytes";
    an_overwrite_replaces_the_whole_value: "a write replaces what is there, longer or shorter";
    a_missing_key_is_a_miss: "a miss is not an error";
    a_removed_key_is_a_miss [Need::Writes]: "a removal takes the entry away, and its key can be written again";
    removing_twice_succeeds [Need::Writes]: "a removal without a condition also succeeds where nothing is";
    existence_and_metadata_agree_with_reads: "exists and metadata tell of the entry that a read gives";
}

const MEBIBYTE: usize = 1 << 20;

async fn comes_back(context: &Context, name: &str, value: Bytes) -> CaseResult {
    let key = context.key(name)?;
    context.write(&key, value.clone()).await?;
    let read = context.read(&key).await?;
    match read {
        Some(entry) if entry.value == value => Ok(()),
        Some(entry) => Err(Failure::new(shown(&value), shown(&entry.value))),
        None => Err(Failure::new(shown(&value), "a miss")),
    }
}

fn shown(value: &Bytes) -> String {
    let start = value.get(..40).unwrap_or(value);
    let more = if value.len() > start.len() { "…" } else { "" };
    let start = start.escape_ascii();
    format!("the {} bytes \"{start}{more}\"", value.len())
}

async fn empty_values_come_back(context: Context) -> CaseResult {
    comes_back(&context, "empty", Bytes::new()).await?;
    same(
        "exists",
        context.driver.exists(&context.key("empty")?).await?,
        true,
    )
}

async fn binary_values_come_back(context: Context) -> CaseResult {
    let every_byte: Bytes = (0..=u8::MAX).collect();
    comes_back(&context, "every", every_byte).await?;
    comes_back(&context, "zero", Bytes::from_static(b"a\0b")).await?;
    comes_back(&context, "half", Bytes::from_static(b"h\xc3")).await?;
    comes_back(&context, "newlines", Bytes::from_static(b"\r\n a \r\n\n")).await?;
    comes_back(&context, "mark", Bytes::from_static(b"\xef\xbb\xbfa")).await
}

async fn values_of_a_mebibyte_come_back(context: Context) -> CaseResult {
    let pattern: Vec<u8> = (0..MEBIBYTE).map(|at| ((at * 31) >> 3) as u8).collect();
    comes_back(&context, "binary", pattern.into()).await?;
    comes_back(&context, "text", "long ".repeat(MEBIBYTE / 5).into()).await
}

async fn unicode_values_come_back(context: Context) -> CaseResult {
    for (name, value) in [
        ("latin", "Grüße"),
        ("emoji", "👩‍👩‍👧 🇪🇺"),
        ("right-to-left", "שלום عليكم"),
        ("composed", "e\u{301} é"),
        ("last", "\u{10ffff}\u{fffd}\u{2028}"),
    ] {
        comes_back(&context, name, Bytes::from_static(value.as_bytes())).await?;
    }
    Ok(())
}

async fn values_that_look_like_base64_come_back(context: Context) -> CaseResult {
    for (name, value) in [
        ("valid", "base64:aGVsbG8="),
        ("invalid", "base64:!!"),
        ("bare", "base64:"),
        ("twice", "base64:base64:aGVsbG8="),
        ("unmarked", "aGVsbG8="),
    ] {
        comes_back(&context, name, Bytes::from_static(value.as_bytes())).await?;
    }
    Ok(())
}

async fn values_that_look_like_json_come_back(context: Context) -> CaseResult {
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
        comes_back(&context, name, Bytes::from_static(value.as_bytes())).await?;
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
        comes_back(&context, "k", Bytes::from_static(value.as_bytes())).await?;
    }
    comes_back(&context, "k", Bytes::from_static(b"\xff\xfe")).await?;
    comes_back(&context, "k", Bytes::from_static(b"text after bytes")).await
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
    comes_back(&context, "k", Bytes::from_static(b"new")).await
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

async fn existence_and_metadata_agree_with_reads(context: Context) -> CaseResult {
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
    same("its end", metadata.expires_at, entry.expires_at)
}
