//! `{ env = "NAME" }`: values that come from the environment.

use super::ConfigContext;
use super::names::shown;
use super::value::{Table, Value};

const MARK: &str = "env";

/// The value that stands for the environment variable `name`.
pub(super) fn reference(name: String) -> Value {
    Value::Table(Table::from([(MARK.to_owned(), Value::Text(name))]))
}

/// Puts the environment's values in the place of all references in `table`, or says which is missing.
///
/// The table itself is none: a driver may have an option called `env`.
pub(super) fn resolve(table: Table, context: &ConfigContext) -> Result<Table, String> {
    table
        .into_iter()
        .map(|(name, value)| {
            let value = resolve_value(value, &shown(&name), context)?;
            Ok((name, value))
        })
        .collect()
}

fn resolve_value(value: Value, path: &str, context: &ConfigContext) -> Result<Value, String> {
    match value {
        Value::Table(table) => {
            if let Some(variable) = referenced(&table) {
                return match context.variable(variable) {
                    Some(text) => Ok(Value::EnvText(text)),
                    None => Err(format!(
                        "the option `{path}` is to come from the environment variable `{}`, which is \
                         not set or is not text",
                        shown(variable)
                    )),
                };
            }
            let entries = table.into_iter().map(|(name, value)| {
                let inner = format!("{path}.{}", shown(&name));
                Ok((name, resolve_value(value, &inner, context)?))
            });
            entries.collect::<Result<Table, String>>().map(Value::Table)
        }
        Value::List(list) => {
            let items = list
                .into_iter()
                .enumerate()
                .map(|(index, item)| resolve_value(item, &format!("{path}[{index}]"), context));
            items.collect::<Result<Vec<_>, String>>().map(Value::List)
        }
        other => Ok(other),
    }
}

fn referenced(table: &Table) -> Option<&str> {
    match table.get(MARK) {
        Some(Value::Text(variable)) if table.len() == 1 => Some(variable),
        _ => None,
    }
}
