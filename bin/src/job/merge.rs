//! The owner's side of an aggregation on one worker: partials are merged into its shard, closed windows leave as rows.

use std::sync::Arc;

use thalweg_operators::group::{Emission, GroupAggregation, GroupShard};
use thalweg_runtime::state::Aggregation;
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::Flow;
use super::steps;
use super::tail::{Tail, aggregate_refused};
use crate::error::Error;
use crate::plan::stages::Step;

/// Merges, closes and emits.
pub(super) struct MergeOperator {
    pub(super) aggregation: Arc<GroupAggregation>,
    pub(super) shard: GroupShard,
    pub(super) emission: Emission,
    pub(super) batch_rows: usize,
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
    /// What the inputs have promised; promised downstream as soon as everything that it closes was emitted.
    pub(super) frontier: EventTimeMs,
    pub(super) is_emitting: bool,
}

impl Operator<Flow> for MergeOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let Flow::Partials(partials) = data else {
            return Err(Error::internal("a merge takes partials").into());
        };
        add(&self.counters.merged, partials.rows() as u64);
        self.aggregation.merge(&mut self.shard, partials).map_err(aggregate_refused)?;
        Ok(())
    }

    fn advance(&mut self, cx: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        self.emission.push(self.aggregation.close(&mut self.shard, frontier)).map_err(aggregate_refused)?;
        // Without GROUP BY there is one group, whose row comes out even if nothing went in: worker 0 says so.
        if frontier == EventTimeMs::END && cx.worker() == WorkerId(0) {
            self.emission.end().map_err(aggregate_refused)?;
        }
        self.is_emitting = true;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if !self.is_emitting {
            return Ok(Activity::Waiting);
        }
        if let Some(batch) = self.emission.next_batch(self.batch_rows).map_err(aggregate_refused)? {
            add(&self.counters.rows_in, batch.rows() as u64);
            steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
            self.tail.end_block(None, cx);
            return Ok(Activity::Busy);
        }
        self.is_emitting = false;
        if self.frontier == EventTimeMs::END {
            self.tail.finish(cx);
            return Ok(Activity::Done);
        }
        self.tail.advance(self.frontier, cx);
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.aggregation.bytes(&self.shard) + self.emission.bytes() + self.tail.state_bytes()
    }
}
