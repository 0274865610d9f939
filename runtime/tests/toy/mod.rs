//! A small job with everything a real one has: rows with event times, private tables, an exchange by key, windows that
//! close with the frontier, emission in pieces, a second exchange, and a consumer outside.
//!
//! The claims that hang on the order of messages are checked where the rows arrive: a row for a window that has closed is
//! a fault.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::collections::BTreeMap;
use thalweg_runtime::exchange::key_group::owner;
use thalweg_runtime::*;

/// Sources to counts, by key.
pub const COUNTS: EdgeId = EdgeId(0);
/// Counts to totals, by window.
pub const TOTALS: EdgeId = EdgeId(1);
/// Totals to the outside.
pub const OUT: EdgeId = EdgeId(2);

/// (window, key, count): partials on the way in, results on the way out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rows(pub Vec<(i64, u64, u64)>);

impl Payload for Rows {
    fn rows(&self) -> u64 {
        self.0.len() as u64
    }
    fn bytes(&self) -> usize {
        self.0.len() * 24
    }
}

/// What to run.
#[derive(Debug, Clone)]
pub struct Job {
    pub workers: usize,
    pub lane_capacity: usize,
    /// Rows of each source; None is endless.
    pub rows: Option<u64>,
    pub rows_per_block: u64,
    /// Blocks that a source folds before it sends.
    pub blocks_per_flush: u64,
    pub keys: u64,
    pub window: i64,
    /// Rows that a window sends in one poll.
    pub emit_rows: usize,
    /// Something that goes wrong at the receiver of the first exchange, at the given row.
    pub trouble: Option<(u64, Trouble)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    Panic,
    Fault,
    /// Holds much state.
    Memory,
}

impl Default for Job {
    fn default() -> Self {
        Self {
            workers: 2,
            lane_capacity: 2,
            rows: Some(2_000),
            rows_per_block: 50,
            blocks_per_flush: 3,
            keys: 13,
            window: 100,
            emit_rows: 64,
            trouble: None,
        }
    }
}

impl Job {
    pub fn topology(&self) -> Topology {
        let lane_capacity = self.lane_capacity;
        let stages = ["source", "count", "total"].map(str::to_owned).to_vec();
        let edges = vec![
            EdgeSpec { from: StageId(0), to: Target::Stage(StageId(1)), lane_capacity },
            EdgeSpec { from: StageId(1), to: Target::Stage(StageId(2)), lane_capacity },
            EdgeSpec { from: StageId(2), to: Target::External, lane_capacity },
        ];
        Topology { stages, edges }
    }

    pub fn mesh(&self) -> Mesh<Rows> {
        build(&self.topology(), self.workers, &Doorbells::new(self.workers), |stage, worker| match stage.0 {
            0 => Box::new(Source::new(self, worker)) as Box<dyn Operator<Rows>>,
            1 => Box::new(Windows::new(self, TOTALS, |window, _key| hash(window as u64))),
            _ => Box::new(Windows { trouble: None, ..Windows::new(self, OUT, |_, _| 0) }),
        })
    }

    /// What must come out, the slow and obvious way.
    pub fn expected(&self) -> BTreeMap<(i64, u64), u64> {
        let mut counts = BTreeMap::new();
        for worker in 0..self.workers as u64 {
            for row in 0..self.rows.expect("an endless job has no expected result") {
                *counts.entry((row as i64 / self.window, key(self, worker, row))).or_insert(0) += 1;
            }
        }
        counts
    }
}

fn key(job: &Job, worker: u64, row: u64) -> u64 {
    row.wrapping_mul(2_654_435_761).wrapping_add(worker * 7) % job.keys
}

/// Adds up what came out; a window and key that comes twice is an error of the job.
#[derive(Default, Debug, PartialEq, Eq)]
pub struct Collected(pub BTreeMap<(i64, u64), u64>);

impl Collected {
    pub fn add(&mut self, rows: &Rows) {
        for (window, key, count) in &rows.0 {
            let before = self.0.insert((*window, *key), *count);
            assert_eq!(before, None, "window {window} of key {key} came out twice");
        }
    }
}

/// Row `r` has event time `r`; no row is out of order.
struct Source {
    job: Job,
    worker: u64,
    next_row: u64,
    blocks: u64,
    epochs: u64,
    private: BTreeMap<(i64, u64), u64>,
    is_done: bool,
}

impl Source {
    fn new(job: &Job, worker: WorkerId) -> Self {
        let worker = u64::from(worker.0);
        Self { job: job.clone(), worker, next_row: 0, blocks: 0, epochs: 0, private: BTreeMap::new(), is_done: false }
    }

    fn flush(&mut self, cx: &mut Context<'_, Rows>) {
        let mut by_owner = vec![Vec::new(); cx.workers()];
        for ((window, key), count) in std::mem::take(&mut self.private) {
            by_owner[usize::from(owner(hash(key), cx.workers()).0)].push((window, key, count));
        }
        for (to, rows) in by_owner.into_iter().enumerate() {
            if !rows.is_empty() {
                cx.send(COUNTS, WorkerId(to as u16), Rows(rows));
            }
        }
        cx.promise(EventTimeMs(self.next_row as i64 - 1));
    }
}

impl Operator<Rows> for Source {
    fn receive(&mut self, _: &mut Context<'_, Rows>, _: EdgeId, _: WorkerId, _: Rows) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }

    fn advance(&mut self, _: &mut Context<'_, Rows>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }

    fn poll(&mut self, cx: &mut Context<'_, Rows>) -> Result<Activity, Fault> {
        assert!(!self.is_done, "polled after it was done");
        let end = self.job.rows.unwrap_or(u64::MAX);
        if self.next_row >= end || cx.is_draining() {
            self.flush(cx);
            self.is_done = true;
            return Ok(Activity::Done);
        }
        for row in self.next_row..end.min(self.next_row + self.job.rows_per_block) {
            *self.private.entry((row as i64 / self.job.window, key(&self.job, self.worker, row))).or_insert(0) += 1;
            self.next_row = row + 1;
        }
        self.blocks += 1;
        if self.blocks.is_multiple_of(self.job.blocks_per_flush) {
            self.flush(cx);
        }
        Ok(Activity::Busy)
    }

    fn barrier(&mut self, cx: &mut Context<'_, Rows>, epoch: Epoch) -> Result<(), Fault> {
        self.epochs += 1;
        assert_eq!(epoch.0, self.epochs, "epochs come one by one");
        self.flush(cx);
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        self.private.len() * 24
    }
}

/// Merges partials by window and key, and emits windows that the frontier has passed, a few rows at a time.
struct Windows {
    window: i64,
    emit_rows: usize,
    edge: EdgeId,
    route: fn(i64, u64) -> u64,
    counts: BTreeMap<(i64, u64), u64>,
    received: u64,
    frontier: EventTimeMs,
    epochs: u64,
    trouble: Option<(u64, Trouble)>,
}

impl Windows {
    fn new(job: &Job, edge: EdgeId, route: fn(i64, u64) -> u64) -> Self {
        let (window, emit_rows, trouble) = (job.window, job.emit_rows, job.trouble);
        let frontier = EventTimeMs::MIN;
        Self { window, emit_rows, edge, route, counts: BTreeMap::new(), received: 0, frontier, epochs: 0, trouble }
    }

    fn is_closed(&self, window: i64) -> bool {
        (window + 1) * self.window - 1 <= self.frontier.0
    }
}

impl Operator<Rows> for Windows {
    fn receive(&mut self, _: &mut Context<'_, Rows>, _: EdgeId, from: WorkerId, data: Rows) -> Result<(), Fault> {
        for (window, key, count) in data.0 {
            if self.is_closed(window) {
                return Err(format!("worker {} sent a row for window {window}, which has closed", from.0).into());
            }
            *self.counts.entry((window, key)).or_insert(0) += count;
            self.received += 1;
            match self.trouble {
                Some((row, Trouble::Panic)) if row == self.received => panic!("trouble at row {row}"),
                Some((row, Trouble::Fault)) if row == self.received => return Err(format!("fault at row {row}").into()),
                _ => {}
            }
        }
        Ok(())
    }

    fn advance(&mut self, _: &mut Context<'_, Rows>, frontier: EventTimeMs) -> Result<(), Fault> {
        assert!(frontier > self.frontier, "advanced from {:?} to {frontier:?}", self.frontier);
        self.frontier = frontier;
        Ok(())
    }

    fn poll(&mut self, cx: &mut Context<'_, Rows>) -> Result<Activity, Fault> {
        let mut by_owner = vec![Vec::new(); cx.workers()];
        for _ in 0..self.emit_rows {
            let Some((&(window, key), &count)) = self.counts.first_key_value() else { break };
            if !self.is_closed(window) {
                break;
            }
            self.counts.pop_first();
            by_owner[usize::from(owner((self.route)(window, key), cx.workers()).0)].push((window, key, count));
        }
        let mut activity = Activity::Waiting;
        for (to, rows) in by_owner.into_iter().enumerate() {
            if !rows.is_empty() {
                activity = Activity::Busy;
                cx.send(self.edge, WorkerId(to as u16), Rows(rows));
            }
        }
        if self.counts.first_key_value().is_none_or(|((window, _), _)| !self.is_closed(*window)) {
            cx.promise(self.frontier);
            if self.frontier == EventTimeMs::END {
                assert!(self.counts.is_empty());
                activity = Activity::Done;
            }
        }
        Ok(activity)
    }

    fn barrier(&mut self, _: &mut Context<'_, Rows>, epoch: Epoch) -> Result<(), Fault> {
        self.epochs += 1;
        assert_eq!(epoch.0, self.epochs, "epochs come one by one");
        Ok(())
    }

    fn state_bytes(&self) -> usize {
        match self.trouble {
            Some((row, Trouble::Memory)) if self.received >= row => 1 << 40,
            _ => self.counts.len() * 24,
        }
    }
}

/// Spreads small numbers over all 64 bits (Fibonacci hashing, folded).
fn hash(key: u64) -> u64 {
    let product = u128::from(key ^ 0x243f_6a88_85a3_08d3) * 0x9e37_79b9_7f4a_7c15;
    product as u64 ^ (product >> 64) as u64
}
