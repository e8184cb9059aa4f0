//! How entries are stored in the layers of an overlay.

use bytes::Bytes;

use crate::{Entry, Version};

/// The tombstone, which hides an entry of the lower layers, as in unstorage.
pub(super) const REMOVED: &[u8] = b"__OVERLAY_REMOVED__";

/// Appended to a value that looks like a tombstone, or like an escaped one.
const ESCAPE: u8 = b'\\';

/// Which layer an entry is in. Only the top layer is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layer {
    Top,
    Below,
}

impl Layer {
    fn mark(self) -> u8 {
        match self {
            Self::Top => 0,
            Self::Below => 1,
        }
    }
}

/// Returns a layer's entry as the overlay returns it; `None` if it is a tombstone.
pub(super) fn visible(entry: Entry, place: Layer) -> Option<Entry> {
    if is_removal(&entry) {
        return None;
    }
    let version = entry.version.map(|version| tagged(&version, place));
    Some(Entry {
        value: unescaped(entry.value),
        version,
        expires_at: entry.expires_at,
    })
}

pub(super) fn is_removal(entry: &Entry) -> bool {
    entry.value == REMOVED
}

/// The version of an entry with its layer. It changes when the entry becomes hidden or visible.
pub(super) fn tagged(version: &Version, place: Layer) -> Version {
    Version::from_bytes(&[&[place.mark()], version.as_bytes()].concat())
}

/// Returns the layer and the layer's own version; `None` if it is not a version of an overlay.
pub(super) fn untagged(version: &Version) -> Option<(Layer, Version)> {
    let (mark, bytes) = version.as_bytes().split_first()?;
    let place = [Layer::Top, Layer::Below]
        .into_iter()
        .find(|place| place.mark() == *mark)?;
    Some((place, Version::from_bytes(bytes)))
}

pub(super) fn escaped(value: Bytes) -> Bytes {
    match is_marked(&value) {
        true => [&value[..], &[ESCAPE]].concat().into(),
        false => value,
    }
}

fn unescaped(value: Bytes) -> Bytes {
    match is_marked(&value) {
        true => value.slice(..value.len() - 1),
        false => value,
    }
}

/// Returns whether a value is a tombstone followed by any number of escapes.
fn is_marked(value: &[u8]) -> bool {
    let rest = value.strip_prefix(REMOVED);
    rest.is_some_and(|rest| rest.iter().all(|byte| *byte == ESCAPE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_comes_back_and_none_is_taken_for_a_removal() {
        for value in [
            "",
            "x",
            "__OVERLAY_REMOVED__",
            "__OVERLAY_REMOVED__\\",
            "__OVERLAY_REMOVED__\\\\",
            "__OVERLAY_REMOVED__x",
            "__OVERLAY_REMOVED__\\x",
        ] {
            let stored = Entry::new(escaped(value.into()));
            let entry = visible(stored, Layer::Top).unwrap();
            assert_eq!(entry.value, value);
        }
        assert_eq!(visible(Entry::new(REMOVED), Layer::Below), None);
    }

    #[test]
    fn versions_tell_the_layers_apart() {
        let version = Version::from_u64(7);
        for place in [Layer::Top, Layer::Below] {
            let tagged = tagged(&version, place);
            assert_eq!(untagged(&tagged), Some((place, version.clone())));
        }
        assert_eq!(untagged(&Version::from_bytes(&[9, 1])), None);
        assert_eq!(untagged(&Version::from_bytes(&[])), None);
    }
}
