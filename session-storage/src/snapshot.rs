//! A part of a storage in memory, and its form with serde.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use session_core::{Expiry, Key, Timestamp};

use crate::item::StorageItem;

/// A copy of a part of a storage in memory: all items with their bytes and expiry, metadata included.
///
/// ```
/// use session_core::Result;
/// use session_storage::{Snapshot, Storage};
///
/// async fn save(storage: &Storage) -> Result<String> {
///     let snapshot = storage.snapshot("settings").await?;
///     Ok(serde_json::to_string(&snapshot).unwrap_or_default())
/// }
///
/// async fn load(storage: &Storage, json: &str) -> Result<(), Box<dyn std::error::Error>> {
///     let snapshot: Snapshot = serde_json::from_str(json)?;
///     storage.restore("settings", &snapshot).await?;
///     Ok(())
/// }
/// ```
///
/// # Format
///
/// It serializes to a map from key to `{ "text": … }`, or `{ "base64": … }` for bytes that are not UTF-8. `"expires_at"`
/// is added if the driver reports expiry: milliseconds since 1970, or `"never"`. Deserializing is strict: a key that is
/// not normalised, a duplicate key, an unknown field and invalid base64 are errors.
///
/// # Limits
///
/// A snapshot is held in memory as a whole. For larger amounts of data use [`Storage::copy_to`](crate::Storage::copy_to).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    items: BTreeMap<Key, StorageItem>,
}

impl Snapshot {
    /// The item of `key`.
    pub fn get(&self, key: &Key) -> Option<&StorageItem> {
        self.items.get(key)
    }

    /// The items, sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = &StorageItem> {
        self.items.values()
    }

    /// The number of items. The metadata of an item counts as another item.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there are no items.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Extend<StorageItem> for Snapshot {
    fn extend<I: IntoIterator<Item = StorageItem>>(&mut self, items: I) {
        let items = items.into_iter().map(|item| (item.key.clone(), item));
        self.items.extend(items);
    }
}

impl FromIterator<StorageItem> for Snapshot {
    fn from_iter<I: IntoIterator<Item = StorageItem>>(items: I) -> Self {
        let mut snapshot = Self::default();
        snapshot.extend(items);
        snapshot
    }
}

/// The serialized form of an item.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SerializedItem {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<SerializedExpiry>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`expires_at` must be milliseconds since 1970, or \"never\""
)]
enum SerializedExpiry {
    At(u64),
    Never(Never),
}

#[derive(Serialize, Deserialize)]
enum Never {
    #[serde(rename = "never")]
    Never,
}

impl From<&StorageItem> for SerializedItem {
    fn from(item: &StorageItem) -> Self {
        let text = std::str::from_utf8(&item.value).map(str::to_owned);
        Self {
            base64: text.is_err().then(|| STANDARD.encode(&item.value)),
            text: text.ok(),
            expires_at: match item.expiry {
                Expiry::Default => None,
                Expiry::Never => Some(SerializedExpiry::Never(Never::Never)),
                Expiry::At(time) => Some(SerializedExpiry::At(time.as_millis())),
            },
        }
    }
}

impl SerializedItem {
    fn into_item(self, key: Key) -> Result<StorageItem, &'static str> {
        let value = match (self.text, self.base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(base64)) => match STANDARD.decode(base64) {
                Ok(bytes) => bytes.into(),
                Err(_) => return Err("`base64` of an item must be padded standard base64"),
            },
            _ => return Err("an item must have either `text` or `base64`"),
        };
        let expiry = match self.expires_at {
            None => Expiry::Default,
            Some(SerializedExpiry::Never(_)) => Expiry::Never,
            Some(SerializedExpiry::At(millis)) => Expiry::At(Timestamp::from_millis(millis)),
        };
        Ok(StorageItem::new(key, value).with_expiry(expiry))
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.iter();
        serializer.collect_map(items.map(|item| (item.key.as_str(), SerializedItem::from(item))))
    }
}

impl<'de> Deserialize<'de> for Snapshot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = Snapshot;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from keys to items")
            }

            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Snapshot, M::Error> {
                let mut items = BTreeMap::new();
                while let Some((text, item)) = map.next_entry::<String, SerializedItem>()? {
                    let key = Key::new(&text).ok().filter(|key| key.as_str() == text);
                    let key = key.ok_or_else(|| M::Error::custom("key is not normalised"))?;
                    let item = item.into_item(key.clone()).map_err(M::Error::custom)?;
                    if items.insert(key, item).is_some() {
                        return Err(M::Error::custom("duplicate key"));
                    }
                }
                Ok(Snapshot { items })
            }
        }

        deserializer.deserialize_map(Items)
    }
}
