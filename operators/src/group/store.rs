//! The groups of one window: a table and what lies beside its rows.

use arrow_array::{ArrayRef, RecordBatch};
use thalweg_runtime::exchange::key_group::owner;

use super::Partials;
use super::key::KeyBytes;
use super::spares::{Buffer, Spares};
use crate::aggregate::{
    AggregateError, ColdWords, GroupWords, Groups, Layout, Numbers, Side, UpdateScratch, evaluate, merge, update,
};
use crate::batch::Ordinals;
use crate::key::{ColumnBytes, DistinctKeys, KeyCells, LongKeys, PackedKeys, WINDOW, hash, key_column, plain};
use crate::spec::KeyColumn;
use crate::table::{Fresh, GroupTable, Keys};
use crate::window::TimeWindow;

#[derive(Clone, Debug)]
pub(super) struct GroupStore {
    table: GroupTable,
    sides: Vec<Side>,
}

/// Memory that one batch leaves for the next.
#[derive(Debug, Default)]
pub struct FoldScratch {
    pub(super) packed: PackedKeys,
    pub(super) distinct: DistinctKeys,
    /// Groups of the distinct keys.
    pub(super) groups: Vec<u32>,
    pub(super) ids: Vec<u32>,
    pub(super) rows: Vec<u64>,
    pub(super) hashes: Vec<u64>,
    pub(super) cold: ColdWords,
    pub(super) update: UpdateScratch,
}

/// Memory that one merge leaves for the next.
#[derive(Debug, Default)]
pub(super) struct MergeScratch {
    ids: Vec<u32>,
    fresh: Fresh,
}

impl GroupStore {
    pub(super) fn new(layout: &Layout) -> Self {
        Self { table: layout.table(), sides: layout.sides.iter().map(|_| Side::new()).collect() }
    }

    pub(super) fn groups(&self) -> usize {
        self.table.groups()
    }

    pub(super) fn hashes(&self) -> &[u64] {
        self.table.hashes()
    }

    pub(super) fn bytes(&self) -> usize {
        size_of::<Self>() + self.table.bytes() + self.sides.iter().map(Side::bytes).sum::<usize>()
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.sides.iter_mut().for_each(Side::clear);
    }

    /// Adds rows.
    pub(super) fn fold(
        &mut self,
        layout: &Layout,
        keys: &[KeyColumn],
        (columns, ordinals): (&RecordBatch, &Ordinals),
        scratch: &mut FoldScratch,
    ) -> Result<(), AggregateError> {
        let FoldScratch { packed, distinct, groups, ids, update: update_scratch, .. } = scratch;
        // At most a few pointers per batch, not per row.
        let key_columns: Vec<&ArrayRef> = keys.iter().map(|key| columns.column(key.column)).collect();
        match distinct.find(&key_columns)? {
            Some(columns) => {
                self.assign(layout, &columns, columns[0].len(), packed, groups)?;
                ids.clear();
                ids.extend(distinct.rows().iter().map(|&number| groups[number as usize]));
            }
            None => {
                let key_columns = key_columns.into_iter().map(plain).collect::<Result<Vec<_>, _>>()?;
                self.assign(layout, &key_columns, columns.num_rows(), packed, ids)?;
            }
        }
        self.grow_sides();
        update(layout, self.table.words_mut(), &mut self.sides, (columns, ordinals), ids, update_scratch)
    }

    /// Finds or makes the groups of `rows` keys.
    fn assign(
        &mut self,
        layout: &Layout,
        columns: &[ArrayRef],
        rows: usize,
        packed: &mut PackedKeys,
        ids: &mut Vec<u32>,
    ) -> Result<(), AggregateError> {
        let columns: Vec<&ArrayRef> = columns.iter().collect();
        packed.pack(&columns, rows, layout.kernels)?;
        let keys = Keys {
            cells: &packed.cells,
            stride: layout.shape.words(),
            hashes: &packed.hashes,
            long: packed.has_long.then(|| ColumnBytes::new(&columns)),
        };
        self.table.assign(&keys, ids)
    }

    /// Adds groups that were taken out of another table, or rows that are groups by themselves. Their layout is this
    /// one's. Returns the memory that they were in.
    pub(super) fn merge(
        &mut self,
        layout: &Layout,
        partials: Partials,
        scratch: &mut MergeScratch,
    ) -> Result<Buffer, AggregateError> {
        self.merge_after(layout, partials, scratch, |_, _, _| Ok(()))
    }

    /// As [`merge`](Self::merge); `look` sees all groups as they are before, and which of them are to change: the group of
    /// each partial, and which partials begin theirs.
    pub(super) fn merge_after(
        &mut self,
        layout: &Layout,
        mut partials: Partials,
        scratch: &mut MergeScratch,
        look: impl FnOnce(&Self, &[u32], &Fresh) -> Result<(), AggregateError>,
    ) -> Result<Buffer, AggregateError> {
        let MergeScratch { ids, fresh } = scratch;
        self.table.assign_rows(&partials.keys(&layout.shape), ids, fresh)?;
        look(self, ids, fresh)?;
        let sides = std::mem::take(&mut partials.sides);
        self.merge_assigned(layout, partials.words(), sides.into_iter(), scratch);
        let Partials { rows, hashes, .. } = partials;
        Ok(Buffer { rows, hashes })
    }

    /// Adds all groups of another table, which is of no use then.
    pub(super) fn absorb(
        &mut self,
        layout: &Layout,
        piece: &mut Self,
        scratch: &mut MergeScratch,
    ) -> Result<(), AggregateError> {
        let Self { table, sides } = piece;
        self.assign_all(layout, table, scratch)?;
        let sides = sides.iter_mut().map(|side| std::mem::replace(side, Side::new()));
        self.merge_assigned(layout, table.words(), sides, scratch);
        Ok(())
    }

    /// Adds all groups of another table, which stays as it is.
    pub(super) fn add(
        &mut self,
        layout: &Layout,
        piece: &Self,
        scratch: &mut MergeScratch,
    ) -> Result<(), AggregateError> {
        self.assign_all(layout, &piece.table, scratch)?;
        self.merge_assigned(layout, piece.table.words(), piece.sides.iter().cloned(), scratch);
        Ok(())
    }

    /// Finds or makes the groups of another table.
    fn assign_all(
        &mut self,
        layout: &Layout,
        table: &GroupTable,
        scratch: &mut MergeScratch,
    ) -> Result<(), AggregateError> {
        let long = table.has_long().then_some(TableCells::all(layout, table));
        let keys = Keys { cells: table.rows(), stride: table.stride(), hashes: table.hashes(), long };
        self.table.assign_rows(&keys, &mut scratch.ids, &mut scratch.fresh)
    }

    /// Adds what the `i`-th of other groups has to the group that it was assigned.
    fn merge_assigned(
        &mut self,
        layout: &Layout,
        words: GroupWords<'_>,
        sides: impl Iterator<Item = Side>,
        MergeScratch { ids, fresh }: &MergeScratch,
    ) {
        self.grow_sides();
        merge(layout, &mut self.table.words_mut(), words, ids, fresh);
        for ((side, plan), from) in self.sides.iter_mut().zip(&layout.sides).zip(sides) {
            side.merge(plan, from, ids);
        }
    }

    /// The number of a key's group, if it is there.
    pub(super) fn find(&self, key: &Keys<'_, KeyBytes<'_>>) -> Option<usize> {
        self.table.find(key).map(|group| group as usize)
    }

    /// Adds the group of a global aggregation, without rows, if it is not there.
    pub(super) fn add_empty_key(&mut self) -> Result<(), AggregateError> {
        let keys = Keys { cells: &[], stride: 0, hashes: &[hash::EMPTY_KEY], long: None::<ColumnBytes<'_>> };
        self.table.assign(&keys, &mut Vec::new())?;
        self.grow_sides();
        Ok(())
    }

    fn grow_sides(&mut self) {
        let groups = self.table.groups();
        self.sides.iter_mut().for_each(|side| side.grow(groups));
    }

    /// Takes all groups out, each to the part of its owner; parts without a group are left out. To be cleared afterwards.
    pub(super) fn split(
        &mut self,
        (layout, spares): (&Layout, &Spares),
        window: TimeWindow,
        parts: usize,
    ) -> Vec<(usize, Partials)> {
        let Self { table, sides } = self;
        let owners = table.hashes().iter().map(|&hash| usize::from(owner(hash, parts).0));
        let mut counts = vec![0; parts];
        owners.clone().for_each(|owner| counts[owner] += 1);
        let part = |&groups| Partials::new(layout, window, spares.buffer(groups, table.stride()));
        let mut parts: Vec<_> = counts.iter().map(part).collect();
        divide((table, sides), &mut parts, owners);
        parts.into_iter().enumerate().filter(|(_, part)| part.rows() > 0).collect()
    }

    /// Takes all groups out, each as a part of its own with its hash. To be cleared afterwards.
    pub(super) fn split_keys(&mut self, layout: &Layout, window: TimeWindow) -> Vec<(u64, Partials)> {
        let Self { table, sides } = self;
        let part = |_| Partials::new(layout, window, Buffer::new(1, table.stride()));
        let mut parts: Vec<_> = (0..table.groups()).map(part).collect();
        divide((table, sides), &mut parts, 0..table.groups());
        table.hashes().iter().copied().zip(parts).collect()
    }

    /// Key columns, then aggregates, of `groups` groups from `first` on.
    pub(super) fn columns(
        &self,
        layout: &Layout,
        keys: &[KeyColumn],
        (first, groups): (usize, usize),
    ) -> Result<Vec<ArrayRef>, AggregateError> {
        let numbers = Numbers::From(first);
        let mut columns = key_columns(&TableCells { layout, table: &self.table, numbers, groups }, keys)?;
        let GroupWords { rows, stride, cold } = self.table.words();
        let words = &rows[first * stride..(first + groups) * stride];
        columns.extend(evaluate(layout, Groups { words, stride, cold, sides: &self.sides, numbers, first_word: 0 })?);
        Ok(columns)
    }

    /// The key columns of these groups.
    pub(super) fn keys_of(
        &self,
        layout: &Layout,
        keys: &[KeyColumn],
        ids: &[u32],
    ) -> Result<Vec<ArrayRef>, AggregateError> {
        let (numbers, groups) = (Numbers::Picked(ids), ids.len());
        key_columns(&TableCells { layout, table: &self.table, numbers, groups }, keys)
    }

    /// The aggregates of these groups.
    pub(super) fn values_of(&self, layout: &Layout, ids: &[u32]) -> Result<Vec<ArrayRef>, AggregateError> {
        let GroupWords { rows, stride: row, cold } = self.table.words();
        let (first_word, stride) = (layout.shape.words(), layout.accumulators.len());
        let mut words = Vec::with_capacity(ids.len() * stride);
        ids.iter().for_each(|&id| words.extend_from_slice(&rows[id as usize * row + first_word..][..stride]));
        let numbers = Numbers::Picked(ids);
        evaluate(layout, Groups { words: &words, stride, cold, sides: &self.sides, numbers, first_word })
    }

    /// Bytes that a row with the aggregates of a group has beside those of fixed width, roughly.
    pub(super) fn weight(&self, group: u32) -> usize {
        self.sides.iter().map(|side| side.entry(group as usize).repeated()).sum()
    }
}

/// The key columns of some groups.
fn key_columns(cells: &TableCells<'_>, keys: &[KeyColumn]) -> Result<Vec<ArrayRef>, AggregateError> {
    let mut columns = Vec::with_capacity(keys.len());
    for (index, key) in keys.iter().enumerate() {
        columns.push(key_column(cells, index, &key.data_type)?);
    }
    Ok(columns)
}

/// Moves group `i` to part `places[i]`.
fn divide(
    (table, sides): (&GroupTable, &mut [Side]),
    parts: &mut [Partials],
    places: impl Iterator<Item = usize> + Clone,
) {
    let has_long = table.has_long();
    let GroupWords { rows, stride, cold } = table.words();
    let rows = rows.chunks_exact(stride);
    for (group, ((place, &hash), row)) in places.clone().zip(table.hashes()).zip(rows).enumerate() {
        let long = has_long.then(|| table.long_bytes(group));
        parts[place].push(hash, (row, cold.of(group)), long);
    }
    for (index, side) in sides.iter_mut().enumerate() {
        for (place, entry) in places.clone().zip(side.drain()) {
            parts[place].sides[index].push(entry);
        }
    }
}

/// The keys of some groups.
struct TableCells<'a> {
    layout: &'a Layout,
    table: &'a GroupTable,
    numbers: Numbers<'a>,
    groups: usize,
}

impl<'a> TableCells<'a> {
    fn all(layout: &'a Layout, table: &'a GroupTable) -> Self {
        Self { layout, table, numbers: Numbers::From(0), groups: table.groups() }
    }
}

impl KeyCells for TableCells<'_> {
    fn groups(&self) -> usize {
        self.groups
    }

    fn cell(&self, group: usize, column: usize) -> [u64; 2] {
        let key = self.table.key(self.numbers.get(group));
        [key[column * 2], key[column * 2 + 1]]
    }

    fn long_bytes(&self, group: usize, column: usize) -> &[u8] {
        let group = self.numbers.get(group);
        self.layout.shape.long_bytes(self.table.key(group), self.table.long_bytes(group), column)
    }
}

impl LongKeys for TableCells<'_> {
    fn bytes(&self, row: usize, column: usize) -> &[u8] {
        self.long_bytes(row, column)
    }

    fn windows<'b>(&'b self, first: usize, column: usize, windows: &mut [Option<&'b [u8; WINDOW]>]) {
        for (row, window) in (first..).zip(windows) {
            *window = self.table.long_window(self.numbers.get(row), column);
        }
    }
}
