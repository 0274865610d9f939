//! The end of a stage on one worker: fold and send partials, pass rows on, or encode them for a sink.

use std::sync::Arc;

use arrow_array::{Array, RecordBatch};
use thalweg_operators::batch::Batch;
use thalweg_operators::group::{FoldScratch, GroupAggregation, GroupShard};
use thalweg_operators::{own, window};
use thalweg_runtime::state::{Aggregation, Release};
use thalweg_runtime::{Context, EdgeId, EventTimeMs, WorkerId};

use super::account::{StageCounters, add};
use super::flow::{Flow, Output};
use crate::connect::Encoder;
use crate::error::{Error, Result};

/// Groups in the private tables of a stage at which they are sent to their owners: about 4 MiB of table, past which
/// folding costs cache misses that the owner's merge has to pay again.
const PRIVATE_GROUPS_MAX: usize = 1 << 16;

/// Where the batches of a stage go.
pub(super) enum Tail {
    /// Into private tables, whose partials go to the owners.
    Fold(Box<Fold>),
    /// All to worker 0.
    Gather(EdgeId),
    /// To the same worker.
    Pass(EdgeId),
    /// To a sink.
    Sink(SinkTail),
}

/// The private tables and what was promised of them.
pub(super) struct Fold {
    pub(super) aggregation: Arc<GroupAggregation>,
    pub(super) local: GroupShard,
    pub(super) scratch: FoldScratch,
    pub(super) workers: usize,
    pub(super) edge: EdgeId,
    /// Least time that closes a window which is open after the last promise.
    pub(super) next_close: EventTimeMs,
}

/// The end of a pipeline.
pub(super) struct SinkTail {
    pub(super) edge: EdgeId,
    /// `None`: batches leave as they are.
    pub(super) encoder: Option<Box<dyn Encoder>>,
    pub(super) output: Output,
    /// Columns that the sink declares NOT NULL, and their names.
    pub(super) required: Vec<(usize, String)>,
}

impl Tail {
    /// Takes a batch that has passed all steps.
    pub(super) fn push(&mut self, batch: Batch, counters: &StageCounters, cx: &mut Context<'_, Flow>) -> Result<()> {
        let rows = batch.rows() as u64;
        if rows == 0 {
            return Ok(());
        }
        match self {
            Self::Fold(fold) => {
                let Fold { aggregation, local, scratch, .. } = &mut **fold;
                let counts = aggregation.fold(local, &batch, scratch).map_err(aggregate_refused)?;
                add(&counters.folded, counts.folded);
                add(&counters.late, counts.late);
                if fold.aggregation.groups(&fold.local) >= PRIVATE_GROUPS_MAX {
                    fold.flush(Release::All, cx);
                }
            }
            Self::Gather(edge) => {
                add(&counters.passed, rows);
                cx.send(*edge, WorkerId(0), Flow::Rows(owned(&batch)?));
            }
            Self::Pass(edge) => {
                add(&counters.passed, rows);
                cx.send(*edge, cx.worker(), Flow::Rows(owned(&batch)?));
            }
            Self::Sink(sink) => {
                sink.refuse_null(&batch.columns)?;
                add(&counters.passed, rows);
                sink.output.rows += rows;
                match &mut sink.encoder {
                    Some(encoder) => encoder.encode(&batch.columns, &mut sink.output.bytes)?,
                    None => sink.output.batches.push(owned(&batch)?.columns),
                }
            }
        }
        Ok(())
    }

    /// Sends what a sink has been given since the last call. `block`: the source block, if the sink keeps their order.
    pub(super) fn end_block(&mut self, block: Option<u64>, cx: &mut Context<'_, Flow>) {
        if let Self::Sink(sink) = self
            && (block.is_some() || sink.output.rows > 0)
        {
            let output = std::mem::take(&mut sink.output);
            cx.send(sink.edge, WorkerId(0), Flow::Output(Output { block, ..output }));
        }
    }

    /// Everything at or below `time` has been pushed: sends what that closes, then promises it. Says whether windows may
    /// close by it.
    pub(super) fn advance(&mut self, time: EventTimeMs, cx: &mut Context<'_, Flow>) -> bool {
        match self {
            Self::Fold(fold) => {
                // Promises between two closes change nothing at the owner, so they are not sent.
                let window = fold.aggregation.spec().window.as_ref();
                if window.is_none() || time < fold.next_close {
                    return false;
                }
                fold.next_close = window::next_close_after(window, time);
                fold.flush(Release::ClosedBy(time), cx);
                cx.promise(time);
                true
            }
            Self::Gather(_) | Self::Pass(_) | Self::Sink(_) => {
                cx.promise(time);
                false
            }
        }
    }

    /// No batch will come any more: sends what is held.
    pub(super) fn finish(&mut self, cx: &mut Context<'_, Flow>) {
        if let Self::Fold(fold) = self {
            fold.flush(Release::All, cx);
        }
    }

    /// Sends all that is held privately, ahead of a barrier.
    pub(super) fn flush(&mut self, cx: &mut Context<'_, Flow>) {
        self.finish(cx);
        self.end_block(None, cx);
    }

    /// Bytes of the private tables.
    pub(super) fn state_bytes(&self) -> usize {
        match self {
            Self::Fold(fold) => fold.aggregation.bytes(&fold.local),
            Self::Gather(_) | Self::Pass(_) | Self::Sink(_) => 0,
        }
    }
}

impl SinkTail {
    /// As Flink's `table.exec.sink.not-null-enforcer` does by default.
    fn refuse_null(&self, columns: &RecordBatch) -> Result<()> {
        match self.required.iter().find(|(column, _)| columns.column(*column).null_count() > 0) {
            None => Ok(()),
            Some((_, name)) => Err(Error::data(format!("a NULL is to be written into column `{name}`, which is NOT NULL"))
                .help("leave such rows out with WHERE … IS NOT NULL, give a value with COALESCE, or declare the column without NOT NULL")),
        }
    }
}

impl Fold {
    fn flush(&mut self, release: Release, cx: &mut Context<'_, Flow>) {
        for (owner, partials) in self.aggregation.split(&mut self.local, release, self.workers) {
            cx.send(self.edge, WorkerId(owner as u16), Flow::Partials(partials));
        }
    }
}

/// The same rows without a view into an input block: nothing that leaves a step may keep one.
fn owned(batch: &Batch) -> Result<Batch> {
    own::batch(batch).map_err(|error| Error::internal(error.to_string()))
}

/// An aggregate without a value (an overflow) is an error in the data.
pub(super) fn aggregate_refused(error: thalweg_operators::aggregate::AggregateError) -> Error {
    if error.is_internal() { Error::internal(error.to_string()) } else { Error::data(error.to_string()) }
}
