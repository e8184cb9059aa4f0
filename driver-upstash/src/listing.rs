//! Lists the keys of the database by `SCAN`.

use session_core::{Cursor, Error, ErrorKind, Key, ListPage, Prefix, Result};

use crate::command::Command;
use crate::reply::Reply;

/// The cursor before the first step, and after the last one.
pub(crate) const START: &str = "0";

/// How many keys each step of a clear scans.
pub(crate) const CLEAR_STEP: usize = 1_000;

/// How many keys one step scans at most, since it blocks the database.
const MAX_STEP: u64 = 10_000;

/// The command for one step.
pub(crate) fn scan(below: &Prefix, cursor: &str, count: u64) -> Command {
    let scan = Command::new("SCAN").text(cursor);
    let scan = match below.is_root() {
        true => scan,
        false => scan.word("MATCH").text(pattern(below)),
    };
    scan.word("COUNT").number(count.clamp(1, MAX_STEP))
}

/// The pattern of the keys below a prefix, in which only the last character is special.
fn pattern(below: &Prefix) -> String {
    let mut pattern = String::with_capacity(below.as_str().len() + 8);
    for character in below.as_str().chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push_str(":*");
    pattern
}

/// The page of a step: the keys below `prefix`, without the prefix `root` of the driver.
pub(crate) fn page(reply: Reply, root: &Prefix, prefix: &Prefix) -> Result<ListPage> {
    let unexpected = || {
        Error::new(
            ErrorKind::Backend,
            "the response is not a step of a scan; check that `url` is that of an Upstash database",
        )
    };
    let Reply::Array(parts) = reply else {
        return Err(unexpected());
    };
    let Ok([cursor, Reply::Array(names)]) = <[Reply; 2]>::try_from(parts) else {
        return Err(unexpected());
    };
    let cursor = cursor.text()?;
    let mut page = ListPage::new(
        Vec::with_capacity(names.len()),
        (cursor != START).then(|| Cursor::new(cursor)),
    );
    for name in names {
        // unstorage does not write a name that is not normalised text, and it is not a valid key.
        let Ok(name) = name.text() else { continue };
        if let Ok(key) = Key::new(&name)
            && key.as_str() == name
            && let Some(key) = root.strip(&key)
            && prefix.contains(&key)
        {
            page.keys.push(key);
        }
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_characters_of_patterns_are_escaped_in_prefixes() {
        assert_eq!(
            pattern(&Prefix::new("a*[b]^c:d").unwrap()),
            r"a\*\[b\]\^c:d:*"
        );
    }

    #[test]
    fn names_outside_of_the_prefix_or_not_normalised_are_not_listed() {
        let names = [
            "app:s:a", "app:s", "app2:s:b", "app:t:c", "app:s:", "app:s::d",
        ];
        let names = names.map(|name| Reply::Bytes(name.into())).to_vec();
        let reply = Reply::Array(vec![Reply::Bytes("17".into()), Reply::Array(names)]);
        let page = page(
            reply,
            &Prefix::new("app").unwrap(),
            &Prefix::new("s").unwrap(),
        )
        .unwrap();
        assert_eq!(page.keys, [Key::new("s:a").unwrap()]);
        assert_eq!(page.next.unwrap().as_str(), "17");
    }
}
