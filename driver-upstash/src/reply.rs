//! Parses responses of the REST API, which has a result or an error for each command.

use http_support::Response;
use serde::Deserialize;
use session_core::{Bytes, Entry, Error, ErrorKind, Outcome, Result, Timestamp, Version};
use std::time::Duration;

use crate::error::refused;
use crate::rows::Rows;
use crate::value;

/// The result of one command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    Nil,
    Int(i64),
    Bytes(Bytes),
    Array(Vec<Self>),
}

/// The result of one command, or the error of the database.
pub(crate) type CommandResult = Result<Reply, Refused>;

/// The message of an error of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub(crate) String);

/// The error of a whole request.
#[derive(Deserialize)]
pub(crate) struct Failure {
    pub(crate) error: String,
}

/// Parses the response to a pipeline of `count` commands.
pub(crate) fn parse(response: &Response, count: usize) -> Result<Vec<CommandResult>> {
    let rows = response.json_with(Rows::new(count))?;
    if rows.len() != count {
        return Err(unexpected("a wrong number of results"));
    }
    Ok(rows)
}

/// The result of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Changed {
    Applied,
    /// It conflicts with this entry.
    Conflict(Entry),
    /// It was not applied, and the database returned no entry.
    NotApplied,
}

impl Reply {
    /// The result of a change. A command returns `OK` or 1 if it was applied, otherwise nil or 0. A script returns 1, nil, or
    /// the current value with its remaining time to live.
    pub(crate) fn changed(self) -> Result<Changed> {
        match self {
            Self::Int(1) => Ok(Changed::Applied),
            Self::Bytes(text) if text == "OK" => Ok(Changed::Applied),
            Self::Nil | Self::Int(0) => Ok(Changed::NotApplied),
            Self::Array(parts) => match <[Self; 2]>::try_from(parts) {
                Ok([stored, ttl]) => {
                    Ok(entry(stored, ttl)?.map_or(Changed::NotApplied, Changed::Conflict))
                }
                Err(_) => Err(unexpected("an unexpected result of a change")),
            },
            _ => Err(unexpected("an unexpected result of a change")),
        }
    }

    /// The result of a command that returns a number.
    pub(crate) fn count(self) -> Result<i64> {
        match self {
            Self::Int(count) => Ok(count),
            _ => Err(unexpected("a result that is not a number")),
        }
    }

    /// The result of a command that returns text.
    pub(crate) fn text(self) -> Result<String> {
        match self {
            Self::Bytes(bytes) => {
                String::from_utf8(bytes.into()).map_err(|_| unexpected("a result that is not text"))
            }
            Self::Int(number) => Ok(number.to_string()),
            _ => Err(unexpected("a result that is not text")),
        }
    }
}

/// The entry of a value and its remaining milliseconds: -1 means that it never expires, -2 that it has expired.
pub(crate) fn entry(stored: Reply, ttl: Reply) -> Result<Option<Entry>> {
    let Some(entry) = value(stored)? else {
        return Ok(None);
    };
    let ttl = ttl.count()?;
    let expires_at = match u64::try_from(ttl) {
        Ok(ttl) => Some(Timestamp::now().saturating_add(Duration::from_millis(ttl))),
        Err(_) if ttl == -1 => None,
        Err(_) => return Ok(None),
    };
    Ok(Some(entry.with_expires_at(expires_at)))
}

/// The entry in the result of `GET`, without its expiry.
pub(crate) fn value(stored: Reply) -> Result<Option<Entry>> {
    match stored {
        Reply::Nil => Ok(None),
        Reply::Bytes(stored) => {
            let entry = Entry::new(value::decode(&stored));
            Ok(Some(entry.with_version(Version::from_value(stored))))
        }
        _ => Err(unexpected("a result that is not a value")),
    }
}

/// The results of one call, to be taken one by one.
pub(crate) struct Replies(std::vec::IntoIter<CommandResult>);

impl Replies {
    pub(crate) fn new(results: Vec<CommandResult>) -> Self {
        Self(results.into_iter())
    }

    /// The next result, with an error of the database converted.
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
        format!("the response has {what}; check that `url` is that of an Upstash database"),
    )
    .with_outcome(Outcome::Unknown)
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeSeed;

    use super::*;

    fn decoded(json: &str) -> Reply {
        let json = format!("[{{\"result\":{json}}}]");
        let mut json = serde_json::Deserializer::from_str(&json);
        let rows = Rows::new(1).deserialize(&mut json).unwrap();
        rows.into_iter().next().unwrap().unwrap()
    }

    #[test]
    fn strings_are_decoded_at_any_depth_and_ok_is_accepted_in_both_forms() {
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
    fn an_unexpected_result_of_a_change_is_an_error() {
        for json in [r#""YQ==""#, "2", r#"["YQ=="]"#, "[1, 2]"] {
            assert_eq!(
                decoded(json).changed().unwrap_err().kind(),
                ErrorKind::Backend
            );
        }
    }
}
