use std::fmt;

use serde::de::{self, Unexpected};

use super::names::{nearest, quoted, shown};

/// What is wrong with configured values, in words that never repeat a value.
///
/// serde's own messages quote what they find (`invalid type: string "s3cr3t"`), so this keeps of it only
/// its kind, and drops free texts, into which a type may have put the value.
#[derive(Debug)]
pub(super) struct Problem {
    what: What,
    /// Where it is, innermost first.
    path: Vec<Step>,
}

#[derive(Debug)]
enum What {
    Unknown {
        name: String,
        known: Vec<&'static str>,
    },
    Missing(&'static str),
    Twice(String),
    Wrong {
        found: &'static str,
        expected: String,
    },
    NotOneOf(&'static [&'static str]),
    Invalid,
}

#[derive(Debug)]
enum Step {
    Name(String),
    Index(usize),
}

impl Problem {
    pub(super) fn unknown(name: &str, known: &[&'static str]) -> Self {
        Self::new(What::Unknown {
            name: name.to_owned(),
            known: known.to_vec(),
        })
    }

    pub(super) fn twice(name: &str) -> Self {
        Self::new(What::Twice(name.to_owned()))
    }

    pub(super) fn wrong(found: &'static str, expected: impl Into<String>) -> Self {
        Self::new(What::Wrong {
            found,
            expected: expected.into(),
        })
    }

    fn new(what: What) -> Self {
        Self {
            what,
            path: Vec::new(),
        }
    }

    /// Says that this is in the value of `name`.
    pub(super) fn under(mut self, name: &str) -> Self {
        self.path.push(Step::Name(name.to_owned()));
        self
    }

    /// Says that this is in the item `index` of a list.
    pub(super) fn at(mut self, index: usize) -> Self {
        self.path.push(Step::Index(index));
        self
    }

    /// Whether it is an unknown name that stands in no table of its own.
    pub(super) fn is_unknown_at_the_root(&self) -> bool {
        matches!(self.what, What::Unknown { .. }) && self.path.is_empty()
    }

    /// The message, where `noun` is what the names are called: an option, a setting.
    pub(super) fn describe(&self, noun: &str) -> String {
        match &self.what {
            What::Unknown { name, known } => {
                let path = self.path_to(Some(name));
                let advice = match nearest(name, known.iter().copied()) {
                    Some(nearest) => format!(" (did you mean `{nearest}`?)"),
                    None if known.is_empty() => format!("; there are no {noun}s here"),
                    None => format!("; there are {}", quoted(known.iter().copied())),
                };
                format!("there is no {noun} `{path}`{advice}")
            }
            What::Missing(name) => {
                format!("the {noun} `{}` is missing", self.path_to(Some(name)))
            }
            What::Twice(name) => format!(
                "the {noun} `{}` is given twice (snake_case and camelCase are one name); keep one",
                self.path_to(Some(name)),
            ),
            What::Wrong { found, expected } => {
                format!("{} must be {expected}, and not {found}", self.subject(noun),)
            }
            What::NotOneOf(variants) => format!(
                "{} must be one of {}",
                self.subject(noun),
                quoted(variants.iter().copied()),
            ),
            What::Invalid => format!("{} has a value that does not fit", self.subject(noun)),
        }
    }

    fn subject(&self, noun: &str) -> String {
        if self.path.is_empty() {
            return format!("what holds the {noun}s");
        }
        format!("the {noun} `{}`", self.path_to(None))
    }

    fn path_to(&self, last: Option<&str>) -> String {
        let mut text = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Name(name) => {
                    if !text.is_empty() {
                        text.push('.');
                    }
                    text.push_str(&shown(name));
                }
                Step::Index(index) => text.push_str(&format!("[{index}]")),
            }
        }
        if let Some(last) = last {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&shown(last));
        }
        text
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe("option"))
    }
}

impl std::error::Error for Problem {}

impl de::Error for Problem {
    fn custom<T: fmt::Display>(_may_hold_the_value: T) -> Self {
        Self::new(What::Invalid)
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(kind_of(found), in_words(&expected.to_string()))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::wrong(another(found), in_words(&expected.to_string()))
    }

    fn invalid_length(_length: usize, expected: &dyn de::Expected) -> Self {
        Self::wrong("of another length", in_words(&expected.to_string()))
    }

    fn unknown_variant(_may_be_secret: &str, expected: &'static [&'static str]) -> Self {
        Self::new(What::NotOneOf(expected))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        Self::unknown(field, expected)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(What::Missing(field))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::twice(field)
    }
}

fn kind_of(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "a text",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        _ => "something else",
    }
}

/// The kind is right and the value is not.
fn another(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "another whole number",
        Unexpected::Float(_) => "another fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "another text",
        found => kind_of(found),
    }
}

/// serde names the types of Rust (`u32`); a person who writes TOML does not know them.
fn in_words(expected: &str) -> String {
    match expected {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "u128" | "usize" => "a whole number from 0 up".to_owned(),
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            format!("a whole number in the range of {expected}")
        }
        "f32" | "f64" => "a number".to_owned(),
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a table".to_owned(),
        other if other.starts_with("struct ") => "a table".to_owned(),
        other => other.to_owned(),
    }
}
