//! How values stand in a store as text, by the rules of unstorage.

mod form;
mod read;
mod write;

pub(super) use read::from_text;
pub(super) use write::to_text;

use crate::{Error, ErrorKind, Result};

/// The value of type `T` that `bytes` hold; `None` for the text of JavaScript's `null` and `undefined`, where `T`
/// does not read that text itself.
pub(super) fn decode<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<Option<T>> {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return Err(wrong_type::<T>("bytes that are no text"));
    };
    match from_text(text) {
        Ok(value) => Ok(Some(value)),
        Err(_) if form::Form::of(text) == form::Form::Nothing => Ok(None),
        // The cause would show what is stored.
        Err(_) => Err(wrong_type::<T>("a text of another form")),
    }
}

fn wrong_type<T>(found: &str) -> Error {
    let wanted = std::any::type_name::<T>();
    let message = format!(
        "what is stored is not a `{wanted}` but {found}; read it as the type that it was written with, or as bytes \
         by `get_raw`"
    );
    Error::new(ErrorKind::WrongType, message).with_context(super::NAME, "get")
}
