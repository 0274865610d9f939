//! The inputs of a UNION ALL that end in one sink: rows come from stages on the same worker and go on.

use std::sync::Arc;

use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::Flow;
use super::steps;
use super::tail::Tail;
use crate::error::Error;
use crate::plan::stages::Step;

/// Passes rows on.
pub(super) struct UnionOperator {
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
    pub(super) frontier: EventTimeMs,
}

impl Operator<Flow> for UnionOperator {
    fn receive(&mut self, cx: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let Flow::Rows(batch, spans) = data else {
            return Err(Error::internal("a union takes rows").into());
        };
        add(&self.counters.rows_in, batch.rows() as u64);
        self.tail.track.begin(spans.joined());
        steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
        self.tail.end_block(None, cx);
        Ok(())
    }

    fn advance(&mut self, cx: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        if frontier != EventTimeMs::END {
            self.tail.advance(frontier, cx)?;
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if self.frontier != EventTimeMs::END {
            return Ok(Activity::Waiting);
        }
        self.tail.finish(cx)?;
        Ok(Activity::Done)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.tail.state_bytes()
    }
}
