//! The merge of one worker: an owner, and what it emits.

use std::sync::{Arc, PoisonError};

use thalweg_runtime::state::{Cost, Meter, Owner};
use thalweg_runtime::{Activity, Context, EdgeId, Epoch, EventTimeMs, Fault, Operator, WorkerId};

use super::gate::Gate;
use super::{Parcel, Record, Records};
use crate::model::{BatchOf, Model, Prepared, Results};

pub(super) struct Merge<M: Model> {
    owner: Box<dyn Owner<M::Aggregation>>,
    results: Box<dyn Results<M::Aggregation>>,
    prepared: Arc<Prepared<BatchOf<M>>>,
    gate: Arc<Gate>,
    meter: Meter,
    records: Records,
    record: Record,
    repetition: usize,
    frontier: EventTimeMs,
    is_emitting: bool,
}

impl<M: Model> Merge<M> {
    pub(super) fn new(
        owner: Box<dyn Owner<M::Aggregation>>,
        results: Box<dyn Results<M::Aggregation>>,
        prepared: Arc<Prepared<BatchOf<M>>>,
        gate: Arc<Gate>,
        meter: Meter,
        records: Records,
    ) -> Self {
        let (record, frontier) = (Record::default(), EventTimeMs::MIN);
        Self { owner, results, prepared, gate, meter, records, record, repetition: 0, frontier, is_emitting: false }
    }

    fn is_measured(&self) -> bool {
        self.prepared.script.repetitions.get(self.repetition).is_some_and(|repetition| repetition.is_measured)
    }

    fn add(&mut self, cost: Cost) {
        if self.is_measured() {
            self.record.cost += cost;
        }
    }

    /// Everything that was due is out: the repetitions that the frontier has passed are at their end.
    fn finish(&mut self) -> Result<(), Fault> {
        while let Some(repetition) = self.prepared.script.repetitions.get(self.repetition)
            && self.frontier >= repetition.until
            && self.gate.has_begun(self.repetition)
        {
            self.gate.stop_clock(self.repetition);
            self.record.answer += self.results.take(repetition.offset_ms)?;
            self.gate.finish(self.repetition);
            self.repetition += 1;
        }
        Ok(())
    }
}

impl<M: Model> Operator<Parcel<M::Aggregation>> for Merge<M> {
    fn receive(
        &mut self,
        _: &mut Context<'_, Parcel<M::Aggregation>>,
        _: EdgeId,
        _: WorkerId,
        parcel: Parcel<M::Aggregation>,
    ) -> Result<(), Fault> {
        let received = self.owner.receive(parcel.0).map_err(Box::new)?;
        if received.folded.late > 0 {
            return Err(format!("{} late rows in a workload without any", received.folded.late).into());
        }
        self.add(received.cost);
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Parcel<M::Aggregation>>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        let closing = self.owner.close(frontier).map_err(Box::new)?;
        self.add(closing.cost);
        self.results.push(closing.windows)?;
        self.is_emitting = true;
        Ok(())
    }

    fn poll(&mut self, _: &mut Context<'_, Parcel<M::Aggregation>>) -> Result<Activity, Fault> {
        self.owner.publish();
        if !self.is_emitting {
            return Ok(Activity::Waiting);
        }
        let mut time = thalweg_runtime::Nanos(0);
        let has_emitted = self.meter.time(&mut time, || self.results.emit())?;
        if self.is_measured() {
            self.record.emit.0 += time.0;
        }
        if has_emitted {
            return Ok(Activity::Busy);
        }
        self.is_emitting = false;
        self.finish()?;
        Ok(if self.frontier == EventTimeMs::END { Activity::Done } else { Activity::Busy })
    }

    fn barrier(&mut self, _: &mut Context<'_, Parcel<M::Aggregation>>, _: Epoch) -> Result<(), Fault> {
        Err("nobody asked for a barrier".into())
    }

    fn state_bytes(&self) -> usize {
        self.owner.bytes()
    }
}

impl<M: Model> Drop for Merge<M> {
    fn drop(&mut self) {
        let record = std::mem::take(&mut self.record);
        self.records.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }
}
