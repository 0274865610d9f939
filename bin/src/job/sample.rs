//! The first rows of an aggregation's sources, looked at before the job runs: how many distinct keys there are among them.
//!
//! Only sources that can be read again are looked at, and those go through the same steps as in the job. What is wrong
//! with the input is not told here: the job will meet it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use arrow_array::{ArrayRef, RecordBatch};
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_operators::kernels::Kernels;
use thalweg_operators::key::{PackedKeys, plain};
use thalweg_operators::spec::GroupSpec;
use thalweg_runtime::exchange::doorbell::Doorbells;
use thalweg_runtime::{EventTimeMs, WorkerId};

use super::account::StageCounters;
use super::steps;
use crate::connect::{ReadOptions, ScanHints, Source, SourceEvent};
use crate::error::{Error, Result};
use crate::plan::distinct::KeyEstimate;
use crate::plan::stages::{Head, Stage};

/// Rows that are looked at for an aggregation, over all its sources: enough to tell thousands of keys from millions, in
/// some ten milliseconds.
const ROWS_MAX: u64 = 65_536;

/// Bytes of a source that are looked at: fewer rows must do where records are long.
const BYTES_MAX: u64 = 16 << 20;

/// How long a source that has nothing yet is waited for, in all: a decompressor or a slow disk. Then what is there counts.
const WAIT_MAX: Duration = Duration::from_millis(250);

/// Distinct keys of the aggregation `spec` that `feeders` feed; `None` if no row could be looked at.
pub(super) fn estimate_keys(feeders: &[&Stage], spec: &GroupSpec, read: &ReadOptions) -> Option<KeyEstimate> {
    let read = ReadOptions { workers: 1, ..read.clone() };
    let rows_of_each = (ROWS_MAX / feeders.len().max(1) as u64).max(1);
    let (kernels, packed, counts) = (read.kernels, PackedKeys::default(), HashMap::new());
    let mut sample = Sample { spec, kernels, packed, counts, rows: 0, deadline: None };
    let mut rows_max = Some(0_u64);
    for stage in feeders {
        // A source that cannot be read will say so when the job opens it.
        let rows = sample.look_at(stage, &read, rows_of_each).unwrap_or_default();
        rows_max = rows_max.zip(rows).map(|(sum, rows)| sum.saturating_add(rows));
    }
    (!sample.counts.is_empty()).then(|| KeyEstimate::of_counts(sample.counts.into_values(), rows_max))
}

struct Sample<'a> {
    spec: &'a GroupSpec,
    kernels: Kernels,
    packed: PackedKeys,
    /// Rows by the hash of their key. Two keys with one hash of 64 bits are too rare to show in an estimate.
    counts: HashMap<u64, u64>,
    /// Sum of the counts.
    rows: u64,
    /// Set by the first wait.
    deadline: Option<Instant>,
}

impl Sample<'_> {
    /// Counts the keys of the stage's first rows, of about `rows_max` records; answers how many rows may come out of the
    /// stage in all, if that can be told.
    fn look_at(&mut self, stage: &Stage, read: &ReadOptions, rows_max: u64) -> Result<Option<u64>> {
        match &stage.head {
            Head::Values(rows) => {
                let rows_before = self.rows;
                self.take_in(stage, rows.clone())?;
                Ok(Some(self.rows - rows_before))
            }
            Head::Scan { table, columns, pruning, codes } => {
                let bells = Doorbells::new(1);
                let source =
                    table.connector.open_sample(table, columns, &ScanHints { pruning, codes }, read, &bells)?;
                source.map_or(Ok(None), |source| self.read(stage, source.as_ref(), &bells, rows_max))
            }
            Head::Merge { .. }
            | Head::Running { .. }
            | Head::MiniBatched { .. }
            | Head::Rank { .. }
            | Head::Session { .. }
            | Head::Sort { .. }
            | Head::Union => Ok(None),
        }
    }

    fn read(&mut self, stage: &Stage, source: &dyn Source, bells: &Doorbells, rows_max: u64) -> Result<Option<u64>> {
        let mut reader = source.reader(WorkerId(0));
        let (rows_before, mut records, mut bytes) = (self.rows, 0, 0);
        let is_whole = loop {
            if records >= rows_max || bytes >= BYTES_MAX {
                break false;
            }
            bells.bell(WorkerId(0)).take();
            match reader.poll()? {
                SourceEvent::Block(block) => {
                    bytes += block.bytes;
                    records += block.records;
                    for batch in block.batches {
                        self.take_in(stage, batch)?;
                    }
                }
                SourceEvent::Pending => {
                    let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + WAIT_MAX);
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        break false;
                    }
                    bells.bell(WorkerId(0)).wait(left);
                }
                SourceEvent::End => break true,
            }
        };
        source.drain();
        let rows = self.rows - rows_before;
        if is_whole {
            return Ok(Some(rows));
        }
        let total = source.bytes_total().filter(|_| bytes > 0);
        Ok(total.map(|total| (u128::from(rows) * u128::from(total) / u128::from(bytes)) as u64))
    }

    /// Counts the keys of a batch of the source, after the stage's steps.
    fn take_in(&mut self, stage: &Stage, columns: RecordBatch) -> Result<()> {
        let (ordinals, stamps) = (Ordinals::Run(Ordinal::of_row(0)), Stamps::Uniform(EventTimeMs::MIN));
        let batch = Batch { columns, ordinals, stamps, kinds: RowKinds::Inserts };
        let (counters, mut failed) = (StageCounters::default(), Vec::new());
        steps::run_rejecting(&stage.steps, batch, &counters, &mut failed, &mut |batch| self.count(&batch))
    }

    fn count(&mut self, batch: &Batch) -> Result<()> {
        let keys = self.spec.keys.iter().map(|key| plain(batch.columns.column(key.column)));
        let keys: Vec<ArrayRef> = keys.collect::<Result<_, _>>().map_err(|error| Error::internal(error.to_string()))?;
        let keys: Vec<&ArrayRef> = keys.iter().collect();
        self.packed.pack(&keys, batch.rows(), self.kernels).map_err(|error| Error::internal(error.to_string()))?;
        self.rows += batch.rows() as u64;
        for hash in &self.packed.hashes {
            *self.counts.entry(*hash).or_default() += 1;
        }
        Ok(())
    }
}
