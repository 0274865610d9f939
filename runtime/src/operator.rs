//! The contract between a worker and what it runs: one [`Operator`] for each stage.
//!
//! An operator never blocks, reads no clock and holds no lane. It answers messages, does a bounded piece of its own work
//! when it is polled, and says through the [`Context`] what goes where and what it promises. The worker calls it only
//! while none of its outgoing lanes has a backlog, so an operator may send the output of one call without asking for room.

use crate::clock::Nanos;
use crate::{EdgeId, Epoch, EventTimeMs, WorkerId};

/// What travels on a lane. The runtime counts it and never looks inside.
pub trait Payload: Send + 'static {
    /// Rows or partials within: what the accounts of an edge are kept in.
    fn rows(&self) -> u64;
    /// Bytes held in memory, for the bound on what is in flight.
    fn bytes(&self) -> usize;
}

/// An error that ends the job. The layer above downcasts it to tell the user's errors from the world's and ours.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// What one call of [`Operator::poll`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activity {
    /// It worked and may have more to do at once.
    Busy,
    /// Nothing to do until a message comes, the frontier moves or the worker's doorbell rings.
    Waiting,
    /// It will never send again. The worker promises [`EventTimeMs::END`] for it. A stage with inputs answers this only
    /// after its frontier reached `END` and everything was emitted.
    Done,
}

/// One stage's work on one worker.
pub trait Operator<D: Payload>: Send {
    /// Takes in one payload that worker `from` sent along `edge`.
    ///
    /// # Errors
    /// Whatever makes the job's answer impossible: it ends the job.
    fn receive(&mut self, cx: &mut Context<'_, D>, edge: EdgeId, from: WorkerId, data: D) -> Result<(), Fault>;

    /// The frontier of the stage's inputs (the least watermark over all live producers of all input edges) moved forward.
    /// Emission that follows from it may be put off to [`poll`](Self::poll); the operator promises the new time
    /// downstream only after everything at or below it was sent.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn advance(&mut self, cx: &mut Context<'_, D>, frontier: EventTimeMs) -> Result<(), Fault>;

    /// A bounded piece of the operator's own work: reading a block, the next piece of an emission.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn poll(&mut self, cx: &mut Context<'_, D>) -> Result<Activity, Fault>;

    /// Every input has delivered the barrier that ends `epoch`: private tables are flushed downstream before it goes on.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    fn barrier(&mut self, cx: &mut Context<'_, D>, epoch: Epoch) -> Result<(), Fault>;

    /// Bytes of state held now, for `--memory`. Called often: keep it cheap.
    fn state_bytes(&self) -> usize;
}

/// What an operator sees of its worker during one call, and where it leaves what is to be sent.
pub struct Context<'a, D> {
    worker: WorkerId,
    workers: usize,
    is_draining: bool,
    now: Nanos,
    outbox: &'a mut Outbox<D>,
}

impl<'a, D: Payload> Context<'a, D> {
    /// A context over `outbox` for one call in a step that began at `now`.
    pub fn new(worker: WorkerId, workers: usize, is_draining: bool, now: Nanos, outbox: &'a mut Outbox<D>) -> Self {
        Self { worker, workers, is_draining, now, outbox }
    }

    /// The worker that runs the operator.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.worker
    }

    /// Number of workers of the job.
    #[must_use]
    pub fn workers(&self) -> usize {
        self.workers
    }

    /// The user asked for an orderly end: sources take no new block.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// When the step began: what ages are told by.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.now
    }

    /// Asks for a step at `time` or soon after, also if no bell rings. It holds until the next step, and nothing may be
    /// lost if that comes late: it is how ages and schedules are kept, not how work is found.
    pub fn wake_at(&mut self, time: Nanos) {
        self.outbox.wake_at = Some(self.outbox.wake_at.map_or(time, |earlier| earlier.min(time)));
    }

    /// Sends `data` along `edge` to worker `to` (to the one consumer of an edge that leaves the workers, `to` is ignored).
    /// Sends of one operator to one consumer arrive in the order in which they were made.
    pub fn send(&mut self, edge: EdgeId, to: WorkerId, data: D) {
        self.outbox.sends.push((edge, to, data));
    }

    /// Promises every consumer of every outgoing edge that no row at or below `watermark` follows. Everything sent before
    /// travels ahead of the promise. A time below an earlier promise changes nothing.
    pub fn promise(&mut self, watermark: EventTimeMs) {
        self.outbox.promise = self.outbox.promise.max(Some(watermark));
    }
}

/// What one call of an operator left to be sent: first the payloads, in order, then the promise.
#[derive(Debug)]
pub struct Outbox<D> {
    /// Edge, consumer, payload.
    pub sends: Vec<(EdgeId, WorkerId, D)>,
    /// The latest promise, if any was made.
    pub promise: Option<EventTimeMs>,
    /// When the operators of a step want the next one at the latest.
    pub wake_at: Option<Nanos>,
}

impl<D> Default for Outbox<D> {
    fn default() -> Self {
        Self { sends: Vec::new(), promise: None, wake_at: None }
    }
}
