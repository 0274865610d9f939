//! A handle on a running job: ask it to drain, see how far it is.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use thalweg_runtime::Control;
use thalweg_runtime::EventTimeMs;
use thalweg_runtime::latency::Latencies;

use super::account::{Counters, StageCounters};
use super::state::LiveState;
use crate::connect::Source;
use crate::connect::bad_input::{RejectCounts, RejectReason};

/// A job from outside. Clones are the same job; made before the job runs, valid after it has ended.
#[derive(Clone, Default)]
pub struct JobControl(Arc<Shared>);

#[derive(Default)]
struct Shared {
    is_draining: AtomicBool,
    progress: Arc<Progress>,
    /// Those of the stages, once the job runs.
    stages: OnceLock<Counters>,
    /// Once the job runs.
    states: OnceLock<Vec<LiveState>>,
    /// Once the job runs.
    latencies: OnceLock<Latencies>,
    running: Mutex<Option<Running>>,
    /// Shows the user what is worth knowing of a job that goes on.
    tell: Mutex<Option<Tell>>,
}

type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// What a drain has to tell.
struct Running {
    control: Control,
    sources: Vec<Arc<dyn Source>>,
}

/// Counters that workers and sinks add to once a block, for the progress line.
#[derive(Debug)]
pub(super) struct Progress {
    records: AtomicU64,
    bytes: AtomicU64,
    bytes_total: AtomicU64,
    emitted: AtomicU64,
    watermark_ms: AtomicI64,
    rejected: [AtomicU64; RejectReason::ALL.len()],
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgressSnapshot {
    /// Records read.
    pub rows: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Bytes of all inputs, if all are known.
    pub bytes_total: Option<u64>,
    /// Greatest watermark of any source; `None` before the first and in batch mode.
    pub watermark_ms: Option<i64>,
    /// Rows written.
    pub emitted: u64,
    /// Rows whose windows had closed.
    pub late: u64,
    /// Records and rows that were rejected.
    pub rejected: RejectCounts,
}

impl JobControl {
    /// A handle for a job that is yet to be started.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for an orderly end: sources take no new block, open windows are emitted, sinks are completed. Idempotent.
    pub fn drain(&self) {
        // SeqCst: a drain and a start that race must not both miss each other (flag, then lock; lock, then flag).
        self.0.is_draining.store(true, Ordering::SeqCst);
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.as_ref() {
            running.drain();
        }
    }

    /// Whether [`drain`](Self::drain) was called.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.is_draining.load(Ordering::SeqCst)
    }

    /// How far the job is.
    #[must_use]
    pub fn progress(&self) -> ProgressSnapshot {
        // Relaxed, as all that is shown to a person.
        let sum = |of: fn(&StageCounters) -> &AtomicU64| {
            self.0.stages.get().into_iter().flatten().map(|stage| of(stage).load(Ordering::Relaxed)).sum()
        };
        ProgressSnapshot { late: sum(|stage| &stage.late), ..self.0.progress.snapshot() }
    }

    /// The state of each aggregation, to be read from any thread: empty until the job has been set up, from then on always
    /// the same, also when the job has ended.
    #[must_use]
    pub fn states(&self) -> Vec<LiveState> {
        self.0.states.get().cloned().unwrap_or_default()
    }

    pub(super) fn show_states(&self, states: Vec<LiveState>) {
        let _ = self.0.states.set(states);
    }

    /// How long the rows of the job take, as far as it has come: for who reports on it while it runs.
    #[must_use]
    pub fn latencies(&self) -> Latencies {
        self.0.latencies.get().cloned().unwrap_or(Latencies::OFF)
    }

    pub(super) fn show_latencies(&self, latencies: Latencies) {
        let _ = self.0.latencies.set(latencies);
    }

    pub(super) fn show_stages(&self, counters: Counters) {
        // A control belongs to one job.
        let _ = self.0.stages.set(counters);
    }

    /// From now on notes are given to `tell`, a line at a time: what was rejected, what is out of the ordinary. Called on
    /// threads of the job that may block. Without it they are lost.
    pub fn on_note(&self, tell: impl Fn(&str) + Send + Sync + 'static) {
        *self.0.tell.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(tell));
    }

    /// Tells the user of something, if anybody listens. May block: not for workers.
    pub(crate) fn note(&self, text: &str) {
        let tell = self.0.tell.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(tell) = tell {
            tell(text);
        }
    }

    pub(super) fn counters(&self) -> Arc<Progress> {
        Arc::clone(&self.0.progress)
    }

    pub(super) fn start(&self, control: Control, sources: Vec<Arc<dyn Source>>) {
        let running = Running { control, sources };
        let mut slot = self.0.running.lock().unwrap_or_else(PoisonError::into_inner);
        if self.is_draining() {
            running.drain();
        }
        *slot = Some(running);
    }

    pub(super) fn end(&self) {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Running {
    fn drain(&self) {
        for source in &self.sources {
            source.drain();
        }
        self.control.drain();
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self {
            records: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            bytes_total: AtomicU64::new(u64::MAX),
            emitted: AtomicU64::new(0),
            watermark_ms: AtomicI64::new(i64::MIN),
            rejected: [const { AtomicU64::new(0) }; RejectReason::ALL.len()],
        }
    }
}

// Relaxed throughout: the figures are shown to a person and order nothing.
impl Progress {
    pub(super) fn add_read(&self, records: u64, bytes: u64) {
        self.records.fetch_add(records, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_emitted(&self, rows: u64) {
        self.emitted.fetch_add(rows, Ordering::Relaxed);
    }

    pub(super) fn add_rejected(&self, counts: &RejectCounts) {
        for (reason, count) in counts.iter() {
            self.rejected[reason as usize].fetch_add(count, Ordering::Relaxed);
        }
    }

    fn rejected(&self) -> RejectCounts {
        let mut counts = RejectCounts::default();
        for reason in RejectReason::ALL {
            counts.add(reason, self.rejected[reason as usize].load(Ordering::Relaxed));
        }
        counts
    }

    pub(super) fn emitted(&self) -> u64 {
        self.emitted.load(Ordering::Relaxed)
    }

    pub(super) fn set_bytes_total(&self, bytes: Option<u64>) {
        self.bytes_total.store(bytes.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn set_watermark(&self, watermark: EventTimeMs) {
        self.watermark_ms.fetch_max(watermark.0, Ordering::Relaxed);
    }

    fn snapshot(&self) -> ProgressSnapshot {
        let bytes_total = self.bytes_total.load(Ordering::Relaxed);
        let watermark_ms = self.watermark_ms.load(Ordering::Relaxed);
        ProgressSnapshot {
            rows: self.records.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: (bytes_total != u64::MAX).then_some(bytes_total),
            watermark_ms: (watermark_ms != i64::MIN).then_some(watermark_ms),
            emitted: self.emitted(),
            rejected: self.rejected(),
            ..ProgressSnapshot::default()
        }
    }
}
