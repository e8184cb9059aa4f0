use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use session_core::{Timestamp, Version};

use crate::connection::MissingFeatures;
use crate::request::Request;
use crate::scripts::{DELETE_IF_EQUAL, EXPIRE_IF_EQUAL, SET_IF_EQUAL, Script};

/// When an entry expires; `None` is never.
pub(crate) type ExpiresAt = Option<Timestamp>;

/// What is to be done with one key. What it is sent as depends on the server, and on the time at which it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// The value, and its remaining life.
    Read,
    /// The value alone: what remains of "write if absent" when the new entry would have expired already.
    Get,
    Exists,
    Set {
        value: Bytes,
        end: ExpiresAt,
    },
    SetIfAbsent {
        value: Bytes,
        end: ExpiresAt,
    },
    SetIfEqual {
        expected: Version,
        value: Bytes,
        end: ExpiresAt,
    },
    Delete,
    DeleteIfEqual {
        expected: Version,
    },
    Expire {
        end: ExpiresAt,
    },
    ExpireIfEqual {
        expected: Version,
        end: ExpiresAt,
    },
}

/// How an operation was sent, which decides what a refusal may mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By commands that every server has.
    Plain,
    /// By `SET … IFEQ`.
    SetIfEqual,
    /// By `DELIFEQ`.
    DeleteIfEqual,
    /// By the hash of a script.
    Hash,
    /// By a script's text.
    Text,
}

impl Operation {
    /// Whether doing it twice is as good as doing it once, whatever others do meanwhile.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Read | Self::Exists | Self::Get)
    }

    /// Whether it is done only where nothing is.
    pub(crate) fn wants_nothing(&self) -> bool {
        matches!(self, Self::SetIfAbsent { .. } | Self::Get)
    }

    /// About how many bytes it takes to send it.
    pub(crate) fn size(&self, key: &str) -> usize {
        /// Of the names of commands, the lengths of arguments and a script's hash.
        const FRAMES: usize = 136;
        let values = match self {
            Self::Set { value, .. } | Self::SetIfAbsent { value, .. } => value.len(),
            Self::SetIfEqual {
                expected, value, ..
            } => expected.as_bytes().len() + value.len(),
            Self::DeleteIfEqual { expected } | Self::ExpireIfEqual { expected, .. } => {
                expected.as_bytes().len()
            }
            Self::Read | Self::Exists | Self::Get | Self::Delete | Self::Expire { .. } => 0,
        };
        FRAMES + 2 * key.len() + values
    }

    /// Adds the commands of the operation, and says how it is sent: by a script's text where the server has just said
    /// that it has forgotten the script.
    pub(crate) fn add_to(
        &self,
        request: &mut Request,
        key: &str,
        missing: &MissingFeatures,
        script_is_forgotten: bool,
    ) -> Form {
        let key = key.as_bytes();
        let run = |request: &mut Request, script: &Script, arguments: [Option<&[u8]>; 3]| {
            let (name, script_or_hash, form) = match script_is_forgotten {
                true => ("EVAL", &script.text, Form::Text),
                false => ("EVALSHA", &script.hash, Form::Hash),
            };
            request.begin(4 + arguments.iter().flatten().count());
            for word in [name.as_bytes(), script_or_hash.as_bytes(), b"1", key] {
                request.push(word);
            }
            for argument in arguments.into_iter().flatten() {
                request.push(argument);
            }
            form
        };
        let mut digits = itoa::Buffer::new();
        match self {
            Self::Read => {
                request.add(&[b"GET", key]);
                request.add(&[b"PTTL", key]);
            }
            Self::Exists => request.add(&[b"EXISTS", key]),
            Self::Set { value, end } => match life_of(*end) {
                Some(life) => {
                    let life = digits.format(life).as_bytes();
                    request.add(&[b"SET", key, value, b"PX", life]);
                }
                None => request.add(&[b"SET", key, value]),
            },
            Self::SetIfAbsent { value, end } => match life_of(*end) {
                Some(life) => {
                    let life = digits.format(life).as_bytes();
                    request.add(&[b"SET", key, value, b"PX", life, b"NX"]);
                }
                None => request.add(&[b"SET", key, value, b"NX"]),
            },
            Self::Get => request.add(&[b"GET", key]),
            Self::SetIfEqual {
                expected,
                value,
                end,
            } => {
                let expected = expected.as_bytes();
                let life = life_of(*end).map(|life| digits.format(life).as_bytes());
                if missing.set_if_equal.load(Ordering::Relaxed) {
                    let arguments = [Some(expected), Some(&value[..]), life];
                    return run(request, &SET_IF_EQUAL, arguments);
                }
                match life {
                    Some(life) => {
                        request.add(&[b"SET", key, value, b"PX", life, b"IFEQ", expected]);
                    }
                    None => request.add(&[b"SET", key, value, b"IFEQ", expected]),
                }
                return Form::SetIfEqual;
            }
            Self::Delete => request.add(&[b"UNLINK", key]),
            Self::DeleteIfEqual { expected } => {
                let expected = expected.as_bytes();
                if missing.delete_if_equal.load(Ordering::Relaxed) {
                    return run(request, &DELETE_IF_EQUAL, [Some(expected), None, None]);
                }
                request.add(&[b"DELIFEQ", key, expected]);
                return Form::DeleteIfEqual;
            }
            Self::Expire { end } => match remaining(*end) {
                Some(life) => {
                    request.add(&[b"PEXPIRE", key, digits.format(life).as_bytes()]);
                }
                // `PERSIST` says no as well of an entry that never ends.
                None => {
                    request.add(&[b"PERSIST", key]);
                    request.add(&[b"EXISTS", key]);
                }
            },
            Self::ExpireIfEqual { expected, end } => {
                let life = remaining(*end).map(|life| digits.format(life).as_bytes());
                let arguments = [Some(expected.as_bytes()), life, None];
                return run(request, &EXPIRE_IF_EQUAL, arguments);
            }
        }
        Form::Plain
    }
}

/// The life of what is written, which a server wants above zero.
fn life_of(end: ExpiresAt) -> Option<u64> {
    remaining(end).map(|life| life.max(1))
}

/// The milliseconds until `end`, zero if it has come, as few as the server can add to its own time. What remains is
/// sent and not the time itself, so that a wrong clock here ends nothing early.
fn remaining(end: ExpiresAt) -> Option<u64> {
    const LONGEST: Duration = Duration::from_millis(1 << 53);
    let life = end?.saturating_since(Timestamp::now()).min(LONGEST);
    Some(u64::try_from(life.as_millis()).unwrap_or(u64::MAX))
}
