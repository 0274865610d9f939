//! A key that a reader asks for.

use arrow_array::RecordBatch;

use crate::aggregate::{AggregateError, Layout};
use crate::key::{KeyShape, LongKeys, PackedKeys, WINDOW};
use crate::spec::KeyColumn;
use crate::table::Keys;

/// The values of all key columns of one group. Made by [`GroupAggregation::key`](super::GroupAggregation::key).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GroupKey {
    cells: Box<[u64]>,
    hash: u64,
    /// Strings that their cells do not hold whole, one after the other.
    long: Box<[u8]>,
}

impl GroupKey {
    /// The key in the only row of `row`.
    pub(super) fn new(layout: &Layout, keys: &[KeyColumn], row: &RecordBatch) -> Result<Self, AggregateError> {
        if row.num_columns() != keys.len() || row.num_rows() != 1 {
            return Err(AggregateError::Mismatch("a key is one row with a column for each key of the GROUP BY"));
        }
        for (column, key) in row.columns().iter().zip(keys) {
            if *column.data_type() != key.data_type {
                let what = format!("a key column of type {}", key.data_type);
                return Err(AggregateError::unsupported(what, column.data_type()));
            }
        }
        let mut packed = PackedKeys::default();
        let columns: Vec<_> = row.columns().iter().collect();
        packed.pack(&columns, 1, layout.kernels)?;
        let bytes = crate::key::ColumnBytes::new(&columns);
        let is_long = |cell: &(usize, _)| crate::key::is_long(cell.1);
        let long = layout.shape.byte_cells(&packed.cells).filter(is_long);
        let long = long.flat_map(|(column, _)| bytes.bytes(0, column)).copied().collect();
        Ok(Self { hash: packed.hashes[0], cells: packed.cells.into(), long })
    }

    /// The hash, by which the key is routed.
    #[must_use]
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// This key alone, to be looked up.
    pub(super) fn keys<'a>(&'a self, shape: &'a KeyShape) -> Keys<'a, KeyBytes<'a>> {
        let long = (!self.long.is_empty()).then_some(KeyBytes { key: self, shape });
        Keys { cells: &self.cells, stride: self.cells.len(), hashes: std::slice::from_ref(&self.hash), long }
    }
}

/// The long strings of a key.
pub(super) struct KeyBytes<'a> {
    key: &'a GroupKey,
    shape: &'a KeyShape,
}

impl LongKeys for KeyBytes<'_> {
    fn bytes(&self, _: usize, column: usize) -> &[u8] {
        self.shape.long_bytes(&self.key.cells, &self.key.long, column)
    }

    fn windows<'b>(&'b self, _: usize, column: usize, windows: &mut [Option<&'b [u8; WINDOW]>]) {
        let bytes = self.key.long.get(self.shape.long_start(&self.key.cells, column)..);
        windows.fill(bytes.and_then(|bytes| bytes.first_chunk()));
    }
}
