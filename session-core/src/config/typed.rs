//! The deserializer behind every options struct.
//!
//! It adds to serde and `toml`: camelCase names are accepted for snake_case fields, an unknown name is an error,
//! `{ env = "NAME" }` reads an environment variable, and no error shows a value.

use serde::de::value::{MapAccessDeserializer, MapDeserializer, SeqDeserializer};
use serde::de::{self, DeserializeOwned, Deserializer, IntoDeserializer, Unexpected, Visitor};
use serde::forward_to_deserialize_any;
use serde_path_to_error::Segment;
use toml::{Table, Value};

use super::ConfigContext;
use super::names::{sanitized, snake_case};
use super::problem::{Problem, kind};

/// The only key of a table that refers to an environment variable.
pub(super) const ENV: &str = "env";

/// Deserializes a `T` from a table; references to environment variables are resolved if there is a `context`.
///
/// `beside` are further valid names, which the caller has already taken out of the table.
pub(super) fn parse<T: DeserializeOwned>(
    table: Table,
    context: Option<&ConfigContext>,
    beside: &'static [&'static str],
) -> Result<T, Problem> {
    let root = Typed {
        value: Value::Table(table),
        context,
        root: Some(beside),
    };
    serde_path_to_error::deserialize(root).map_err(|error| {
        let mut path = String::new();
        let mut segments: Vec<_> = error.path().iter().cloned().collect();
        let problem = error.into_inner();
        if problem.at_key {
            segments.pop_if(
                |last| matches!(last, Segment::Map { key } if sanitized(key) == problem.name),
            );
        }
        for segment in segments {
            match segment {
                Segment::Map { key } if path.is_empty() => path = sanitized(&key),
                Segment::Map { key } => path.extend([".", &sanitized(&key)]),
                Segment::Seq { index } => path.push_str(&format!("[{index}]")),
                Segment::Enum { .. } | Segment::Unknown => {}
            }
        }
        problem.under(&path)
    })
}

struct Typed<'c> {
    value: Value,
    context: Option<&'c ConfigContext>,
    /// Further valid names of the outermost struct; `None` in nested ones. The outermost table is never a reference to an
    /// environment variable, since a driver may have an option called `env`.
    root: Option<&'static [&'static str]>,
}

impl Typed<'_> {
    /// Returns the value, and whether it comes from an environment variable, which is always a string.
    fn resolve(self) -> Result<(Value, bool), Problem> {
        if let (Some(context), None, Value::Table(table)) = (self.context, self.root, &self.value)
            && let (1, Some(Value::String(variable))) = (table.len(), table.get(ENV))
        {
            let text = context.variable(variable);
            let text = text.ok_or_else(|| Problem::unset(variable))?;
            return Ok((Value::String(text), true));
        }
        Ok((self.value, false))
    }
}

fn entries<'c, 'de: 'c>(
    table: Table,
    context: Option<&'c ConfigContext>,
) -> MapDeserializer<'de, impl Iterator<Item = (String, Typed<'c>)>, Problem> {
    MapDeserializer::new(
        table
            .into_iter()
            .map(move |(name, value)| (name, inner(value, context))),
    )
}

/// A deserializer of one value, which does not resolve environment variables.
pub(super) fn untyped(value: Value) -> impl for<'de> Deserializer<'de, Error = Problem> {
    inner(value, None)
}

fn inner(value: Value, context: Option<&ConfigContext>) -> Typed<'_> {
    Typed {
        value,
        context,
        root: None,
    }
}

/// Parses a number or a boolean that an environment variable gives as a string.
macro_rules! parse_text_of_the_environment {
    ($($method:ident => $visit:ident: $type:ty,)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
            let context = self.context;
            let (value, from_env) = self.resolve()?;
            if from_env
                && let Some(Ok(value)) = value.as_str().map(|text| text.trim().parse::<$type>())
            {
                return visitor.$visit(value);
            }
            visit(value, context, visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Typed<'_> {
    type Error = Problem;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Problem> {
        let context = self.context;
        visit(self.resolve()?.0, context, visitor)
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

    /// Checks the given names against the field names of the struct, which serde passes here.
    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let (context, beside) = (self.context, self.root.unwrap_or_default());
        match self.resolve()?.0 {
            Value::Table(table) => {
                visitor.visit_map(entries(with_names(table, fields, beside)?, context))
            }
            other => Err(Problem::wrong(kind(&other), "a table")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Problem> {
        let context = self.context;
        match self.resolve()?.0 {
            Value::String(name) => visitor.visit_enum(name.into_deserializer()),
            Value::Table(table) if table.len() == 1 => {
                visitor.visit_enum(MapAccessDeserializer::new(entries(table, context)))
            }
            other => Err(Problem::wrong(kind(&other), "a string")),
        }
    }

    forward_to_deserialize_any! {
        i128 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Problem> for Typed<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

fn visit<'de, V: Visitor<'de>>(
    value: Value,
    context: Option<&ConfigContext>,
    visitor: V,
) -> Result<V::Value, Problem> {
    match value {
        Value::Boolean(value) => visitor.visit_bool(value),
        Value::Integer(value) => visitor.visit_i64(value),
        Value::Float(value) => visitor.visit_f64(value),
        Value::String(value) => visitor.visit_string(value),
        Value::Datetime(_) => Err(de::Error::invalid_type(
            Unexpected::Other("a date"),
            &visitor,
        )),
        Value::Array(list) => visitor.visit_seq(SeqDeserializer::new(
            list.into_iter().map(|item| inner(item, context)),
        )),
        Value::Table(table) => visitor.visit_map(entries(table, context)),
    }
}

/// Returns `table` with each name spelled as in `fields`.
fn with_names(
    table: Table,
    fields: &'static [&'static str],
    beside: &'static [&'static str],
) -> Result<Table, Problem> {
    let mut named = Table::new();
    for (name, value) in table {
        let snake = snake_case(&name);
        let field = fields
            .iter()
            .find(|field| **field == name)
            .or_else(|| fields.iter().find(|field| snake_case(field) == snake))
            .ok_or_else(|| Problem::unknown(&name, &[beside, fields].concat()))?;
        if named.insert((*field).to_owned(), value).is_some() {
            return Err(Problem::twice(field));
        }
    }
    Ok(named)
}
