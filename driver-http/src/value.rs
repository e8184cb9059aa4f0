//! Values as bodies of the protocol, and back.

use session_core::{Bytes, Error, ErrorKind, Result};

use crate::Dialect;

/// An empty value where the server drops empty bodies: as unstorage encodes bytes in text, with a padding that
/// stands for none.
const EMPTY: &str = "base64:=";

/// The byte order mark, which servers drop from text.
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
                "this very text stands for an empty value on a server of version 1; store another",
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

/// The value that a server gave.
pub(crate) fn read(body: Bytes, dialect: Dialect) -> Bytes {
    match dialect {
        Dialect::V1 if body == EMPTY => Bytes::new(),
        _ => body,
    }
}
