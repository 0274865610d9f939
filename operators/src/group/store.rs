//! The groups of one window: a table and what lies beside its rows.

use arrow_array::{ArrayRef, RecordBatch};
use thalweg_runtime::WorkerId;
use thalweg_runtime::exchange::key_group::owner;

use super::Partials;
use crate::aggregate::{AggregateError, Groups, Layout, Rows, Side, UpdateScratch, evaluate, merge, update};
use crate::batch::Ordinals;
use crate::key::{ColumnBytes, KeyCells, PackedKeys, hash, key_column};
use crate::spec::KeyColumn;
use crate::table::{GroupTable, Keys};
use crate::window::TimeWindow;

#[derive(Debug)]
pub(super) struct GroupStore {
    table: GroupTable,
    sides: Vec<Side>,
}

/// Memory that one batch leaves for the next.
#[derive(Debug, Default)]
pub(super) struct FoldScratch {
    packed: PackedKeys,
    ids: Vec<u32>,
    update: UpdateScratch,
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
        self.table.bytes() + self.sides.iter().map(Side::bytes).sum::<usize>()
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
        let FoldScratch { packed, ids, update: update_scratch } = scratch;
        // At most a few pointers per batch, not per row.
        let key_columns: Vec<&ArrayRef> = keys.iter().map(|key| columns.column(key.column)).collect();
        packed.pack(&key_columns, columns.num_rows())?;
        let keys = Keys {
            cells: &packed.cells,
            stride: layout.shape.words(),
            hashes: &packed.hashes,
            long: packed.has_long.then_some(ColumnBytes(&key_columns)),
        };
        self.table.assign(&keys, ids)?;
        self.grow_sides();
        let rows = Rows { stride: self.table.stride(), words: self.table.rows_mut() };
        update(layout, rows, &mut self.sides, (columns, ordinals), ids, update_scratch)
    }

    /// Adds another table's groups.
    pub(super) fn merge(
        &mut self,
        layout: &Layout,
        partials: Partials,
        ids: &mut Vec<u32>,
    ) -> Result<(), AggregateError> {
        partials.expect_layout(layout)?;
        self.table.assign(&partials.keys(&layout.shape), ids)?;
        self.grow_sides();
        let mut rows = Rows { stride: self.table.stride(), words: self.table.rows_mut() };
        merge(layout, &mut rows, &partials.rows, partials.row_words, ids);
        for ((side, plan), from) in self.sides.iter_mut().zip(&layout.sides).zip(partials.sides) {
            side.merge(plan, from, ids);
        }
        Ok(())
    }

    /// Adds the group of a global aggregation, without rows, if it is not there.
    pub(super) fn add_empty_key(&mut self, ids: &mut Vec<u32>) -> Result<(), AggregateError> {
        let keys = Keys { cells: &[], stride: 0, hashes: &[hash::EMPTY_KEY], long: None::<ColumnBytes<'_>> };
        self.table.assign(&keys, ids)?;
        self.grow_sides();
        Ok(())
    }

    fn grow_sides(&mut self) {
        let groups = self.table.groups();
        self.sides.iter_mut().for_each(|side| side.grow(groups));
    }

    /// Copies all groups out, each to the part of its owner; owners without a group are left out.
    pub(super) fn split(&mut self, layout: &Layout, window: TimeWindow, workers: usize) -> Vec<(WorkerId, Partials)> {
        let owners = self.table.hashes().iter().map(|&hash| usize::from(owner(hash, workers).0));
        let mut counts = vec![0; workers];
        owners.clone().for_each(|owner| counts[owner] += 1);
        let mut parts: Vec<_> = counts.iter().map(|&groups| Partials::new(layout, window, groups)).collect();
        let has_long = self.table.has_long();
        let rows = self.table.rows().chunks_exact(self.table.stride());
        for (group, ((owner, &hash), row)) in owners.clone().zip(self.table.hashes()).zip(rows).enumerate() {
            let long = has_long.then(|| self.table.long_bytes(group));
            parts[owner].push(hash, row, long);
        }
        for (index, side) in self.sides.iter_mut().enumerate() {
            for (owner, entry) in owners.clone().zip(side.drain()) {
                parts[owner].sides[index].push(entry);
            }
        }
        let parts = parts.into_iter().enumerate().filter(|(_, part)| part.rows() > 0);
        parts.map(|(owner, part)| (WorkerId(owner as u16), part)).collect()
    }

    /// Key columns, then aggregates, of `groups` groups from `first` on.
    pub(super) fn columns(
        &self,
        layout: &Layout,
        keys: &[KeyColumn],
        (first, groups): (usize, usize),
    ) -> Result<Vec<ArrayRef>, AggregateError> {
        let cells = TableCells { layout, table: &self.table, first, groups };
        let mut columns = Vec::with_capacity(keys.len() + layout.outputs.len());
        for (index, key) in keys.iter().enumerate() {
            columns.push(key_column(&cells, index, &key.data_type)?);
        }
        let stride = self.table.stride();
        let words = &self.table.rows()[first * stride..(first + groups) * stride];
        columns.extend(evaluate(layout, Groups { words, stride, sides: &self.sides, first })?);
        Ok(columns)
    }
}

/// The keys of some groups.
struct TableCells<'a> {
    layout: &'a Layout,
    table: &'a GroupTable,
    first: usize,
    groups: usize,
}

impl KeyCells for TableCells<'_> {
    fn groups(&self) -> usize {
        self.groups
    }

    fn cell(&self, group: usize, column: usize) -> [u64; 2] {
        let key = self.table.key(self.first + group);
        [key[column * 2], key[column * 2 + 1]]
    }

    fn long_bytes(&self, group: usize, column: usize) -> &[u8] {
        let group = self.first + group;
        self.layout.shape.long_bytes(self.table.key(group), self.table.long_bytes(group), column)
    }
}
