//! What a GROUP BY computes: the operations on its groups, planned once and shared by all who hold some.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{Schema, SchemaRef};
use arrow_select::concat::concat_batches;
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::{Aggregation, Divided, Folded, Release};

use super::slices;
use super::spares::Spares;
use super::store::{GroupStore, MergeScratch};
use super::{ClosedWindow, FoldScratch, GroupKey, GroupShard, Partials, output_schema};
use crate::aggregate::{AggregateError, Layout};
use crate::batch::Batch;
use crate::kernels::Kernels;
use crate::own;
use crate::spec::GroupSpec;
use crate::window::TimeWindow;

/// One GROUP BY: the plan of its groups, and what is done with them.
#[derive(Debug)]
pub struct GroupAggregation {
    pub(super) spec: Arc<GroupSpec>,
    pub(super) layout: Layout,
    pub(super) schema: SchemaRef,
    mode: CloseMode,
    pub(super) spares: Spares,
}

/// When windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// When the frontier passes them: streaming.
    WhenPassed,
    /// At the end of input only, whatever the frontier says before: batch.
    AtEnd,
}

impl GroupAggregation {
    /// Plans `spec` over batches with the columns `input`; groups are found and updated with `kernels`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(
        spec: Arc<GroupSpec>,
        input: &SchemaRef,
        mode: CloseMode,
        kernels: Kernels,
    ) -> Result<Self, AggregateError> {
        let (layout, schema) = (Layout::new(&spec, input, kernels)?, output_schema(&spec, input));
        Ok(Self { spec, layout, schema, mode, spares: Spares::default() })
    }

    /// What is computed.
    #[must_use]
    pub fn spec(&self) -> &Arc<GroupSpec> {
        &self.spec
    }

    /// The columns of what comes out, and of what readers get: see [`output_schema`].
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The columns of a key: the first ones of what comes out.
    #[must_use]
    pub fn key_schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.schema.fields()[..self.spec.keys.len()].to_vec()))
    }

    /// The key in a batch of one row with the columns of [`key_schema`](Self::key_schema).
    ///
    /// # Errors
    /// If these are other columns, or another number of rows.
    pub fn key(&self, row: &RecordBatch) -> Result<GroupKey, AggregateError> {
        GroupKey::new(&self.layout, &self.spec.keys, row)
    }

    /// Are the windows that are over at `frontier` to be closed by it?
    fn closes_at(&self, frontier: EventTimeMs) -> bool {
        self.mode == CloseMode::WhenPassed || frontier == EventTimeMs::END
    }

    /// Rows of several windows as one batch.
    fn together(&self, rows: Vec<RecordBatch>) -> Result<RecordBatch, AggregateError> {
        Ok(concat_batches(&self.schema, &rows)?)
    }

    /// What `rows` makes of each open window of `shard`, the earliest end first.
    fn open_windows(
        &self,
        shard: &GroupShard,
        mut rows: impl FnMut((TimeWindow, &GroupStore)) -> Result<Option<RecordBatch>, AggregateError>,
    ) -> Result<Vec<RecordBatch>, AggregateError> {
        let mut all = Vec::new();
        match &self.spec.window {
            Some(windows) if windows.has_overlaps() => {
                for (window, panes) in slices::windows_of(windows, shard.open()) {
                    let (mut whole, mut scratch) = (GroupStore::new(&self.layout), MergeScratch::default());
                    panes.iter().try_for_each(|pane| whole.add(&self.layout, pane, &mut scratch))?;
                    all.extend(rows((window, &whole))?);
                }
            }
            _ => {
                for open in shard.open() {
                    all.extend(rows(open)?);
                }
            }
        }
        Ok(all)
    }

    /// Makes a table for a window of `shard` that begins with so many rows or groups.
    pub(super) fn maker(&self, shard: &GroupShard, rows: usize) -> impl FnOnce() -> GroupStore + use<'_> {
        // Tables come back from windows that were closed, so they go to those who close windows. A shard that is only
        // split keeps its own, which are as large as it needs them.
        let (draws, usual) = (shard.has_closed(), shard.usual());
        move || {
            let spare = if draws { self.spares.take(rows.max(usual)) } else { None };
            spare.unwrap_or_else(|| GroupStore::new(&self.layout))
        }
    }
}

impl Aggregation for GroupAggregation {
    type Batch = Batch;
    type Partial = Partials;
    type Shard = GroupShard;
    type Closed = ClosedWindow;
    type Key = GroupKey;
    type Rows = RecordBatch;
    type Scratch = FoldScratch;
    type Error = AggregateError;

    fn shard(&self) -> GroupShard {
        GroupShard::new()
    }

    fn fold(&self, shard: &mut GroupShard, batch: &Batch, scratch: &mut FoldScratch) -> Result<Folded, AggregateError> {
        self.fold_batch(shard, batch, scratch)
    }

    fn divide(&self, batch: &Batch, parts: usize, scratch: &mut FoldScratch) -> Result<Divided<Self>, AggregateError> {
        self.divide_batch(batch, parts, scratch)
    }

    fn split(&self, shard: &mut GroupShard, release: Release, parts: usize) -> Vec<(usize, Partials)> {
        let mut all = Vec::new();
        if let Release::ClosedBy(frontier) = release
            && !self.closes_at(frontier)
        {
            return all;
        }
        shard.split(release, |window, store| all.extend(store.split((&self.layout, &self.spares), window, parts)));
        all
    }

    fn split_keys(&self, shard: &mut GroupShard) -> Vec<(u64, Partials)> {
        let mut all = Vec::with_capacity(shard.groups());
        shard.split(Release::All, |window, store| all.extend(store.split_keys(&self.layout, window)));
        all
    }

    fn merge(&self, shard: &mut GroupShard, partials: Partials) -> Result<(), AggregateError> {
        partials.expect_layout(&self.layout)?;
        let (window, groups) = (partials.window(), partials.rows());
        if groups == 0 {
            return Ok(());
        }
        let make = self.maker(shard, groups);
        let memory =
            shard.change(window, make, |store| store.merge(&self.layout, partials, &mut MergeScratch::default()))?;
        self.spares.put_buffer(memory);
        Ok(())
    }

    fn close(&self, shard: &mut GroupShard, frontier: EventTimeMs) -> Vec<ClosedWindow> {
        if !self.closes_at(frontier) {
            return Vec::new();
        }
        if frontier == EventTimeMs::END {
            self.spares.end();
        }
        shard.close((self.spec.window.as_ref(), &self.layout), frontier)
    }

    fn has_overlaps(&self) -> bool {
        self.spec.window.is_some_and(|windows| windows.has_overlaps())
    }

    fn next_close(&self, shard: &GroupShard) -> Option<EventTimeMs> {
        let (window, _) = shard.open().next()?;
        Some(match self.mode {
            CloseMode::WhenPassed => window.last,
            CloseMode::AtEnd => EventTimeMs::END,
        })
    }

    fn lookup(&self, shard: &GroupShard, key: &GroupKey) -> Result<RecordBatch, AggregateError> {
        let keys = key.keys(&self.layout.shape);
        let find = |(window, store): (TimeWindow, &GroupStore)| match store.find(&keys) {
            Some(group) => self.rows(window, store, (group, 1)).map(Some),
            None => Ok(None),
        };
        self.together(self.open_windows(shard, find)?)
    }

    fn scan(&self, shard: &GroupShard) -> Result<RecordBatch, AggregateError> {
        let all = |(window, store): (TimeWindow, &GroupStore)| self.rows(window, store, (0, store.groups())).map(Some);
        self.together(self.open_windows(shard, all)?)
    }

    fn end(&self, closed: &ClosedWindow) -> EventTimeMs {
        closed.last()
    }

    fn hash(&self, key: &GroupKey) -> u64 {
        key.hash()
    }

    fn own(&self, batch: &Batch) -> Result<Batch, AggregateError> {
        Ok(own::batch(batch)?)
    }

    fn rows(&self, batch: &Batch) -> u64 {
        batch.rows() as u64
    }

    fn groups(&self, shard: &GroupShard) -> usize {
        shard.groups()
    }

    fn bytes(&self, shard: &GroupShard) -> usize {
        shard.bytes()
    }
}
