use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;

use crate::options::RawFormat;

/// What unstorage 1 begins the text with that it makes of bytes.
const PREFIX: &[u8] = b"base64:";

impl RawFormat {
    /// What is stored for `value`.
    pub(crate) fn encode(self, value: Bytes) -> Bytes {
        if self == Self::Binary || (!value.starts_with(PREFIX) && is_text(&value)) {
            return value;
        }
        let mut text = String::from("base64:");
        STANDARD.encode_string(&value, &mut text);
        text.into()
    }

    /// The value that `stored` stands for. A text that begins as an encoded one and is none was written by somebody
    /// else, and is what it is.
    pub(crate) fn decode(self, stored: &Bytes) -> Bytes {
        if self == Self::Base64
            && let Some(text) = stored.strip_prefix(PREFIX)
            && let Ok(value) = STANDARD.decode(text)
        {
            return value.into();
        }
        stored.clone()
    }
}

fn is_text(value: &[u8]) -> bool {
    std::str::from_utf8(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        for format in [RawFormat::Binary, RawFormat::Base64] {
            for value in [
                &b""[..],
                b"text",
                b"\x00\xff",
                b"base64:AQL/",
                b"base64:",
                b"base64:!",
            ] {
                let value = Bytes::copy_from_slice(value);
                assert_eq!(format.decode(&format.encode(value.clone())), value);
            }
        }
    }

    #[test]
    fn bytes_are_stored_as_unstorage_stores_them() {
        let bytes = Bytes::from_static(&[1, 2, 255]);
        assert_eq!(RawFormat::Base64.encode(bytes.clone()), "base64:AQL/");
        assert_eq!(RawFormat::Binary.encode(bytes.clone()), bytes);
    }

    #[test]
    fn what_only_looks_encoded_is_what_it_is() {
        let foreign = Bytes::from_static(b"base64:not base64");
        assert_eq!(RawFormat::Base64.decode(&foreign), foreign);
    }
}
