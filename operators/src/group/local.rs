//! A worker's private tables: rows are folded into groups before anything travels.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, UInt32Array};
use arrow_schema::SchemaRef;
use thalweg_runtime::{EventTimeMs, WorkerId};

use super::Partials;
use super::store::{FoldScratch, GroupStore};
use crate::aggregate::{AggregateError, Layout};
use crate::batch::{Batch, Stamps};
use crate::kernels::Kernels;
use crate::spec::{GroupSpec, Tumbling};
use crate::window::TimeWindow;

/// One worker's own groups, a table for each window, until they are flushed to their owners.
#[derive(Debug)]
pub struct LocalFold {
    spec: Arc<GroupSpec>,
    layout: Layout,
    workers: usize,
    open: BTreeMap<TimeWindow, GroupStore>,
    /// Empty tables, the last one flushed on top: the next window is likely to be as large.
    spare: Vec<GroupStore>,
    scratch: FoldScratch,
    groups: usize,
    bytes: usize,
}

/// What became of the rows of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FoldCounts {
    /// Rows now in a group.
    pub folded: u64,
    /// Rows whose window was over at their place in the input. They are counted and nothing else.
    pub late: u64,
}

/// Which windows leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// All.
    All,
    /// Those that this watermark closes: their last event time is at or below it.
    ClosedBy(EventTimeMs),
}

/// Tables that are kept empty for windows to come.
const SPARE_MAX: usize = 2;
/// Runs of one window's rows that are folded where they are. A batch with more is sorted into windows first.
const RUNS_MAX: usize = 16;

impl LocalFold {
    /// Empty tables for `spec` over batches with the columns `input`, whose groups go to `workers` owners.
    ///
    /// # Errors
    /// If a key or an aggregate has no implementation for its type.
    pub fn new(spec: Arc<GroupSpec>, input: &SchemaRef, workers: usize) -> Result<Self, AggregateError> {
        let layout = Layout::new(&spec, input, Kernels::default())?;
        let (open, spare, scratch) = (BTreeMap::new(), Vec::new(), FoldScratch::default());
        Ok(Self { spec, layout, workers, open, spare, scratch, groups: 0, bytes: 0 })
    }

    /// Adds the rows of a batch to the groups of their windows, except those that are late.
    ///
    /// # Errors
    /// If there are too many groups, or if a column is not what was planned. The tables are then of no use any more.
    pub fn fold(&mut self, batch: &Batch) -> Result<FoldCounts, AggregateError> {
        if batch.rows() == 0 {
            return Ok(FoldCounts::default());
        }
        let Some(tumbling) = self.spec.window else {
            return self.fold_into(TimeWindow::ALL, batch);
        };
        let column = batch.columns.column(tumbling.time_column);
        if column.null_count() > 0 {
            return Err(AggregateError::Mismatch("a row has no event time"));
        }
        let times: &[i64] = column.as_primitive::<TimestampMillisecondType>().values();
        let (first, last) = times.iter().fold((i64::MAX, i64::MIN), |(lo, hi), &t| (lo.min(t), hi.max(t)));
        let window = TimeWindow::around(&tumbling, EventTimeMs(first));
        if window.contains(EventTimeMs(last)) && !window.is_closed_by(greatest_stamp(&batch.stamps)) {
            return self.fold_into(window, batch);
        }
        self.fold_runs(&tumbling, times, batch)
    }

    /// Takes groups out and divides them by the owners of their keys, window by window, the earliest end first.
    #[must_use = "groups that are not sent are lost"]
    pub fn flush(&mut self, windows: Flush) -> Vec<(WorkerId, Partials)> {
        let mut flushed = Vec::new();
        while let Some(entry) = self.open.first_entry() {
            if let Flush::ClosedBy(watermark) = windows
                && !entry.key().is_closed_by(watermark)
            {
                break;
            }
            let (window, mut store) = entry.remove_entry();
            self.groups -= store.groups();
            self.bytes -= store.bytes();
            flushed.extend(store.split(&self.layout, window, self.workers));
            store.clear();
            if self.spare.len() < SPARE_MAX {
                self.bytes += store.bytes();
                self.spare.push(store);
            }
        }
        flushed
    }

    /// Is any window held here over once the watermark is `watermark`? Its groups must be flushed before that is promised.
    #[must_use]
    pub fn closes_before(&self, watermark: EventTimeMs) -> bool {
        self.open.first_key_value().is_some_and(|(window, _)| window.is_closed_by(watermark))
    }

    /// Bytes held, tables kept for windows to come included. Cheap.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.bytes
    }

    /// Groups held in all windows. Cheap.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Rows of several windows, or some of them late.
    fn fold_runs(&mut self, tumbling: &Tumbling, times: &[i64], batch: &Batch) -> Result<FoldCounts, AggregateError> {
        let mut counts = FoldCounts::default();
        let mut runs: Vec<(TimeWindow, std::ops::Range<usize>)> = Vec::new();
        let mut window = TimeWindow::around(tumbling, EventTimeMs(times[0]));
        for (row, &time) in times.iter().enumerate() {
            if !window.contains(EventTimeMs(time)) {
                window = TimeWindow::around(tumbling, EventTimeMs(time));
            }
            if window.is_closed_by(batch.stamps.get(row)) {
                counts.late += 1;
                continue;
            }
            match runs.last_mut() {
                Some((last, rows)) if *last == window && rows.end == row => rows.end += 1,
                _ => runs.push((window, row..row + 1)),
            }
        }
        let parts: Vec<(TimeWindow, Batch)> = if runs.len() <= RUNS_MAX {
            runs.into_iter().map(|(window, rows)| (window, batch.slice(rows.start, rows.len()))).collect()
        } else {
            let mut by_window: BTreeMap<TimeWindow, Vec<u32>> = BTreeMap::new();
            for (window, rows) in runs {
                by_window.entry(window).or_default().extend(rows.start as u32..rows.end as u32);
            }
            let take = |(window, rows)| Ok((window, batch.take(&UInt32Array::from(rows))?));
            by_window.into_iter().map(take).collect::<Result<_, AggregateError>>()?
        };
        for (window, batch) in parts {
            counts.folded += self.fold_into(window, &batch)?.folded;
        }
        Ok(counts)
    }

    fn fold_into(&mut self, window: TimeWindow, batch: &Batch) -> Result<FoldCounts, AggregateError> {
        let Self { layout, spare, bytes, .. } = self;
        let store = self.open.entry(window).or_insert_with(|| {
            spare.pop().unwrap_or_else(|| {
                let store = GroupStore::new(layout);
                *bytes += store.bytes();
                store
            })
        });
        self.groups -= store.groups();
        *bytes -= store.bytes();
        let result = store.fold(layout, &self.spec.keys, (&batch.columns, &batch.ordinals), &mut self.scratch);
        self.groups += store.groups();
        *bytes += store.bytes();
        result.map(|()| FoldCounts { folded: batch.rows() as u64, late: 0 })
    }
}

fn greatest_stamp(stamps: &Stamps) -> EventTimeMs {
    match stamps {
        Stamps::Uniform(stamp) => *stamp,
        Stamps::Each(each) => each.iter().copied().max().unwrap_or(EventTimeMs::MIN),
    }
}
