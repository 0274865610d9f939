//! Rows on their way to the owners of their keys.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use thalweg_runtime::exchange::key_group::owner;

use super::RunningAggregation;
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Ordinal, Ordinals};
use crate::key::PackedKeys;
use crate::own;

/// Rows of one owner, in the order of their ordinals. They hold no view into an input block.
#[derive(Debug)]
pub struct Routed {
    pub(super) keys: PackedKeys,
    pub(super) columns: RecordBatch,
    /// Those of the rows, where an aggregate goes by them.
    pub(super) ordinals: Ordinals,
}

impl Routed {
    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let PackedKeys { cells, hashes, .. } = &self.keys;
        (cells.len() + hashes.len()) * size_of::<u64>() + self.columns.get_array_memory_size()
    }
}

/// Divides batches among owners.
#[derive(Debug)]
pub struct Router {
    aggregation: Arc<RunningAggregation>,
    packed: PackedKeys,
    /// By owner: its rows of the batch.
    rows: Vec<Vec<u32>>,
}

impl Router {
    /// For rows of `aggregation`, whose keys have `owners` owners.
    #[must_use]
    pub fn new(aggregation: Arc<RunningAggregation>, owners: usize) -> Self {
        Self { aggregation, packed: PackedKeys::default(), rows: vec![Vec::new(); owners] }
    }

    /// Divides the rows of `batch`, and gives each owner's to `push`; owners without a row are left out.
    ///
    /// # Errors
    /// If a column has not the type that was planned.
    pub fn route(&mut self, batch: &Batch, mut push: impl FnMut(usize, Routed)) -> Result<(), AggregateError> {
        let Self { aggregation, packed, rows } = self;
        let keys: Vec<&ArrayRef> = aggregation.spec.keys.iter().map(|key| batch.columns.column(key.column)).collect();
        packed.pack(&keys, batch.rows(), aggregation.layout.kernels)?;
        let ordinals = |ordinals: &Ordinals| match aggregation.layout.sides.is_empty() {
            true => Ordinals::Run(Ordinal::default()),
            false => ordinals.clone(),
        };
        if rows.len() == 1 {
            let owned = own::batch(batch)?;
            let ordinals = ordinals(&owned.ordinals);
            push(0, Routed { keys: std::mem::take(packed), columns: owned.columns, ordinals });
            return Ok(());
        }
        let owners = rows.len();
        rows.iter_mut().for_each(Vec::clear);
        for (row, &hash) in packed.hashes.iter().enumerate() {
            rows[usize::from(owner(hash, owners).0)].push(row as u32);
        }
        for (owner, rows) in rows.iter_mut().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let keys = packed.pick(rows, aggregation.layout.shape.words());
            let index = UInt32Array::from(std::mem::take(rows));
            let part = own::batch(&batch.take(&index)?)?;
            push(owner, Routed { keys, columns: part.columns, ordinals: ordinals(&part.ordinals) });
        }
        Ok(())
    }
}

impl PackedKeys {
    /// The keys of these rows, each of `words` words.
    fn pick(&self, rows: &[u32], words: usize) -> Self {
        let mut cells = Vec::with_capacity(rows.len() * words);
        for &row in rows {
            cells.extend_from_slice(&self.cells[row as usize * words..][..words]);
        }
        let hashes = rows.iter().map(|&row| self.hashes[row as usize]).collect();
        Self { cells, hashes, has_long: self.has_long }
    }
}
