//! A worker: every stage of the job on one core, as a state machine.
//!
//! **A step never blocks.** It flushes what it can, calls operators while there is work and room, and answers
//! [`Progress`]. Who calls it decides what to do with the time between two steps: a pinned thread spins and then sleeps on
//! the bell, the simulator picks another worker. Both run exactly this code.
//!
//! **Why no lock is taken for a row.** Everything a row touches belongs to one worker: the operator with its state, the
//! outbox, the backlogs. What is shared is a lane for each (edge, producer, consumer), touched once for each *message* of
//! thousands of rows, and three flags that are read once for each step.
//!
//! **Why nobody waits for ever.** A stage is called only while none of its output lanes has a backlog, and stages are
//! visited from the most downstream to the sources. Edges lead downstream only. Take the most downstream stage that has a
//! backlog anywhere: the stage that it sends to has none, so it reads its lanes whenever its worker steps, and makes room;
//! taking from a lane that was found full rings the producer. So the set of backlogs shrinks from downstream to upstream,
//! whatever the capacity (1 is enough), also when two workers have full lanes to each other: neither waits for the other
//! before it drains its own mailbox. An outside consumer that does not read holds back what leads to it, and nothing else
//! sleeps with work that it could do.
//!
//! **Who rings.** Lanes ring at both ends ([`exchange::lane`](crate::exchange::lane)), helper threads ring when they have
//! something for a source, [`Control`] rings everybody. A step takes the bell *before* it looks anywhere, so that a worker
//! which then finds nothing may sleep ([`exchange::doorbell`](crate::exchange::doorbell)).
//!
//! **The end.** A stage that is done promises [`EventTimeMs::END`](crate::EventTimeMs::END) on all its lanes, behind all it
//! sent. A worker is done when all its stages are and no lane holds a backlog; the job is done when all workers are. As a
//! stage with inputs ends only after all its producers did, no message is on its way then, but for outside consumers.

use crate::clock::Nanos;
use crate::control::{Control, EdgeTotals};
use crate::exchange::doorbell::{Doorbell, Doorbells};
use crate::failure::JobFailure;
use crate::operator::{Outbox, Payload};
use crate::stage::{Shift, Stage};
use crate::{EdgeId, StageId, WorkerId};

/// What one step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Something: step again.
    Worked,
    /// Nothing, and nothing will change until the bell rings.
    Idle,
    /// All stages have ended and everything was sent, or the job has failed. Not to be stepped again.
    Done,
}

/// One worker, to be stepped by one thread at a time.
pub struct Worker<D: Payload> {
    id: WorkerId,
    workers: usize,
    /// In the order of a step: from the most downstream to the most upstream, sources last.
    stages: Vec<Stage<D>>,
    bells: Doorbells,
    control: Control,
    outbox: Outbox<D>,
    /// Time of the last step, to charge full lanes with the time between two.
    last_step: Nanos,
    /// The stage whose operator is running, or was when it panicked.
    running: Option<StageId>,
    /// By edge, as last published.
    totals: Vec<EdgeTotals>,
    /// By edge, while they are summed; kept for its memory.
    sums: Vec<EdgeTotals>,
}

impl<D: Payload> Worker<D> {
    pub(crate) fn new(
        id: WorkerId,
        workers: usize,
        mut stages: Vec<Stage<D>>,
        bells: &Doorbells,
        control: &Control,
    ) -> Self {
        stages.sort_by_key(|stage| (stage.is_source(), std::cmp::Reverse(stage.id)));
        let edges = control.topology().edges.len();
        Self {
            id,
            workers,
            stages,
            bells: bells.clone(),
            control: control.clone(),
            outbox: Outbox::default(),
            last_step: Nanos(0),
            running: None,
            totals: vec![EdgeTotals::default(); edges],
            sums: vec![EdgeTotals::default(); edges],
        }
    }

    /// Which worker of the job this is.
    #[must_use]
    pub fn id(&self) -> WorkerId {
        self.id
    }

    /// The bell that says when to step again after [`Progress::Idle`].
    #[must_use]
    pub fn bell(&self) -> &Doorbell {
        self.bells.bell(self.id)
    }

    /// The stage whose operator is being called, or was when it panicked.
    #[must_use]
    pub fn running_stage(&self) -> Option<StageId> {
        self.running
    }

    /// Does what can be done now: one poll of each stage's operator and at most `budget` messages for each (at
    /// least one, or it could not tell whether it may sleep). `now` must not go back between two calls. Never blocks.
    pub fn step(&mut self, now: Nanos, budget: usize) -> Progress {
        // Before anything is looked at: what happens from here on rings again.
        self.bell().take();
        if self.control.has_failed() {
            return Progress::Done;
        }
        let passed = now.0.saturating_sub(self.last_step.0);
        self.last_step = now;
        let mut worked = false;
        for stage in &mut self.stages {
            stage.charge_blocked(passed);
            worked |= stage.flush();
        }
        match self.run_stages(budget.max(1)) {
            Ok(did) => worked |= did,
            Err(failure) => {
                self.control.stop(failure);
                return Progress::Done;
            }
        }
        if worked {
            self.publish();
        }
        if self.control.has_failed() || self.stages.iter().all(|stage| stage.is_done() && !stage.is_backlogged()) {
            Progress::Done
        } else if worked {
            Progress::Worked
        } else {
            Progress::Idle
        }
    }

    fn run_stages(&mut self, budget: usize) -> Result<bool, JobFailure> {
        let mut worked = false;
        let is_draining = self.control.is_draining();
        for index in 0..self.stages.len() {
            // Reading more while something downstream is stuck would only move the queue into memory.
            if self.stages[index].is_source() && self.stages.iter().any(Stage::is_backlogged) {
                break;
            }
            let stage = &mut self.stages[index];
            if stage.is_done() {
                continue;
            }
            let (worker, workers, control) = (self.id, self.workers, &self.control);
            self.running = Some(stage.id);
            let mut shift = Shift { worker, workers, is_draining, control, outbox: &mut self.outbox };
            worked |= stage.run(&mut shift, budget).map_err(|fault| JobFailure::Fault {
                worker: Some(worker),
                stage: control.stage_name(stage.id),
                fault,
            })?;
            self.running = None;
        }
        Ok(worked)
    }

    fn publish(&mut self) {
        self.sums.fill(EdgeTotals::default());
        self.stages.iter().for_each(|stage| stage.add_totals(&mut self.sums));
        for (index, (total, last)) in self.sums.iter().zip(&mut self.totals).enumerate() {
            if total != last {
                *last = *total;
                self.control.publish_edge(self.id, EdgeId(index as u16), *total);
            }
        }
    }
}
