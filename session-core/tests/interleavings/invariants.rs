use std::collections::HashSet;

use serde_devalue::{Document, Kind};

use crate::execution::{Delta, ORIGINAL, Seen, Told, own_key};

/// A record as it is stored at the end.
struct Live {
    id: String,
    /// It holds what the session held at the beginning, and somebody was told its id. One that is left when the
    /// answer to its first write was lost is of use to nobody, and ends by itself.
    from_original: bool,
    keys: HashSet<String>,
    n: u32,
}

/// Checks a run that has ended; what is broken, in words.
pub(crate) fn check(seen: &Seen) -> Result<(), String> {
    let live = live_records(seen)?;
    nothing_is_applied_twice(seen, &live)?;
    what_was_destroyed_stays_so(seen, &live)?;
    one_session_is_usable(seen, &live)?;
    no_acknowledged_change_is_lost(seen, &live)?;
    for told in &seen.told {
        cookies_follow_the_session(told)?;
    }
    Ok(())
}

fn live_records(seen: &Seen) -> Result<Vec<Live>, String> {
    let mut live = Vec::new();
    for (id, value) in seen.world.entries() {
        if value == "null" {
            continue;
        }
        let document = Document::parse(value).map_err(|error| format!("a torn record: {error}"))?;
        if document.root().kind() != Kind::Map {
            return Err("a record that is no map".to_owned());
        }
        let known = id == ORIGINAL || seen.told.iter().any(|told| told.knows(&id));
        let mut record = Live {
            id,
            from_original: false,
            keys: HashSet::new(),
            n: 0,
        };
        for entry in document
            .root()
            .map_entries()
            .map_err(|error| error.to_string())?
        {
            let (name, value) = entry.map_err(|error| error.to_string())?;
            let name = name.as_str().unwrap_or_default().into_owned();
            let mut fields = value.object_entries().map_err(|error| error.to_string())?;
            let data = fields.next().unwrap().map_err(|error| error.to_string())?.1;
            match name.as_str() {
                "base" => record.from_original = known,
                "n" => record.n = data.deserialize().map_err(|error| error.to_string())?,
                _ => {
                    record.keys.insert(name);
                }
            }
        }
        live.push(record);
    }
    Ok(live)
}

fn nothing_is_applied_twice(seen: &Seen, live: &[Live]) -> Result<(), String> {
    for record in live {
        if record.n > seen.issued_updates {
            return Err(format!(
                "{} updates were applied more often than that: n is {}",
                seen.issued_updates, record.n
            ));
        }
    }
    Ok(())
}

fn what_was_destroyed_stays_so(seen: &Seen, live: &[Live]) -> Result<(), String> {
    for id in seen.told.iter().flat_map(|told| &told.destroyed) {
        if live.iter().any(|record| record.id == *id) {
            return Err("a destroyed session was revived".to_owned());
        }
    }
    let removed = seen.told.iter().any(|told| told.removed_original);
    let copies = live.iter().filter(|record| record.from_original).count();
    if removed && copies > 0 && seen.cleanup_failures == 0 {
        return Err("what a destroyed session held was revived under another id".to_owned());
    }
    Ok(())
}

fn one_session_is_usable(seen: &Seen, live: &[Live]) -> Result<(), String> {
    let copies = live.iter().filter(|record| record.from_original).count();
    let ended = seen
        .told
        .iter()
        .any(|told| !told.destroyed.is_empty() || told.destroy_failed);
    // A regenerate whose answer was lost may have left a record that no browser knows.
    let unknown = seen.told.iter().any(|told| told.last_outcome.is_none());
    if ended || unknown || seen.cleanup_failures > 0 {
        return Ok(());
    }
    match copies {
        1 => Ok(()),
        0 => Err("nobody destroyed the session, and it is lost".to_owned()),
        _ => Err(format!("{copies} sessions hold what one held")),
    }
}

fn no_acknowledged_change_is_lost(seen: &Seen, live: &[Live]) -> Result<(), String> {
    let ended = seen
        .told
        .iter()
        .any(|told| !told.destroyed.is_empty() || told.destroy_failed);
    let originals: Vec<&Live> = live.iter().filter(|record| record.from_original).collect();
    let mut acknowledged_updates = 0;
    let mut unknown_updates = 0;
    for (request, told) in seen.told.iter().enumerate() {
        unknown_updates += told.unknown.updates;
        for acknowledged in &told.acknowledged {
            let Delta { set, updates } = acknowledged.delta;
            if acknowledged.from_original {
                acknowledged_updates += updates;
                let kept = originals
                    .iter()
                    .any(|record| record.keys.contains(&own_key(request)));
                if set && !ended && !kept {
                    return Err(format!(
                        "request {request} was told that it is written: lost"
                    ));
                }
            } else if let Some(record) = live.iter().find(|record| record.id == acknowledged.id)
                && set
                && !record.keys.contains(&own_key(request))
            {
                return Err(format!(
                    "request {request} lost what it set in a new session"
                ));
            }
        }
    }
    if let [record] = originals.as_slice()
        && !ended
        && seen.cleanup_failures == 0
    {
        if record.n < acknowledged_updates {
            return Err(format!(
                "{acknowledged_updates} updates were acknowledged, {} are there: lost",
                record.n
            ));
        }
        if record.n > acknowledged_updates + unknown_updates {
            return Err(format!(
                "n is {}, more often than the {acknowledged_updates} updates that were acknowledged and \
                 the {unknown_updates} that may have happened",
                record.n
            ));
        }
    }
    Ok(())
}

fn cookies_follow_the_session(told: &Told) -> Result<(), String> {
    let Some(cookie) = &told.set_cookie else {
        return Ok(());
    };
    if !told.may_set_cookie {
        return Err(format!(
            "a request without a new session set a cookie: {cookie}"
        ));
    }
    let id = cookie
        .split(['=', ';'])
        .nth(1)
        .ok_or_else(|| format!("no value in {cookie}"))?;
    if id == ORIGINAL {
        return Err("the cookie that the browser has was set again".to_owned());
    }
    Ok(())
}
