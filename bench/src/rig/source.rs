//! The source of one worker: batches from memory, into a producer.

use std::sync::{Arc, PoisonError};

use thalweg_operators::window::next_close_after;
use thalweg_runtime::state::{Cost, Producer, Release, Sends};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Nanos, Operator, WorkerId};

use super::gate::{Entry, Gate};
use super::{Parcel, Record, Records};
use crate::model::{BatchOf, Model, Prepared};
use crate::workload::{START, tumbling};

pub(super) struct Source<M: Model> {
    worker: usize,
    producer: Box<dyn Producer<M::Aggregation>>,
    prepared: Arc<Prepared<BatchOf<M>>>,
    gate: Arc<Gate>,
    records: Records,
    record: Record,
    repetition: usize,
    /// Start of the repetition, and the next batch in it; `None` at the gate.
    inside: Option<(Nanos, usize)>,
    sends: Sends<M::Aggregation>,
    /// The least time that closes a window which is open.
    next_close: EventTimeMs,
}

impl<M: Model> Source<M> {
    pub(super) fn new(
        worker: WorkerId,
        producer: Box<dyn Producer<M::Aggregation>>,
        prepared: Arc<Prepared<BatchOf<M>>>,
        gate: Arc<Gate>,
        records: Records,
    ) -> Self {
        let worker = usize::from(worker.0);
        let batches = prepared.feeds.iter().map(|producers| producers[worker].len()).sum();
        let record = Record { worker, latencies: Vec::with_capacity(batches), ..Record::default() };
        Self {
            worker,
            producer,
            prepared,
            gate,
            records,
            record,
            repetition: 0,
            inside: None,
            sends: Sends::<M::Aggregation>::new(),
            next_close: next_close_after(Some(&tumbling(0)), START),
        }
    }

    fn add(&mut self, cost: Cost) {
        if self.prepared.script.repetitions[self.repetition].is_measured {
            self.record.cost += cost;
        }
    }

    fn send(&mut self, cx: &mut Context<'_, Parcel<M::Aggregation>>) {
        for (to, message) in self.sends.drain(..) {
            cx.send(EdgeId(0), to, Parcel(message));
        }
    }

    /// What a source of a job does when its watermark closes windows.
    fn promise(
        &mut self,
        cx: &mut Context<'_, Parcel<M::Aggregation>>,
        release: Release,
        watermark: EventTimeMs,
    ) -> Result<(), Fault> {
        let cost = self.producer.release(release, &mut self.sends).map_err(Box::new)?;
        self.add(cost);
        self.send(cx);
        cx.promise(watermark);
        self.next_close = next_close_after(Some(&tumbling(0)), watermark);
        Ok(())
    }

    /// One batch; false if there is none left, or no time.
    fn feed(
        &mut self,
        cx: &mut Context<'_, Parcel<M::Aggregation>>,
        (start, turn): (Nanos, usize),
    ) -> Result<bool, Fault> {
        let prepared = Arc::clone(&self.prepared);
        let repetition = &prepared.script.repetitions[self.repetition];
        let Some(fed) = prepared.feeds[self.repetition][self.worker].get(turn) else { return Ok(false) };
        let before = self.gate.now();
        if repetition.limit.is_some_and(|limit| u128::from(before.0 - start.0) > limit.as_nanos()) {
            return Ok(false);
        }
        let processed = self.producer.process(&fed.batch, &mut self.sends).map_err(Box::new)?;
        if processed.folded.late > 0 {
            return Err(format!("{} late rows in a workload without any", processed.folded.late).into());
        }
        if repetition.is_measured {
            self.record.latencies.push(self.gate.now().0 - before.0);
        }
        self.add(processed.cost);
        self.send(cx);
        self.record.rows[self.repetition] += fed.rows;
        self.record.fed[self.repetition] += 1;
        if fed.watermark >= self.next_close {
            self.promise(cx, Release::ClosedBy(fed.watermark), fed.watermark)?;
        }
        self.inside = Some((start, turn + 1));
        Ok(true)
    }
}

impl<M: Model> Operator<Parcel<M::Aggregation>> for Source<M> {
    fn receive(
        &mut self,
        _: &mut Context<'_, Parcel<M::Aggregation>>,
        _: EdgeId,
        _: WorkerId,
        _: Parcel<M::Aggregation>,
    ) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }

    fn advance(&mut self, _: &mut Context<'_, Parcel<M::Aggregation>>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }

    fn poll(&mut self, cx: &mut Context<'_, Parcel<M::Aggregation>>) -> Result<Activity, Fault> {
        let inside = match self.inside {
            Some(inside) => inside,
            None => match self.gate.enter(self.repetition) {
                Entry::Wait => return Ok(Activity::Waiting),
                Entry::Over => return Ok(Activity::Done),
                Entry::Enter(now) => {
                    self.record.fed.push(0);
                    self.record.rows.push(0);
                    (now, 0)
                }
            },
        };
        if !self.feed(cx, inside)? {
            let until = self.prepared.script.repetitions[self.repetition].until;
            self.promise(cx, Release::All, until)?;
            self.repetition += 1;
            self.inside = None;
        }
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, _: &mut Context<'_, Parcel<M::Aggregation>>, _: Epoch) -> Result<(), Fault> {
        Err("nobody asked for a barrier".into())
    }

    fn state_bytes(&self) -> usize {
        self.producer.bytes()
    }
}

impl<M: Model> Drop for Source<M> {
    fn drop(&mut self) {
        let record = std::mem::take(&mut self.record);
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}
