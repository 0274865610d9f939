//! Rows into groups: which of them are late, which window holds each of the others, and where it changes.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow_array::cast::AsArray;
use arrow_array::types::TimestampMillisecondType;
use arrow_array::{Array, UInt32Array};
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::state::Folded;

use super::{FoldScratch, GroupAggregation, GroupShard};
use crate::aggregate::AggregateError;
use crate::batch::{Batch, Stamps};
use crate::extent::extent;
use crate::spec::Windows;
use crate::window::{OutOfRange, PaneCursor, TimeWindow};

/// Runs of one pane's rows that are folded where they are. A batch with more is sorted into panes first.
const RUNS_MAX: usize = 16;

impl GroupAggregation {
    /// Adds the rows of a batch to the groups of their [panes](crate::window), except those that are late by their stamps.
    ///
    /// # Errors
    /// If there are too many groups, if a column is not what was planned, if the windows of an event time are out of range,
    /// or if rows that are not late have a window that this shard has closed: a bug of the caller.
    pub(super) fn fold_batch(
        &self,
        shard: &mut GroupShard,
        batch: &Batch,
        scratch: &mut FoldScratch,
    ) -> Result<Folded, AggregateError> {
        let Self { layout, spec, .. } = self;
        self.each_pane(batch, |window, batch| {
            let make = self.maker(shard, batch.rows());
            shard.change(window, make, |store| {
                store.fold(layout, &spec.keys, (&batch.columns, &batch.ordinals), scratch)
            })
        })
    }

    /// Calls `fold` with the rows of each pane that a batch has rows of, except those that are late by their stamps.
    ///
    /// # Errors
    /// If a row has no event time, or one whose windows are out of range, and those of `fold`.
    pub(super) fn each_pane(
        &self,
        batch: &Batch,
        mut fold: impl FnMut(TimeWindow, &Batch) -> Result<(), AggregateError>,
    ) -> Result<Folded, AggregateError> {
        let all = Folded { folded: batch.rows() as u64, late: 0 };
        if batch.rows() == 0 {
            return Ok(all);
        }
        let Some(windows) = &self.spec.window else {
            fold(TimeWindow::ALL, batch)?;
            return Ok(all);
        };
        let column = batch.columns.column(windows.time_column);
        if column.null_count() > 0 {
            return Err(AggregateError::Mismatch("a row has no event time"));
        }
        let times: &[i64] = column.as_primitive::<TimestampMillisecondType>().values();
        let (first, last) = extent(times, self.layout.kernels);
        let (least, greatest) = least_and_greatest(&batch.stamps);
        let mut cursor = PaneCursor::new(windows);
        // Windows that hold both ends of a stretch hold what is between them, and what is open at both stamps is open.
        let pane = cursor.pane(EventTimeMs(first), greatest)?;
        if let Some(pane) = pane.filter(|_| cursor.holds(EventTimeMs(last), least)) {
            fold(pane, batch)?;
            return Ok(all);
        }
        let (runs, late) = runs(windows, times, &batch.stamps)?;
        let mut folded = Folded { folded: 0, late };
        for (pane, batch) in parts(batch, runs)? {
            fold(pane, &batch)?;
            folded.folded += batch.rows() as u64;
        }
        Ok(folded)
    }
}

/// Rows of one pane, one after the other.
type Run = (TimeWindow, Range<usize>);

/// The runs of a batch with rows of several panes or with late ones, and how many are late.
fn runs(windows: &Windows, times: &[i64], stamps: &Stamps) -> Result<(Vec<Run>, u64), OutOfRange> {
    let (mut runs, mut late): (Vec<Run>, u64) = (Vec::new(), 0);
    let mut cursor = PaneCursor::new(windows);
    for (row, &time) in times.iter().enumerate() {
        let Some(pane) = cursor.pane(EventTimeMs(time), stamps.get(row))? else {
            late += 1;
            continue;
        };
        match runs.last_mut() {
            Some((last, rows)) if *last == pane && rows.end == row => rows.end += 1,
            _ => runs.push((pane, row..row + 1)),
        }
    }
    Ok((runs, late))
}

/// The rows of the runs, as few batches.
fn parts(batch: &Batch, runs: Vec<Run>) -> Result<Vec<(TimeWindow, Batch)>, AggregateError> {
    if runs.len() <= RUNS_MAX {
        let slice = |(window, rows): Run| (window, batch.slice(rows.start, rows.len()));
        return Ok(runs.into_iter().map(slice).collect());
    }
    let mut by_window: BTreeMap<TimeWindow, Vec<u32>> = BTreeMap::new();
    for (window, rows) in runs {
        by_window.entry(window).or_default().extend(rows.start as u32..rows.end as u32);
    }
    let take = |(window, rows)| Ok((window, batch.take(&UInt32Array::from(rows))?));
    by_window.into_iter().map(take).collect()
}

fn least_and_greatest(stamps: &Stamps) -> (EventTimeMs, EventTimeMs) {
    match stamps {
        Stamps::Uniform(stamp) => (*stamp, *stamp),
        Stamps::Each(each) => {
            each.iter().fold((EventTimeMs::END, EventTimeMs::MIN), |(lo, hi), &stamp| (lo.min(stamp), hi.max(stamp)))
        }
    }
}
