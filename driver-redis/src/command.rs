//! What is done with one key, and the commands for it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use redis::{Cmd, Pipeline};
use session_core::{Timestamp, Version};

use crate::connection::Missing;

/// When an entry expires; `None` is never.
pub(crate) type ExpiresAt = Option<Timestamp>;

/// What to do with a key. The commands depend on the server, and on the time at which they are sent.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    /// The value, and its remaining time.
    Read,
    /// The value alone: a write "if absent" of an entry that has expired already.
    Get,
    Exists,
    Set(Bytes, ExpiresAt),
    SetIfAbsent(Bytes, ExpiresAt),
    SetIfEqual(Version, Bytes, ExpiresAt),
    Delete,
    DeleteIfEqual(Version),
    Expire(ExpiresAt),
    ExpireIfEqual(Version, ExpiresAt),
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
    /// By the text of a script.
    Text,
    /// After `CLIENT CACHING YES`.
    Tracked,
}

impl Operation {
    /// Whether it may be done twice.
    pub(crate) fn is_read(&self) -> bool {
        matches!(self, Self::Read | Self::Exists | Self::Get)
    }

    /// Adds the commands of the operation, and returns how it is sent: by the text of a script where the server has just
    /// said that it has forgotten the script.
    pub(crate) fn add_to(
        &self,
        commands: &mut Pipeline,
        key: &str,
        missing: &Missing,
        script_is_forgotten: bool,
    ) -> Form {
        let run =
            |script: &Script, expected: &Version, value: Option<&Bytes>, time: Option<u64>| {
                let (name, script, form) = match script_is_forgotten {
                    true => ("EVAL", &script.text, Form::Text),
                    false => ("EVALSHA", &script.hash, Form::Hash),
                };
                let mut command = redis::cmd(name);
                command.arg(script).arg(1).arg(key).arg(expected.as_bytes());
                command.arg(value.map(|value| &value[..])).arg(time);
                (command, form)
            };
        let set = |value: &Bytes, end: ExpiresAt| {
            let mut command = redis::cmd("SET");
            command.arg(key).arg(&value[..]);
            if let Some(time) = time_of_write(end) {
                command.arg("PX").arg(time);
            }
            command
        };
        let one = |name: &str| redis::cmd(name).arg(key).take();
        let is_missing = |flag: &AtomicBool| flag.load(Ordering::Relaxed);
        let (command, form): (Cmd, Form) = match self {
            Self::Read => {
                commands.add_command(one("GET"));
                (one("PTTL"), Form::Plain)
            }
            Self::Get => (one("GET"), Form::Plain),
            Self::Exists => (one("EXISTS"), Form::Plain),
            Self::Set(value, end) => (set(value, *end), Form::Plain),
            Self::SetIfAbsent(value, end) => (set(value, *end).arg("NX").take(), Form::Plain),
            Self::SetIfEqual(expected, value, end) if is_missing(&missing.set_if_equal) => {
                run(&SET_IF_EQUAL, expected, Some(value), time_of_write(*end))
            }
            Self::SetIfEqual(expected, value, end) => {
                let mut command = set(value, *end);
                command.arg("IFEQ").arg(expected.as_bytes());
                (command, Form::SetIfEqual)
            }
            Self::Delete => (one("UNLINK"), Form::Plain),
            Self::DeleteIfEqual(expected) if is_missing(&missing.delete_if_equal) => {
                run(&DELETE_IF_EQUAL, expected, None, None)
            }
            Self::DeleteIfEqual(expected) => {
                let command = one("DELIFEQ").arg(expected.as_bytes()).take();
                (command, Form::DeleteIfEqual)
            }
            Self::Expire(end) => match remaining(*end) {
                Some(time) => (one("PEXPIRE").arg(time).take(), Form::Plain),
                // `PERSIST` also says no of an entry that never expires.
                None => {
                    commands.add_command(one("PERSIST"));
                    (one("EXISTS"), Form::Plain)
                }
            },
            Self::ExpireIfEqual(expected, end) => {
                run(&EXPIRE_IF_EQUAL, expected, None, remaining(*end))
            }
        };
        commands.add_command(command);
        form
    }
}

/// The milliseconds until `end`, zero if it has passed. The remaining time is sent and not the time itself, so that a wrong
/// clock here expires nothing early.
fn remaining(end: ExpiresAt) -> Option<u64> {
    /// What the server can add to its own time.
    const LONGEST: Duration = Duration::from_millis(1 << 53);
    let time = end?.saturating_since(Timestamp::now()).min(LONGEST);
    u64::try_from(time.as_millis()).ok()
}

/// The same for a write, for which the server refuses zero.
fn time_of_write(end: ExpiresAt) -> Option<u64> {
    remaining(end).map(|time| time.max(1))
}

/// A script, and the hash by which a server that keeps it is asked to run it.
struct Script {
    text: String,
    hash: String,
}

/// What the scripts have in common. They compare the whole value, since a visitor chooses parts of it and could find two
/// with one SHA-1. They return 1 if it was as expected, else what is there with its remaining time, or nil.
fn script(then: &str) -> Script {
    const UNLESS_EQUAL: &str = "local current = redis.call('GET', KEYS[1])
if current ~= ARGV[1] then
  if not current then return false end
  return {current, redis.call('PTTL', KEYS[1])}
end
";
    let text = [UNLESS_EQUAL, then].concat();
    let hash = redis::Script::new(&text).get_hash().to_owned();
    Script { text, hash }
}

/// Writes ARGV[2] where ARGV[1] is, for ARGV[3] milliseconds or for ever.
static SET_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| {
    script(
        "if ARGV[3] then redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
else redis.call('SET', KEYS[1], ARGV[2]) end
return 1",
    )
});

/// Removes ARGV[1].
static DELETE_IF_EQUAL: LazyLock<Script> =
    LazyLock::new(|| script("redis.call('UNLINK', KEYS[1]) return 1"));

/// Lets ARGV[1] expire after ARGV[2] milliseconds, or never.
static EXPIRE_IF_EQUAL: LazyLock<Script> = LazyLock::new(|| {
    script(
        "if ARGV[2] then redis.call('PEXPIRE', KEYS[1], ARGV[2])
else redis.call('PERSIST', KEYS[1]) end
return 1",
    )
});

/// Lets the server keep all scripts, so that each is called by its hash from the first time on.
pub(crate) fn load_scripts(commands: &mut Pipeline) {
    for script in [&SET_IF_EQUAL, &DELETE_IF_EQUAL, &EXPIRE_IF_EQUAL] {
        commands.cmd("SCRIPT").arg("LOAD").arg(&script.text);
    }
}
