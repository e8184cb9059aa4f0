//! Puts a type on configured values: the deserializer behind every options struct.

use serde::de::value::StringDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess,
    SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::names::snake_case;
use super::problem::Problem;
use super::value::{Table, Value};

/// Reads a `T` from a table of options.
pub(super) fn from_table<T: DeserializeOwned>(table: Table) -> Result<T, Problem> {
    T::deserialize(Typed(Value::Table(table)))
}

struct Typed(Value);

/// A number or a boolean may come as text of the environment, which has no other type.
macro_rules! parse_text_of_the_environment {
    ($($method:ident => $visit:ident: $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            if let Value::EnvText(text) = &self.0
                && let Ok(value) = text.trim().parse::<$type>()
            {
                return visitor.$visit(value);
            }
            self.deserialize_any(visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Typed {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Bool(value) => visitor.visit_bool(value),
            Value::Integer(value) => visitor.visit_i64(value),
            Value::Float(value) => visitor.visit_f64(value),
            Value::Text(value) | Value::EnvText(value) => visitor.visit_string(value),
            Value::List(list) => visitor.visit_seq(Items {
                items: list.into_iter().enumerate(),
            }),
            Value::Table(table) => visitor.visit_map(Entries::new(table)),
        }
    }

    parse_text_of_the_environment! {
        deserialize_bool => visit_bool: bool,
        deserialize_i8 => visit_i64: i64,
        deserialize_i16 => visit_i64: i64,
        deserialize_i32 => visit_i64: i64,
        deserialize_i64 => visit_i64: i64,
        deserialize_u8 => visit_u64: u64,
        deserialize_u16 => visit_u64: u64,
        deserialize_u32 => visit_u64: u64,
        deserialize_u64 => visit_u64: u64,
        deserialize_f32 => visit_f64: f64,
        deserialize_f64 => visit_f64: f64,
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Problem> {
        visitor.visit_newtype_struct(self)
    }

    /// Here the names that a struct knows are told, and the given ones are held to them.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Table(table) => visitor.visit_map(Entries::new(with_names(table, fields)?)),
            other => Err(Problem::wrong(other.kind(), "a table")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        match self.0 {
            Value::Text(name) | Value::EnvText(name) => {
                visitor.visit_enum(name.into_deserializer())
            }
            Value::Table(table) if table.len() == 1 => {
                let mut entries = table.into_iter();
                match entries.next() {
                    Some((name, value)) => visitor.visit_enum(Tagged { name, value }),
                    None => Err(Problem::wrong("an empty table", "a text")),
                }
            }
            other => Err(Problem::wrong(other.kind(), "a text")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

/// `table` with each name spelled as in `fields`.
fn with_names(table: Table, fields: &'static [&'static str]) -> Result<Table, Problem> {
    let mut named = Table::new();
    for (name, value) in table {
        let snake = snake_case(&name);
        let field = fields
            .iter()
            .find(|field| **field == name)
            .or_else(|| fields.iter().find(|field| snake_case(field) == snake))
            .ok_or_else(|| Problem::unknown(&name, fields))?;
        if named.insert((*field).to_owned(), value).is_some() {
            return Err(Problem::twice(field));
        }
    }
    Ok(named)
}

struct Items {
    items: std::iter::Enumerate<std::vec::IntoIter<Value>>,
}

impl<'de> SeqAccess<'de> for Items {
    type Error = Problem;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Problem> {
        self.items
            .next()
            .map(|(index, item)| {
                seed.deserialize(Typed(item))
                    .map_err(|problem| problem.at(index))
            })
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Entries {
    entries: std::collections::btree_map::IntoIter<String, Value>,
    value: Option<(String, Value)>,
}

impl Entries {
    fn new(table: Table) -> Self {
        Self {
            entries: table.into_iter(),
            value: None,
        }
    }
}

impl<'de> MapAccess<'de> for Entries {
    type Error = Problem;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Problem> {
        let Some((name, value)) = self.entries.next() else {
            return Ok(None);
        };
        let key: StringDeserializer<Problem> = name.clone().into_deserializer();
        self.value = Some((name, value));
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Problem> {
        let (name, value) = self
            .value
            .take()
            .ok_or_else(|| de::Error::custom("a value was asked for before its name"))?;
        seed.deserialize(Typed(value))
            .map_err(|problem| problem.under(&name))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.entries.len())
    }
}

/// A variant that holds something: `{ variant = … }`.
struct Tagged {
    name: String,
    value: Value,
}

impl<'de> EnumAccess<'de> for Tagged {
    type Error = Problem;
    type Variant = Content;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Content), Problem> {
        let name: StringDeserializer<Problem> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Content(self.value)))
    }
}

struct Content(Value);

impl<'de> VariantAccess<'de> for Content {
    type Error = Problem;

    fn unit_variant(self) -> Result<(), Problem> {
        Err(Problem::wrong("a table", "a text"))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Problem> {
        seed.deserialize(Typed(self.0))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, visitor: V) -> Result<V::Value, Problem> {
        Typed(self.0).deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        Typed(self.0).deserialize_struct("", fields, visitor)
    }
}
