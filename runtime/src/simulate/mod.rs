//! The simulator: the same workers, in one thread, under a schedule that a seed decides.
//!
//! Threads show the schedules that a machine happens to take. Here a seeded generator chooses who steps next, how many
//! messages it may take, how slow each worker and each outside consumer is for a while, and how the clock moves. The
//! workers are the ones that production runs; only who calls [`Worker::step`] differs. A seed that fails, fails again.
//!
//! **Sleep is taken at its word.** A worker that answered [`Progress::Idle`] is not stepped before its bell rings, and
//! there is no time limit that would save it. If nobody is awake and no bell has rung, and the job is not done, a wake-up
//! was lost or workers wait for each other: [`SimulationFailure::Stuck`].
//!
//! Every second seed also wakes sleepers for no reason now and then, as systems do. On request, actors also
//! [stand still](Simulator::with_stalls) for a while: a worker whose core is taken away, a sink whose disk is slow.

pub mod random;

use crate::clock::Nanos;
use crate::control::{Control, EdgeAccount};
use crate::exchange::external::{External, Received};
use crate::failure::{Imbalance, JobFailure, panic_message};
use crate::mesh::Mesh;
use crate::operator::Payload;
use crate::worker::{Progress, Worker};
use crate::{EdgeId, WorkerId};
use random::Random;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Steps after which a job is held to be endless.
const STEPS_MAX: u64 = 20_000_000;

/// Steps for which the speeds of all actors stay as they are.
const PHASE_STEPS: u64 = 64;

/// Runs jobs under the schedule of one seed.
#[derive(Clone, Debug)]
pub struct Simulator {
    seed: u64,
    steps_max: u64,
    stalls: bool,
}

/// What a simulated job did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimulationReport {
    /// Steps of workers and reads of outside consumers.
    pub steps: u64,
    /// Two runs with the same fingerprint took the same schedule.
    pub schedule: u64,
    /// In the order of the edges; they balance, which was checked.
    pub edges: Vec<EdgeAccount>,
    /// The most bytes of state that were held at once.
    pub state_peak_bytes: usize,
    /// The virtual clock at the end.
    pub now: Nanos,
}

/// Why a simulated job did not end in order. Every kind tells the seed, which plays it again.
#[derive(Debug)]
pub enum SimulationFailure {
    /// The job itself failed.
    Job {
        /// Seed of the schedule.
        seed: u64,
        /// Steps until then.
        steps: u64,
        /// As threads would have reported it.
        failure: JobFailure,
    },
    /// Everybody sleeps and nobody will ring.
    Stuck {
        /// Seed of the schedule.
        seed: u64,
        /// Steps until then.
        steps: u64,
        /// Workers that are not done.
        workers: Vec<WorkerId>,
        /// Edges whose outside consumer has not come to the end.
        externals: Vec<EdgeId>,
    },
    /// The job went on for too long.
    Endless {
        /// Seed of the schedule.
        seed: u64,
        /// Steps until then.
        steps: u64,
    },
}

impl fmt::Display for SimulationFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job { seed, steps, failure } => write!(f, "seed {seed}, step {steps}: {failure}"),
            Self::Stuck { seed, steps, workers, externals } => {
                write!(f, "seed {seed}, step {steps}: all sleep and nobody rings: {workers:?}, outside {externals:?}")
            }
            Self::Endless { seed, steps } => write!(f, "seed {seed}: no end after {steps} steps"),
        }
    }
}

impl std::error::Error for SimulationFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Job { failure, .. } => Some(failure),
            _ => None,
        }
    }
}

impl Simulator {
    /// A simulator that takes the schedule of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self { seed, steps_max: STEPS_MAX, stalls: false }
    }

    /// The same, which gives up after `steps_max` steps.
    #[must_use]
    pub fn with_steps_max(self, steps_max: u64) -> Self {
        Self { steps_max, ..self }
    }

    /// The same, in which workers and outside consumers stand still now and then, for as long as others have something to
    /// do, so that lanes fill up and orders of events come about that no difference in speed makes.
    #[must_use]
    pub fn with_stalls(self) -> Self {
        Self { stalls: true, ..self }
    }

    /// Runs the job to its end. `consume` is given what leaves the workers, and hangs that edge up by answering `Break`.
    ///
    /// # Errors
    /// If the job fails or does not come to an end, with the seed.
    pub fn run<D: Payload>(
        &self,
        mesh: Mesh<D>,
        mut consume: impl FnMut(EdgeId, WorkerId, D) -> ControlFlow<()>,
    ) -> Result<SimulationReport, SimulationFailure> {
        let Mesh { workers, externals, control } = mesh;
        let workers = workers.into_iter().map(|worker| Actor::new(Body::Worker(worker)));
        let externals = externals.into_iter().map(|external| Actor::new(Body::External(external)));
        let mut run = Run {
            actors: workers.chain(externals).collect(),
            control,
            random: Random::new(self.seed),
            wakes_for_no_reason: self.seed % 2 == 1,
            stalls: self.stalls,
            steps: 0,
            schedule: self.seed,
            now: Nanos(0),
        };
        while run.actors.iter().any(|actor| actor.body.is_some()) {
            if run.steps >= self.steps_max {
                return Err(SimulationFailure::Endless { seed: self.seed, steps: run.steps });
            }
            if run.steps % PHASE_STEPS == 0 {
                run.choose_speeds();
            }
            let Some(actor) = run.choose_actor() else { return Err(run.stuck(self.seed)) };
            run.step(actor, &mut consume);
            run.steps += 1;
        }
        run.report().map_err(|failure| SimulationFailure::Job { seed: self.seed, steps: run.steps, failure })
    }
}

/// A worker or an outside consumer.
struct Actor<D: Payload> {
    /// None once it is done: its lanes are closed, as when a thread ends.
    body: Option<Body<D>>,
    is_asleep: bool,
    /// How often it is chosen, against the others; 0 is not while another one can step.
    speed: u64,
}

enum Body<D: Payload> {
    Worker(Worker<D>),
    External(External<D>),
}

impl<D: Payload> Actor<D> {
    fn new(body: Body<D>) -> Self {
        Self { body: Some(body), is_asleep: false, speed: 1 }
    }

    /// It has not ended, and is awake or was rung.
    fn can_step(&self) -> bool {
        match &self.body {
            None => false,
            Some(_) if !self.is_asleep => true,
            Some(Body::Worker(worker)) => worker.bell().is_rung(),
            Some(Body::External(external)) => external.bell().is_rung(),
        }
    }
}

/// One simulated job.
struct Run<D: Payload> {
    actors: Vec<Actor<D>>,
    control: Control,
    random: Random,
    wakes_for_no_reason: bool,
    stalls: bool,
    steps: u64,
    schedule: u64,
    now: Nanos,
}

impl<D: Payload> Run<D> {
    /// For a while, some are up to 64 times slower than others.
    fn choose_speeds(&mut self) {
        for actor in &mut self.actors {
            let is_stalled = self.stalls && self.random.once_in(3);
            actor.speed = if is_stalled { 0 } else { 1 << self.random.below(7) };
        }
    }

    /// Who is next; None if nobody can ever step again.
    fn choose_actor(&mut self) -> Option<usize> {
        let total: u64 = self.actors.iter().filter(|actor| actor.can_step()).map(|actor| actor.speed).sum();
        if total == 0 {
            return self.actors.iter().position(Actor::can_step);
        }
        if self.wakes_for_no_reason && self.random.once_in(16) {
            let alive: Vec<usize> = (0..self.actors.len()).filter(|i| self.actors[*i].body.is_some()).collect();
            return Some(alive[self.random.below(alive.len() as u64) as usize]);
        }
        let mut left = self.random.below(total);
        self.actors.iter().position(|actor| {
            if !actor.can_step() {
                return false;
            }
            let is_chosen = left < actor.speed;
            left = left.saturating_sub(actor.speed);
            is_chosen
        })
    }

    fn step(&mut self, index: usize, consume: &mut impl FnMut(EdgeId, WorkerId, D) -> ControlFlow<()>) {
        self.now = Nanos(self.now.0 + 1 + self.random.below(100_000));
        let budget = 1 + self.random.below(4);
        let actor = &mut self.actors[index];
        let progress = match actor.body.as_mut() {
            None => return,
            Some(Body::Worker(worker)) => step_worker(worker, self.now, budget as usize, &self.control),
            Some(Body::External(external)) => step_external(external, budget, consume),
        };
        actor.is_asleep = progress == Progress::Idle;
        if progress == Progress::Done {
            actor.body = None;
        }
        for part in [index as u64, budget, progress as u64] {
            self.schedule = Random::new(self.schedule ^ part).next_u64();
        }
    }

    fn stuck(&self, seed: u64) -> SimulationFailure {
        let (mut workers, mut externals) = (Vec::new(), Vec::new());
        for body in self.actors.iter().filter_map(|actor| actor.body.as_ref()) {
            match body {
                Body::Worker(worker) => workers.push(worker.id()),
                Body::External(external) => externals.push(external.edge()),
            }
        }
        SimulationFailure::Stuck { seed, steps: self.steps, workers, externals }
    }

    /// The accounts of a job that ended in order. Here the outside consumers have ended as well, so every edge balances.
    fn report(&self) -> Result<SimulationReport, JobFailure> {
        let edges = self.control.edge_accounts();
        for (index, account) in edges.iter().enumerate() {
            if account.sent_rows != account.received_rows && !account.is_hung_up {
                let edge = self.control.edge_name(EdgeId(index as u16));
                let fault = Imbalance { edge, sent: account.sent_rows, received: account.received_rows };
                // Kept only if nothing failed before.
                self.control.fail(Box::new(fault));
            }
        }
        if let Some(failure) = self.control.take_failure() {
            return Err(failure);
        }
        let state_peak_bytes = self.control.state_peak_bytes();
        Ok(SimulationReport { steps: self.steps, schedule: self.schedule, edges, state_peak_bytes, now: self.now })
    }
}

/// One step of a worker; a panic becomes the job's failure, as under threads.
fn step_worker<D: Payload>(worker: &mut Worker<D>, now: Nanos, budget: usize, control: &Control) -> Progress {
    catch_unwind(AssertUnwindSafe(|| worker.step(now, budget))).unwrap_or_else(|panic| {
        let stage = worker.running_stage().map(|stage| control.stage_name(stage));
        control.stop(JobFailure::Panic { worker: worker.id(), stage, message: panic_message(panic.as_ref()) });
        Progress::Done
    })
}

/// An outside consumer reads up to `budget` payloads.
fn step_external<D: Payload>(
    external: &mut External<D>,
    budget: u64,
    consume: &mut impl FnMut(EdgeId, WorkerId, D) -> ControlFlow<()>,
) -> Progress {
    external.bell().take();
    for _ in 0..budget {
        match external.try_recv() {
            Received::Data(worker, data) => {
                if consume(external.edge(), worker, data).is_break() {
                    return Progress::Done;
                }
            }
            Received::Empty => return Progress::Idle,
            Received::Ended => return Progress::Done,
        }
    }
    Progress::Worked
}
