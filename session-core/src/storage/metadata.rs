use serde_json::{Map, Value};

use crate::{Error, ErrorKind, Key, Metadata, Result};

/// What is known of an item beside its value.
///
/// ```
/// use serde_json::json;
/// use session_core::{Result, storage::Storage};
///
/// async fn label(storage: &Storage) -> Result<()> {
///     storage.set("report", "…").await?;
///     storage.set_metadata("report", &json!({ "author": "Ada" })).await?;
///     let known = storage.metadata("report").await?.unwrap_or_default();
///     assert_eq!(known.custom["author"], "Ada");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ItemMetadata {
    /// What the driver knows; `None` if the item is not there, and only its own metadata is.
    pub native: Option<Metadata>,
    /// What [`Storage::set_metadata`](super::Storage::set_metadata) wrote, or `setMeta` of unstorage; empty if
    /// nothing was written, or something other than an object.
    pub custom: Map<String, Value>,
}

/// What the key of an item's metadata ends with.
const MARK: char = '$';

/// Where the metadata of `key` stands.
pub(super) fn key_of_metadata(key: &Key) -> Result<Key> {
    Key::new(&format!("{}{MARK}", key.as_str()))
}

/// Whether `key` is that of the metadata of another.
pub(super) fn is_metadata(key: &Key) -> bool {
    key.as_str().ends_with(MARK)
}

/// The metadata that the text of its key holds.
pub(super) fn custom_of(text: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(custom)) => custom,
        _ => Map::new(),
    }
}

pub(super) fn check_is_object(text: &[u8]) -> Result<()> {
    if text.starts_with(b"{") {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unserializable,
        "metadata is an object: a map or a struct with named fields",
    )
    .with_context(super::NAME, "set_metadata"))
}
