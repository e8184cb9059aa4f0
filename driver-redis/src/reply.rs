use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use session_core::{Entry, Result, Timestamp, Version};

use crate::config::RawFormat;
use crate::error::{refused, unexpected};

/// What a conditional change came to.
pub(crate) enum Changed {
    Yes,
    /// The condition failed, and the server returned the current entry.
    Conflict(Entry),
    /// The condition failed, or there was nothing to change.
    No,
}

/// The entry in the replies to `GET` and `PTTL`.
pub(crate) fn entry(replies: Vec<Value>, format: RawFormat) -> Result<Option<Entry>> {
    let mut replies = replies.into_iter();
    match (replies.next(), replies.next()) {
        (Some(Value::ServerError(error)), _) | (_, Some(Value::ServerError(error))) => {
            Err(refused(&error))
        }
        (Some(Value::Nil), _) => Ok(None),
        (Some(Value::BulkString(stored)), Some(Value::Int(life))) => {
            Ok(alive(stored.into(), life, format))
        }
        _ => Err(unexpected()),
    }
}

/// The entry of a stored value with a remaining life of `life` milliseconds: -1 is for ever, -2 is expired.
fn alive(stored: Bytes, life: i64, format: RawFormat) -> Option<Entry> {
    let expires_at = match u64::try_from(life) {
        Ok(life) => Some(Timestamp::now().saturating_add(Duration::from_millis(life))),
        Err(_) if life == -1 => None,
        Err(_) => return None,
    };
    let entry = Entry::new(format.decode(&stored)).with_version(Version::from_value(stored));
    Some(entry.with_expires_at(expires_at))
}

/// What the replies to a change say: a command answers `OK` or 1 if it was made, nil or 0 if not; a script answers 1,
/// nil, or what is there; and a `GET` that stands for a write of what has ended already, what is in its way.
pub(crate) fn changed(replies: Vec<Value>, format: RawFormat) -> Result<Changed> {
    let mut replies = replies.into_iter();
    match replies.next() {
        Some(Value::ServerError(error)) => Err(refused(&error)),
        Some(Value::Okay | Value::Int(1)) => Ok(Changed::Yes),
        Some(Value::Nil | Value::Int(0) | Value::BulkString(_)) => Ok(Changed::No),
        Some(Value::Array(met)) => {
            let mut met = met.into_iter();
            match (met.next(), met.next()) {
                (Some(Value::BulkString(stored)), Some(Value::Int(life))) => {
                    let entry = alive(stored.into(), life, format);
                    Ok(entry.map_or(Changed::No, Changed::Conflict))
                }
                _ => Err(unexpected()),
            }
        }
        _ => Err(unexpected()),
    }
}

/// Whether the replies to a question, or to several of which one yes is enough, are yes.
pub(crate) fn any_yes(replies: Vec<Value>) -> Result<bool> {
    let mut yes = false;
    for reply in replies {
        match reply {
            Value::Int(count) => yes |= count > 0,
            Value::ServerError(error) => return Err(refused(&error)),
            _ => return Err(unexpected()),
        }
    }
    Ok(yes)
}
