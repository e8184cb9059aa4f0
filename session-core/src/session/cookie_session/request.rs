//! The cookies of a request that contain a session.

use http::HeaderValue;

use super::MAX_PARTS;
use crate::session::cookie::values;

/// The values of the cookies called `name`.
pub(super) fn all<'h>(request: &'h [HeaderValue], name: &str) -> impl Iterator<Item = &'h str> {
    request
        .iter()
        .flat_map(move |header| values(header.as_bytes(), name))
        .filter_map(|value| std::str::from_utf8(value).ok())
}

/// The value of the first cookie called `name`.
pub(super) fn find<'h>(request: &'h [HeaderValue], name: &str) -> Option<&'h str> {
    all(request, name).next()
}

/// Which further cookies of a split session the browser has.
pub(super) fn parts(request: &[HeaderValue], name: &str) -> impl Iterator<Item = u8> {
    let has = |part: &u8| {
        let name = part_name(name, *part);
        pairs(request).any(|(found, _)| found == name.as_bytes())
    };
    // Most requests have one short header without further parts.
    let mut found: Vec<u8> = Vec::new();
    if pairs(request).any(|(found, _)| is_part_of(found, name)) {
        found.extend((1..MAX_PARTS).filter(has));
    }
    found.into_iter()
}

fn is_part_of(found: &[u8], name: &str) -> bool {
    found
        .strip_prefix(name.as_bytes())
        .is_some_and(|rest| rest.starts_with(b"."))
}

/// The name of the cookie with this part of the session in `name`.
pub(super) fn part_name(name: &str, part: u8) -> String {
    match part {
        0 => name.to_owned(),
        part => format!("{name}.{part}"),
    }
}

fn pairs(request: &[HeaderValue]) -> impl Iterator<Item = (&[u8], &[u8])> {
    request
        .iter()
        .flat_map(|header| header.as_bytes().split(|byte| *byte == b';'))
        .filter_map(|pair| {
            let equals = pair.iter().position(|byte| *byte == b'=')?;
            let (name, value) = pair.split_at_checked(equals)?;
            Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
        })
}
