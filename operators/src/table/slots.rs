//! Slots: from a hash to the groups that may be its key's.

/// Slots of a cache line.
pub(super) const LINE_SLOTS: usize = 8;
/// Slots of an empty table, one cache line: state that is kept key by key has a table for each.
pub(super) const SLOTS_MIN: usize = LINE_SLOTS;

/// A cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(super) struct Line(pub(super) [u64; LINE_SLOTS]);

/// Open addressing. A slot is `tag << 32 | group + 1`, 0 where empty; the tag is the low half of the hash, whose lowest
/// bits choose the first slot to look at. Slots are looked at one by one, those of a cache line first, from the chosen one
/// round to it, then those of the next line: so all slots near a home are one vector, and nearly always a search ends in
/// the line in which it begins. Growing needs the slots alone, in their order: what lay side by side goes to two places,
/// each side by side again, and memory is passed over once instead of being hit at random.
///
/// Invariant: there are `mask + 1` slots, a power of two of whole lines; nothing is ever taken out.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    lines: Vec<Line>,
    mask: usize,
}

impl Slots {
    /// `count` empty ones, a power of two of at least [`SLOTS_MIN`].
    pub(super) fn new(count: usize) -> Self {
        Self { lines: vec![Line([0; LINE_SLOTS]); count / LINE_SLOTS], mask: count - 1 }
    }

    /// Number of slots.
    pub(super) fn count(&self) -> usize {
        self.mask + 1
    }

    /// All slots, and the mask from a hash to a place among them.
    pub(super) fn parts(&self) -> (&[Line], usize) {
        (&self.lines, self.mask)
    }

    pub(super) fn clear(&mut self) {
        self.lines.fill(Line([0; LINE_SLOTS]));
    }

    /// Where the groups of this hash begin.
    #[inline]
    pub(super) fn home(&self, hash: u64) -> usize {
        hash as usize & self.mask
    }

    /// The slot that is looked at after `slot` for this hash.
    #[inline]
    pub(super) fn next(&self, slot: usize, hash: u64) -> usize {
        let next = slot & !(LINE_SLOTS - 1) | (slot + 1) & (LINE_SLOTS - 1);
        let is_round = (next ^ hash as usize) & (LINE_SLOTS - 1) == 0;
        (next + if is_round { LINE_SLOTS } else { 0 }) & self.mask
    }

    #[inline]
    fn entry(&mut self, slot: usize) -> &mut u64 {
        &mut self.lines[slot / LINE_SLOTS].0[slot % LINE_SLOTS]
    }

    /// Is there nothing in this slot?
    #[inline]
    pub(super) fn is_vacant(&self, slot: usize) -> bool {
        self.lines[slot / LINE_SLOTS].0[slot % LINE_SLOTS] == 0
    }

    /// What a slot holds: `None` if it is empty, otherwise the group and whether its tag is that of `hash`.
    #[inline]
    pub(super) fn get(&self, slot: usize, hash: u64) -> Option<(u32, bool)> {
        let entry = self.lines[slot / LINE_SLOTS].0[slot % LINE_SLOTS];
        (entry != 0).then(|| (entry as u32 - 1, (entry >> 32) as u32 == hash as u32))
    }

    /// Fills an empty slot.
    #[inline]
    pub(super) fn set(&mut self, slot: usize, hash: u64, group: u32) {
        *self.entry(slot) = hash << 32 | u64::from(group + 1);
    }

    /// Twice as many slots. `hashes` are those of all groups.
    pub(super) fn grow(&mut self, hashes: &[u64]) {
        let grown = Self::new(self.count() * 2);
        let old = std::mem::replace(self, grown);
        for &entry in old.lines.iter().flat_map(|line| &line.0).filter(|&&entry| entry != 0) {
            // Beyond 2^32 slots the tag does not tell all the bits that are asked for.
            let hash = if self.mask <= u32::MAX as usize { entry >> 32 } else { hashes[entry as u32 as usize - 1] };
            let mut slot = self.home(hash);
            while !self.is_vacant(slot) {
                slot = self.next(slot, hash);
            }
            *self.entry(slot) = entry;
        }
    }
}
