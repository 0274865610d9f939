//! Which keys of a call made their groups.

use std::ops::Range;

/// Keys that were asked for together: those whose groups were not there before them.
#[derive(Clone, Debug, Default)]
pub struct Fresh {
    /// A bit for each key, of 64 keys in a word.
    bits: Vec<u64>,
}

/// Keys of a word.
pub(crate) const KEYS_OF_WORD: usize = 64;

impl Fresh {
    /// So many keys, none of them fresh.
    pub(super) fn reset(&mut self, keys: usize) {
        self.bits.clear();
        self.bits.resize(keys.div_ceil(KEYS_OF_WORD), 0);
    }

    /// This key made its group.
    #[inline]
    pub(super) fn add(&mut self, key: usize) {
        self.bits[key / KEYS_OF_WORD] |= 1 << (key % KEYS_OF_WORD);
    }

    /// The fresh ones among the keys `64 × word` to `64 × word + 63`, a bit for each.
    #[inline]
    pub(crate) fn word(&self, word: usize) -> u64 {
        self.bits.get(word).copied().unwrap_or_default()
    }

    /// Those of `keys` whose groups were there before.
    pub(crate) fn known(&self, keys: Range<usize>) -> impl Iterator<Item = usize> {
        keys.filter(|&key| self.word(key / KEYS_OF_WORD) >> (key % KEYS_OF_WORD) & 1 == 0)
    }
}
