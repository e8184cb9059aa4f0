use std::collections::BTreeMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::item::Item;
use crate::{Expiry, Key, Timestamp};

/// What a part of a storage held at some time: every byte and when it ends, metadata included.
///
/// ```
/// use session_core::{Result, storage::{Snapshot, Storage}};
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
/// With serde it is a map from each key to `{ "text": … }`, or `{ "base64": … }` for bytes that are not UTF-8, and
/// `"expires_at"`: milliseconds since 1970, `"never"`, or not there where the driver did not report it. Reading takes
/// nothing else: a key that is not normalised, one that is there twice, a field that is not known and base64 that is
/// wrong are errors.
///
/// It is held in memory as a whole. For more than fits there is [`Storage::copy_to`](super::Storage::copy_to).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    items: BTreeMap<Key, Item>,
}

impl Snapshot {
    /// The item of `key`.
    pub fn get(&self, key: &Key) -> Option<&Item> {
        self.items.get(key)
    }

    /// The items in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        self.items.values()
    }

    /// How many items there are, metadata counted apart.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it holds nothing.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl Extend<Item> for Snapshot {
    fn extend<I: IntoIterator<Item = Item>>(&mut self, items: I) {
        let items = items.into_iter().map(|item| (item.key.clone(), item));
        self.items.extend(items);
    }
}

impl FromIterator<Item> for Snapshot {
    fn from_iter<I: IntoIterator<Item = Item>>(items: I) -> Self {
        let mut snapshot = Self::default();
        snapshot.extend(items);
        snapshot
    }
}

/// An item as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<End>,
}

#[derive(Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "`expires_at` is milliseconds since 1970, or \"never\""
)]
enum End {
    At(u64),
    Never(Never),
}

#[derive(Serialize, Deserialize)]
enum Never {
    #[serde(rename = "never")]
    Never,
}

impl From<&Item> for Stored {
    fn from(item: &Item) -> Self {
        let text = std::str::from_utf8(&item.value).map(str::to_owned);
        Self {
            base64: text.is_err().then(|| STANDARD.encode(&item.value)),
            text: text.ok(),
            expires_at: match item.expiry {
                Expiry::Default => None,
                Expiry::Never => Some(End::Never(Never::Never)),
                Expiry::At(end) => Some(End::At(end.as_millis())),
            },
        }
    }
}

impl Stored {
    fn into_item(self, key: Key) -> Result<Item, &'static str> {
        let value = match (self.text, self.base64) {
            (Some(text), None) => Bytes::from(text),
            (None, Some(base64)) => match STANDARD.decode(base64) {
                Ok(bytes) => bytes.into(),
                Err(_) => return Err("`base64` of an item is no padded standard base64"),
            },
            _ => return Err("an item has either `text` or `base64`"),
        };
        let expiry = match self.expires_at {
            None => Expiry::Default,
            Some(End::Never(_)) => Expiry::Never,
            Some(End::At(end)) => Expiry::At(Timestamp::from_millis(end)),
        };
        Ok(Item { key, value, expiry })
    }
}

impl Serialize for Snapshot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let items = self.iter();
        serializer.collect_map(items.map(|item| (item.key.as_str(), Stored::from(item))))
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
                while let Some((text, stored)) = map.next_entry::<String, Stored>()? {
                    let key = Key::new(&text).ok().filter(|key| key.as_str() == text);
                    let key = key.ok_or_else(|| M::Error::custom("a key is not normalised"))?;
                    let item = stored.into_item(key.clone()).map_err(M::Error::custom)?;
                    if items.insert(key, item).is_some() {
                        return Err(M::Error::custom("a key is there twice"));
                    }
                }
                Ok(Snapshot { items })
            }
        }

        deserializer.deserialize_map(Items)
    }
}
