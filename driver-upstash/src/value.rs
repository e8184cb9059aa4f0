//! Values as the texts that unstorage stores.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use session_core::Bytes;

/// What unstorage begins the text with that it makes of bytes.
const PREFIX: &[u8] = b"base64:";

/// What is stored for `value`: a text as it is, unless it could be taken for bytes.
pub(crate) fn encode(value: Bytes) -> Bytes {
    if !value.starts_with(PREFIX) && std::str::from_utf8(&value).is_ok() {
        return value;
    }
    let mut text = String::from("base64:");
    STANDARD.encode_string(&value, &mut text);
    text.into()
}

/// The value that `stored` stands for. A text that begins as an encoded one and is none was written by somebody else,
/// and is what it is.
pub(crate) fn decode(stored: &Bytes) -> Bytes {
    match stored
        .strip_prefix(PREFIX)
        .map(|text| STANDARD.decode(text))
    {
        Some(Ok(value)) => value.into(),
        _ => stored.clone(),
    }
}

/// What is stored, as an argument of a script: a text after a `t`, and what is none, for others may have written it,
/// after an `x` in hexadecimal digits.
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
    fn any_bytes_come_back() {
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
    fn what_only_looks_encoded_is_what_it_is() {
        let foreign = Bytes::from_static(b"base64:not base64");
        assert_eq!(decode(&foreign), foreign);
    }

    #[test]
    fn what_is_expected_can_be_sent_whatever_it_is() {
        assert_eq!(expected("ü".as_bytes()), "tü");
        assert_eq!(expected(b""), "t");
        assert_eq!(expected(b"\xff\x00a"), "xff0061");
    }
}
