//! Drives the workers with one thread each until the job is done or has failed.

use crate::EdgeId;
use crate::affinity::{NotPinned, Pinned, pin_current, plan, usable_cores};
use crate::clock::MonotonicClock;
use crate::control::{Control, EdgeAccount};
use crate::failure::{Imbalance, panic_message};
use crate::operator::Payload;
use crate::topology::Target;
use crate::worker::{Progress, Worker};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::Duration;

pub use crate::affinity::Pin;
pub use crate::failure::JobFailure;

/// Messages that a stage takes in one step: enough to spread the cost of a step, few enough that the stages further down
/// get their turn while the data are in the cache.
const STEP_BUDGET: usize = 16;

/// How long an adaptive worker spins before it sleeps: about what a wake-up costs.
const SPIN: Duration = Duration::from_micros(5);

/// How much later than asked for the system wakes a thread that sleeps until a time: its timers have 50 µs of slack.
const OVERSLEPT: Duration = Duration::from_micros(80);

/// How long a worker sleeps at most. Nothing depends on it: whoever makes work rings.
const SLEEP_MAX: Duration = Duration::from_millis(100);

/// How to drive.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DriveOptions {
    /// How workers are bound to cores.
    pub pin: Pin,
    /// What a worker without work does.
    pub idle: Idle,
}

/// What a worker without work does until its bell rings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Idle {
    /// Spins: the shortest wake-up, for a core that nobody else needs. Where workers and outside consumers are more than the
    /// cores, a worker that has spun for a few microseconds lets whoever waits for its core have it, each time it looks.
    Spin,
    /// Spins for a few microseconds, unless there are more workers than cores, and then sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once.
    Park,
}

/// What a job that ended in order did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriveReport {
    /// In the order of the edges. Those between stages balance, which was checked; an edge that leaves the workers balances
    /// once its consumer has read to the end, see [`Control::edge_accounts`].
    pub edges: Vec<EdgeAccount>,
    /// By worker.
    pub pinned: Vec<Pinned>,
    /// The most bytes of state that were held at once.
    pub state_peak_bytes: usize,
}

/// Runs the workers, each on a thread of its own, until all are done. Blocks the calling thread meanwhile.
///
/// # Errors
/// The first failure: an operator's fault, a panic of a worker (it is caught, and ends the others), memory above the
/// limit, or what [`Control::fail`] was given.
pub fn drive<D: Payload>(
    workers: Vec<Worker<D>>,
    options: &DriveOptions,
    control: &Control,
) -> Result<DriveReport, JobFailure> {
    let cores = usable_cores();
    let choices = plan(&options.pin, workers.len(), cores.as_deref());
    let cores = cores.map_or(1, |cores| cores.len());
    let spin = match options.idle {
        Idle::Spin => None,
        Idle::Adaptive if workers.len() <= cores => Some(SPIN),
        Idle::Adaptive | Idle::Park => Some(Duration::ZERO),
    };
    let consumers = control.topology().edges.iter().filter(|edge| matches!(edge.to, Target::External)).count();
    let idle = Waiting { spin, yields: workers.len() + consumers > cores };
    let clock = MonotonicClock::start();
    let pinned = thread::scope(|scope| {
        let start = |(worker, choice): (Worker<D>, Result<usize, NotPinned>)| {
            let id = worker.id();
            let run = move || {
                let pinned = pin_current(choice);
                run_worker(worker, clock, idle, control);
                pinned
            };
            let spawned = thread::Builder::new().name(format!("thalweg-{}", id.0)).spawn_scoped(scope, run);
            // The closure is gone with its worker: its lanes are closed, and the others must not wait for them.
            spawned.inspect_err(|error| {
                control.fail(format!("the system gave no thread for worker {}: {error}", id.0).into())
            })
        };
        let threads: Vec<_> = workers.into_iter().zip(choices).map(start).collect();
        threads.into_iter().flatten().filter_map(|thread| thread.join().ok()).collect()
    });
    if let Some(failure) = control.take_failure() {
        return Err(failure);
    }
    let edges = control.edge_accounts();
    check_balance(&edges, control)?;
    Ok(DriveReport { edges, pinned, state_peak_bytes: control.state_peak_bytes() })
}

/// How a worker waits.
#[derive(Clone, Copy)]
struct Waiting {
    /// How long it spins before it sleeps: None is for ever.
    spin: Option<Duration>,
    /// Whether somebody may need its core while it spins.
    yields: bool,
}

/// Steps one worker until it is done; a panic becomes the job's failure.
fn run_worker<D: Payload>(mut worker: Worker<D>, clock: MonotonicClock, idle: Waiting, control: &Control) {
    // Unwind safety: after a panic the worker is asked for its stage, and dropped.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        loop {
            match worker.step(clock.now(), STEP_BUDGET) {
                Progress::Worked => {}
                Progress::Idle => rest(&worker, clock, idle),
                Progress::Done => break,
            }
        }
    }));
    if let Err(panic) = outcome {
        let stage = worker.running_stage().map(|stage| control.stage_name(stage));
        control.stop(JobFailure::Panic { worker: worker.id(), stage, message: panic_message(panic.as_ref()) });
    }
    // The failure is on record before the lanes close, or the others would report what they only suffered. An operator
    // that panics while it is dropped fails the job like any other.
    let id = worker.id();
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(worker))) {
        control.stop(JobFailure::Panic { worker: id, stage: None, message: panic_message(panic.as_ref()) });
    }
}

/// Waits for the bell, or for the time at which an operator wants to be called.
fn rest<D: Payload>(worker: &Worker<D>, clock: MonotonicClock, Waiting { spin, yields }: Waiting) {
    let bell = worker.bell();
    let wake_at = worker.wake_at().map_or(u64::MAX, |time| time.0);
    let start = clock.now();
    let spin_nanos = spin.map_or(u64::MAX, |spin| spin.as_nanos() as u64);
    loop {
        if bell.is_rung() {
            return;
        }
        let now = clock.now().0;
        if now >= wake_at {
            return;
        }
        // The system is late by about as much as this: who may spin sleeps less, and spins for the rest.
        let early = if spin_nanos == 0 { 0 } else { OVERSLEPT.as_nanos() as u64 };
        let sleep = wake_at.saturating_sub(now).saturating_sub(early);
        if now - start.0 >= spin_nanos && sleep > 0 {
            bell.wait(SLEEP_MAX.min(Duration::from_nanos(sleep)));
            if wake_at == u64::MAX || spin_nanos == 0 {
                return;
            }
            continue;
        }
        if yields && now - start.0 >= SPIN.as_nanos() as u64 {
            thread::yield_now();
            continue;
        }
        for _ in 0..32 {
            std::hint::spin_loop();
        }
    }
}

/// Every edge between stages delivered what was sent.
fn check_balance(edges: &[EdgeAccount], control: &Control) -> Result<(), JobFailure> {
    for (index, (account, spec)) in edges.iter().zip(&control.topology().edges).enumerate() {
        let is_inside = matches!(spec.to, Target::Stage(_));
        if is_inside && account.sent_rows != account.received_rows {
            let edge = control.edge_name(EdgeId(index as u16));
            let fault = Imbalance { edge, sent: account.sent_rows, received: account.received_rows };
            control.fail(Box::new(fault));
        }
    }
    control.take_failure().map_or(Ok(()), Err)
}
