use serde_json::{Map, Value};
use session_core::{Error, ErrorKind, Key, Metadata, Result};

use crate::NAME;

/// The metadata of an item: what the driver knows, and what was set.
///
/// ```
/// use serde_json::json;
/// use session_core::Result;
/// use session_storage::Storage;
///
/// async fn label(storage: &Storage) -> Result<()> {
///     storage.set("report", "…").await?;
///     storage.set_metadata("report", &json!({ "author": "Ada" })).await?;
///     let metadata = storage.metadata("report").await?.unwrap_or_default();
///     assert_eq!(metadata.custom["author"], "Ada");
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct ItemMetadata {
    /// What the driver knows; `None` if the item does not exist and only its metadata does.
    pub native: Option<Metadata>,
    /// What [`Storage::set_metadata`](crate::Storage::set_metadata) or unstorage's `setMeta` wrote. It is empty if
    /// nothing was written, or something that is not an object.
    pub custom: Map<String, Value>,
}

/// The suffix of a key that holds metadata.
const SUFFIX: char = '$';

/// The key that holds the metadata of `key`.
pub(crate) fn metadata_key(key: &Key) -> Result<Key> {
    Key::new(&format!("{}{SUFFIX}", key.as_str()))
}

/// Whether `key` holds the metadata of another key.
pub(crate) fn is_metadata_key(key: &Key) -> bool {
    key.as_str().ends_with(SUFFIX)
}

/// Parses stored metadata.
pub(crate) fn parse(text: &[u8]) -> Map<String, Value> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(custom)) => custom,
        _ => Map::new(),
    }
}

/// Whether `result` is of a metadata key that the driver refuses, such as one that is too long by its `$`.
///
/// The item before it may be stored all the same. It has no metadata then.
pub(crate) fn is_refused<T>(result: &Result<T>) -> bool {
    let kind = result.as_ref().err().map(Error::kind);
    matches!(kind, Some(ErrorKind::InvalidKey | ErrorKind::TooLarge))
}

pub(crate) fn check_is_object(text: &[u8]) -> Result<()> {
    if text.starts_with(b"{") {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Unserializable,
        "metadata must be an object; use a map or a struct with named fields",
    )
    .with_context(NAME, "set_metadata"))
}
