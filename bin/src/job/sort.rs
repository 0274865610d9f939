//! ORDER BY, LIMIT and OFFSET: all rows meet at worker 0, which emits them in order at the end of input.

use std::collections::VecDeque;
use std::sync::Arc;

use thalweg_operators::batch::Batch;
use thalweg_operators::sort::Sorter;
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
    pub(super) sorted: VecDeque<Batch>,
    pub(super) batch_rows: usize,
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
}

impl Operator<Flow> for SortOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let (Flow::Rows(batch), Some(sorter)) = (data, &mut self.sorter) else {
            return Err(Error::internal("a sort takes rows, until its input has ended").into());
        };
        sorter.push(batch).map_err(|error| Error::internal(error.to_string()))?;
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        if frontier == EventTimeMs::END
            && let Some(sorter) = self.sorter.take()
        {
            let sorted = sorter.finish(self.batch_rows).map_err(|error| Error::internal(error.to_string()))?;
            self.sorted = sorted.into();
        }
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if self.sorter.is_some() {
            return Ok(Activity::Waiting);
        }
        if let Some(batch) = self.sorted.pop_front() {
            add(&self.counters.rows_in, batch.rows() as u64);
            let batch = steps::run(&self.steps, batch, &self.counters)?;
            self.tail.push(batch, &self.counters, cx)?;
            self.tail.end_block(None, cx);
            return Ok(Activity::Busy);
        }
        self.tail.finish(cx);
        Ok(Activity::Done)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        let held: usize = self.sorted.iter().map(|batch| batch.columns.get_array_memory_size()).sum();
        self.sorter.as_ref().map_or(0, Sorter::state_bytes) + held + self.tail.state_bytes()
    }
}
