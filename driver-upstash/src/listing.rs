//! Steps through the keys of the database.

use session_core::{Cursor, Error, ErrorKind, Key, ListPage, Prefix, Result};

use crate::command::Command;
use crate::reply::Reply;

/// The cursor before the first step, and after the last one.
pub(crate) const START: &str = "0";

/// How many keys a step of a clearing looks at.
pub(crate) const CLEAR_STEP: usize = 1_000;

/// The most that a step looks at: the database stands still for it.
const LONGEST_STEP: u64 = 10_000;

pub(crate) fn scan(below: &Prefix, cursor: &str, count: u64) -> Command {
    let scan = Command::new("SCAN").text(cursor);
    let scan = match below.is_root() {
        true => scan,
        false => scan.word("MATCH").text(pattern(below)),
    };
    scan.word("COUNT").number(count.clamp(1, LONGEST_STEP))
}

/// The pattern of what lies below a prefix, in which only the last character is special.
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

/// What a step found, of that which lies below `prefix`.
pub(crate) fn page(reply: Reply, base: &Prefix, prefix: &Prefix) -> Result<ListPage> {
    let unexpected = || {
        Error::new(
            ErrorKind::Backend,
            "the database answered no step of a scan",
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
        // What is no text or is not normalised was not written through unstorage, and no key can name it.
        let Ok(name) = name.text() else { continue };
        if let Ok(key) = Key::new(&name)
            && key.as_str() == name
            && let Some(key) = base.strip(&key)
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
    fn characters_that_are_special_to_patterns_are_ordinary_in_prefixes() {
        assert_eq!(pattern(&Prefix::new("a*[b]^c:d")), r"a\*\[b\]\^c:d:*");
    }

    #[test]
    fn what_is_not_below_the_prefix_or_no_key_is_not_listed() {
        let names = [
            "app:s:a", "app:s", "app2:s:b", "app:t:c", "app:s:", "app:s::d",
        ];
        let names = names.map(|name| Reply::Bytes(name.into())).to_vec();
        let reply = Reply::Array(vec![Reply::Bytes("17".into()), Reply::Array(names)]);
        let page = page(reply, &Prefix::new("app"), &Prefix::new("s")).unwrap();
        assert_eq!(page.keys, [Key::new("s:a").unwrap()]);
        assert_eq!(page.next.unwrap().as_str(), "17");
    }
}
