//! The group table: from a key to the row that holds its cells and its accumulators.
//!
//! Slots are `tag << 32 | row + 1`, 0 where empty, probed one by one; at most half of them are taken, so that a probe that
//! misses ends soon. The low bits of the routing hash choose the first slot and bits 22 to 53 are the tag, so a wrong row
//! is read about once in four billion probes. A row is the key's cells and the accumulators' words, padded to whole cache
//! lines where it is longer than half of one: then an update touches the lines that hold its words and no other.
//! Hashes are kept beside the rows: growing and dividing by owner never look at a key.

use crate::aggregate::AggregateError;
use crate::key::{KeyShape, LongKeys, is_long, string_length};

/// Words of a cache line.
const LINE_WORDS: usize = 8;
/// Slots of an empty table.
const SLOTS_MIN: usize = 64;
/// Number of key words where it is only known at run time.
const ANY: usize = usize::MAX;

/// Groups by key: dense numbers from 0, in the order of first appearance.
#[derive(Debug)]
pub struct GroupTable {
    slots: Vec<u64>,
    rows: Vec<u64>,
    hashes: Vec<u64>,
    /// The row of a new group: a key of zeros, empty accumulators, padding.
    template: Vec<u64>,
    shape: KeyShape,
    /// Where in `arena` the long strings of a group begin, one after the other. Shorter than the groups, even empty,
    /// where the last groups have none.
    long_starts: Vec<usize>,
    arena: Vec<u8>,
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
    /// A table for keys of this shape, whose new rows are a key and then `accumulators`.
    #[must_use]
    pub fn new(shape: KeyShape, accumulators: &[u64]) -> Self {
        let mut template = vec![0; shape.words()];
        template.extend_from_slice(accumulators);
        if template.len() > LINE_WORDS / 2 {
            template.resize(template.len().next_multiple_of(LINE_WORDS), 0);
        }
        let (rows, hashes, long_starts, arena) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { slots: vec![0; SLOTS_MIN], rows, hashes, template, shape, long_starts, arena }
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
        let words = self.slots.capacity() + self.rows.capacity() + self.hashes.capacity() + self.long_starts.capacity();
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
            _ => self.assign_each::<ANY, L>(keys, ids),
        }
    }

    /// Forgets all groups, keeps the memory for as many again.
    pub fn clear(&mut self) {
        // Slots are cleared one by one, so a table that was large once must not stay so.
        let slots = (self.groups() * 4).next_power_of_two().max(SLOTS_MIN);
        self.slots.truncate(slots);
        self.slots.fill(0);
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
        let words = if WORDS == ANY { self.shape.words() } else { WORDS };
        ids.reserve(keys.hashes.len());
        for (row, (&hash, key)) in keys.hashes.iter().zip(keys.cells.chunks(keys.stride)).enumerate() {
            let key = &key[..words];
            let mask = self.slots.len() - 1;
            let mut slot = hash as usize & mask;
            let group = loop {
                let entry = self.slots[slot];
                if entry == 0 {
                    break self.insert(slot, hash, key, keys.long.as_ref().map(|long| (long, row)))?;
                }
                if (entry >> 32) as u32 == tag(hash) {
                    let group = entry as u32 - 1;
                    let at = group as usize * self.template.len();
                    if &self.rows[at..at + words] == key
                        && keys.long.as_ref().is_none_or(|long| self.is_same_long(group as usize, long, row))
                    {
                        break group;
                    }
                }
                slot = (slot + 1) & mask;
            };
            ids.push(group);
        }
        Ok(())
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
            self.long_starts.resize(group as usize, self.arena.len());
            self.long_starts.push(self.arena.len());
            for (column, cell) in self.shape.byte_cells(key) {
                if is_long(cell) {
                    self.arena.extend_from_slice(long.bytes(row, column));
                }
            }
        }
        self.slots[slot] = entry(hash, group);
        if self.groups() * 2 > self.slots.len() {
            self.grow();
        }
        Ok(group)
    }

    fn grow(&mut self) {
        let mask = self.slots.len() * 2 - 1;
        self.slots.clear();
        self.slots.resize(mask + 1, 0);
        for (group, &hash) in (0..).zip(&self.hashes) {
            let mut slot = hash as usize & mask;
            while self.slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            self.slots[slot] = entry(hash, group);
        }
    }
}

/// The bits of a hash that a slot holds: neither those that chose it nor the key group, which a worker's keys share.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 22) as u32
}

#[inline]
fn entry(hash: u64, group: u32) -> u64 {
    u64::from(tag(hash)) << 32 | u64::from(group + 1)
}
