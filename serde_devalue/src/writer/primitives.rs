//! Deduplicates primitives.

use std::hash::{BuildHasher, Hasher};

use hashbrown::{DefaultHashBuilder, HashTable};

/// The entries of primitives by their text, which is unique for each value.
///
/// The first few are searched linearly, which is enough for most records. More are in a hash table that resists
/// collision attacks.
pub(super) struct Primitives {
    few: [u32; FEW],
    indices: [i32; FEW],
    count: usize,
    table: HashTable<(u64, i32)>,
    hasher: DefaultHashBuilder,
    pub(super) null: Option<i32>,
    pub(super) bools: [Option<i32>; 2],
}

const FEW: usize = 32;

impl Primitives {
    pub(super) fn new() -> Self {
        Self {
            few: [0; FEW],
            indices: [0; FEW],
            count: 0,
            table: HashTable::new(),
            hasher: DefaultHashBuilder::default(),
            null: None,
            bools: [None; 2],
        }
    }

    /// Returns the entry with this text, or makes `new` the entry.
    #[inline]
    pub(super) fn find<'a>(
        &mut self,
        mark: u32,
        text: &str,
        new: i32,
        text_of: impl Fn(i32) -> Option<&'a str>,
    ) -> Option<i32> {
        // Without an early exit, the loop compiles to a few vector instructions; and most primitives are new.
        if self
            .few
            .iter()
            .fold(false, |any, known| any | (*known == mark))
        {
            let marked = self.few.iter().zip(&self.indices).take(self.count);
            for (_, &index) in marked.filter(|(known, _)| **known == mark) {
                if text_of(index) == Some(text) {
                    return Some(index);
                }
            }
        }
        match (
            self.few.get_mut(self.count),
            self.indices.get_mut(self.count),
        ) {
            (Some(place), Some(index)) => {
                (*place, *index) = (mark, new);
                self.count += 1;
                None
            }
            _ => self.find_among_many(text, new, text_of),
        }
    }

    fn find_among_many<'a>(
        &mut self,
        text: &str,
        new: i32,
        text_of: impl Fn(i32) -> Option<&'a str>,
    ) -> Option<i32> {
        let mut hasher = self.hasher.build_hasher();
        hasher.write(text.as_bytes());
        let hash = hasher.finish();
        let is_same = |&(known, index): &(u64, i32)| known == hash && text_of(index) == Some(text);
        if let Some(&(_, index)) = self.table.find(hash, is_same) {
            return Some(index);
        }
        self.table
            .insert_unique(hash, (hash, new), |&(hash, _)| hash);
        None
    }
}

/// Hashes the length and both ends of a text.
#[inline]
pub(crate) fn mark(bytes: &[u8]) -> u32 {
    // An odd multiplier that spreads differences into the upper half.
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let ends = match (bytes.first_chunk(), bytes.last_chunk()) {
        (Some(first), Some(last)) => {
            u64::from_le_bytes(*first) ^ u64::from_le_bytes(*last).rotate_left(29)
        }
        _ => bytes
            .iter()
            .fold(0, |mark, byte| mark << 8 | u64::from(*byte)),
    };
    #[allow(clippy::cast_possible_truncation)]
    let mark = ((ends ^ bytes.len() as u64).wrapping_mul(SPREAD) >> 32) as u32;
    mark
}
