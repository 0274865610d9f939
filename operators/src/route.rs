//! Rows on their way to the owners of their keys, and what an owner makes of them row by row.

use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, UInt32Array};
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::exchange::key_group::owner;

use crate::aggregate::{AggregateError, Layout};
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::changelog::RowKinds;
use crate::kernels::Kernels;
use crate::key::{ColumnBytes, PackedKeys};
use crate::own;
use crate::spec::{GroupSpec, KeyColumn};
use crate::table::{GroupTable, Keys};

/// What decides the owner of a row, and what goes with it.
#[derive(Clone, Debug)]
pub struct Routing {
    /// Columns of the key.
    keys: Arc<[usize]>,
    /// Words of a packed key.
    words: usize,
    kernels: Kernels,
    /// Whether the owner asks for the places of rows.
    has_ordinals: bool,
}

impl Routing {
    /// By these keys, which `layout` packs.
    pub(crate) fn new(keys: &[KeyColumn], layout: &Layout, has_ordinals: bool) -> Self {
        let keys = keys.iter().map(|key| key.column).collect();
        Self { keys, words: layout.shape.words(), kernels: layout.kernels, has_ordinals }
    }
}

/// What takes in the rows of its keys one after the other, and tells what they change.
pub trait RowByRow: Send {
    /// Takes in the rows of `routed` from row `first` on, one after the other: all of them, or as many as do not make too
    /// much of it at once; at least one, if there is one. Rows are to be taken in from the first to the last before others
    /// come.
    ///
    /// # Errors
    /// If a result does not fit its type, or there are too many groups. The state is of no use then.
    fn apply(&mut self, routed: &Routed, first: usize) -> Result<Applied, AggregateError>;

    /// Whether rows become final as event time passes, not at the end of the input only.
    fn is_windowed(&self) -> bool {
        false
    }

    /// No row will come that is not late at `frontier`: what that makes final, [`finish`](Self::finish) gives out. Once it
    /// has, nothing that follows is final before `frontier`: its event time is at or above that.
    fn close(&mut self, _frontier: EventTimeMs) {}

    /// How many of the rows that were taken in since the last call were late by their stamps.
    fn take_late(&mut self) -> u64 {
        0
    }

    /// Some of the rows that are final; `None` after the last. Called when no row will come, or after [`close`](Self::close).
    ///
    /// # Errors
    /// If strings of more than 4 GiB meet in a batch.
    fn finish(&mut self) -> Result<Option<Batch>, AggregateError>;

    /// Bytes held in memory.
    fn bytes(&self) -> usize;
}

/// What some rows came to.
#[derive(Debug)]
pub struct Applied {
    /// Rows that were taken in, or found to be late.
    pub rows: usize,
    /// The changelog, in their order; possibly without a row.
    pub changes: Batch,
}

/// Rows of one owner, in the order of their ordinals. They hold no view into an input block.
#[derive(Debug)]
pub struct Routed {
    pub(crate) keys: PackedKeys,
    pub(crate) columns: RecordBatch,
    /// Those of the rows, where the owner asks for them.
    pub(crate) ordinals: Ordinals,
    /// What the rows do to earlier ones.
    pub(crate) kinds: RowKinds,
    /// Watermarks at the places of the rows.
    pub(crate) stamps: Stamps,
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

    /// Finds or makes the group of each row in `table`, of the shape of `layout`.
    pub(crate) fn assign(
        &self,
        spec: &GroupSpec,
        layout: &Layout,
        table: &mut GroupTable,
        ids: &mut Vec<u32>,
    ) -> Result<(), AggregateError> {
        let key_columns: Vec<&ArrayRef> = spec.keys.iter().map(|key| self.columns.column(key.column)).collect();
        let keys = Keys {
            cells: &self.keys.cells,
            stride: layout.shape.words(),
            hashes: &self.keys.hashes,
            long: self.keys.has_long.then(|| ColumnBytes::new(&key_columns)),
        };
        table.assign(&keys, ids)
    }
}

/// Divides batches among owners.
#[derive(Debug)]
pub struct Router {
    routing: Routing,
    packed: PackedKeys,
    /// By owner: its rows of the batch.
    rows: Vec<Vec<u32>>,
}

impl Router {
    /// For rows whose keys have `owners` owners.
    #[must_use]
    pub fn new(routing: Routing, owners: usize) -> Self {
        Self { routing, packed: PackedKeys::default(), rows: vec![Vec::new(); owners] }
    }

    /// Divides the rows of `batch`, and gives each owner's to `push`; owners without a row are left out.
    ///
    /// # Errors
    /// If a column has not the type that was planned.
    pub fn route(&mut self, batch: &Batch, mut push: impl FnMut(usize, Routed)) -> Result<(), AggregateError> {
        let Self { routing, packed, rows } = self;
        let keys: Vec<&ArrayRef> = routing.keys.iter().map(|&key| batch.columns.column(key)).collect();
        packed.pack(&keys, batch.rows(), routing.kernels)?;
        let ordinals = |ordinals: &Ordinals| match routing.has_ordinals {
            true => ordinals.clone(),
            false => Ordinals::Run(Ordinal::default()),
        };
        if rows.len() == 1 {
            let owned = own::batch(batch)?;
            let ordinals = ordinals(&owned.ordinals);
            let (stamps, kinds) = (owned.stamps.clone(), owned.kinds);
            push(0, Routed { keys: std::mem::take(packed), columns: owned.columns, ordinals, kinds, stamps });
            return Ok(());
        }
        let owners = rows.len();
        rows.iter_mut().for_each(Vec::clear);
        for (row, &hash) in packed.hashes.iter().enumerate() {
            rows[usize::from(owner(hash, owners).0)].push(row as u32);
        }
        for (owner, rows) in rows.iter_mut().enumerate().filter(|(_, rows)| !rows.is_empty()) {
            let keys = packed.pick(rows, routing.words);
            let index = UInt32Array::from(std::mem::take(rows));
            let part = own::batch(&batch.take(&index)?)?;
            let ordinals = ordinals(&part.ordinals);
            push(owner, Routed { keys, columns: part.columns, ordinals, kinds: part.kinds, stamps: part.stamps });
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
