//! The group table: from a key to the row that holds its cells and its accumulators.
//!
//! A row is the key's cells and the accumulators' words, padded to half a cache line: then no four words that are used
//! together are in two lines, and large tables have no more lines than they need. At most half of the slots are taken, so that a probe
//! that misses ends soon, and a wrong row is read seldom: the slot's tag has to be equal before.
//! Hashes are kept beside the rows: dividing by owner never looks at a key.

mod slots;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use slots::{SLOTS_MIN, Slots};
#[cfg(target_arch = "x86_64")]
use x86::{BLOCK, LongSides, Probe, Sides};

use crate::aggregate::AggregateError;
use crate::kernels::{Kernels, Level};
use crate::key::{KeyShape, LongKeys, WINDOW, is_long, string_length};

/// Words of half a cache line.
const HALF_LINE_WORDS: usize = 4;
/// Number of key words where it is only known at run time.
const ANY: usize = 0;
/// Words of slots and rows from which on they are asked for before they are needed: beyond that, the caches do not hold them.
#[cfg(target_arch = "x86_64")]
const NEAR_WORDS_MAX: usize = 1 << 17;

/// Groups by key: dense numbers from 0, in the order of first appearance.
#[derive(Clone, Debug)]
pub struct GroupTable {
    slots: Slots,
    rows: Vec<u64>,
    hashes: Vec<u64>,
    /// The row of a new group: a key of zeros, empty accumulators, padding.
    template: Vec<u64>,
    shape: KeyShape,
    /// Where in `arena` the long strings of a group begin, one after the other. Shorter than the groups, even empty,
    /// where the last groups have none.
    long_starts: Vec<usize>,
    /// Their bytes, and [`WINDOW`] more if there are any.
    arena: Vec<u8>,
    level: Level,
}

/// Keys to be looked up: the cells of key `i` start at word `i × stride`.
#[derive(Debug)]
pub struct Keys<'a, L> {
    /// Cells, maybe with other words between one key and the next.
    pub cells: &'a [u64],
    /// Words from one key to the next.
    pub stride: usize,
    /// One for each key.
    pub hashes: &'a [u64],
    /// The bytes of long strings; `None` where all strings are short.
    pub long: Option<L>,
}

impl GroupTable {
    /// A table for keys of this shape, whose new rows are a key and then `accumulators`. Keys are found with `kernels`.
    #[must_use]
    pub fn new(shape: KeyShape, accumulators: &[u64], kernels: Kernels) -> Self {
        let mut template = vec![0; shape.words()];
        template.extend_from_slice(accumulators);
        template.resize(row_stride(template.len()), 0);
        let (rows, hashes, long_starts, arena) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (slots, level) = (Slots::new(SLOTS_MIN), kernels.level());
        Self { slots, rows, hashes, template, shape, long_starts, arena, level }
    }

    /// Number of groups.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.hashes.len()
    }

    /// Words from one row to the next.
    #[must_use]
    pub fn stride(&self) -> usize {
        self.template.len()
    }

    /// All rows.
    #[must_use]
    pub fn rows(&self) -> &[u64] {
        &self.rows
    }

    /// All rows, to change their accumulators.
    #[must_use]
    pub fn rows_mut(&mut self) -> &mut [u64] {
        &mut self.rows
    }

    /// The routing hash of each group.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Bytes held, free capacity included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let words = self.slots.words() + self.rows.capacity() + self.hashes.capacity() + self.long_starts.capacity();
        words * size_of::<u64>() + self.arena.capacity()
    }

    /// Does any group have a string that its cells do not hold whole?
    #[must_use]
    pub fn has_long(&self) -> bool {
        !self.arena.is_empty()
    }

    /// The key of a group.
    #[must_use]
    pub fn key(&self, group: usize) -> &[u64] {
        let at = group * self.stride();
        &self.rows[at..at + self.shape.words()]
    }

    /// The long strings of a group, one after the other in the order of its columns.
    #[must_use]
    pub fn long_bytes(&self, group: usize) -> &[u8] {
        match self.long_starts.get(group) {
            Some(&start) => &self.arena[start..start + self.shape.long_length(self.key(group))],
            None => &[],
        }
    }

    /// The memory that begins with the string of a group's column whose cell [`is_long`], if there is as much.
    #[must_use]
    pub fn long_window(&self, group: usize, column: usize) -> Option<&[u8; WINDOW]> {
        let start = *self.long_starts.get(group)? + self.shape.long_start(self.key(group), column);
        self.arena.get(start..)?.first_chunk()
    }

    /// Writes the group of each key to `ids`; unknown keys become new groups.
    ///
    /// # Errors
    /// If there were more than 2^32 − 2 groups.
    pub fn assign<L: LongKeys>(&mut self, keys: &Keys<'_, L>, ids: &mut Vec<u32>) -> Result<(), AggregateError> {
        ids.clear();
        match self.shape.words() {
            0 => self.assign_only_group(keys, ids),
            2 => self.assign_each::<2, L>(keys, ids),
            4 => self.assign_each::<4, L>(keys, ids),
            6 => self.assign_each::<6, L>(keys, ids),
            8 => self.assign_each::<8, L>(keys, ids),
            _ => self.assign_each::<ANY, L>(keys, ids),
        }
    }

    /// The group of the first of `keys`, if there is one.
    #[must_use]
    pub fn find<L: LongKeys>(&self, keys: &Keys<'_, L>) -> Option<u32> {
        let &hash = keys.hashes.first()?;
        match self.shape.words() {
            0 => (self.groups() > 0).then_some(0),
            words => self.probe(hash, &keys.cells[..words], keys.long.as_ref().map(|long| (long, 0))).ok(),
        }
    }

    /// Forgets all groups, keeps the memory for as many again.
    pub fn clear(&mut self) {
        // A table that was large once must not stay so: slots are cleared one by one, and memory is counted.
        let slots = (self.groups() * 4).next_power_of_two().max(SLOTS_MIN);
        if slots < self.slots.count() {
            self.slots = Slots::new(slots);
            self.rows.shrink_to(slots * self.stride());
            self.hashes.shrink_to(slots);
        } else {
            self.slots.clear();
        }
        self.rows.clear();
        self.hashes.clear();
        self.long_starts.clear();
        self.arena.clear();
    }

    fn assign_only_group<L>(&mut self, keys: &Keys<'_, L>, ids: &mut Vec<u32>) -> Result<(), AggregateError> {
        if let (0, Some(&hash)) = (self.groups(), keys.hashes.first()) {
            self.hashes.push(hash);
            self.rows.extend_from_slice(&self.template);
        }
        ids.resize(keys.hashes.len(), 0);
        Ok(())
    }

    fn assign_each<const WORDS: usize, L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
    ) -> Result<(), AggregateError> {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(probe) => self.assign_blocks::<WORDS, L>(probe, keys, ids),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(probe) => self.assign_blocks::<WORDS, L>(probe, keys, ids),
            Level::Scalar => {
                ids.reserve(keys.hashes.len());
                for row in 0..keys.hashes.len() {
                    ids.push(self.find_or_insert::<WORDS, L>(keys, row)?);
                }
                Ok(())
            }
        }
    }

    /// A block of keys at a time: those whose group is where it is expected, then the others one by one. So groups get the
    /// same numbers as if keys were looked up one after the other. Of large tables the slots are asked for two blocks
    /// before they are read, and rows one block before.
    #[cfg(target_arch = "x86_64")]
    fn assign_blocks<const WORDS: usize, L: LongKeys>(
        &mut self,
        probe: impl Probe,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
    ) -> Result<(), AggregateError> {
        ids.resize(keys.hashes.len(), 0);
        let Some(first) = ids.first_mut() else { return Ok(()) };
        // From here on there is a group.
        *first = self.find_or_insert::<WORDS, L>(keys, 0)?;
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        let is_far = self.slots.words() + self.rows.len() > NEAR_WORDS_MAX;
        let rows = keys.hashes.len();
        let block = |start: usize| start.min(rows)..(start + BLOCK).min(rows);
        if is_far {
            x86::prefetch_slots(&self.slots, &keys.hashes[block(0)]);
            x86::prefetch_slots(&self.slots, &keys.hashes[block(BLOCK)]);
            self.hint(probe, &keys.hashes[block(0)], &mut ids[block(0)], is_far);
        }
        for start in (0..rows).step_by(BLOCK) {
            let next = if is_far { start + BLOCK } else { start };
            if is_far {
                x86::prefetch_slots(&self.slots, &keys.hashes[block(start + 2 * BLOCK)]);
            }
            self.hint(probe, &keys.hashes[block(next)], &mut ids[block(next)], is_far);
            let sides = Sides {
                rows: &self.rows,
                row_stride: self.template.len(),
                keys: &keys.cells[start * keys.stride..],
                key_stride: keys.stride,
                words,
            };
            let mut others = probe.differing::<WORDS>(sides, &ids[block(start)]);
            if let Some(long) = &keys.long {
                others |= probe.differing_long(
                    &LongSides { table: self, keys, long, first: start },
                    &ids[block(start)],
                    !others,
                );
            }
            while others != 0 {
                let row = start + others.trailing_zeros() as usize;
                ids[row] = self.find_or_insert::<WORDS, L>(keys, row)?;
                others &= others - 1;
            }
        }
        Ok(())
    }

    #[cfg(target_arch = "x86_64")]
    fn hint(&self, probe: impl Probe, hashes: &[u64], ids: &mut [u32], is_far: bool) {
        let rows = is_far.then_some((&self.rows[..], self.template.len()));
        probe.candidates(&self.slots, self.groups(), hashes, ids, rows);
    }

    #[inline(always)]
    fn find_or_insert<const WORDS: usize, L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        row: usize,
    ) -> Result<u32, AggregateError> {
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        let hash = keys.hashes[row];
        let key = &keys.cells[row * keys.stride..][..words];
        let long = keys.long.as_ref().map(|long| (long, row));
        self.probe(hash, key, long).or_else(|slot| self.insert(slot, hash, key, long))
    }

    /// The group of a key, or the slot where it would be found.
    #[inline(always)]
    fn probe(&self, hash: u64, key: &[u64], long: Option<(&impl LongKeys, usize)>) -> Result<u32, usize> {
        let mut slot = self.slots.home(hash);
        while let Some((group, has_tag)) = self.slots.get(slot, hash) {
            if has_tag {
                let at = group as usize * self.template.len();
                if &self.rows[at..at + key.len()] == key
                    && long.is_none_or(|(long, row)| self.is_same_long(group as usize, long, row))
                {
                    return Ok(group);
                }
            }
            slot = self.slots.next(slot);
        }
        Err(slot)
    }

    /// The key of `group` has the same cells as key `row` of `long`: does it have the same bytes behind them?
    #[cold]
    fn is_same_long(&self, group: usize, long: &impl LongKeys, row: usize) -> bool {
        let mut stored = self.long_bytes(group);
        for (column, cell) in self.shape.byte_cells(self.key(group)) {
            if is_long(cell) {
                let (bytes, rest) = stored.split_at(string_length(cell));
                if bytes != long.bytes(row, column) {
                    return false;
                }
                stored = rest;
            }
        }
        true
    }

    #[inline(never)]
    fn insert(
        &mut self,
        slot: usize,
        hash: u64,
        key: &[u64],
        long: Option<(&impl LongKeys, usize)>,
    ) -> Result<u32, AggregateError> {
        let group = u32::try_from(self.groups()).ok().filter(|&group| group < u32::MAX - 1);
        let group = group.ok_or(AggregateError::TooManyGroups)?;
        let at = self.rows.len();
        self.rows.extend_from_slice(&self.template);
        self.rows[at..at + key.len()].copy_from_slice(key);
        self.hashes.push(hash);
        if let Some((long, row)) = long {
            let end = self.arena.len().saturating_sub(WINDOW);
            self.arena.truncate(end);
            self.long_starts.resize(group as usize, end);
            self.long_starts.push(end);
            for (column, cell) in self.shape.byte_cells(key) {
                if is_long(cell) {
                    self.arena.extend_from_slice(long.bytes(row, column));
                }
            }
            if self.arena.len() > end || end > 0 {
                self.arena.extend_from_slice(&[0; WINDOW]);
            }
        }
        self.slots.set(slot, hash, group);
        if self.groups() * 2 > self.slots.count() {
            self.slots.grow(&self.hashes);
        }
        Ok(group)
    }
}

/// Words from one row of `words` words to the next.
pub(crate) fn row_stride(words: usize) -> usize {
    words.next_multiple_of(HALF_LINE_WORDS).max(HALF_LINE_WORDS)
}
