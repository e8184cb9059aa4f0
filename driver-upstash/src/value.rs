//! The stored form of values, which is that of unstorage.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_core::Bytes;

/// The prefix of values that are stored as base64.
const PREFIX: &[u8] = b"base64:";

/// The stored form of `value`: text as it is, unless it could be mistaken for encoded bytes.
pub(crate) fn encode(value: Bytes) -> Bytes {
    if !value.starts_with(PREFIX) && std::str::from_utf8(&value).is_ok() {
        return value;
    }
    let mut text = String::from("base64:");
    STANDARD.encode_string(&value, &mut text);
    text.into()
}

/// The value of a stored text. A text that has the prefix but is not valid base64 was written by another program, and is
/// returned as it is.
pub(crate) fn decode(stored: &Bytes) -> Bytes {
    match stored
        .strip_prefix(PREFIX)
        .map(|text| STANDARD.decode(text))
    {
        Some(Ok(value)) => value.into(),
        _ => stored.clone(),
    }
}

/// The expected stored value as an argument of a script: `t` and the text, or `x` and hexadecimal digits for bytes of
/// another program that are not text.
pub(crate) fn expected(stored: &[u8]) -> String {
    match std::str::from_utf8(stored) {
        Ok(text) => ["t", text].concat(),
        Err(_) => {
            let digits = stored.iter().map(|byte| format!("{byte:02x}"));
            std::iter::once("x".to_owned()).chain(digits).collect()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_read_back() {
        for value in [
            &b""[..],
            b"text",
            b"\x00\xff",
            b"base64:AQL/",
            b"base64:",
            b"base64:!",
        ] {
            let stored = encode(Bytes::copy_from_slice(value));
            assert!(std::str::from_utf8(&stored).is_ok());
            assert_eq!(decode(&stored), value);
        }
        assert_eq!(encode(Bytes::from_static(&[1, 2, 255])), "base64:AQL/");
    }

    #[test]
    fn text_that_only_looks_encoded_is_unchanged() {
        let foreign = Bytes::from_static(b"base64:not base64");
        assert_eq!(decode(&foreign), foreign);
    }

    #[test]
    fn any_expected_value_can_be_sent() {
        assert_eq!(expected("ü".as_bytes()), "tü");
        assert_eq!(expected(b""), "t");
        assert_eq!(expected(b"\xff\x00a"), "xff0061");
    }
}
