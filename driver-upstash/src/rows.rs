//! Parses the JSON of a response into replies, without keeping more of it than a response can have.

use std::cell::Cell;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::reply::{CommandResult, Refused, Reply};

/// How many items the lists of one response have at most, more than the longest step of a scan returns.
const MAX_ITEMS: usize = 65_536;

/// How deep lists are nested at most: the names of a scan are a list in a list.
const MAX_DEPTH: usize = 4;

/// The results of `count` commands. Parsing stops at one too many.
pub(crate) struct Rows {
    count: usize,
    /// How many more items lists may have.
    left: Cell<usize>,
}

impl Rows {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            count,
            left: Cell::new(MAX_ITEMS),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Rows {
    type Value = Vec<CommandResult>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Rows {
    type Value = Vec<CommandResult>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} results", self.count)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut rows = Vec::with_capacity(self.count);
        while let Some(row) = items.next_element_seed(Row(&self.left))? {
            if rows.len() == self.count {
                return Err(A::Error::invalid_length(self.count + 1, &self));
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// The result or the error of one command.
struct Row<'c>(&'c Cell<usize>);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Result,
    Error,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for Row<'_> {
    type Value = CommandResult;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Row<'_> {
    type Value = CommandResult;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a result or an error")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut result, mut error) = (Reply::Nil, None::<String>);
        while let Some(field) = map.next_key()? {
            match field {
                Field::Result => {
                    result = map.next_value_seed(Item {
                        left: self.0,
                        depth: 0,
                    })?;
                }
                Field::Error => error = map.next_value()?,
                Field::Other => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(match error {
            Some(error) => Err(Refused(error)),
            None => Ok(result),
        })
    }
}

/// A result, or an item of one.
struct Item<'c> {
    left: &'c Cell<usize>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Item<'_> {
    type Value = Reply;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Reply, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Item<'_> {
    type Value = Reply;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("null, an integer, a text or a list of these")
    }

    fn visit_unit<E>(self) -> Result<Reply, E> {
        Ok(Reply::Nil)
    }

    fn visit_i64<E>(self, number: i64) -> Result<Reply, E> {
        Ok(Reply::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Reply, E> {
        i64::try_from(number)
            .map(Reply::Int)
            .map_err(|_| E::custom("an integer that is too large"))
    }

    /// Texts are base64 except for `OK`, which is not valid base64.
    fn visit_str<E>(self, text: &str) -> Result<Reply, E> {
        Ok(Reply::Bytes(match STANDARD.decode(text) {
            Ok(bytes) => bytes.into(),
            Err(_) => text.to_owned().into(),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Reply, A::Error> {
        if self.depth == MAX_DEPTH {
            return Err(A::Error::custom("lists that are nested too deeply"));
        }
        let item = || Item {
            left: self.left,
            depth: self.depth + 1,
        };
        let mut all = Vec::new();
        while let Some(found) = items.next_element_seed(item())? {
            match self.left.get().checked_sub(1) {
                Some(left) => self.left.set(left),
                None => return Err(A::Error::custom("more items than a response has")),
            }
            all.push(found);
        }
        Ok(Reply::Array(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(json: &str, count: usize) -> Result<Vec<CommandResult>, serde_json::Error> {
        Rows::new(count).deserialize(&mut serde_json::Deserializer::from_str(json))
    }

    #[test]
    fn parsing_stops_at_what_was_asked_for() {
        let rows = parsed(r#"[{"result":null},{"error":"ERR no"},{}]"#, 3).unwrap();
        assert_eq!(rows.len(), 3);
        // What follows is no JSON, and is not looked at.
        for (json, count, reason) in [
            (
                r#"[{"result":1},{"result":2},{"result":3},?"#,
                2,
                "invalid length 3",
            ),
            (r#"[{"result":[[[[[1]]]]]}]"#, 1, "nested too deeply"),
            (r#"[{"result":{"a":1}}]"#, 1, "invalid type"),
            (r#"[{"result":18446744073709551615}]"#, 1, "too large"),
        ] {
            let error = parsed(json, count).unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
        let long = format!("[{{\"result\":[{}?", "0,".repeat(MAX_ITEMS + 1));
        let error = parsed(&long, 1).unwrap_err().to_string();
        assert!(error.contains("more items"), "{error}");
    }
}
