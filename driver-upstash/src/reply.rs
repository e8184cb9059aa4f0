//! What the REST API answers: for each command its result or its error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_support::Answer;
use serde::Deserialize;
use session_core::{Bytes, Entry, Error, ErrorKind, Outcome, Result, Timestamp, Version};
use std::time::Duration;

use crate::error::refused;
use crate::value;

/// The result of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    Bytes(Bytes),
    Array(Vec<Self>),
}

/// What one command came to; the error is the one of the database.
pub(crate) type CommandResult = Result<Reply, Refused>;

/// The text of an error of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

#[derive(Deserialize)]
struct Row {
    #[serde(default)]
    result: Json,
    error: Option<String>,
}

/// A result as it stands in the answer.
#[derive(Default, Deserialize)]
#[serde(untagged)]
enum Json {
    #[default]
    Null,
    Int(i64),
    Text(String),
    Array(Vec<Self>),
}

/// The error of a whole request.
#[derive(Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: String,
}

/// Reads the answer to a pipeline of `count` commands.
pub(crate) fn read(answer: &Answer, count: usize) -> Result<Vec<CommandResult>> {
    let rows: Vec<Row> = answer.json()?;
    if rows.len() != count {
        return Err(unexpected("another number of results than of commands"));
    }
    Ok(rows.into_iter().map(Row::result).collect())
}

impl Row {
    fn result(self) -> CommandResult {
        match self.error {
            Some(error) => Err(Refused(error)),
            None => Ok(self.result.decode()),
        }
    }
}

impl Json {
    /// Texts are base64, but for the `OK` of the database, which is no base64.
    fn decode(self) -> Reply {
        match self {
            Self::Null => Reply::Nil,
            Self::Int(number) => Reply::Int(number),
            Self::Text(text) => Reply::Bytes(match STANDARD.decode(&text) {
                Ok(bytes) => bytes.into(),
                Err(_) => text.into(),
            }),
            Self::Array(items) => Reply::Array(items.into_iter().map(Self::decode).collect()),
        }
    }
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Yes,
    /// Something else is there, which the database told.
    Met(Entry),
    /// Nothing is there, or something that was not told.
    No,
}

impl Reply {
    /// What a change says: a command `OK` or 1 if it was made, nil or 0 if not; a script 1, nil, or what is there.
    pub(crate) fn changed(self) -> Result<Changed> {
        match self {
            Self::Int(1) => Ok(Changed::Yes),
            Self::Bytes(text) if text == "OK" => Ok(Changed::Yes),
            Self::Nil | Self::Int(0) => Ok(Changed::No),
            Self::Array(met) => match <[Self; 2]>::try_from(met) {
                Ok([stored, life]) => Ok(entry(stored, life)?.map_or(Changed::No, Changed::Met)),
                Err(_) => Err(unexpected("something else than a change has")),
            },
            _ => Err(unexpected("something else than a change has")),
        }
    }

    /// How many there are.
    pub(crate) fn count(self) -> Result<i64> {
        match self {
            Self::Int(count) => Ok(count),
            _ => Err(unexpected("something else than a number")),
        }
    }

    pub(crate) fn text(self) -> Result<String> {
        match self {
            Self::Bytes(bytes) => String::from_utf8(bytes.into())
                .map_err(|_| unexpected("something else than a text")),
            Self::Int(number) => Ok(number.to_string()),
            _ => Err(unexpected("something else than a text")),
        }
    }
}

/// The entry of what is stored and lives for `life` milliseconds: -1 is for ever, -2 is no longer.
pub(crate) fn entry(stored: Reply, life: Reply) -> Result<Option<Entry>> {
    let Some(entry) = value(stored)? else {
        return Ok(None);
    };
    let life = life.count()?;
    let expires_at = match u64::try_from(life) {
        Ok(life) => Some(Timestamp::now().saturating_add(Duration::from_millis(life))),
        Err(_) if life == -1 => None,
        Err(_) => return Ok(None),
    };
    Ok(Some(entry.with_expires_at(expires_at)))
}

/// The entry in the reply to `GET`, which says nothing of its end.
pub(crate) fn value(stored: Reply) -> Result<Option<Entry>> {
    match stored {
        Reply::Nil => Ok(None),
        Reply::Bytes(stored) => {
            let entry = Entry::new(value::decode(&stored));
            Ok(Some(entry.with_version(Version::from_value(stored))))
        }
        _ => Err(unexpected("something else than a value")),
    }
}

/// The results of one call, taken one by one.
pub(crate) struct Replies(std::vec::IntoIter<CommandResult>);

impl Replies {
    pub(crate) fn new(results: Vec<CommandResult>) -> Self {
        Self(results.into_iter())
    }

    /// The next one; the error of the database is one of this project's.
    pub(crate) fn next(&mut self) -> Result<Reply> {
        match self.0.next() {
            Some(Ok(reply)) => Ok(reply),
            Some(Err(error)) => Err(refused(&error)),
            None => Err(unexpected("fewer results than commands")),
        }
    }
}

fn unexpected(what: &str) -> Error {
    Error::new(
        ErrorKind::Backend,
        format!("the answer has {what}; is `url` that of an Upstash database?"),
    )
    .with_outcome(Outcome::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(json: &str) -> Reply {
        serde_json::from_str::<Json>(json).unwrap().decode()
    }

    #[test]
    fn texts_are_decoded_wherever_they_stand_and_ok_is_taken_in_both_forms() {
        let bytes = |text: &'static str| Reply::Bytes(text.into());
        assert_eq!(decoded("null"), Reply::Nil);
        assert_eq!(decoded("-2"), Reply::Int(-2));
        assert_eq!(decoded(r#""OK""#), bytes("OK"));
        assert_eq!(decoded(r#""T0s=""#), bytes("OK"));
        assert_eq!(decoded(r#""""#), bytes(""));
        assert_eq!(
            decoded(r#"["MA==",["YQ==",null,7]]"#),
            Reply::Array(vec![
                bytes("0"),
                Reply::Array(vec![bytes("a"), Reply::Nil, Reply::Int(7)])
            ])
        );
        assert_eq!(decoded(r#""/wA=""#), Reply::Bytes(vec![0xff, 0].into()));
    }

    #[test]
    fn what_no_change_answers_is_an_error() {
        for json in [r#""YQ==""#, "2", r#"["YQ=="]"#, "[1, 2]"] {
            assert_eq!(
                decoded(json).changed().unwrap_err().kind(),
                ErrorKind::Backend
            );
        }
    }
}
