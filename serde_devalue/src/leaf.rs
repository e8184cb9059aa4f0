//! Decodes values that contain no other values.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::bigint::BigInt;
use crate::date::Date;
use crate::entry::{Elements, Entries, Entry, Item, number};
use crate::error::Error;
use crate::limits::Budget;
use crate::regexp::RegExp;
use crate::tag::{Tag, ViewKind};
use crate::url::normalize_search_params;
use crate::value::Value;

/// Base64 as in the strictest JavaScript runtime: padding is written, but may be missing when reading.
pub(crate) const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Decodes the entry with this tag if it contains no other values.
pub(crate) fn decode(tag: Tag, mut payload: Elements<'_>) -> Result<Option<Value>, Error> {
    let at = payload.position();
    Ok(Some(match tag {
        Tag::Date => Value::Date(date(payload)?),
        Tag::RegExp => {
            // A RegExp without a source, or with `undefined`, is the empty one.
            let source = payload.next().map_or(Ok(Cow::Borrowed("")), text)?;
            let flags = payload.next().map_or(Ok(Cow::Borrowed("")), text)?;
            let regexp = RegExp::new(&source, &flags)
                .ok_or_else(|| Error::format(at, "not a regular expression"))?;
            Value::RegExp(regexp)
        }
        Tag::UrlSearchParams => {
            let params = payload.next().map_or(Ok(Cow::Borrowed("")), text)?;
            Value::UrlSearchParams(normalize_search_params(&params))
        }
        Tag::Temporal(kind) => match payload.next() {
            Some(Item::String(text)) => Value::Temporal(kind, text.utf8()?.into_owned()),
            _ => return Err(Error::format(at, "a Temporal value without its text")),
        },
        Tag::ArrayBuffer => Value::ArrayBuffer(buffer(payload)?),
        _ => return Ok(None),
    }))
}

pub(crate) fn date(mut payload: Elements<'_>) -> Result<Date, Error> {
    Ok(match payload.next() {
        Some(Item::String(text)) => Date::parse(&text.utf8()?),
        Some(Item::Number(digits, _)) => Date::from_number(number(digits)),
        Some(Item::Bool(bool, _)) => Date::from_millis(bool.into()),
        Some(Item::Null(_)) => Date::from_millis(0),
        Some(Item::Nested(at)) => {
            return Err(Error::format(at, "a Date of neither a text nor a number"));
        }
        None => Date::INVALID,
    })
}

/// Decodes a BigInt. A visit of its entry is charged already.
pub(crate) fn bigint(mut payload: Elements<'_>, budget: &Budget) -> Result<BigInt, Error> {
    let at = payload.position();
    let int = match payload.next() {
        Some(Item::String(text)) => {
            let text = text.utf8()?;
            budget.charge(BigInt::cost_of_parsing(&text))?;
            BigInt::parse(&text)
        }
        Some(Item::Number(digits, _)) => BigInt::from_number(number(digits)),
        Some(Item::Bool(bool, _)) => Some(BigInt::from(u32::from(bool))),
        _ => None,
    };
    int.ok_or_else(|| Error::format(at, "not a BigInt"))
}

pub(crate) fn buffer(mut payload: Elements<'_>) -> Result<Vec<u8>, Error> {
    let at = payload.position();
    let Some(Item::String(text)) = payload.next() else {
        return Err(Error::format(at, "an ArrayBuffer without its text"));
    };
    let text = text.utf8()?;
    crate::work::count(text.len());
    let text = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
        text.split_ascii_whitespace().collect()
    } else {
        text
    };
    BASE64
        .decode(&*text)
        .map_err(|_| Error::format(at, "not base64"))
}

/// Returns the text of a URL, which is inline or a separate entry.
pub(crate) fn url<'t>(
    entries: Entries<'_, 't>,
    mut payload: Elements<'t>,
) -> Result<Cow<'t, str>, Error> {
    let at = payload.position();
    let invalid = || Error::format(at, "not a URL");
    let text = match payload.next() {
        Some(Item::String(text)) => text,
        Some(item @ Item::Number(..)) => match entries.follow(item)? {
            crate::entry::Reference::To(slot) => match entries.entry(slot) {
                Entry::String(text) => text,
                _ => return Err(invalid()),
            },
            crate::entry::Reference::Hole => return Err(invalid()),
        },
        _ => return Err(invalid()),
    };
    text.utf8()
}

/// Checks the range of a view on a buffer of this size. Returns the offset in bytes and the length in elements.
pub(crate) fn window(
    kind: ViewKind,
    buffer: usize,
    mut window: Elements<'_>,
) -> Result<(usize, usize), Error> {
    let at = window.position();
    let invalid = || Error::format(at, "a view beyond its buffer, or out of step with it");
    let size = kind.element_size();
    let mut next = || match window.next() {
        None => Ok(None),
        Some(Item::Number(digits, _)) => {
            let number = number(digits).trunc();
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            if (0.0..=u32::MAX.into()).contains(&number) {
                Ok(Some(number as usize))
            } else {
                Err(invalid())
            }
        }
        Some(_) => Err(invalid()),
    };
    let offset = next()?.unwrap_or(0);
    let length = next()?;
    let rest = buffer.checked_sub(offset).ok_or_else(invalid)?;
    if offset % size != 0 || length.is_none() && rest % size != 0 {
        return Err(invalid());
    }
    match length {
        Some(length) if length > rest / size => Err(invalid()),
        Some(length) => Ok((offset, length)),
        None => Ok((offset, rest / size)),
    }
}

/// Converts a payload to a string like JavaScript's `String(…)`.
fn text(item: Item<'_>) -> Result<Cow<'_, str>, Error> {
    Ok(match item {
        Item::String(text) => text.utf8()?,
        Item::Number(digits, _) => {
            Cow::Owned(ryu_js::Buffer::new().format(number(digits)).to_owned())
        }
        Item::Bool(bool, _) => Cow::Borrowed(if bool { "true" } else { "false" }),
        Item::Null(_) => Cow::Borrowed("null"),
        Item::Nested(at) => {
            return Err(Error::format(
                at,
                "an array or an object in the place of a text",
            ));
        }
    })
}
