use std::sync::Arc;

use redis::Value;
use session_core::{Cursor, Error, ErrorKind, Key, ListOptions, ListPage, Prefix, Result};
use tokio::time::Instant;

use crate::command::Form;
use crate::connection::Connection;
use crate::error::{refused, unexpected};
use crate::request::Request;
use crate::router::{Router, To};
use crate::server::Server;

/// How many keys the server looks at in one step, where nobody says.
const LEAST_COUNT: usize = 10;
const MOST_COUNT: usize = 1_000;

/// How many steps in vain make an empty page, so that no call takes for ever among many other keys.
const MOST_STEPS: usize = 64;

/// Lists keys by `SCAN`, one primary after the other.
pub(crate) struct Listing {
    /// Marks the cursors of this driver.
    instance: u64,
    scan_count: Option<usize>,
}

/// Where a listing goes on. `SCAN`'s own cursor is good for the process that gave it, and for the slots that were its
/// own then; so it stands beside what tells whether they still are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    instance: u64,
    /// Of the set of primaries.
    fingerprint: u64,
    /// The primary among them.
    place: usize,
    /// Of the connection.
    connection: u64,
    scan: u64,
}

impl Listing {
    pub(crate) fn new(scan_count: Option<usize>) -> Self {
        Self {
            instance: fastrand::u64(..),
            scan_count,
        }
    }

    /// A page of the keys below `base` and the prefix of `options`.
    pub(crate) async fn page(
        &self,
        router: &Router,
        base: &Prefix,
        options: &ListOptions,
        deadline: Instant,
    ) -> Result<ListPage> {
        let mut at = match &options.cursor {
            Some(cursor) => Place::read(cursor)?,
            None => Place::default(),
        };
        let pattern = pattern(&base.join_prefix(&options.prefix));
        let count = self
            .scan_count
            .unwrap_or(options.limit.clamp(LEAST_COUNT, MOST_COUNT));
        let mut keys = Vec::new();
        for _ in 0..MOST_STEPS {
            let (fingerprint, mut primary) = router.primary_at(at.place, deadline).await?;
            if at.fingerprint != fingerprint {
                // Slots have moved, maybe from a server that is still to come to one that is over: from the start,
                // since a key may come twice and must not be left out.
                at = Place {
                    fingerprint,
                    ..Place::default()
                };
                primary = router.primary_at(0, deadline).await?.1;
            }
            let Some(primary) = primary else {
                return Ok(ListPage::new(keys, None));
            };
            let found = self
                .scan(router, &primary, &mut at, (&pattern, count), deadline)
                .await?;
            keys.extend(found.iter().filter_map(|found| {
                let key = Key::new(found).ok()?;
                // A key that is not normalised is another program's, and nobody could ask for it.
                let same = key.as_str() == found;
                base.strip(&key)
                    .filter(|key| same && options.prefix.contains(key))
            }));
            if at.scan == 0 {
                at = Place {
                    fingerprint,
                    place: at.place + 1,
                    ..Place::default()
                };
                if router.primary_at(at.place, deadline).await?.1.is_none() {
                    return Ok(ListPage::new(keys, None));
                }
            }
            if keys.len() >= options.limit {
                break;
            }
        }
        Ok(ListPage::new(keys, Some(at.write())))
    }

    /// One step, from `at` on, which it moves.
    async fn scan(
        &self,
        router: &Router,
        primary: &Arc<Server>,
        at: &mut Place,
        (pattern, count): (&str, usize),
        deadline: Instant,
    ) -> Result<Vec<String>> {
        let (instance, from) = (self.instance, *at);
        let build = |request: &mut Request, connection: &Connection, _| {
            // A server that was started anew counts anew. What another driver gave cannot be told, and is taken.
            let is_other = from.instance == instance && from.connection != connection.number();
            at.scan = if is_other { 0 } else { from.scan };
            at.connection = connection.number();
            at.instance = instance;
            request.add(&[
                b"SCAN",
                at.scan.to_string().as_bytes(),
                b"MATCH",
                pattern.as_bytes(),
                b"COUNT",
                count.to_string().as_bytes(),
                b"TYPE",
                b"string",
            ]);
            Form::Plain
        };
        let replies = router
            .call(To::Server(primary), true, build, deadline)
            .await?;
        let (cursor, found) = match replies.into_iter().next() {
            Some(Value::Array(reply)) => match <[Value; 2]>::try_from(reply) {
                Ok([Value::BulkString(cursor), Value::Array(found)]) => (cursor, found),
                _ => return Err(unexpected()),
            },
            Some(Value::ServerError(error)) => return Err(refused(&error)),
            _ => return Err(unexpected()),
        };
        let cursor = std::str::from_utf8(&cursor)
            .ok()
            .and_then(|cursor| cursor.parse().ok());
        at.scan = cursor.ok_or_else(unexpected)?;
        let text = |found| match found {
            Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
            _ => None,
        };
        Ok(found.into_iter().filter_map(text).collect())
    }
}

impl Place {
    fn read(cursor: &Cursor) -> Result<Self> {
        let mut parts = cursor
            .as_str()
            .split('.')
            .map(|part| u64::from_str_radix(part, 16));
        let mut next = || parts.next().and_then(std::result::Result::ok);
        let place = (|| {
            Some(Self {
                instance: next()?,
                fingerprint: next()?,
                place: usize::try_from(next()?).ok()?,
                connection: next()?,
                scan: next()?,
            })
        })();
        place.ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                "the cursor is none of this driver's; list from the start",
            )
        })
    }

    fn write(self) -> Cursor {
        let Self {
            instance,
            fingerprint,
            place,
            connection,
            scan,
        } = self;
        Cursor::new(format!(
            "{instance:x}.{fingerprint:x}.{place:x}.{connection:x}.{scan:x}"
        ))
    }
}

/// The pattern of all keys below `prefix`, in which its own characters stand for themselves.
fn pattern(prefix: &Prefix) -> String {
    if prefix.is_root() {
        return "*".to_owned();
    }
    let mut pattern = String::with_capacity(prefix.as_str().len() + 2);
    for character in prefix.as_str().chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push_str(":*");
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back() {
        let place = Place {
            instance: u64::MAX,
            fingerprint: 1,
            place: 2,
            connection: 3,
            scan: u64::MAX - 1,
        };
        assert_eq!(Place::read(&place.write()).unwrap(), place);
    }

    #[test]
    fn a_foreign_cursor_is_an_error() {
        for cursor in ["", "1.2.3", "x.1.1.1.1", "1.1.1.1.fffffffffffffffff"] {
            let error = Place::read(&Cursor::new(cursor)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
        }
    }

    #[test]
    fn a_pattern_takes_its_prefix_literally() {
        assert_eq!(pattern(&Prefix::root()), "*");
        assert_eq!(pattern(&Prefix::new("a*b:[c]?")), "a\\*b:\\[c\\]:*");
    }
}
