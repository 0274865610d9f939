//! Key groups: the 1,024 fixed ranges of the hash, and which worker owns which.

use crate::WorkerId;

/// Number of key groups, whatever the number of workers: state is restored on another number by moving whole groups.
pub const KEY_GROUPS: usize = 1024;

/// Bits of the hash that name the key group: the top ones. A table takes its slot from the low bits and its tag from the
/// middle, so that the keys of one owner still spread over its table.
const KEY_GROUP_BITS: u32 = KEY_GROUPS.trailing_zeros();

/// One of the [`KEY_GROUPS`] ranges of the hash, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroup(pub u16);

/// The key group of a key with this hash.
#[inline]
#[must_use]
pub fn key_group(hash: u64) -> KeyGroup {
    KeyGroup((hash >> (u64::BITS - KEY_GROUP_BITS)) as u16)
}

/// The worker that owns the keys with this hash. Every worker owns one contiguous range of key groups; the ranges differ
/// by at most one group.
///
/// `workers` is 1 to [`KEY_GROUPS`]; with more, some would own nothing.
#[inline]
#[must_use]
pub fn owner(hash: u64, workers: usize) -> WorkerId {
    WorkerId((usize::from(key_group(hash).0) * workers / KEY_GROUPS) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_in(group: usize) -> u64 {
        (group as u64) << (u64::BITS - KEY_GROUP_BITS)
    }

    #[test]
    fn the_top_ten_bits_are_the_group() {
        assert_eq!(key_group(0), KeyGroup(0));
        assert_eq!(key_group(u64::MAX), KeyGroup(1023));
        assert_eq!(key_group(hash_in(513) | 0xffff), KeyGroup(513));
    }

    #[test]
    fn owners_hold_contiguous_ranges_that_differ_by_at_most_one_group() {
        for workers in [1, 2, 3, 7, 8, 64, 1000, 1024] {
            let owners: Vec<u16> = (0..KEY_GROUPS).map(|group| owner(hash_in(group), workers).0).collect();
            assert!(owners.is_sorted(), "{workers} workers");
            let sizes: Vec<usize> = owners.chunk_by(|a, b| a == b).map(<[u16]>::len).collect();
            assert_eq!(sizes.len(), workers, "every worker owns something");
            assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= 1, "{workers} workers: {sizes:?}");
        }
    }
}
