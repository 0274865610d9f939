//! The owner's side of a mini-batched running aggregation on one worker: groups that were gathered elsewhere are merged as
//! they come, and what that changes leaves when nothing more is there to merge.
//!
//! How long rows are gathered is decided where they are folded (`Fold` in `tail.rs`); nothing waits here.

use std::sync::Arc;

use thalweg_operators::group::MiniBatchedGroups;
use thalweg_runtime::latency::{Point, Spans};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::Flow;
use super::steps;
use super::tail::{Tail, aggregate_refused};
use crate::error::Error;
use crate::plan::stages::Step;

/// Merges and emits.
pub(super) struct MiniBatchOperator {
    groups: MiniBatchedGroups,
    /// Groups whose changes leave together.
    batch_rows: usize,
    steps: Vec<Step>,
    tail: Tail,
    counters: Arc<StageCounters>,
    /// When the rows were due whose changes have not left.
    due: Spans,
    frontier: EventTimeMs,
}

impl MiniBatchOperator {
    pub(super) fn new(
        groups: MiniBatchedGroups,
        batch_rows: usize,
        (steps, tail): (Vec<Step>, Tail),
        counters: Arc<StageCounters>,
    ) -> Self {
        Self { groups, batch_rows, steps, tail, counters, due: Spans::default(), frontier: EventTimeMs::MIN }
    }
}

impl Operator<Flow> for MiniBatchOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let Flow::Partials(partials, spans) = data else {
            return Err(Error::internal("a mini-batched aggregation takes groups").into());
        };
        self.groups.merge(partials).map_err(aggregate_refused)?;
        self.tail.track.record_all(Point::Merged, &spans);
        self.due.extend(spans);
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if let Some(changes) = self.groups.next_changes(self.batch_rows).map_err(aggregate_refused)? {
            add(&self.counters.rows_in, changes.rows() as u64);
            self.tail.track.begin(self.due.joined());
            steps::run(&self.steps, changes, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
            self.tail.end_block(None, cx);
            return Ok(Activity::Busy);
        }
        self.due = Spans::default();
        if self.frontier != EventTimeMs::END {
            return Ok(Activity::Waiting);
        }
        self.groups.end();
        self.tail.finish(cx)?;
        Ok(Activity::Done)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        while let Some(changes) = self.groups.next_changes(self.batch_rows).map_err(aggregate_refused)? {
            add(&self.counters.rows_in, changes.rows() as u64);
            steps::run(&self.steps, changes, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
        }
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.groups.bytes() + self.tail.state_bytes()
    }
}
