//! Rows that the statement itself holds (VALUES, SELECT without FROM): a source of one batch, on worker 0.

use std::sync::Arc;

use arrow_array::RecordBatch;
use thalweg_operators::batch::{Batch, Ordinal, Ordinals, Stamps};
use thalweg_operators::changelog::RowKinds;
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::flow::Flow;
use super::steps;
use super::tail::Tail;
use crate::error::Error;
use crate::plan::stages::Step;

/// Emits its rows once.
pub(super) struct ValuesOperator {
    /// Taken by the first poll; `None` from the start on the other workers.
    pub(super) rows: Option<RecordBatch>,
    /// As for a scan: distinguishes the sources of a job in the ordinals.
    pub(super) source: u32,
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
}

impl Operator<Flow> for ValuesOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, _: Flow) -> Result<(), Fault> {
        Err(Error::internal("VALUES has no input edge").into())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, _: EventTimeMs) -> Result<(), Fault> {
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        if let Some(columns) = self.rows.take() {
            add(&self.counters.rows_in, columns.num_rows() as u64);
            let batch = Batch {
                columns,
                ordinals: Ordinals::Run(Ordinal::of_row(u128::from(self.source) << 96)),
                stamps: Stamps::Uniform(EventTimeMs::MIN),
                kinds: RowKinds::Inserts,
            };
            steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
            // All of it is one block.
            self.tail.end_block(self.tail.is_ordered().then_some(0), cx);
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
