//! The group table: from a key to the row that holds its cells and its accumulators.
//!
//! A row is the key's cells and the accumulators' words, padded to half a cache line: then no four words that are used
//! together are in two lines, and large tables have no more lines than they need. Words that are nearly always 0 are kept
//! beside the rows. At most half of the slots are taken, so that a probe
//! that misses ends soon, and a wrong row is read seldom: the slot's tag has to be equal before.
//! Hashes are kept beside the rows: dividing by owner never looks at a key.

mod fresh;
mod slots;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use fresh::Fresh;
pub(crate) use fresh::KEYS_OF_WORD;
use slots::{SLOTS_MIN, Slots};
#[cfg(target_arch = "x86_64")]
use x86::{BLOCK, Hints, LongSides, Probe, Sides};

use crate::aggregate::{AggregateError, ColdWords, GroupWords, Rows};
use crate::kernels::{Kernels, Level};
use crate::key::{KeyShape, LongKeys, WINDOW, is_long, string_length};

/// Words of half a cache line.
pub(crate) const HALF_LINE_WORDS: usize = 4;
/// Groups that a slot can tell apart from each other and from none.
const GROUPS_MAX: usize = u32::MAX as usize - 1;
/// Where new rows will be is asked for so many words before.
#[cfg(target_arch = "x86_64")]
const AHEAD_WORDS: usize = 128;
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
    cold: ColdWords,
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
    /// A table for keys of this shape, whose new rows are a key and then `accumulators`, with `cold_words` words of 0 beside
    /// each. Keys are found with `kernels`.
    #[must_use]
    pub fn new(shape: KeyShape, (accumulators, cold_words): (&[u64], usize), kernels: Kernels) -> Self {
        let mut template = vec![0; shape.words()];
        template.extend_from_slice(accumulators);
        template.resize(row_stride(template.len()), 0);
        let (rows, hashes, long_starts, arena) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (slots, level, cold) = (Slots::new(SLOTS_MIN), kernels.level(), ColdWords::new(cold_words));
        Self { slots, rows, hashes, cold, template, shape, long_starts, arena, level }
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

    /// What all groups have in words.
    #[must_use]
    pub fn words(&self) -> GroupWords<'_> {
        GroupWords { rows: &self.rows, stride: self.stride(), cold: &self.cold }
    }

    /// The accumulators of all groups, to be changed.
    #[must_use]
    pub fn words_mut(&mut self) -> Rows<'_> {
        Rows { stride: self.template.len(), words: &mut self.rows, cold: &mut self.cold }
    }

    /// The routing hash of each group.
    #[must_use]
    pub fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Bytes held, free capacity included.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let words = self.slots.count() + self.rows.capacity() + self.hashes.capacity() + self.long_starts.capacity();
        words * size_of::<u64>() + self.cold.bytes() + self.arena.capacity()
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
        self.assign_any(keys, ids, None)
    }

    /// As [`assign`](Self::assign), where the cells of a key are the beginning of a whole row of such a table: an unknown
    /// key's row becomes that of its group, as it is. `fresh` tells which ones these were.
    ///
    /// # Errors
    /// As for [`assign`](Self::assign).
    ///
    /// # Panics
    /// If keys are not as far apart as the rows of this table, or the last row is not whole.
    pub fn assign_rows<L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
        fresh: &mut Fresh,
    ) -> Result<(), AggregateError> {
        assert_eq!(keys.stride, self.stride(), "rows of another table");
        fresh.reset(keys.hashes.len());
        self.assign_any(keys, ids, Some(fresh))
    }

    fn assign_any<L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
        fresh: Option<&mut Fresh>,
    ) -> Result<(), AggregateError> {
        ids.clear();
        match self.shape.words() {
            0 => self.assign_only_group(keys, ids, fresh),
            2 => self.assign_each::<2, L>(keys, ids, fresh),
            4 => self.assign_each::<4, L>(keys, ids, fresh),
            6 => self.assign_each::<6, L>(keys, ids, fresh),
            8 => self.assign_each::<8, L>(keys, ids, fresh),
            _ => self.assign_each::<ANY, L>(keys, ids, fresh),
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
            self.cold.free();
        } else {
            self.slots.clear();
        }
        self.rows.clear();
        self.hashes.clear();
        self.cold.clear();
        self.long_starts.clear();
        self.arena.clear();
    }

    fn assign_only_group<L>(
        &mut self,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
        fresh: Option<&mut Fresh>,
    ) -> Result<(), AggregateError> {
        if let (0, Some(&hash)) = (self.groups(), keys.hashes.first()) {
            self.hashes.push(hash);
            if let Some(fresh) = fresh {
                fresh.add(0);
                self.rows.extend_from_slice(&keys.cells[..keys.stride]);
            } else {
                self.rows.extend_from_slice(&self.template);
            }
        }
        ids.resize(keys.hashes.len(), 0);
        Ok(())
    }

    fn assign_each<const WORDS: usize, L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        ids: &mut Vec<u32>,
        mut fresh: Option<&mut Fresh>,
    ) -> Result<(), AggregateError> {
        match self.level {
            #[cfg(target_arch = "x86_64")]
            Level::Avx512(probe) => self.assign_blocks::<WORDS, L>(probe, keys, ids, fresh),
            #[cfg(target_arch = "x86_64")]
            Level::Avx2(probe) => self.assign_blocks::<WORDS, L>(probe, keys, ids, fresh),
            Level::Scalar => {
                ids.reserve(keys.hashes.len());
                for row in 0..keys.hashes.len() {
                    ids.push(self.find_or_insert::<WORDS, L>(keys, row, &mut fresh)?);
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
        mut fresh: Option<&mut Fresh>,
    ) -> Result<(), AggregateError> {
        ids.resize(keys.hashes.len(), 0);
        let Some(first) = ids.first_mut() else { return Ok(()) };
        // From here on there is a group.
        *first = self.find_or_insert::<WORDS, L>(keys, 0, &mut fresh)?;
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        let is_far = self.slots.count() + self.rows.len() > NEAR_WORDS_MAX;
        let rows = keys.hashes.len();
        let block = |start: usize| start.min(rows)..(start + BLOCK).min(rows);
        let groups = self.groups();
        // Of this block and the next one, in turns.
        let mut hints = [Hints::default(); 2];
        if is_far {
            x86::prefetch_slots(&self.slots, &keys.hashes[block(0)]);
            x86::prefetch_slots(&self.slots, &keys.hashes[block(BLOCK)]);
            hints[0] = self.hint(probe, &keys.hashes[block(0)], &mut ids[block(0)], (is_far, true));
        }
        for start in (0..rows).step_by(BLOCK) {
            let next = if is_far { start + BLOCK } else { start };
            if is_far {
                x86::prefetch_slots(&self.slots, &keys.hashes[block(start + 2 * BLOCK)]);
            }
            // Many were new so far.
            let is_new = (self.groups() - groups) * 8 >= start + BLOCK;
            let ids_of_next = &mut ids[block(next)];
            hints[next / BLOCK % 2] = self.hint(probe, &keys.hashes[block(next)], ids_of_next, (is_far, is_new));
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
            let hints = &hints[start / BLOCK % 2];
            while others != 0 {
                let key = others.trailing_zeros() as usize;
                let row = start + key;
                ids[row] = match hints.vacant(&self.slots, key, keys.hashes[row]) {
                    Some(slot) => self.insert::<WORDS, L>(slot, keys, row, &mut fresh)?,
                    None => self.find_or_insert::<WORDS, L>(keys, row, &mut fresh)?,
                };
                others &= others - 1;
            }
        }
        Ok(())
    }

    #[cfg(target_arch = "x86_64")]
    fn hint(&self, probe: impl Probe, hashes: &[u64], ids: &mut [u32], (is_far, is_new): (bool, bool)) -> Hints {
        let rows = is_far.then_some((&self.rows[..], self.template.len()));
        match is_new {
            true => probe.candidates::<true>(&self.slots, self.groups(), hashes, ids, rows),
            false => probe.candidates::<false>(&self.slots, self.groups(), hashes, ids, rows),
        }
    }

    #[inline(always)]
    fn find_or_insert<const WORDS: usize, L: LongKeys>(
        &mut self,
        keys: &Keys<'_, L>,
        row: usize,
        fresh: &mut Option<&mut Fresh>,
    ) -> Result<u32, AggregateError> {
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        let key = &keys.cells[row * keys.stride..][..words];
        let found = self.probe(keys.hashes[row], key, keys.long.as_ref().map(|long| (long, row)));
        found.or_else(|slot| self.insert::<WORDS, L>(slot, keys, row, fresh))
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
            slot = self.slots.next(slot, hash);
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

    /// Makes the group of a key that is not there; `slot` is where it would be found.
    #[inline(always)]
    fn insert<const WORDS: usize, L: LongKeys>(
        &mut self,
        slot: usize,
        keys: &Keys<'_, L>,
        row: usize,
        fresh: &mut Option<&mut Fresh>,
    ) -> Result<u32, AggregateError> {
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        let group = self.groups();
        if group >= GROUPS_MAX {
            return Err(AggregateError::TooManyGroups);
        }
        #[cfg(target_arch = "x86_64")]
        x86::prefetch_write(&self.rows, self.rows.len() + AHEAD_WORDS);
        let from = &keys.cells[row * keys.stride..];
        if let Some(fresh) = fresh {
            fresh.add(row);
            extend(&mut self.rows, &from[..self.template.len()]);
        } else {
            let at = self.rows.len();
            extend(&mut self.rows, &self.template);
            self.rows[at..at + words].copy_from_slice(&from[..words]);
        }
        let hash = keys.hashes[row];
        self.hashes.push(hash);
        self.slots.set(slot, hash, group as u32);
        if let Some(long) = &keys.long {
            self.add_long(group, &from[..words], (long, row));
        }
        if self.hashes.len() * 2 > self.slots.count() {
            self.slots.grow(&self.hashes);
        }
        Ok(group as u32)
    }

    /// Keeps the long strings of a group that was just made.
    #[inline(never)]
    fn add_long(&mut self, group: usize, key: &[u64], (long, row): (&impl LongKeys, usize)) {
        let end = self.arena.len().saturating_sub(WINDOW);
        self.arena.truncate(end);
        self.long_starts.resize(group, end);
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
}

/// Appends a row: half lines one by one, since a copy of any length is a call.
#[inline(always)]
fn extend(rows: &mut Vec<u64>, row: &[u64]) {
    rows.reserve(row.len());
    row.as_chunks::<HALF_LINE_WORDS>().0.iter().for_each(|half| rows.extend_from_slice(half));
}

/// Words from one row of `words` words to the next.
pub(crate) fn row_stride(words: usize) -> usize {
    words.next_multiple_of(HALF_LINE_WORDS).max(HALF_LINE_WORDS)
}
