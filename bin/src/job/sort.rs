//! ORDER BY, LIMIT and OFFSET: all rows meet at worker 0, which emits them in order at the end of input.

use std::sync::Arc;

use thalweg_operators::sort::{Sorted, Sorter};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::Flow;
use super::steps;
use super::tail::Tail;
use crate::error::Error;
use crate::plan::stages::Step;

/// Holds what the limit lets through, then emits.
pub(super) struct SortOperator {
    /// Taken when the input ends.
    pub(super) sorter: Option<Sorter>,
    pub(super) sorted: Option<Sorted>,
    /// Bytes that the sorter held when its input ended; they are held until the last row has left.
    pub(super) sorted_bytes: usize,
    pub(super) batch_rows: usize,
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
}

impl Operator<Flow> for SortOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let (Flow::Rows(batch, _), Some(sorter)) = (data, &mut self.sorter) else {
            return Err(Error::internal("a sort takes rows, until its input has ended").into());
        };
        sorter.push(&batch).map_err(|error| Error::internal(error.to_string()))?;
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        if frontier == EventTimeMs::END
            && let Some(sorter) = self.sorter.take()
        {
            self.sorted_bytes = sorter.bytes();
            self.sorted = Some(sorter.finish().map_err(|error| Error::internal(error.to_string()))?);
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        let Some(sorted) = &mut self.sorted else {
            return Ok(Activity::Waiting);
        };
        if let Some(batch) = sorted.next_batch(self.batch_rows).map_err(|error| Error::internal(error.to_string()))? {
            add(&self.counters.rows_in, batch.rows() as u64);
            steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
            self.tail.end_block(None, cx);
            return Ok(Activity::Busy);
        }
        self.tail.finish(cx)?;
        Ok(Activity::Done)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.sorter.as_ref().map_or(self.sorted_bytes, Sorter::bytes) + self.tail.state_bytes()
    }
}
