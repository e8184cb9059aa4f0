//! Lists keys by `SCAN`, one primary after the other.

use std::sync::Arc;

use redis::{Pipeline, Value};
use session_core::{Cursor, Error, ErrorKind, Key, ListOptions, ListPage, Prefix, Result};
use tokio::time::Instant;

use crate::command::Form;
use crate::connection::Connection;
use crate::error::{refused, unexpected};
use crate::node::Node;
use crate::router::{Router, To};

/// How many keys the server looks at in one step, where no option says it.
const LEAST_COUNT: usize = 10;
const MOST_COUNT: usize = 1_000;

/// How many steps in vain make an empty page, so that no call takes for ever among many other keys.
const MOST_STEPS: usize = 64;

pub(crate) struct Listing {
    /// Marks the cursors of this driver.
    instance: u64,
    scan_count: Option<usize>,
}

/// Where a listing goes on. The cursor of `SCAN` is valid for the process that gave it, and for the slots that were its own
/// then; the other fields tell whether they still are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Place {
    instance: u64,
    /// Of the set of primaries.
    fingerprint: u64,
    /// The primary among them.
    place: u64,
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
    ) -> Result<ListPage> {
        let deadline = router.deadline();
        let mut at = match &options.cursor {
            Some(cursor) => Place::read(cursor)?,
            None => Place::default(),
        };
        let pattern = pattern(&base.join_prefix(&options.prefix));
        let count = options.limit.clamp(LEAST_COUNT, MOST_COUNT);
        let count = self.scan_count.unwrap_or(count);
        let mut keys = Vec::new();
        for _ in 0..MOST_STEPS {
            let (fingerprint, mut primary) = router.primary_at(at.place, deadline).await?;
            if at.fingerprint != fingerprint {
                // Slots have moved, maybe to a server that was listed already. A key may be listed twice but not missed, so
                // the listing starts over.
                at = Place {
                    fingerprint,
                    ..Place::default()
                };
                primary = router.primary_at(0, deadline).await?.1;
            }
            let Some(primary) = primary else {
                return Ok(ListPage::new(keys, None));
            };
            let step = (&*pattern, count);
            let found = self.scan(router, &primary, &mut at, step, deadline).await?;
            keys.extend(found.iter().filter_map(|found| {
                // A key that is not normalised is another program's, and nobody could ask for it.
                let key = Key::new(found).ok().filter(|key| key.as_str() == found)?;
                let key = base.strip(&key)?;
                options.prefix.contains(&key).then_some(key)
            }));
            if at.scan == 0 {
                at = Place {
                    fingerprint,
                    place: at.place + 1,
                    ..Place::default()
                };
            } else if keys.len() < options.limit {
                continue;
            }
            if router.primary_at(at.place, deadline).await?.1.is_none() {
                return Ok(ListPage::new(keys, None));
            }
            if keys.len() >= options.limit {
                break;
            }
        }
        Ok(ListPage::new(keys, Some(at.write())))
    }

    /// One step from `at`, which it moves.
    async fn scan(
        &self,
        router: &Router,
        primary: &Arc<Node>,
        at: &mut Place,
        (pattern, count): (&str, usize),
        deadline: Instant,
    ) -> Result<Vec<String>> {
        let (instance, from) = (self.instance, *at);
        let add = |commands: &mut Pipeline, connection: &Connection, _| {
            // A server that was restarted counts anew. Cursors of other drivers are taken as they are.
            let is_other = from.instance == instance && from.connection != connection.number;
            at.scan = if is_other { 0 } else { from.scan };
            (at.connection, at.instance) = (connection.number, instance);
            let command = commands.cmd("SCAN").arg(at.scan);
            command.arg("MATCH").arg(pattern).arg("COUNT").arg(count);
            command.arg("TYPE").arg("string");
            Form::Plain
        };
        let replies = router.call(To::Node(primary), true, add, deadline);
        let reply = replies.await?.into_iter().next().ok_or_else(unexpected)?;
        if let Value::ServerError(error) = &reply {
            return Err(refused(error));
        }
        let (scan, found): (u64, Vec<Value>) =
            redis::from_redis_value(reply).map_err(|_| unexpected())?;
        at.scan = scan;
        // A key that is not text is another program's.
        let texts = found.into_iter().map(redis::from_redis_value::<String>);
        Ok(texts.filter_map(std::result::Result::ok).collect())
    }
}

impl Place {
    fn read(cursor: &Cursor) -> Result<Self> {
        let parts = cursor.as_str().split('.');
        let parts = parts.map(|part| u64::from_str_radix(part, 16).ok());
        let parts: Option<Vec<u64>> = parts.collect();
        match parts.as_deref() {
            Some(&[instance, fingerprint, place, connection, scan]) => Ok(Self {
                instance,
                fingerprint,
                place,
                connection,
                scan,
            }),
            _ => Err(Error::new(
                ErrorKind::Unsupported,
                "the cursor is not one of this driver; list from the start",
            )),
        }
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
        assert_eq!(pattern(&Prefix::new("a*b:[c]").unwrap()), "a\\*b:\\[c\\]:*");
    }
}
