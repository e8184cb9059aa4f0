//! What replies mean.

use std::time::Duration;

use redis::Value;
use session_core::{Entry, Result, Timestamp, Version};

use crate::command::Operation;
use crate::error::{refused, unexpected};
use crate::options::RawFormat;

/// What a change came to.
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
        // The entry expired in between.
        (Some(Value::Nil), _) | (_, Some(Value::Int(-2))) => Ok(None),
        (Some(Value::BulkString(stored)), Some(Value::Int(time))) => {
            let stored = stored.into();
            // -1 is for ever.
            let time = u64::try_from(time).ok().map(Duration::from_millis);
            let end = time.map(|time| Timestamp::now().saturating_add(time));
            let entry = Entry::new(format.decode(&stored)).with_expires_at(end);
            Ok(Some(entry.with_version(Version::from_value(stored))))
        }
        _ => Err(unexpected()),
    }
}

/// What the replies to a change say. A command answers `OK` or 1 if it was made, nil or 0 if not; a script answers 1, nil,
/// or the entry that is there instead.
pub(crate) fn changed(
    operation: &Operation,
    replies: Vec<Value>,
    format: RawFormat,
) -> Result<Changed> {
    match operation {
        // To remove nothing is a removal.
        Operation::Delete => return any_yes(replies).map(|_| Changed::Yes),
        Operation::Expire(_) if any_yes(replies.clone())? => return Ok(Changed::Yes),
        _ => {}
    }
    match replies.into_iter().next() {
        Some(Value::ServerError(error)) => Err(refused(&error)),
        // A write "if absent" of an entry that has expired already.
        Some(Value::Nil) if matches!(operation, Operation::Get) => Ok(Changed::Yes),
        Some(Value::Okay | Value::Int(1)) => Ok(Changed::Yes),
        Some(Value::Nil | Value::Int(0) | Value::BulkString(_)) => Ok(Changed::No),
        Some(Value::Array(current)) => {
            Ok(entry(current, format)?.map_or(Changed::No, Changed::Conflict))
        }
        _ => Err(unexpected()),
    }
}

/// Whether one of the replies to a question is yes.
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
