//! The text of values, as unstorage writes and reads it.
//!
//! [`write`] turns a value into text. [`read`] parses a text as the type that the caller requests, and falls back to the
//! rules of unstorage's parser, [`destr`], if the type accepts any input.

mod destr;
mod finite;
mod read;
mod write;

use session_core::{Error, ErrorKind, Result};

use self::destr::DestrValue;
use self::read::from_text;

pub(crate) use self::write::to_text;

/// Parses stored bytes as a `T`. It is `None` for the text of JavaScript's `null` and `undefined`, unless that text is a
/// valid `T`.
pub(crate) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(wrong_type::<T>("it is not UTF-8 text"));
    };
    match from_text(text) {
        Ok(value) => Ok(Some(value)),
        Err(_) if DestrValue::parse(text) == DestrValue::Null => Ok(None),
        // The source of the error would show the stored value.
        Err(_) => Err(wrong_type::<T>("the text has another form")),
    }
}

fn wrong_type<T>(reason: &str) -> Error {
    let wanted = std::any::type_name::<T>();
    let message = format!(
        "the stored value is not a `{wanted}`: {reason}; read it as the type that it was written as, or with \
         `get_raw`"
    );
    Error::new(ErrorKind::WrongType, message).with_context(crate::NAME, "get")
}
