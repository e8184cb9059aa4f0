//! What must hold after every run.

use std::collections::{HashMap, HashSet};

use serde_devalue::{Document, Kind, Node};

use crate::execution::{Acknowledged, Delta, ORIGINAL, OWN_IDLE, Seen, Told, own_key};
use crate::world::Move;

/// A record as it is stored at the end.
struct Live {
    id: String,
    keys: HashSet<String>,
    /// The counters `n` and `c`.
    n: u32,
    c: u32,
    flashes: HashSet<String>,
    has_own_lifetime: bool,
    /// It holds what the session held at the beginning.
    from_original: bool,
}

/// The end of a run: what is stored, what moved, and what the requests were told.
struct End<'a> {
    seen: &'a Seen,
    live: HashMap<String, Live>,
    moves: Vec<Move>,
}

/// Checks a run that has ended; what is broken, in words.
pub(crate) fn check(seen: &Seen) -> Result<(), String> {
    let end = End {
        live: live_records(seen)?,
        moves: seen.world.moves(),
        seen,
    };
    end.nothing_is_applied_twice()?;
    end.what_was_destroyed_stays_so()?;
    end.an_old_id_names_no_session_after_a_login()?;
    end.one_session_is_usable()?;
    end.no_acknowledged_change_is_lost()?;
    end.cookies_name_the_session()
}

fn live_records(seen: &Seen) -> Result<HashMap<String, Live>, String> {
    let mut live = HashMap::new();
    for (id, value) in seen.world.entries() {
        if !value.starts_with(b"0e") {
            let record = parse(id.clone(), value)?;
            live.insert(id, record);
        }
    }
    Ok(live)
}

fn parse(id: String, value: session_core::Bytes) -> Result<Live, String> {
    let document = Document::parse(value).map_err(|error| format!("a torn record: {error}"))?;
    if document.root().kind() != Kind::Map {
        return Err("a record that is no map".to_owned());
    }
    let mut record = Live {
        id,
        keys: HashSet::new(),
        n: 0,
        c: 0,
        flashes: HashSet::new(),
        has_own_lifetime: false,
        from_original: false,
    };
    for (name, data) in entries(document.root())? {
        let number = || data.deserialize().map_err(|error| error.to_string());
        match name.as_str() {
            "base" => record.from_original = true,
            "n" => record.n = number()?,
            "c" => record.c = number()?,
            "$session:flash" => {
                let flashes = data.map_entries().map_err(|error| error.to_string())?;
                for flash in flashes {
                    let (name, _) = flash.map_err(|error| error.to_string())?;
                    record
                        .flashes
                        .extend(name.as_str().map(|name| name.into_owned()));
                }
            }
            "$session:lifetime" => record.has_own_lifetime = has_own_idle(data)?,
            _ => {
                record.keys.insert(name);
            }
        }
    }
    Ok(record)
}

/// The names of a record with their data.
fn entries(root: Node<'_>) -> Result<Vec<(String, Node<'_>)>, String> {
    let mut entries = Vec::new();
    for entry in root.map_entries().map_err(|error| error.to_string())? {
        let (name, value) = entry.map_err(|error| error.to_string())?;
        let mut fields = value.object_entries().map_err(|error| error.to_string())?;
        let data = fields
            .next()
            .ok_or("no data")?
            .map_err(|error| error.to_string())?
            .1;
        entries.push((name.as_str().unwrap_or_default().into_owned(), data));
    }
    Ok(entries)
}

fn has_own_idle(lifetime: Node<'_>) -> Result<bool, String> {
    let own = OWN_IDLE.as_secs_f64() * 1_000.0;
    for field in lifetime
        .object_entries()
        .map_err(|error| error.to_string())?
    {
        let (name, value) = field.map_err(|error| error.to_string())?;
        if name == "idle" {
            return Ok(value.as_f64() == Some(own));
        }
    }
    Ok(false)
}

impl End<'_> {
    fn told(&self) -> impl Iterator<Item = &Told> {
        self.seen.told.iter()
    }

    /// The ids that `id` became, with those that a tombstone got before `before`.
    fn successors(&self, id: &str, before: u64) -> HashSet<&str> {
        let mut found: HashSet<&str> = HashSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            for moved in &self.moves {
                if moved.from == id && moved.revision <= before && found.insert(&moved.to) {
                    open.push(&moved.to);
                }
            }
        }
        found
    }

    /// The ids that the session of `id` had before, whose content it has.
    fn lineage<'a>(&'a self, id: &'a str) -> Vec<&'a str> {
        let mut ids = vec![id];
        let mut current = id;
        while let Some(moved) = self
            .moves
            .iter()
            .find(|moved| moved.to == current && moved.is_first)
        {
            current = &moved.from;
            ids.push(current);
        }
        ids
    }

    fn is_told(&self, id: &str) -> bool {
        id == ORIGINAL || self.told().any(|told| told.knows(id))
    }

    /// The records that a client knows, and that hold what the session held at the beginning. One that is left when the
    /// answer to its first write was lost is of use to nobody, and expires.
    fn copies(&self) -> Vec<&Live> {
        let known = self.live.values().filter(|record| self.is_told(&record.id));
        known.filter(|record| record.from_original).collect()
    }

    fn has_ended(&self) -> bool {
        self.told()
            .any(|told| !told.destroyed.is_empty() || told.destroy_failed)
    }

    fn nothing_is_applied_twice(&self) -> Result<(), String> {
        for record in self.live.values() {
            if record.n > self.seen.issued_updates {
                return Err(format!(
                    "{} updates were applied more often than that: n is {}",
                    self.seen.issued_updates, record.n
                ));
            }
        }
        Ok(())
    }

    fn what_was_destroyed_stays_so(&self) -> Result<(), String> {
        for destroyed in self.told().flat_map(|told| &told.destroyed) {
            if self.live.contains_key(&destroyed.id) {
                return Err("a destroyed session was revived".to_owned());
            }
            let became = self.successors(&destroyed.id, destroyed.since);
            if became.iter().any(|id| self.live.contains_key(*id)) {
                return Err("what a destroyed session became was revived or left".to_owned());
            }
            let before = self.lineage(&destroyed.id);
            if before.iter().any(|id| self.live.contains_key(*id)) {
                return Err("an id from before names the destroyed session: revived".to_owned());
            }
        }
        Ok(())
    }

    fn an_old_id_names_no_session_after_a_login(&self) -> Result<(), String> {
        let acknowledged = self.told().flat_map(|told| &told.acknowledged);
        for login in acknowledged.filter(|acknowledged| acknowledged.regenerated) {
            let before = self.lineage(&login.id);
            if before
                .iter()
                .any(|id| *id != login.id && self.live.contains_key(*id))
            {
                return Err("a planted id names a session after a login".to_owned());
            }
        }
        Ok(())
    }

    fn one_session_is_usable(&self) -> Result<(), String> {
        let unknown = self.told().any(|told| told.had_error);
        if self.has_ended() || unknown || self.seen.cleanup_failures > 0 {
            return Ok(());
        }
        let logins = self.told().flat_map(|told| &told.acknowledged);
        let logins = logins
            .filter(|acknowledged| acknowledged.regenerated)
            .count();
        match self.copies().len() {
            0 => Err("nobody destroyed the session, and it is lost".to_owned()),
            copies if copies <= logins.max(1) => Ok(()),
            copies => Err(format!(
                "{copies} sessions hold what one held after {logins} logins"
            )),
        }
    }

    fn no_acknowledged_change_is_lost(&self) -> Result<(), String> {
        let mut unknown = Delta::default();
        for told in self.told() {
            unknown.add(told.unknown);
        }
        for record in self.live.values() {
            let lineage = self.lineage(&record.id);
            let mut told = Delta::default();
            for (request, acknowledged) in self.acknowledged_in(&lineage) {
                told.add(acknowledged.delta);
                self.has_what_was_told(record, request, &acknowledged.delta)?;
            }
            for (name, found, told) in [
                ("n", record.n, told.updates),
                ("c", record.c, told.sets_after_read),
            ] {
                // A session that began anew does not count what the old one was told.
                if record.from_original && found < told {
                    return Err(format!(
                        "{told} changes of {name} were acknowledged, {found} are there: lost"
                    ));
                }
            }
        }
        let mut total = unknown.updates;
        for told in self.told() {
            total += told
                .acknowledged
                .iter()
                .map(|told| told.delta.updates)
                .sum::<u32>();
        }
        let known = self.live.values().filter(|record| self.is_told(&record.id));
        match known.map(|record| record.n).max() {
            Some(n) if n > total => Err(format!(
                "n is {n}, more often than the {total} updates that were acknowledged or may have happened"
            )),
            _ => Ok(()),
        }
    }

    /// The changes that were acknowledged to sessions with these ids, with the request.
    fn acknowledged_in<'a>(
        &'a self,
        lineage: &'a [&str],
    ) -> impl Iterator<Item = (usize, &'a Acknowledged)> {
        let told = self.told().enumerate();
        told.flat_map(|(request, told)| told.acknowledged.iter().map(move |it| (request, it)))
            .filter(|(_, acknowledged)| lineage.contains(&acknowledged.id.as_str()))
    }

    fn has_what_was_told(
        &self,
        record: &Live,
        request: usize,
        delta: &Delta,
    ) -> Result<(), String> {
        let own = own_key(request);
        for (was_told, is_there, what) in [
            (delta.set, record.keys.contains(&own), "what it set"),
            (
                delta.flashed,
                record.flashes.contains(&own),
                "what it flashed",
            ),
            (
                delta.took_flash,
                !record.flashes.contains("f"),
                "that it took a flash",
            ),
            (
                delta.set_lifetime,
                record.has_own_lifetime,
                "the lifetime that it set",
            ),
        ] {
            if was_told && !is_there {
                return Err(format!("request {request} lost {what}"));
            }
        }
        Ok(())
    }

    /// A cookie that is set names the session that the request has, and none that has been replaced since.
    fn cookies_name_the_session(&self) -> Result<(), String> {
        for told in self.told() {
            let Some(cookie) = &told.set_cookie else {
                continue;
            };
            // A new lifetime is sent with the id that the browser has.
            let lifetimes = told.acknowledged.iter().map(|told| told.delta);
            if lifetimes
                .chain([told.unknown])
                .any(|delta| delta.set_lifetime)
            {
                continue;
            }
            let id = cookie
                .split(['=', ';'])
                .nth(1)
                .ok_or_else(|| format!("no value in {cookie}"))?;
            if id == ORIGINAL {
                return Err("the cookie that the browser has was set again".to_owned());
            }
        }
        Ok(())
    }
}
