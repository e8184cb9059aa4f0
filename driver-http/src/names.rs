use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use session_core::{Key, Prefix};

use crate::path;

/// Parses the names in a listing into the keys below `prefix`, without the prefix `root` of the driver.
///
/// Only these keys are kept. Parsing stops at more than `left` names.
pub(crate) struct Names<'p> {
    pub(crate) root: &'p Prefix,
    pub(crate) prefix: &'p Prefix,
    pub(crate) left: usize,
}

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = Vec<Key>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Key>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = Vec<Key>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of names")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut names: A) -> Result<Vec<Key>, A::Error> {
        let mut keys = Vec::new();
        while let Some(name) = names.next_element::<String>()? {
            self.left = self
                .left
                .checked_sub(1)
                .ok_or_else(|| A::Error::custom("too many names"))?;
            let key = path::listed(&name).and_then(|key| self.root.strip(&key));
            keys.extend(key.filter(|key| self.prefix.contains(key)));
        }
        Ok(keys)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_below_the_prefix_are_kept_up_to_the_limit() {
        let parse = |json: &str, left| {
            let names = Names {
                root: &Prefix::new("app").unwrap(),
                prefix: &Prefix::new("s").unwrap(),
                left,
            };
            names.deserialize(&mut serde_json::Deserializer::from_str(json))
        };
        let json = r#"["app/s/a","app/t/b","app2/s/c","app/s//d"]"#;
        assert_eq!(parse(json, 4).unwrap(), [Key::new("s:a").unwrap()]);
        // What follows is no JSON, and is not looked at.
        let error = parse(r#"["app/s/a","app/s/b","app/s/c",?"#, 2).unwrap_err();
        assert!(error.to_string().contains("too many"), "{error}");
    }
}
