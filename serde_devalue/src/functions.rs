//! Functions that read and write in one call, like those of serde_json.

use std::io;

use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

use crate::document::Document;
use crate::entry::Entries;
use crate::error::Error;
use crate::limits::{Limits, ParseOptions};
use crate::options::WriteOptions;
use crate::scalar;
use crate::scan::scan;
use crate::value::Value;
use crate::writer::Writer;

/// Deserializes a type from a text. The type may borrow from the text.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct User<'a> {
///     name: &'a str,
///     age: Option<u8>,
/// }
///
/// let user: User = serde_devalue::from_str(r#"[{"name":1},"Ann"]"#)?;
/// assert_eq!((user.name, user.age), ("Ann", None));
/// # Ok::<_, serde_devalue::Error>(())
/// ```
pub fn from_str<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Error> {
    from_str_with(text, &ParseOptions::default())
}

/// Deserializes a type from a text, with custom limits or tags.
pub fn from_str_with<'de, T: Deserialize<'de>>(
    text: &'de str,
    options: &ParseOptions,
) -> Result<T, Error> {
    let index = scan(text, &options.limits)?;
    crate::de::from_entries(Entries::new(text, &index, options))
}

/// Deserializes a type from UTF-8 bytes. The type may borrow from them.
pub fn from_slice<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, Error> {
    match std::str::from_utf8(bytes) {
        Ok(text) => from_str(text),
        Err(error) => Err(Error::syntax(error.valid_up_to(), "not UTF-8")),
    }
}

/// Converts a [`Value`] to a type.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, Error> {
    let mut writer = Writer::new(WriteOptions::new());
    writer.value(value);
    let options = ParseOptions::new().any_custom_tag();
    from_str_with(&writer.finish()?, &options)
}

pub(crate) fn value_of(text: &str) -> Result<Value, Error> {
    let options = crate::token::parse_options();
    let index = scan(text, &options.limits)?;
    let entries = Entries::new(text, &index, &options);
    crate::build::to_value(entries, entries.root(), &entries.budget())
}

/// Serializes a value like `devalue.stringify`.
///
/// ```
/// assert_eq!(serde_devalue::to_string(&["a", "b", "a"])?, r#"[[1,2,1],"a","b"]"#);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
pub fn to_string<T: Serialize + ?Sized>(value: &T) -> Result<String, Error> {
    to_string_with(value, WriteOptions::default())
}

/// Serializes a value with options.
pub fn to_string_with<T: Serialize + ?Sized>(
    value: &T,
    options: WriteOptions,
) -> Result<String, Error> {
    let mut writer = Writer::new(options);
    writer.serialize(value)?;
    writer.finish()
}

/// Serializes a value to a writer.
///
/// The text is built in memory first, because an entry is complete only after the entries that it refers to.
pub fn to_writer<W: io::Write, T: Serialize + ?Sized>(mut writer: W, value: &T) -> io::Result<()> {
    let text = to_string(value).map_err(io::Error::other)?;
    writer.write_all(text.as_bytes())
}

/// Converts a value of any type to a [`Value`].
pub fn to_value<T: Serialize + ?Sized>(value: &T) -> Result<Value, Error> {
    value_of(&to_string(value)?)
}

/// Converts a value of any type to a document. A [`Writer`] can insert its nodes into another document.
///
/// ```
/// let document = serde_devalue::to_document(&[1, 2])?;
/// assert_eq!(document.root().kind(), serde_devalue::Kind::Array);
/// # Ok::<_, serde_devalue::Error>(())
/// ```
///
/// It is an error if the default limits would refuse to read the value, because it repeats too much.
pub fn to_document<T: Serialize + ?Sized>(value: &T) -> Result<Document, Error> {
    to_document_with(value, WriteOptions::default())
}

/// Converts a value of any type to a document, with options.
pub fn to_document_with<T: Serialize + ?Sized>(
    value: &T,
    options: WriteOptions,
) -> Result<Document, Error> {
    if let Some(text) = scalar::text(value) {
        return Ok(Document::of_scalar(text));
    }
    let mut writer = Writer::new(options);
    writer.serialize(value)?;
    let repeats_much = writer.repeats_much();
    let limits = Limits {
        size: usize::MAX,
        ..Limits::default()
    };
    let options = ParseOptions::new().limits(limits).any_custom_tag();
    let document = writer.take_document(options)?;
    if repeats_much {
        document.root().to_value()?;
    }
    Ok(document)
}
