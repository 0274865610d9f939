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
/// Slots of an empty table, one cache line: state that is kept key by key has a table for each.
const SLOTS_MIN: usize = 8;
/// Number of key words where it is only known at run time.
const ANY: usize = usize::MAX;

/// Groups by key: dense numbers from 0, in the order of first appearance.
#[derive(Clone, Debug)]
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

    /// The group of the first of `keys`, if there is one.
    #[must_use]
    pub fn find<L: LongKeys>(&self, keys: &Keys<'_, L>) -> Option<u32> {
        let (words, hash) = (self.shape.words(), *keys.hashes.first()?);
        if words == 0 {
            return (self.groups() > 0).then_some(0);
        }
        let is_key = |group: u32| {
            self.key(group as usize) == &keys.cells[..words]
                && keys.long.as_ref().is_none_or(|long| self.is_same_long(group as usize, long, 0))
        };
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let group = self.slots[slot] as u32 - 1;
            if self.slots[slot] == entry(hash, group) && is_key(group) {
                return Some(group);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// Forgets all groups, keeps the memory for as many again.
    pub fn clear(&mut self) {
        // A table that was large once must not stay so: slots are cleared one by one, and memory is counted.
        let slots = (self.groups() * 4).next_power_of_two().max(SLOTS_MIN);
        if slots < self.slots.len() {
            self.slots = vec![0; slots];
            self.rows.shrink_to(slots * self.stride());
            self.hashes.shrink_to(slots);
        } else {
            self.slots.fill(0);
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

#[cfg(test)]
mod tests {
    use arrow_schema::DataType;

    use super::*;

    /// Long strings, one for each key.
    struct Texts(Vec<&'static str>);

    impl LongKeys for Texts {
        fn bytes(&self, row: usize, _column: usize) -> &[u8] {
            self.0[row].as_bytes()
        }
    }

    fn assign(table: &mut GroupTable, cells: &[u64], hashes: &[u64], long: Option<Texts>) -> Vec<u32> {
        let mut ids = Vec::new();
        table.assign(&Keys { cells, stride: 2, hashes, long }, &mut ids).unwrap();
        ids
    }

    fn table(data_type: DataType) -> GroupTable {
        GroupTable::new(KeyShape::new([data_type].iter()), &[7])
    }

    #[test]
    fn strings_whose_cells_and_hashes_are_equal_are_told_apart_by_their_bytes() {
        let mut table = table(DataType::Utf8View);
        let texts = ["the length is 19: a", "the length is 19: b", "the length is 19: a", "the length is 19: c"];
        let ids = assign(&mut table, &[19, 5].repeat(4), &[5; 4], Some(Texts(texts.to_vec())));
        assert_eq!(ids, [0, 1, 0, 2]);
        assert_eq!(table.long_bytes(1), b"the length is 19: b");
        let more = vec!["the length is 19: b", "the length is 19: d"];
        assert_eq!(assign(&mut table, &[19, 5].repeat(2), &[5; 2], Some(Texts(more))), [1, 3]);
    }

    #[test]
    fn a_key_is_found_by_its_bytes_and_one_that_is_not_there_is_not() {
        let mut table = table(DataType::Utf8View);
        let find = |table: &GroupTable, hash, text| {
            table.find(&Keys { cells: &[19, 5], stride: 2, hashes: &[hash], long: Some(Texts(vec![text])) })
        };
        assert_eq!(find(&table, 5, "the length is 19: a"), None);
        let texts = ["the length is 19: a", "the length is 19: b"];
        assign(&mut table, &[19, 5].repeat(2), &[5; 2], Some(Texts(texts.to_vec())));
        assert_eq!(texts.map(|text| find(&table, 5, text)), [Some(0), Some(1)]);
        assert_eq!(find(&table, 5, "the length is 19: c"), None);
        assert_eq!(find(&table, 7, "the length is 19: d"), None);
    }

    #[test]
    fn short_and_long_strings_share_a_table() {
        let mut table = table(DataType::Utf8View);
        let short = |ids: &[u64]| ids.iter().flat_map(|&id| [3, id]).collect::<Vec<_>>();
        assert_eq!(assign(&mut table, &short(&[1, 2]), &[1, 2], None), [0, 1]);
        assert!(!table.has_long());
        let cells = [3, 1, 13, 9, 3, 3];
        let texts = || Some(Texts(vec!["", "thirteen byte", ""]));
        assert_eq!(assign(&mut table, &cells, &[1, 9, 3], texts()), [0, 2, 3]);
        assert_eq!(assign(&mut table, &short(&[4]), &[4], None), [4]);
        assert_eq!(assign(&mut table, &cells, &[1, 9, 3], texts()), [0, 2, 3]);
        let long: Vec<&[u8]> = (0..5).map(|group| table.long_bytes(group)).collect();
        assert_eq!(long, [&b""[..], b"", b"thirteen byte", b"", b""]);
    }

    #[test]
    fn groups_keep_their_numbers_and_rows_while_the_table_grows_and_come_back_after_a_clear() {
        let mut table = table(DataType::Int64);
        // Half of them share all the bits that choose a slot in a small table.
        let spread = |i: u64| if i.is_multiple_of(2) { i << 32 } else { i.wrapping_mul(0x9E37_79B9_7F4A_7C15) };
        let hashes: Vec<u64> = (0..2_000).map(spread).collect();
        for round in 0..2 {
            let cells: Vec<u64> = (0..hashes.len() as u64).flat_map(|i| [i + round, 0]).collect();
            for _ in 0..2 {
                let ids = assign(&mut table, &cells, &hashes, None);
                assert!(ids.iter().enumerate().all(|(key, &id)| key == id as usize));
            }
            assert_eq!(table.groups(), hashes.len());
            assert!(table.rows().chunks(table.stride()).all(|row| row[2] == 7));
            let bytes = table.bytes();
            table.clear();
            assert_eq!((table.groups(), table.bytes()), (0, bytes));
        }
    }

    #[test]
    fn a_table_that_was_large_once_is_cleared_as_fast_as_a_small_one() {
        let mut table = table(DataType::Int64);
        let cells: Vec<u64> = (0..10_000).flat_map(|i| [i, 0]).collect();
        let hashes: Vec<u64> = (0..10_000u64).map(|i| i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).collect();
        assign(&mut table, &cells, &hashes, None);
        table.clear();
        assign(&mut table, &cells[..2], &hashes[..1], None);
        table.clear();
        assert_eq!(table.slots.len(), SLOTS_MIN);
        assert!(table.bytes() < 64 * SLOTS_MIN, "{} bytes", table.bytes());
    }
}
