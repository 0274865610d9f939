//! Slots: from a hash to the groups that may be its key's.

/// Slots of an empty table, one cache line and its padding: state that is kept key by key has a table for each.
pub(super) const SLOTS_MIN: usize = 8;
/// Empty slots behind the last, so that a vector of slots can be read from any place.
pub(super) const PAD: usize = 7;

/// Open addressing, probed one by one. A slot is `tag << 32 | group + 1`, 0 where empty; the tag is the low half of the
/// hash, whose lowest bits choose the first slot to look at. So growing needs the slots alone, in their order: what lay
/// side by side goes to two places, each side by side again, and memory is passed over once instead of being hit at random.
///
/// Invariant: `entries` has `mask + 1 + PAD` slots, of which the last [`PAD`] are empty, and `mask + 1` is a power of two.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    entries: Vec<u64>,
    mask: usize,
}

impl Slots {
    pub(super) fn new(count: usize) -> Self {
        Self { entries: vec![0; count + PAD], mask: count - 1 }
    }

    /// Number of slots.
    pub(super) fn count(&self) -> usize {
        self.mask + 1
    }

    /// Words of memory.
    pub(super) fn words(&self) -> usize {
        self.entries.capacity()
    }

    /// All slots with the padding, and the mask from a hash to a place among them.
    pub(super) fn parts(&self) -> (&[u64], usize) {
        (&self.entries, self.mask)
    }

    pub(super) fn clear(&mut self) {
        self.entries.fill(0);
    }

    /// Where the groups of this hash begin.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> usize {
        hash as usize & self.mask
    }

    /// The slot behind `slot`.
    #[inline]
    pub(super) fn next(&self, slot: usize) -> usize {
        (slot + 1) & self.mask
    }

    /// What a slot holds: `None` if it is empty, otherwise the group and whether its tag is that of `hash`.
    #[inline]
    pub(super) fn get(&self, slot: usize, hash: u64) -> Option<(u32, bool)> {
        let entry = self.entries[slot];
        (entry != 0).then(|| (entry as u32 - 1, (entry >> 32) as u32 == hash as u32))
    }

    /// Fills an empty slot.
    pub(super) fn set(&mut self, slot: usize, hash: u64, group: u32) {
        self.entries[slot] = hash << 32 | u64::from(group + 1);
    }

    /// Twice as many slots. `hashes` are those of all groups.
    pub(super) fn grow(&mut self, hashes: &[u64]) {
        let grown = Self::new(self.count() * 2);
        let old = std::mem::replace(self, grown);
        for &entry in old.entries.iter().filter(|&&entry| entry != 0) {
            // Beyond 2^32 slots the tag does not tell all the bits that are asked for.
            let hash = if self.mask <= u32::MAX as usize { entry >> 32 } else { hashes[entry as u32 as usize - 1] };
            let mut slot = self.home(hash);
            while self.entries[slot] != 0 {
                slot = self.next(slot);
            }
            self.entries[slot] = entry;
        }
    }
}
