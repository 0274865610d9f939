//! One stage on one worker: an operator between its input lanes and its output lanes.
//!
//! Here is decided *in which order* an operator is called; [`Worker`](crate::Worker) decides when. The order of one
//! stage, each only while no output lane has a backlog:
//!
//! 1. `poll`, again while it is busy and the step's budget lasts, so that an emission that was begun goes on before new
//!    input comes;
//! 2. `advance`, if the frontier moved since the last call;
//! 3. `barrier`, if every live lane has delivered it; held lanes are opened;
//! 4. the next message of the lanes that are open, round-robin; then again from 2.
//!
//! A message's data are received before its watermark moves the frontier, and `advance` comes before the next message: an
//! operator never sees a row after a promise of its own producer that covers the row.

use crate::clock::Nanos;
use crate::control::{Control, EdgeTotals};
use crate::exchange::lane::{LaneReceiver, LaneSender, Mark, Taken};
use crate::operator::{Activity, Context, Fault, Operator, Outbox, Payload};
use crate::progress::barrier::{Alignment, Barrier};
use crate::progress::frontier::Frontier;
use crate::sync::mutant;
use crate::{EdgeId, Epoch, EventTimeMs, StageId, WorkerId};
use std::fmt;

/// What a stage needs of its worker for one step.
pub(crate) struct Shift<'a, D> {
    pub worker: WorkerId,
    pub workers: usize,
    pub is_draining: bool,
    pub now: Nanos,
    pub control: &'a Control,
    /// Empty between two calls; kept for its memory.
    pub outbox: &'a mut Outbox<D>,
}

/// A stage's operator and lanes on one worker.
pub(crate) struct Stage<D: Payload> {
    pub id: StageId,
    /// None once it is done: its state is freed at once.
    operator: Option<Box<dyn Operator<D>>>,
    inlets: Vec<Inlet<D>>,
    outlets: Vec<Outlet<D>>,
    frontier: Frontier,
    /// The frontier that the operator was last told.
    advanced: EventTimeMs,
    alignment: Alignment,
    /// The last epoch that a source stage ended.
    injected: Epoch,
    /// Where the round over the inlets goes on.
    next_inlet: usize,
    is_backlogged: bool,
    state_bytes: usize,
}

/// One input lane.
pub(crate) struct Inlet<D: Payload> {
    pub edge: EdgeId,
    pub from: WorkerId,
    pub lane: LaneReceiver<D>,
}

/// One output edge: a lane for each consumer.
pub(crate) struct Outlet<D: Payload> {
    pub edge: EdgeId,
    /// By worker; a single one if the edge leaves the workers.
    pub lanes: Vec<LaneSender<D>>,
    pub is_external: bool,
    pub blocked_nanos: u64,
}

impl<D: Payload> Stage<D> {
    pub fn new(id: StageId, operator: Box<dyn Operator<D>>, inlets: Vec<Inlet<D>>, outlets: Vec<Outlet<D>>) -> Self {
        let lanes = inlets.len();
        Self {
            id,
            operator: Some(operator),
            inlets,
            outlets,
            frontier: Frontier::new(lanes),
            advanced: EventTimeMs::MIN,
            alignment: Alignment::new(lanes),
            injected: Epoch(0),
            next_inlet: 0,
            is_backlogged: false,
            state_bytes: 0,
        }
    }

    /// No edge leads here: it reads the world.
    pub fn is_source(&self) -> bool {
        self.inlets.is_empty()
    }

    pub fn is_done(&self) -> bool {
        self.operator.is_none()
    }

    pub fn is_backlogged(&self) -> bool {
        self.is_backlogged
    }

    /// Sends what the output lanes take; true if a message left a backlog.
    pub fn flush(&mut self) -> bool {
        let mut moved = false;
        let mut is_backlogged = false;
        for lane in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.lanes) {
            if lane.is_backlogged() {
                let flushed = lane.flush();
                moved |= flushed.moved > 0;
                is_backlogged |= flushed.is_backlogged;
            }
        }
        self.is_backlogged = is_backlogged;
        moved
    }

    /// Polls the operator, then takes up to `budget` messages. True if anything was done.
    pub fn run(&mut self, shift: &mut Shift<'_, D>, budget: usize) -> Result<bool, Fault> {
        let mut worked = false;
        if self.is_source() {
            worked |= self.inject_barriers(shift)?;
        }
        if self.is_backlogged || self.is_done() {
            return Ok(worked);
        }
        let (polled, is_busy) = self.poll(shift, if self.is_source() { 1 } else { budget })?;
        worked |= polled;
        // An operator that is still emitting gets one message, so that its state does not grow faster than it empties, and
        // its producers move all the same.
        let mut budget = if is_busy { 1 } else { budget };
        while !self.is_backlogged && !self.is_done() {
            let frontier = self.frontier.get();
            if frontier > self.advanced {
                self.advanced = frontier;
                self.call(shift, |operator, cx| operator.advance(cx, frontier))?;
            } else if let Some(epoch) = self.alignment.complete() {
                self.call(shift, |operator, cx| operator.barrier(cx, epoch))?;
                self.send_barrier(epoch);
                self.alignment.release();
            } else if budget == 0 || !self.receive_one(shift)? {
                break;
            } else {
                budget -= 1;
            }
            worked = true;
        }
        if worked {
            self.publish_state(shift);
        }
        Ok(worked)
    }

    /// Polls the operator, again while it is busy and `polls` are left: whether it did anything, and whether it is busy
    /// still.
    fn poll(&mut self, shift: &mut Shift<'_, D>, polls: usize) -> Result<(bool, bool), Fault> {
        let mut worked = false;
        for _ in 0..polls {
            let (activity, sent) = self.call(shift, |operator, cx| operator.poll(cx))?;
            match activity {
                Activity::Busy => worked = true,
                Activity::Waiting => return Ok((worked || sent, false)),
                Activity::Done => {
                    if !self.is_source() && self.advanced < EventTimeMs::END {
                        return Err(Box::new(EndedEarly { frontier: self.advanced }));
                    }
                    self.operator = None;
                    if !mutant!(stage_ends_in_silence) {
                        self.promise(EventTimeMs::END);
                    }
                    return Ok((true, false));
                }
            }
            if self.is_backlogged {
                break;
            }
        }
        Ok((worked, true))
    }

    /// Takes one message, if there is one on an open lane.
    fn receive_one(&mut self, shift: &mut Shift<'_, D>) -> Result<bool, Fault> {
        let inlets = self.inlets.len();
        for step in 0..inlets {
            let index = (self.next_inlet + step) % inlets;
            if !self.alignment.is_open(index) {
                continue;
            }
            let inlet = &mut self.inlets[index];
            let message = match inlet.lane.take() {
                Taken::Message(message) => message,
                Taken::Empty => continue,
                Taken::Closed => return Err(Box::new(ProducerGone { edge: shift.control.edge_name(inlet.edge) })),
                Taken::Miscounted(miscount) => return Err(Box::new(miscount)),
            };
            self.next_inlet = (index + 1) % inlets;
            let (edge, from) = (inlet.edge, inlet.from);
            if let Some(data) = message.data {
                self.call(shift, |operator, cx| operator.receive(cx, edge, from, data))?;
            }
            match message.mark {
                Some(Mark::Barrier(barrier)) => self.alignment.arrive(index, barrier)?,
                Some(Mark::Watermark(watermark)) => self.raise(index, watermark),
                None => {}
            }
            return Ok(true);
        }
        Ok(false)
    }

    fn raise(&mut self, inlet: usize, watermark: EventTimeMs) {
        self.frontier.raise(inlet, watermark);
        if self.frontier.has_ended(inlet) {
            self.alignment.end(inlet);
        }
    }

    /// A source ends the epochs that were asked for, one call each.
    pub fn inject_barriers(&mut self, shift: &mut Shift<'_, D>) -> Result<bool, Fault> {
        let mut worked = false;
        let requested = shift.control.requested_epoch();
        while self.injected < requested && !self.is_backlogged && !self.is_done() {
            let epoch = Epoch(self.injected.0 + 1);
            if mutant!(stage_flushes_behind_the_barrier) {
                self.send_barrier(epoch);
            }
            self.call(shift, |operator, cx| operator.barrier(cx, epoch))?;
            self.injected = epoch;
            if !mutant!(stage_flushes_behind_the_barrier) {
                self.send_barrier(epoch);
            }
            worked = true;
        }
        Ok(worked)
    }

    /// Calls the operator and sends what it left in the outbox; tells what it answered, and whether it sent anything.
    fn call<R>(
        &mut self,
        shift: &mut Shift<'_, D>,
        call: impl FnOnce(&mut dyn Operator<D>, &mut Context<'_, D>) -> Result<R, Fault>,
    ) -> Result<(R, bool), Fault> {
        let operator = self.operator.as_mut().expect("a stage that is done is not run");
        let mut cx = Context::new(shift.worker, shift.workers, shift.is_draining, shift.now, shift.outbox);
        let answer = call(operator.as_mut(), &mut cx)?;
        let mut sent = !shift.outbox.sends.is_empty();
        for (edge, to, data) in shift.outbox.sends.drain(..) {
            let outlet = self.outlets.iter_mut().find(|outlet| outlet.edge == edge);
            let outlet = outlet.expect("an operator sends along the edges of its own stage");
            let lane = if outlet.is_external { 0 } else { usize::from(to.0) };
            outlet.lanes[lane].stage_data(data);
        }
        match shift.outbox.promise.take() {
            Some(watermark) => sent |= self.promise(watermark),
            None => sent |= self.flush(),
        }
        Ok((answer, sent))
    }

    /// Promises `watermark` to every consumer of every output edge; true if it was news to any.
    fn promise(&mut self, watermark: EventTimeMs) -> bool {
        for lane in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.lanes) {
            lane.stage_watermark(watermark);
        }
        let staged = self.outlets.iter().flat_map(|outlet| &outlet.lanes).any(LaneSender::is_backlogged);
        self.flush();
        staged
    }

    fn send_barrier(&mut self, epoch: Epoch) {
        for lane in self.outlets.iter_mut().flat_map(|outlet| &mut outlet.lanes) {
            lane.stage_barrier(Barrier { epoch });
        }
        self.flush();
    }

    fn publish_state(&mut self, shift: &Shift<'_, D>) {
        let bytes = self.operator.as_ref().map_or(0, |operator| operator.state_bytes());
        if bytes != self.state_bytes {
            shift.control.publish_state(shift.worker, self.id, self.state_bytes, bytes);
            self.state_bytes = bytes;
        }
    }

    /// Adds what the stage's lanes counted to the totals of the worker, by edge.
    pub fn add_totals(&self, totals: &mut [EdgeTotals]) {
        for outlet in &self.outlets {
            let total = &mut totals[usize::from(outlet.edge.0)];
            total.blocked_nanos += outlet.blocked_nanos;
            for lane in &outlet.lanes {
                total.sent_rows += lane.sent_rows();
                total.discarded_rows += lane.discarded_rows();
            }
        }
        for inlet in &self.inlets {
            totals[usize::from(inlet.edge.0)].received_rows += inlet.lane.received_rows();
        }
    }

    /// Loses the newest message of a backlog, as a broken lane would; true if there was one.
    #[cfg(test)]
    pub fn lose_newest(&mut self) -> bool {
        self.outlets.iter_mut().flat_map(|outlet| &mut outlet.lanes).any(LaneSender::lose_newest)
    }

    /// `nanos` passed since the last step: time in which full lanes held the stage back.
    pub fn charge_blocked(&mut self, nanos: u64) {
        if self.is_backlogged {
            for outlet in &mut self.outlets {
                if outlet.lanes.iter().any(LaneSender::is_backlogged) {
                    outlet.blocked_nanos += nanos;
                }
            }
        }
    }
}

/// An operator said that it was done while its inputs were not. Ours to mend.
#[derive(Debug)]
struct EndedEarly {
    frontier: EventTimeMs,
}

impl fmt::Display for EndedEarly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the operator ended while its inputs had only got to {} ms", self.frontier.0)
    }
}

impl std::error::Error for EndedEarly {}

/// A producer went away without promising the end: its worker died.
#[derive(Debug)]
struct ProducerGone {
    edge: String,
}

impl fmt::Display for ProducerGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a producer of the edge {} went away before its end", self.edge)
    }
}

impl std::error::Error for ProducerGone {}
