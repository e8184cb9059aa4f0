//! Converts values to request bodies, and back.

use session_core::{Bytes, Error, ErrorKind, Result};

use crate::Dialect;

/// What is stored for an empty value on a server that drops empty bodies: unstorage's encoding of bytes, with padding
/// only.
const EMPTY: &str = "base64:=";

/// The byte order mark, which servers remove from text.
const MARK: &str = "\u{feff}";

/// How a value is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// As text, for `setItem`.
    Text(Bytes),
    /// As bytes, for `setItemRaw`.
    Raw(Bytes),
}

impl Body {
    pub(crate) fn of(value: Bytes, dialect: Dialect) -> Result<Self> {
        if dialect == Dialect::V1 && value.is_empty() {
            return Ok(Self::Text(EMPTY.into()));
        }
        if dialect == Dialect::V1 && value == EMPTY {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "the text `base64:=` stands for an empty value on a server of version 1; store another value",
            ));
        }
        match std::str::from_utf8(&value) {
            Ok(text) if !text.starts_with("base64:") && !text.starts_with(MARK) => {
                Ok(Self::Text(value))
            }
            _ => Ok(Self::Raw(value)),
        }
    }
}

/// The value in the body of a response.
pub(crate) fn read(body: Bytes, dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::V1 if body == EMPTY => Bytes::new(),
        _ => body,
    }
}
