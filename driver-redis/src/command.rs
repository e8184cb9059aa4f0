use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Pipeline};
use session_core::Timestamp;

use crate::connection::Lacks;
use crate::scripts::{DELETE_IF_EQUAL, EXPIRE_IF_EQUAL, SET_IF_EQUAL, Script};

/// When an entry ends; `None` is never.
pub(crate) type End = Option<Timestamp>;

/// What is to be done with one key. What it is sent as depends on the server, and on the time at which it is sent.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// The value, and its remaining life.
    Read,
    Exists,
    Set {
        value: Bytes,
        end: End,
    },
    SetIfAbsent {
        value: Bytes,
        end: End,
    },
    SetIfEqual {
        expected: Bytes,
        value: Bytes,
        end: End,
    },
    /// The value, if one is in the way of a write only where nothing is.
    Absent,
    Delete,
    DeleteIfEqual {
        expected: Bytes,
    },
    Expire {
        end: End,
    },
    ExpireIfEqual {
        expected: Bytes,
        end: End,
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
        matches!(self, Self::Read | Self::Exists | Self::Absent)
    }

    /// Whether it is done only where nothing is.
    pub(crate) fn wants_nothing(&self) -> bool {
        matches!(self, Self::SetIfAbsent { .. } | Self::Absent)
    }

    /// Adds the commands of the operation, and says how it is sent: by a script's text where the server has just said
    /// that it has forgotten the script.
    pub(crate) fn add_to(
        &self,
        commands: &mut Pipeline,
        key: &str,
        lacks: &Lacks,
        script_is_forgotten: bool,
    ) -> Form {
        let run = |commands: &mut Pipeline, script: &Script, arguments: &[&[u8]]| {
            let (name, script_or_hash, form) = match script_is_forgotten {
                true => ("EVAL", &script.text, Form::Text),
                false => ("EVALSHA", &script.hash, Form::Hash),
            };
            commands.cmd(name).arg(script_or_hash).arg(1).arg(key);
            for argument in arguments {
                commands.arg(*argument);
            }
            form
        };
        match self {
            Self::Read => {
                commands.add_command(of_key("GET", key));
                commands.add_command(of_key("PTTL", key));
            }
            Self::Exists => {
                commands.add_command(of_key("EXISTS", key));
            }
            Self::Set { value, end } => {
                commands.add_command(set(key, value, life_of(*end)));
            }
            Self::SetIfAbsent { value, end } => {
                let mut set = set(key, value, life_of(*end));
                set.arg("NX");
                commands.add_command(set);
            }
            Self::Absent => {
                commands.add_command(of_key("GET", key));
            }
            Self::SetIfEqual {
                expected,
                value,
                end,
            } => {
                let life = life_of(*end);
                if !lacks.set_if_equal.load(Ordering::Relaxed) {
                    let mut set = set(key, value, life);
                    set.arg("IFEQ").arg(&expected[..]);
                    commands.add_command(set);
                    return Form::SetIfEqual;
                }
                let life = life.map(|life| life.to_string());
                let mut arguments: Vec<&[u8]> = vec![expected, value];
                arguments.extend(life.as_ref().map(String::as_bytes));
                return run(commands, &SET_IF_EQUAL, &arguments);
            }
            Self::Delete => {
                commands.add_command(of_key("UNLINK", key));
            }
            Self::DeleteIfEqual { expected } => {
                if !lacks.delete_if_equal.load(Ordering::Relaxed) {
                    let mut delete = of_key("DELIFEQ", key);
                    delete.arg(&expected[..]);
                    commands.add_command(delete);
                    return Form::DeleteIfEqual;
                }
                return run(commands, &DELETE_IF_EQUAL, &[expected]);
            }
            Self::Expire { end } => match remaining(*end) {
                Some(life) => {
                    let mut expire = of_key("PEXPIRE", key);
                    expire.arg(life);
                    commands.add_command(expire);
                }
                // `PERSIST` says no as well of an entry that never ends.
                None => {
                    commands.add_command(of_key("PERSIST", key));
                    commands.add_command(of_key("EXISTS", key));
                }
            },
            Self::ExpireIfEqual { expected, end } => {
                let life = remaining(*end).map(|life| life.to_string());
                let mut arguments: Vec<&[u8]> = vec![expected];
                arguments.extend(life.as_ref().map(String::as_bytes));
                return run(commands, &EXPIRE_IF_EQUAL, &arguments);
            }
        }
        Form::Plain
    }
}

fn of_key(name: &str, key: &str) -> Cmd {
    let mut command = Cmd::with_capacity(2, name.len() + key.len());
    command.arg(name).arg(key);
    command
}

fn set(key: &str, value: &[u8], life: Option<u64>) -> Cmd {
    let mut command = Cmd::with_capacity(6, key.len() + value.len() + 24);
    command.arg("SET").arg(key).arg(value);
    if let Some(life) = life {
        command.arg("PX").arg(life);
    }
    command
}

/// The life of what is written, which a server wants above zero.
fn life_of(end: End) -> Option<u64> {
    remaining(end).map(|life| life.max(1))
}

/// The milliseconds until `end`, zero if it has come, as few as the server can add to its own time. What remains is
/// sent and not the time itself, so that a wrong clock here ends nothing early.
fn remaining(end: End) -> Option<u64> {
    const LONGEST: Duration = Duration::from_millis(1 << 53);
    let life = end?.saturating_since(Timestamp::now()).min(LONGEST);
    Some(u64::try_from(life.as_millis()).unwrap_or(u64::MAX))
}
