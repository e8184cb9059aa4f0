//! The configured options of a driver, and their parser.

use std::fmt;

use serde::Deserialize;
use serde::de::{self, DeserializeOwned, Deserializer};
use toml::{Table, Value};

use crate::{Error, ErrorKind};

use super::problem::kind;
use super::{ConfigContext, typed};

/// The configured options of a driver, before they are parsed into the driver's own type.
///
/// ```
/// use session_core::config::{OptionValue, Options};
///
/// let options = Options::new()
///     .with("base", "sessions")
///     .with("pool_size", 4)
///     .with("token", OptionValue::env("REST_TOKEN"));
/// assert_eq!(format!("{options:?}"), "Options(base, pool_size, token)");
/// ```
///
/// It deserializes from any format. `Debug` shows the names only, since values may be secrets.
#[derive(Clone, Default, PartialEq)]
pub struct Options(pub(super) Table);

impl Options {
    /// Creates an empty set of options.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets an option and replaces its earlier value.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<OptionValue>) -> Self {
        self.0.insert(name.into(), value.into().0);
        self
    }

    /// Returns the names of the options, as they were written.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Returns whether no option is set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Parses the options of `driver` into its options struct.
    ///
    /// References to environment variables are resolved with `context`. Names may be in snake_case or camelCase. An option
    /// that is unknown, missing or of a wrong type is an error of kind [`InvalidConfig`](ErrorKind::InvalidConfig), which
    /// names the option and does not show its value.
    pub fn parse<T: DeserializeOwned>(
        self,
        driver: &str,
        context: &ConfigContext,
    ) -> Result<T, Error> {
        typed::parse(self.0, Some(context), &[])
            .map_err(|problem| invalid(problem.describe("option")).with_context(driver, "open"))
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names().collect();
        write!(f, "Options({})", names.join(", "))
    }
}

impl<'de> Deserialize<'de> for Options {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Table(table) => Ok(Self(table)),
            other => Err(de::Error::custom(format_args!(
                "expected a table of options, got {}",
                kind(&other)
            ))),
        }
    }
}

/// The value of one option: a string, a number, a boolean, or a list or table of these.
///
/// `Debug` shows its type and not the value.
#[derive(Clone, PartialEq)]
pub struct OptionValue(Value);

impl OptionValue {
    /// Refers to the environment variable `name`, which is read when the driver is opened.
    ///
    /// It is `{ env = "NAME" }` in TOML.
    pub fn env(name: impl Into<String>) -> Self {
        Options::new().with(typed::ENV, name.into()).into()
    }
}

impl fmt::Debug for OptionValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OptionValue({})", kind(&self.0))
    }
}

macro_rules! option_value_from {
    ($($type:ty),*) => {$(
        impl From<$type> for OptionValue {
            fn from(value: $type) -> Self {
                Self(Value::from(value))
            }
        }
    )*};
}

option_value_from!(&str, String, bool, i64, i32, u32, f64);

impl<T: Into<Self>> From<Vec<T>> for OptionValue {
    fn from(values: Vec<T>) -> Self {
        Self(Value::Array(
            values.into_iter().map(|value| value.into().0).collect(),
        ))
    }
}

impl From<Options> for OptionValue {
    fn from(options: Options) -> Self {
        Self(Value::Table(options.0))
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidConfig, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        path: String,
        #[serde(default)]
        pool_size: Option<u32>,
        #[serde(default)]
        read_only: bool,
        #[serde(default)]
        mode: Option<Mode>,
        #[serde(default)]
        nested: Option<Nested>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Mode {
        Fast,
        Safe,
    }

    #[derive(Debug, Deserialize)]
    struct Nested {
        host_name: String,
    }

    fn context() -> ConfigContext {
        ConfigContext::new("/nowhere").with_environment(|name| match name {
            "SIZE" => Some("12".to_owned()),
            "YES" => Some("true".to_owned()),
            "SECRET" => Some("s3cr3t".to_owned()),
            _ => None,
        })
    }

    fn parse(toml: &str) -> Result<Sample, String> {
        let options: Options = toml::from_str(toml).unwrap();
        options.parse("shelf", &context()).map_err(|error| {
            assert_eq!(error.kind(), ErrorKind::InvalidConfig);
            assert_eq!(error.driver(), Some("shelf"));
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("s3cr3t"), "{shown}");
            error.to_string()
        })
    }

    #[test]
    fn camel_case_and_snake_case_are_one_name() {
        assert_eq!(parse("path='x'\npoolSize=3").unwrap().pool_size, Some(3));
        let nested = parse("path='x'\nnested={hostName='h'}").unwrap().nested;
        assert_eq!(nested.unwrap().host_name, "h");
        assert_eq!(
            parse("path='x'\npoolSize=3\npool_size=4").unwrap_err(),
            "shelf: open: the option `pool_size` is given twice (snake_case and camelCase are one \
             name); keep one"
        );
    }

    #[test]
    fn an_unknown_option_is_reported_with_the_most_similar_name() {
        assert_eq!(
            parse("path='x'\npol_size=3").unwrap_err(),
            "shelf: open: there is no option `pol_size` (did you mean `pool_size`?)"
        );
        assert_eq!(
            parse("path='x'\nzzz=3").unwrap_err(),
            "shelf: open: there is no option `zzz`; there are `path`, `pool_size`, `read_only`, \
             `mode`, `nested`"
        );
        assert_eq!(
            parse("path='x'\nnested={hostname='s3cr3t'}").unwrap_err(),
            "shelf: open: there is no option `nested.hostname` (did you mean `host_name`?)"
        );
    }

    #[test]
    fn a_missing_option_is_named() {
        assert_eq!(
            parse("").unwrap_err(),
            "shelf: open: the option `path` is missing"
        );
        assert_eq!(
            parse("path='x'\nnested={}").unwrap_err(),
            "shelf: open: the option `nested.host_name` is missing"
        );
    }

    #[test]
    fn a_wrong_type_is_reported_without_the_value() {
        assert_eq!(
            parse("path='x'\npool_size='s3cr3t'").unwrap_err(),
            "shelf: open: the option `pool_size`: expected an integer from 0 to 4294967295, got a \
             string"
        );
        assert_eq!(
            parse("path='x'\npool_size=-1").unwrap_err(),
            "shelf: open: the option `pool_size`: expected an integer from 0 to 4294967295, got a \
             negative integer"
        );
        assert_eq!(
            parse("path='x'\nmode='s3cr3t'").unwrap_err(),
            "shelf: open: the option `mode` must be one of `fast`, `safe`"
        );
        assert_eq!(
            parse("path=['s3cr3t']").unwrap_err(),
            "shelf: open: the option `path`: expected a string, got a list"
        );
        assert_eq!(
            parse("path='x'\nnested='s3cr3t'").unwrap_err(),
            "shelf: open: the option `nested`: expected a table, got a string"
        );
    }

    #[test]
    fn numbers_and_booleans_may_come_from_the_environment() {
        let sample =
            parse("path={env='SECRET'}\npool_size={env='SIZE'}\nread_only={env='YES'}").unwrap();
        assert_eq!(sample.path, "s3cr3t");
        assert_eq!(sample.pool_size, Some(12));
        assert!(sample.read_only);
        assert!(matches!(
            parse("path='x'\nmode='safe'").unwrap().mode,
            Some(Mode::Safe)
        ));
    }

    #[test]
    fn values_of_environment_variables_never_appear_in_errors() {
        assert_eq!(
            parse("path='x'\npool_size={env='SECRET'}").unwrap_err(),
            "shelf: open: the option `pool_size`: expected an integer from 0 to 4294967295, got a \
             string"
        );
        assert_eq!(
            parse("path={env='MISSING'}").unwrap_err(),
            "shelf: open: the option `path` refers to the environment variable `MISSING`, which is \
             not set or is not Unicode"
        );
        assert_eq!(
            parse("path='x'\nnested={host_name={env='MISSING'}}").unwrap_err(),
            "shelf: open: the option `nested.host_name` refers to the environment variable \
             `MISSING`, which is not set or is not Unicode"
        );
    }

    #[test]
    fn a_string_in_a_file_is_not_parsed_as_a_number() {
        assert!(parse("path='x'\npool_size='12'").is_err());
    }

    #[test]
    fn a_message_of_a_type_of_its_own_is_not_repeated() {
        #[derive(Debug)]
        struct Picky;

        impl<'de> Deserialize<'de> for Picky {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Err(de::Error::custom(format!("`{text}` is bad")))
            }
        }

        #[derive(Debug, Deserialize)]
        #[expect(dead_code, reason = "it never parses")]
        struct Holder {
            token: Picky,
        }

        let options = Options::new().with("token", "s3cr3t");
        let error = options.parse::<Holder>("shelf", &context()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "shelf: open: the option `token` has an invalid value"
        );
    }

    #[test]
    fn debug_shows_names_and_no_values() {
        let options = Options::new().with("token", "s3cr3t").with("size", 4);
        assert_eq!(format!("{options:?}"), "Options(size, token)");
        assert_eq!(
            format!("{:?}", OptionValue::from("s3cr3t")),
            "OptionValue(a string)"
        );
    }
}
