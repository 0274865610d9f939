//! The job seen from outside: orderly end, failure, memory and accounts.
//!
//! Everything here is shared by all workers and helper threads, so nothing here lies on the path of a row: a worker reads
//! three flags per step, and writes the cells that it alone writes at the end of a step that did something.
//!
//! All that is shared is Relaxed: a flag or a number by itself, which leads to no other data. A request is seen in time
//! because its bell follows: whoever would sleep over it takes the ring, and with the ring sees what came before.

use crate::exchange::doorbell::Doorbells;
use crate::failure::JobFailure;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, lock, mutant};
use crate::topology::{Target, Topology};
use crate::{EdgeId, Epoch, Fault, StageId, WorkerId};

/// A handle on a running job, held by whoever may end it or report on it.
#[derive(Clone)]
pub struct Control(Arc<Shared>);

struct Shared {
    bells: Doorbells,
    /// Of the consumers outside of the workers.
    external_bells: Doorbells,
    topology: Topology,
    is_draining: AtomicBool,
    is_stopped: AtomicBool,
    /// The first failure.
    failure: Mutex<Option<JobFailure>>,
    /// The last epoch that was asked to end; 0 is none.
    epoch: AtomicU64,
    /// `usize::MAX` is no limit.
    memory_limit: AtomicUsize,
    /// Sum of the state cells.
    state_bytes: AtomicUsize,
    state_peak_bytes: AtomicUsize,
    /// One for each worker, and a last one for the consumers outside.
    cells: Vec<Cells>,
}

/// What one worker publishes. Only it writes them, so that no line is fought over.
#[repr(align(128))]
struct Cells {
    /// By stage.
    state_bytes: Vec<AtomicUsize>,
    /// By edge.
    edges: Vec<EdgeCell>,
}

#[derive(Default)]
struct EdgeCell {
    sent_rows: AtomicU64,
    received_rows: AtomicU64,
    discarded_rows: AtomicU64,
    blocked_nanos: AtomicU64,
    is_hung_up: AtomicBool,
}

/// What went over one edge, counted at both ends on their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EdgeAccount {
    /// Rows or partials that producers put into lanes.
    pub sent_rows: u64,
    /// Rows or partials that consumers took out.
    pub received_rows: u64,
    /// Rows or partials that producers dropped because the consumer had hung up.
    pub discarded_rows: u64,
    /// Nanoseconds, over all workers, for which a full lane of the edge held its producer back.
    pub blocked_nanos: u64,
    /// The consumer outside hung up before the end: what was in the lanes then is in no account.
    pub is_hung_up: bool,
}

/// What a worker adds to the account of one edge, as totals since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EdgeTotals {
    pub sent_rows: u64,
    pub received_rows: u64,
    pub discarded_rows: u64,
    pub blocked_nanos: u64,
}

impl Control {
    pub(crate) fn new(topology: &Topology, bells: &Doorbells, external_bells: &Doorbells) -> Self {
        let cells = |_| Cells {
            state_bytes: topology.stages.iter().map(|_| AtomicUsize::new(0)).collect(),
            edges: topology.edges.iter().map(|_| EdgeCell::default()).collect(),
        };
        Self(Arc::new(Shared {
            bells: bells.clone(),
            external_bells: external_bells.clone(),
            topology: topology.clone(),
            is_draining: AtomicBool::new(false),
            is_stopped: AtomicBool::new(false),
            failure: Mutex::new(None),
            epoch: AtomicU64::new(0),
            memory_limit: AtomicUsize::new(usize::MAX),
            state_bytes: AtomicUsize::new(0),
            state_peak_bytes: AtomicUsize::new(0),
            cells: (0..=bells.len()).map(cells).collect(),
        }))
    }

    /// Asks for an orderly end: sources take no new block, and all that was read is finished.
    pub fn drain(&self) {
        self.0.is_draining.store(true, Ordering::Relaxed);
        if !mutant!(drain_in_silence) {
            self.ring_all();
        }
    }

    /// An orderly end was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::Relaxed)
    }

    /// Ends the job from outside of the workers: a sink's thread met an error. The first failure is the one reported.
    pub fn fail(&self, fault: Fault) {
        self.stop(JobFailure::Fault { worker: None, stage: JobFailure::OUTSIDE.to_owned(), fault });
    }

    /// The failure so far. [`drive`](crate::driver::drive) reports a failure that came before it returned; a thread that
    /// outlives the workers may fail later, and whoever joins it asks here.
    #[must_use]
    pub fn take_failure(&self) -> Option<JobFailure> {
        lock(&self.0.failure).take()
    }

    /// The job has failed: nothing that is still on its way arrives.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.0.is_stopped.load(Ordering::Relaxed)
    }

    /// Asks the sources to end every epoch up to and including `epoch`, one after the other. Epochs count from 1; asking
    /// again for one that was asked for changes nothing.
    pub fn inject_barrier(&self, epoch: Epoch) {
        self.0.epoch.fetch_max(epoch.0, Ordering::Relaxed);
        if !mutant!(epoch_ends_in_silence) {
            self.ring_all();
        }
    }

    /// The last epoch that was asked to end; `Epoch(0)` is none.
    pub(crate) fn requested_epoch(&self) -> Epoch {
        Epoch(self.0.epoch.load(Ordering::Relaxed))
    }

    /// Ends the job with [`JobFailure::MemoryExhausted`] when a worker finds more than `bytes` of state.
    pub fn set_memory_limit(&self, bytes: usize) {
        self.0.memory_limit.store(bytes, Ordering::Relaxed);
    }

    /// Bytes of state of all workers, as they last published them.
    #[must_use]
    pub fn state_bytes(&self) -> usize {
        self.0.state_bytes.load(Ordering::Relaxed)
    }

    /// The greatest [`state_bytes`](Self::state_bytes) so far.
    #[must_use]
    pub fn state_peak_bytes(&self) -> usize {
        self.0.state_peak_bytes.load(Ordering::Relaxed)
    }

    /// Bytes of state by stage, summed over the workers, with the stages' names.
    #[must_use]
    pub fn stage_state_bytes(&self) -> Vec<(String, usize)> {
        let bytes = |stage: usize| self.0.cells.iter().map(|c| c.state_bytes[stage].load(Ordering::Relaxed)).sum();
        self.0.topology.stages.iter().enumerate().map(|(stage, name)| (name.clone(), bytes(stage))).collect()
    }

    /// The accounts of all edges, in their order. They balance once the workers are done and every external consumer has
    /// read to its end; before, they are what was last published.
    #[must_use]
    pub fn edge_accounts(&self) -> Vec<EdgeAccount> {
        let mut accounts = vec![EdgeAccount::default(); self.0.topology.edges.len()];
        for cells in &self.0.cells {
            for (account, cell) in accounts.iter_mut().zip(&cells.edges) {
                account.sent_rows += cell.sent_rows.load(Ordering::Relaxed);
                account.received_rows += cell.received_rows.load(Ordering::Relaxed);
                account.discarded_rows += cell.discarded_rows.load(Ordering::Relaxed);
                account.blocked_nanos += cell.blocked_nanos.load(Ordering::Relaxed);
                account.is_hung_up |= cell.is_hung_up.load(Ordering::Relaxed);
            }
        }
        accounts
    }

    /// The job's graph.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.0.topology
    }

    /// An edge as "from → to", for messages.
    pub(crate) fn edge_name(&self, edge: EdgeId) -> String {
        let topology = &self.0.topology;
        let spec = &topology.edges[usize::from(edge.0)];
        let name = |stage: StageId| topology.stages[usize::from(stage.0)].as_str();
        let to = match spec.to {
            Target::Stage(stage) => name(stage),
            Target::External => "outside",
        };
        format!("{} → {to}", name(spec.from))
    }

    pub(crate) fn stage_name(&self, stage: StageId) -> String {
        self.0.topology.stages[usize::from(stage.0)].clone()
    }

    /// Ends the job. The first failure is kept.
    pub(crate) fn stop(&self, failure: JobFailure) {
        {
            let mut first = lock(&self.0.failure);
            // A failure that was taken was reported: what comes after it is its consequence.
            if first.is_none() && !self.0.is_stopped.load(Ordering::Relaxed) || mutant!(stop_keeps_the_last_failure) {
                *first = Some(failure);
            }
            // Under the lock: who sees it and takes the lock finds the failure.
            self.0.is_stopped.store(true, Ordering::Relaxed);
        }
        if !mutant!(stop_in_silence) {
            self.ring_all();
        }
    }

    fn ring_all(&self) {
        self.0.bells.ring_all();
        self.0.external_bells.ring_all();
    }

    /// Publishes what a stage holds on `worker`: `was` bytes last time, `is` now. Fails the job above the limit.
    pub(crate) fn publish_state(&self, worker: WorkerId, stage: StageId, was: usize, is: usize) {
        self.0.cells[usize::from(worker.0)].state_bytes[usize::from(stage.0)].store(is, Ordering::Relaxed);
        let total = if is >= was {
            self.0.state_bytes.fetch_add(is - was, Ordering::Relaxed) + (is - was)
        } else {
            self.0.state_bytes.fetch_sub(was - is, Ordering::Relaxed) - (was - is)
        };
        if total > self.0.state_peak_bytes.load(Ordering::Relaxed) {
            self.0.state_peak_bytes.fetch_max(total, Ordering::Relaxed);
        }
        let limit = self.0.memory_limit.load(Ordering::Relaxed);
        if total > limit {
            self.stop(JobFailure::MemoryExhausted { used: total, limit, stages: self.stage_state_bytes() });
        }
    }

    pub(crate) fn publish_edge(&self, worker: WorkerId, edge: EdgeId, totals: EdgeTotals) {
        let cell = &self.0.cells[usize::from(worker.0)].edges[usize::from(edge.0)];
        cell.sent_rows.store(totals.sent_rows, Ordering::Relaxed);
        cell.received_rows.store(totals.received_rows, Ordering::Relaxed);
        cell.discarded_rows.store(totals.discarded_rows, Ordering::Relaxed);
        cell.blocked_nanos.store(totals.blocked_nanos, Ordering::Relaxed);
    }

    /// Publishes what the outside consumer of `edge` took.
    pub(crate) fn publish_external(&self, edge: EdgeId, received_rows: u64) {
        self.outside(edge).received_rows.store(received_rows, Ordering::Relaxed);
    }

    pub(crate) fn publish_hang_up(&self, edge: EdgeId) {
        self.outside(edge).is_hung_up.store(true, Ordering::Relaxed);
    }

    fn outside(&self, edge: EdgeId) -> &EdgeCell {
        &self.0.cells[self.0.bells.len()].edges[usize::from(edge.0)]
    }
}
