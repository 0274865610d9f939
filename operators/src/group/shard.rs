//! The part of the keys that one worker owns, from the first partial to the last row out.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions, TimestampMillisecondArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use thalweg_runtime::EventTimeMs;

use super::Partials;
use super::store::GroupStore;
use crate::aggregate::{AggregateError, Layout};
use crate::batch::{Batch, Ordinal, Ordinals, Stamps};
use crate::kernels::Kernels;
use crate::spec::{AggregateFunction, GroupSpec};
use crate::window::TimeWindow;

/// The groups that one worker owns, by window; closed windows until they are emitted.
#[derive(Debug)]
pub struct Shard {
    spec: Arc<GroupSpec>,
    layout: Layout,
    schema: SchemaRef,
    mode: CloseMode,
    empty_input: EmptyInput,
    frontier: EventTimeMs,
    open: BTreeMap<TimeWindow, GroupStore>,
    /// Closed windows, the earliest end first.
    due: VecDeque<(TimeWindow, GroupStore)>,
    /// Groups of the first due window that are out already.
    emitted: usize,
    spare: Vec<GroupStore>,
    ids: Vec<u32>,
    bytes: usize,
}

/// When windows are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseMode {
    /// When the frontier passes them: streaming.
    WhenPassed,
    /// At the end of input only, whatever the frontier says before: batch.
    AtEnd,
}

/// What a global aggregation says about an input without rows. Among all workers, the owner of the empty key, worker 0,
/// is the one to emit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyInput {
    /// One row: COUNT is 0, other aggregates are NULL.
    Emits,
    /// Nothing.
    Silent,
}

/// Tables that are kept empty for windows to come.
const SPARE_MAX: usize = 1;

impl Shard {
    /// A shard without groups, for `spec` over batches with the columns `input`.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(
        spec: Arc<GroupSpec>,
        input: &SchemaRef,
        mode: CloseMode,
        empty_input: EmptyInput,
    ) -> Result<Self, AggregateError> {
        Ok(Self {
            layout: Layout::new(&spec, input, Kernels::default())?,
            schema: output_schema(&spec, input),
            spec,
            mode,
            empty_input,
            frontier: EventTimeMs::MIN,
            open: BTreeMap::new(),
            due: VecDeque::new(),
            emitted: 0,
            spare: Vec::new(),
            ids: Vec::new(),
            bytes: 0,
        })
    }

    /// The columns of what comes out.
    #[must_use]
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Adds groups that a worker has gathered.
    ///
    /// # Errors
    /// If their window is closed already, or if they were planned differently: bugs of the caller. If there are too many
    /// groups.
    pub fn merge(&mut self, partials: Partials) -> Result<(), AggregateError> {
        let window = partials.window();
        if window.is_closed_by(self.frontier) {
            return Err(AggregateError::ClosedWindow { last: window.last });
        }
        let Self { layout, spare, bytes, .. } = self;
        let store = self.open.entry(window).or_insert_with(|| {
            spare.pop().unwrap_or_else(|| {
                let store = GroupStore::new(layout);
                *bytes += store.bytes();
                store
            })
        });
        *bytes -= store.bytes();
        let result = store.merge(layout, partials, &mut self.ids);
        *bytes += store.bytes();
        result
    }

    /// Nothing more comes at or below `frontier`: windows that are over become due, in the order of their ends. A
    /// frontier below an earlier one changes nothing.
    ///
    /// # Errors
    /// None that data could cause.
    pub fn close(&mut self, frontier: EventTimeMs) -> Result<(), AggregateError> {
        if frontier <= self.frontier || (self.mode == CloseMode::AtEnd && frontier != EventTimeMs::END) {
            return Ok(());
        }
        self.frontier = frontier;
        if frontier == EventTimeMs::END && self.spec.is_global && self.empty_input == EmptyInput::Emits {
            let store = self.open.entry(TimeWindow::ALL).or_insert_with(|| {
                let store = GroupStore::new(&self.layout);
                self.bytes += store.bytes();
                store
            });
            self.bytes -= store.bytes();
            store.add_empty_key(&mut self.ids)?;
            self.bytes += store.bytes();
        }
        while let Some(entry) = self.open.first_entry()
            && entry.key().is_closed_by(frontier)
        {
            self.due.push_back(entry.remove_entry());
        }
        Ok(())
    }

    /// Closed windows whose groups are not all out yet.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// The next rows of what is due, of one window and at most `rows_max` (at least 1): key columns, aggregates and, for
    /// windows, `window_start`, `window_end` and `window_time`. `None`: nothing is due.
    ///
    /// The ordinals come from the window's end and the group's hash, so they do not depend on the number of workers.
    /// The rows within a window are in no order.
    ///
    /// # Errors
    /// If a result does not fit its type.
    pub fn next_batch(&mut self, rows_max: usize) -> Result<Option<Batch>, AggregateError> {
        let Some((window, store)) = self.due.front() else { return Ok(None) };
        let (window, first) = (*window, self.emitted);
        let groups = (store.groups() - first).min(rows_max.max(1));
        let mut columns = store.columns(&self.layout, &self.spec.keys, (first, groups))?;
        if self.spec.window.is_some() {
            let times = [window.start, window.end(), window.last];
            columns.extend(
                times.map(|time| -> ArrayRef { Arc::new(TimestampMillisecondArray::from_value(time.0, groups)) }),
            );
        }
        let ordinals = store.hashes()[first..first + groups].iter().map(|&hash| ordinal(window, hash)).collect();
        self.emitted += groups;
        if self.emitted == store.groups() {
            self.recycle_first();
        }
        let options = RecordBatchOptions::new().with_row_count(Some(groups));
        let columns = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)?;
        let (ordinals, stamps) = (Ordinals::Each(ordinals), Stamps::Uniform(EventTimeMs::MIN));
        Ok(Some(Batch { columns, ordinals, stamps }))
    }

    /// Bytes held: open windows, those due, and tables kept for windows to come. Cheap.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.bytes
    }

    /// Groups of open windows and of those due.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.open.values().chain(self.due.iter().map(|(_, store)| store)).map(GroupStore::groups).sum()
    }

    fn recycle_first(&mut self) {
        self.emitted = 0;
        let Some((_, mut store)) = self.due.pop_front() else { return };
        self.bytes -= store.bytes();
        if self.spare.len() < SPARE_MAX && self.frontier != EventTimeMs::END {
            store.clear();
            self.bytes += store.bytes();
            self.spare.push(store);
        }
    }
}

/// The columns that a [`Shard`] emits: keys under their names in the input, aggregates under their calls, and the times
/// of the window.
#[must_use]
pub fn output_schema(spec: &GroupSpec, input: &SchemaRef) -> SchemaRef {
    let keys = spec.keys.iter().map(|key| {
        let field = input.fields().get(key.column);
        let (name, is_nullable) = field.map_or(("", true), |field| (field.name(), field.is_nullable()));
        Field::new(name, key.data_type.clone(), is_nullable)
    });
    let aggregates = spec.aggregates.iter().map(|aggregate| {
        let is_nullable = aggregate.function != AggregateFunction::Count;
        Field::new(&aggregate.name, aggregate.output_type.clone(), is_nullable)
    });
    let times = ["window_start", "window_end", "window_time"].into_iter().filter(|_| spec.window.is_some());
    let times = times.map(|name| Field::new(name, DataType::Timestamp(TimeUnit::Millisecond, None), false));
    Arc::new(Schema::new(keys.chain(aggregates).chain(times).collect::<Vec<_>>()))
}

fn ordinal(window: TimeWindow, hash: u64) -> Ordinal {
    // Flipping the sign bit keeps the order of times among unsigned numbers.
    let end = window.end().0 as u64 ^ (1 << 63);
    Ordinal::of_row(u128::from(end) << 64 | u128::from(hash))
}
