//! The gate between repetitions: all workers begin together, awake, and stop a clock together.
//!
//! A worker whose merge has finished a repetition says so. The last one opens the gate and rings; each source then comes
//! to it and waits, spinning, for the others: nothing is in flight at that time, so nobody waits for it. With more
//! workers than cores a waiting source yields.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use thalweg_runtime::clock::MonotonicClock;
use thalweg_runtime::{Control, Doorbells, Nanos};

use crate::workload::Script;

/// Shared by the operators of one run. All orderings are sequentially consistent: it is not on the path of a row.
pub(super) struct Gate {
    clock: MonotonicClock,
    bells: Doorbells,
    workers: usize,
    /// A core for each worker.
    has_cores: bool,
    /// Nanoseconds after the first measured start, from which on no repetition begins.
    limit: Option<u64>,
    turns: Vec<Turn>,
    /// Repetitions that may be entered.
    open: AtomicUsize,
    is_over: AtomicBool,
    control: OnceLock<Control>,
}

/// One repetition.
struct Turn {
    is_measured: bool,
    arrived: AtomicUsize,
    finished: AtomicUsize,
    /// Nanoseconds; the greatest number until somebody started.
    start: AtomicU64,
    end: AtomicU64,
}

/// What a source finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// Others are still busy with what came before. The bell rings when they are done.
    Wait,
    /// It may begin: the time is now.
    Enter(Nanos),
    /// Nothing more begins.
    Over,
}

impl Gate {
    pub(super) fn new(script: &Script, bells: Doorbells) -> Self {
        let turn = |is_measured| Turn {
            is_measured,
            arrived: AtomicUsize::new(0),
            finished: AtomicUsize::new(0),
            start: AtomicU64::new(u64::MAX),
            end: AtomicU64::new(0),
        };
        Self {
            clock: MonotonicClock::start(),
            bells,
            workers: script.producers(),
            has_cores: std::thread::available_parallelism().is_ok_and(|cores| cores.get() >= script.producers()),
            limit: script.limit.map(|limit| limit.as_nanos() as u64),
            turns: script.repetitions.iter().map(|repetition| turn(repetition.is_measured)).collect(),
            open: AtomicUsize::new(1),
            is_over: AtomicBool::new(false),
            control: OnceLock::new(),
        }
    }

    /// Nobody waits at the gate of a job that has failed.
    pub(super) fn watch(&self, control: &Control) {
        // Set once, before the workers are driven.
        let _ = self.control.set(control.clone());
    }

    /// The time.
    pub(super) fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// A source wants to begin the repetition. Comes back when all sources are there.
    pub(super) fn enter(&self, repetition: usize) -> Entry {
        let Some(turn) = self.turns.get(repetition) else { return Entry::Over };
        if repetition >= self.open.load(Ordering::SeqCst) {
            return Entry::Wait;
        }
        if self.is_over.load(Ordering::SeqCst) {
            return Entry::Over;
        }
        turn.arrived.fetch_add(1, Ordering::SeqCst);
        while turn.arrived.load(Ordering::SeqCst) < self.workers {
            if self.control.get().is_some_and(Control::has_failed) {
                return Entry::Over;
            }
            if self.has_cores { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        let now = self.now();
        turn.start.fetch_min(now.0, Ordering::SeqCst);
        Entry::Enter(now)
    }

    /// Has any source begun the repetition?
    pub(super) fn has_begun(&self, repetition: usize) -> bool {
        self.turns.get(repetition).is_some_and(|turn| turn.start.load(Ordering::SeqCst) != u64::MAX)
    }

    /// A worker has made its last row of the repetition's result.
    pub(super) fn stop_clock(&self, repetition: usize) {
        self.turns[repetition].end.fetch_max(self.now().0, Ordering::SeqCst);
    }

    /// The worker is ready for the next repetition: the last one opens it, or declares that there is none.
    pub(super) fn finish(&self, repetition: usize) {
        if self.turns[repetition].finished.fetch_add(1, Ordering::SeqCst) + 1 < self.workers {
            return;
        }
        let first = self.turns.iter().find(|turn| turn.is_measured).map(|turn| turn.start.load(Ordering::SeqCst));
        if let (Some(limit), Some(first)) = (self.limit, first)
            && self.now().0.saturating_sub(first) > limit
        {
            self.is_over.store(true, Ordering::SeqCst);
        }
        self.open.store(repetition + 2, Ordering::SeqCst);
        self.bells.ring_all();
    }

    /// From the first batch to the last row; `None` if the repetition was not run.
    pub(super) fn elapsed(&self, repetition: usize) -> Option<Nanos> {
        let turn = &self.turns[repetition];
        let (start, end) = (turn.start.load(Ordering::SeqCst), turn.end.load(Ordering::SeqCst));
        (start != u64::MAX && end > 0).then(|| Nanos(end.saturating_sub(start)))
    }
}
