//! The owner's side of an aggregation on one worker: what producers send is taken in, closed windows leave as rows.

use std::sync::Arc;

use thalweg_operators::group::{Emission, GroupAggregation};
use thalweg_runtime::latency::{Origin, Point, Span};
use thalweg_runtime::state::{Message, Owner};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Nanos, Operator, WorkerId};

use super::account::{StageCounters, add};
use super::costs::Tally;
use super::flow::Flow;
use super::steps;
use super::tail::{Tail, aggregate_refused};
use crate::error::Error;
use crate::plan::stages::Step;

/// Takes in, closes and emits.
pub(super) struct MergeOperator {
    pub(super) owner: Box<dyn Owner<GroupAggregation>>,
    pub(super) emission: Emission,
    pub(super) batch_rows: usize,
    pub(super) steps: Vec<Step>,
    pub(super) tail: Tail,
    pub(super) counters: Arc<StageCounters>,
    pub(super) tally: Tally,
    /// What the inputs have promised; promised downstream as soon as everything that it closes was emitted.
    pub(super) frontier: EventTimeMs,
    pub(super) is_emitting: bool,
    /// When the frontier passed what is being emitted, on the clock that measures.
    pub(super) closed_at: Nanos,
}

impl Operator<Flow> for MergeOperator {
    fn receive(&mut self, _: &mut Context<'_, Flow>, _: EdgeId, _: WorkerId, data: Flow) -> Result<(), Fault> {
        let (message, spans) = match data {
            Flow::Partials(partials, spans) => (Message::Groups(partials), spans),
            Flow::Rows(batch, spans) => {
                add(&self.counters.taken, batch.rows() as u64);
                (Message::Rows(batch), spans)
            }
            Flow::Routed(_) | Flow::Output(_) => return Err(Error::internal("a merge takes partials and rows").into()),
        };
        let received = self.owner.receive(message).map_err(aggregate_refused)?;
        add(&self.counters.folded, received.folded.folded);
        add(&self.counters.late, received.folded.late);
        self.tally.add(received.cost);
        self.tail.track.record_all(Point::Merged, &spans);
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Flow>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        if !self.is_emitting {
            self.closed_at = self.tail.track.now();
        }
        let closing = self.owner.close(frontier).map_err(aggregate_refused)?;
        self.tally.add(closing.cost);
        self.emission.push(closing.windows).map_err(aggregate_refused)?;
        if frontier == EventTimeMs::END && closing.is_elected {
            self.emission.end().map_err(aggregate_refused)?;
        }
        self.is_emitting = true;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Flow>) -> Result<Activity, Fault> {
        // A step begins with a poll, also one that a reader's ring brought about.
        self.owner.publish();
        self.tail.answer_readers(cx)?;
        if !self.is_emitting {
            return Ok(Activity::Waiting);
        }
        if let Some(batch) = self.emission.next_batch(self.batch_rows).map_err(aggregate_refused)? {
            add(&self.counters.rows_in, batch.rows() as u64);
            self.tail.track.begin(Some(Span::at(self.closed_at, batch.rows() as u64, Origin::Close)));
            steps::run(&self.steps, batch, &self.counters, &mut |batch| self.tail.push(batch, &self.counters, cx))?;
            self.tail.end_block(None, cx);
            return Ok(Activity::Busy);
        }
        self.is_emitting = false;
        if self.frontier == EventTimeMs::END {
            self.tail.finish(cx)?;
            return Ok(Activity::Done);
        }
        self.tail.advance(self.frontier, cx)?;
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Flow>, _: Epoch) -> Result<(), Fault> {
        self.tail.flush(cx)?;
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.owner.bytes() + self.emission.bytes() + self.tail.state_bytes()
    }
}
