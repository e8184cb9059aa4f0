//! The requests and responses of the REST API, as <https://developers.cloudflare.com/api/resources/kv/> describes them.

use std::collections::HashMap;
use std::fmt;

use http_support::Bounded;
use serde::de::{Error as _, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use session_core::Result;

use crate::error::incomplete;
use crate::stored::KeyMetadata;

/// How many keys one bulk get reads at most, which is Cloudflare's limit.
pub(crate) const MAX_READS: usize = 100;

/// How many keys one bulk request changes at most. Cloudflare's limit is 10,000.
pub(crate) const MAX_CHANGES: usize = 1_000;

/// The envelope of every response but a single value.
#[derive(Deserialize)]
pub(crate) struct Envelope<T> {
    success: bool,
    result: Option<T>,
    result_info: Option<PageInfo>,
}

impl<T> Envelope<T> {
    pub(crate) fn result(self) -> Result<T> {
        self.result_with_info().map(|(result, _)| result)
    }

    /// The result; null means the default.
    pub(crate) fn result_or_default(self) -> Result<T>
    where
        T: Default,
    {
        match self.success {
            true => Ok(self.result.unwrap_or_default()),
            false => Err(incomplete("does not report success")),
        }
    }

    pub(crate) fn result_with_info(self) -> Result<(T, PageInfo)> {
        match (self.success, self.result) {
            (true, Some(result)) => Ok((result, self.result_info.unwrap_or_default())),
            _ => Err(incomplete("has no result")),
        }
    }
}

/// More errors than a response has.
const MAX_MESSAGES: usize = 100;

/// The errors in a response without success.
#[derive(Deserialize)]
pub(crate) struct Refusal {
    #[serde(default)]
    errors: Bounded<Message, MAX_MESSAGES>,
}

#[derive(Deserialize)]
struct Message {
    code: u32,
}

impl Refusal {
    pub(crate) fn codes(&self) -> impl Iterator<Item = u32> {
        self.errors.0.iter().map(|error| error.code)
    }
}

/// The body of `POST bulk/get`.
#[derive(Serialize)]
pub(crate) struct BulkGet<'a> {
    pub(crate) keys: Vec<&'a str>,
    pub(crate) r#type: &'static str,
    #[serde(rename = "withMetadata")]
    pub(crate) with_metadata: bool,
}

/// The result of `POST bulk/get`: null for a key that has no value.
#[derive(Deserialize)]
pub(crate) struct Values {
    #[serde(deserialize_with = "found_values")]
    pub(crate) values: HashMap<String, Option<Found>>,
}

/// Parses the values of at most as many keys as a request has.
fn found_values<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<HashMap<String, Option<Found>>, D::Error> {
    struct Entries;

    impl<'de> Visitor<'de> for Entries {
        type Value = HashMap<String, Option<Found>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "the values of at most {MAX_READS} keys")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut values = HashMap::new();
            while let Some((key, value)) = map.next_entry()? {
                if values.len() == MAX_READS {
                    return Err(A::Error::invalid_length(MAX_READS + 1, &self));
                }
                values.insert(key, value);
            }
            Ok(values)
        }
    }

    deserializer.deserialize_map(Entries)
}

/// A value that a bulk get found.
#[derive(Debug, PartialEq)]
pub(crate) enum Found {
    /// The value with its attributes.
    Whole {
        value: String,
        metadata: KeyMetadata,
        /// Seconds since 1970.
        expiration: Option<f64>,
    },
    /// The value alone, from a server that ignores `withMetadata`, such as miniflare's explorer.
    Bare(String),
}

impl<'de> Deserialize<'de> for Found {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(field_identifier, rename_all = "lowercase")]
        enum Field {
            Value,
            Metadata,
            Expiration,
            #[serde(other)]
            Other,
        }

        struct FoundVisitor;

        impl<'de> Visitor<'de> for FoundVisitor {
            type Value = Found;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value, alone or with its metadata")
            }

            fn visit_str<E>(self, value: &str) -> Result<Found, E> {
                Ok(Found::Bare(value.to_owned()))
            }

            fn visit_string<E>(self, value: String) -> Result<Found, E> {
                Ok(Found::Bare(value))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Found, A::Error> {
                let (mut value, mut metadata, mut expiration) = (None, None, None);
                while let Some(field) = map.next_key()? {
                    match field {
                        Field::Value => value = Some(map.next_value()?),
                        Field::Metadata => metadata = map.next_value()?,
                        Field::Expiration => expiration = map.next_value()?,
                        Field::Other => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(Found::Whole {
                    value: value.ok_or_else(|| A::Error::missing_field("value"))?,
                    metadata: metadata.unwrap_or_default(),
                    expiration,
                })
            }
        }

        deserializer.deserialize_any(FoundVisitor)
    }
}

/// A key with its value in the body of `PUT bulk`.
#[derive(Serialize)]
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metadata: Option<KeyMetadata>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) expiration_ttl: Option<u64>,
}

/// The result of `PUT bulk` and `POST bulk/delete`.
#[derive(Default, Deserialize)]
pub(crate) struct BulkResult {
    #[serde(default)]
    pub(crate) unsuccessful_keys: Bounded<String, MAX_CHANGES>,
}

/// A key in the result of `GET keys`.
#[derive(Deserialize)]
pub(crate) struct ListedKey {
    pub(crate) name: String,
    pub(crate) expiration: Option<f64>,
    #[serde(default)]
    pub(crate) metadata: Option<KeyMetadata>,
}

/// The position of a page in a listing.
#[derive(Default, Deserialize)]
pub(crate) struct PageInfo {
    /// Empty or missing after the last page.
    cursor: Option<String>,
}

impl PageInfo {
    pub(crate) fn cursor(self) -> Option<String> {
        self.cursor.filter(|cursor| !cursor.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(json: &str) -> Result<HashMap<String, Option<Found>>, serde_json::Error> {
        let result: Values = serde_json::from_str(json)?;
        Ok(result.values)
    }

    #[test]
    fn a_bulk_get_finds_values_with_and_without_metadata_and_none() {
        let found = values(
            r#"{"values":{"a":{"value":"1","metadata":{"expiresAtMs":7},"expiration":9,"new":[1]},
                "b":{"metadata":["theirs"],"value":"2"},"c":"3","d":null}}"#,
        )
        .unwrap();
        let whole = |value: &str, metadata, expiration| Found::Whole {
            value: value.to_owned(),
            metadata,
            expiration,
        };
        let ours = KeyMetadata::from_millis(Some(7));
        assert_eq!(found["a"], Some(whole("1", ours, Some(9.0))));
        assert_eq!(found["b"], Some(whole("2", KeyMetadata::default(), None)));
        assert_eq!(found["c"], Some(Found::Bare("3".to_owned())));
        assert_eq!(found["d"], None);
    }

    #[test]
    fn malformed_values_are_refused() {
        for json in [
            "{}",
            r#"{"values":null}"#,
            r#"{"values":[]}"#,
            r#"{"values":{"a":1}}"#,
            r#"{"values":{"a":{}}}"#,
            r#"{"values":{"a":{"value":null,"metadata":null}}}"#,
            r#"{"values":{"a":{"value":{"a":1}}}}"#,
        ] {
            assert!(values(json).is_err(), "{json}");
        }
    }

    #[test]
    fn an_envelope_without_a_result_or_without_success_is_an_error() {
        for json in [
            r#"{"success":true,"result":null}"#,
            r#"{"success":true}"#,
            r#"{"success":false,"result":5}"#,
        ] {
            let envelope: Envelope<u32> = serde_json::from_str(json).unwrap();
            assert!(envelope.result().is_err(), "{json}");
        }
    }
}
