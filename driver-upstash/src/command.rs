//! Redis commands in the form of the REST API: arrays of strings.

use std::time::Duration;

use http_support::DEFAULT_MAX_RESPONSE;
use serde::ser::{Serialize, SerializeSeq, Serializer};
use session_core::{Bytes, Timestamp};

/// How many bytes a reply with a step of a scan has at most in a response.
const MAX_SCAN: usize = 16 * 1024 * 1024;

/// How many bytes a reply without values has at most in a response.
const MAX_ANSWER: usize = 1_024;

/// A Redis command.
#[derive(Clone, Debug)]
pub(crate) struct Command(Vec<Argument>);

#[derive(Clone, Debug)]
enum Argument {
    Word(&'static str),
    Text(String),
    /// A stored value, which is UTF-8.
    Stored(Bytes),
    Number(u64),
    /// The milliseconds until a time, computed when the command is sent.
    Until(Timestamp),
}

impl Command {
    pub(crate) fn new(name: &'static str) -> Self {
        Self(vec![Argument::Word(name)])
    }

    pub(crate) fn word(self, word: &'static str) -> Self {
        self.and(Argument::Word(word))
    }

    pub(crate) fn text(self, text: impl Into<String>) -> Self {
        self.and(Argument::Text(text.into()))
    }

    /// Adds a stored value, which must be UTF-8. Other bytes would be replaced.
    pub(crate) fn stored(self, stored: Bytes) -> Self {
        self.and(Argument::Stored(stored))
    }

    pub(crate) fn number(self, number: u64) -> Self {
        self.and(Argument::Number(number))
    }

    pub(crate) fn until(self, time: Timestamp) -> Self {
        self.and(Argument::Until(time))
    }

    fn and(mut self, argument: Argument) -> Self {
        self.0.push(argument);
        self
    }

    /// How many bytes its reply has at most in a response.
    pub(crate) fn max_reply(&self) -> usize {
        match self.0.first() {
            Some(Argument::Word("GET" | "EVAL")) => DEFAULT_MAX_RESPONSE,
            Some(Argument::Word("SCAN")) => MAX_SCAN,
            _ => MAX_ANSWER,
        }
    }

    /// About how many bytes the command has in a request.
    pub(crate) fn size(&self) -> usize {
        let sizes = self.0.iter().map(|argument| match argument {
            Argument::Word(word) => word.len(),
            Argument::Text(text) => text.len(),
            Argument::Stored(stored) => stored.len(),
            Argument::Number(_) | Argument::Until(_) => 16,
        });
        sizes.map(|size| size + 3).sum()
    }
}

impl Serialize for Command {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut array = serializer.serialize_seq(Some(self.0.len()))?;
        for argument in &self.0 {
            match argument {
                Argument::Word(word) => array.serialize_element(word)?,
                Argument::Text(text) => array.serialize_element(text)?,
                Argument::Stored(stored) => {
                    array.serialize_element(&*String::from_utf8_lossy(stored))?;
                }
                Argument::Number(number) => array.serialize_element(&number.to_string())?,
                Argument::Until(time) => {
                    array.serialize_element(&millis_until(*time).to_string())?;
                }
            }
        }
        array.end()
    }
}

/// The milliseconds until `time`; at least one, since the database refuses zero.
fn millis_until(time: Timestamp) -> u64 {
    // Redis fails if adding it to the current time overflows.
    const MAX: Duration = Duration::from_secs(1 << 40);
    let left = time.saturating_since(Timestamp::now()).min(MAX);
    u64::try_from(left.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_strings() {
        let command = Command::new("SET")
            .text("a:b")
            .stored(Bytes::from_static("\"ü\"\n".as_bytes()))
            .word("PX")
            .number(7);
        let json = serde_json::to_string(&command).unwrap();
        assert_eq!(json, r#"["SET","a:b","\"ü\"\n","PX","7"]"#);
    }

    #[test]
    fn the_remaining_time_is_computed_late_and_is_never_zero() {
        let soon = Timestamp::now().saturating_add(Duration::from_millis(40));
        let command = Command::new("PEXPIRE").until(soon);
        std::thread::sleep(Duration::from_millis(60));
        assert_eq!(
            serde_json::to_string(&command).unwrap(),
            r#"["PEXPIRE","1"]"#
        );
        let end = Timestamp::from_millis(u64::MAX);
        let left: i64 = millis_until(end).try_into().unwrap();
        let now: i64 = Timestamp::now().as_millis().try_into().unwrap();
        assert!(left.checked_add(now).is_some());
    }
}
