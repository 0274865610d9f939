//! Whole jobs of two workers: a source with private tables, an exchange, and owners that close windows, under each
//! strategy; with barriers, and with requests from outside.

use loom::thread;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_loom_tests::sums::{Ones, Sums};
use thalweg_runtime::state::{Message, Meter, Owner, Producer, Release, Sends, StateSpec, StrategyName, strategy};
use thalweg_runtime::*;

/// What travels: groups to their owners.
struct Parcel(Message<Ones>);

impl Payload for Parcel {
    fn rows(&self) -> u64 {
        match &self.0 {
            Message::Rows(rows) => rows.len() as u64,
            Message::Groups(groups) => groups.values().sum(),
        }
    }
    fn bytes(&self) -> usize {
        0
    }
}

/// What a job came to. Std's, and of no interest to loom: what has happened, and not what is seen of it.
#[derive(Default)]
struct Outcome {
    closed: Mutex<Sums>,
    /// Rows that sources had read when they ended epoch 1, or their input.
    before_barrier: AtomicU64,
    /// Rows in the state of owners at the barrier that ends epoch 1.
    at_barrier: AtomicU64,
    barriers: AtomicU64,
    elected_at_end: AtomicU64,
}

impl Outcome {
    /// Owners held at the barrier what sources had read before it.
    fn check_snapshot(&self) {
        let [before, at] = [&self.before_barrier, &self.at_barrier].map(|rows| rows.load(Ordering::Relaxed));
        assert_eq!(at, before, "rows in the snapshot, and rows before the barrier");
    }
}

/// What a source waits for before it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Until {
    /// The last row.
    Rows,
    /// An orderly end that is asked for.
    Drain,
    /// The end of an epoch that is asked for.
    Epoch,
}

/// Takes a row of key 0 or 1 in for each window, promises behind each, and ends.
struct Source {
    producer: Box<dyn Producer<Ones>>,
    edge: EdgeId,
    windows: std::ops::Range<i64>,
    read: u64,
    until: Until,
    has_ended_epoch: bool,
    /// Asks for the end of epoch 1 once a row was read.
    control: Option<Arc<OnceLock<Control>>>,
    outcome: Arc<Outcome>,
}

impl Source {
    fn send(&self, cx: &mut Context<'_, Parcel>, sends: Sends<Ones>) {
        sends.into_iter().for_each(|(to, message)| cx.send(self.edge, to, Parcel(message)));
    }

    fn release(&mut self, cx: &mut Context<'_, Parcel>, release: Release) {
        let mut sends = Vec::new();
        let Ok(_) = self.producer.release(release, &mut sends);
        self.send(cx, sends);
    }
}

impl Operator<Parcel> for Source {
    fn receive(&mut self, _: &mut Context<'_, Parcel>, _: EdgeId, _: WorkerId, _: Parcel) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }
    fn advance(&mut self, _: &mut Context<'_, Parcel>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }
    fn poll(&mut self, cx: &mut Context<'_, Parcel>) -> Result<Activity, Fault> {
        if let Some(window) = self.windows.next() {
            let mut sends = Vec::new();
            // Both workers have a row for the owner of the other key.
            let Ok(_) = self.producer.process(&vec![(window, 1 - u64::from(cx.worker().0))], &mut sends);
            self.send(cx, sends);
            self.read += 1;
            // The row of window 0 stays in the private table until something lets go of it.
            if window > 0 {
                self.release(cx, Release::ClosedBy(EventTimeMs(window)));
                cx.promise(EventTimeMs(window));
            }
            if let Some(control) = self.control.take() {
                control.get().expect("the job is built").inject_barrier(Epoch(1));
            }
            return Ok(Activity::Busy);
        }
        let may_end = match self.until {
            Until::Rows => true,
            Until::Drain => cx.is_draining(),
            Until::Epoch => self.has_ended_epoch,
        };
        if !may_end {
            return Ok(Activity::Waiting);
        }
        self.release(cx, Release::All);
        if !self.has_ended_epoch {
            self.outcome.before_barrier.fetch_add(self.read, Ordering::Relaxed);
        }
        Ok(Activity::Done)
    }
    fn barrier(&mut self, cx: &mut Context<'_, Parcel>, _: Epoch) -> Result<(), Fault> {
        self.release(cx, Release::All);
        self.has_ended_epoch = true;
        self.outcome.before_barrier.fetch_add(self.read, Ordering::Relaxed);
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Merges, and closes windows.
struct Merge {
    owner: Box<dyn Owner<Ones>>,
    received: u64,
    frontier: EventTimeMs,
    outcome: Arc<Outcome>,
}

impl Operator<Parcel> for Merge {
    fn receive(&mut self, _: &mut Context<'_, Parcel>, _: EdgeId, _: WorkerId, parcel: Parcel) -> Result<(), Fault> {
        let windows: Vec<i64> = match &parcel.0 {
            Message::Rows(rows) => rows.iter().map(|(window, _)| *window).collect(),
            Message::Groups(groups) => groups.keys().map(|(window, _)| *window).collect(),
        };
        if windows.iter().any(|window| *window <= self.frontier.0) {
            return Err("a row came behind the promise that it would not".into());
        }
        self.received += parcel.rows();
        let Ok(_) = self.owner.receive(parcel.0);
        Ok(())
    }
    fn advance(&mut self, _: &mut Context<'_, Parcel>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.frontier = frontier;
        let Ok(closing) = self.owner.close(frontier);
        let mut closed = self.outcome.closed.lock().expect("no operator panics");
        for (name, rows) in closing.windows.into_iter().flatten() {
            if closed.insert(name, rows).is_some() {
                return Err(format!("window {} of key {} is closed twice", name.0, name.1).into());
            }
        }
        let is_elected_at_end = closing.is_elected && frontier == EventTimeMs::END;
        self.outcome.elected_at_end.fetch_add(u64::from(is_elected_at_end), Ordering::Relaxed);
        Ok(())
    }
    fn poll(&mut self, _: &mut Context<'_, Parcel>) -> Result<Activity, Fault> {
        self.owner.publish();
        Ok(if self.frontier == EventTimeMs::END { Activity::Done } else { Activity::Waiting })
    }
    fn barrier(&mut self, _: &mut Context<'_, Parcel>, _: Epoch) -> Result<(), Fault> {
        self.outcome.barriers.fetch_add(1, Ordering::Relaxed);
        self.outcome.at_barrier.fetch_add(self.received, Ordering::Relaxed);
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

/// A job of two workers.
struct Job {
    strategy: StrategyName,
    workers: u16,
    /// Rows of each source, one for each window from 0.
    windows: i64,
    /// Source stages, each with an edge of its own.
    sources: u16,
    until: Until,
    /// The source of worker 0 asks for the end of an epoch.
    asks_for_epoch: bool,
}

impl Job {
    /// A job that does nothing but read, merge and close.
    fn plain(strategy: StrategyName) -> Self {
        Self { strategy, workers: 2, windows: 1, sources: 1, until: Until::Rows, asks_for_epoch: false }
    }

    /// Runs the job, while `outside` does something to it, and checks what came of it.
    fn check(&self, outside: impl FnOnce(&Control)) -> Arc<Outcome> {
        let Self { workers, windows, sources, until, .. } = *self;
        let bells = Doorbells::new(usize::from(workers));
        let spec = StateSpec {
            aggregation: Arc::new(Ones),
            workers: usize::from(workers),
            bells: bells.clone(),
            meter: Meter::OFF,
        };
        let state = strategy(self.strategy, spec);
        let (outcome, asked) = (Arc::new(Outcome::default()), Arc::new(OnceLock::new()));
        let stages = (0..=sources).map(|stage| format!("stage {stage}")).collect();
        let merge = StageId(sources);
        let edge = |source| EdgeSpec { from: StageId(source), to: Target::Stage(merge), lane_capacity: 1 };
        let topology = Topology { stages, edges: (0..sources).map(edge).collect() };
        let mesh = build(&topology, usize::from(workers), &bells, |stage, worker| {
            let outcome = Arc::clone(&outcome);
            if stage == merge {
                let (owner, frontier) = (state.owner(worker), EventTimeMs::MIN);
                return Box::new(Merge { owner, received: 0, frontier, outcome }) as Box<dyn Operator<Parcel>>;
            }
            let producer = state.producer(worker);
            let control = (self.asks_for_epoch && worker.0 == 0).then(|| Arc::clone(&asked));
            let (edge, has_ended_epoch) = (EdgeId(stage.0), false);
            Box::new(Source { producer, edge, windows: 0..windows, read: 0, until, has_ended_epoch, control, outcome })
        });
        assert!(asked.set(mesh.control.clone()).is_ok());
        let Mesh { workers, control, .. } = mesh;
        let threads: Vec<_> = workers.into_iter().map(|worker| thread::spawn(move || run(worker))).collect();
        outside(&control);
        threads.into_iter().for_each(|thread| thread.join().expect("a worker does not panic"));
        let failure = control.take_failure();
        assert!(failure.is_none(), "{failure:?}");
        let names =
            (0..windows).flat_map(|window| (0..self.workers).map(move |worker| (window, 1 - u64::from(worker))));
        let expected: Sums = names.map(|name| (name, u64::from(sources))).collect();
        assert_eq!(*outcome.closed.lock().expect("no operator panics"), expected);
        assert_eq!(outcome.elected_at_end.load(Ordering::Relaxed), 1, "one owner speaks for the whole state");
        let left = state.reader().scan().expect("ones can be added up");
        assert!(left.iter().all(|(_, groups)| groups.is_empty()), "a reader sees closed windows: {left:?}");
        let accounts = control.edge_accounts();
        assert!(accounts.iter().all(|account| account.sent_rows == account.received_rows), "{accounts:?}");
        outcome
    }
}

/// What a pinned thread does, without the spinning.
fn run(mut worker: Worker<Parcel>) {
    loop {
        match worker.step(Nanos(0), 8) {
            Progress::Worked => {}
            Progress::Idle => worker.bell().wait(Duration::MAX),
            Progress::Done => return,
        }
    }
}

/// Every row is merged once, at its owner, before its window closes, and every window closes once.
#[test]
fn every_strategy_merges_each_row_once_and_closes_each_window_once() {
    for name in StrategyName::ALL {
        explore(&format!("{name}, a job of two workers"), move || {
            Job::plain(name).check(|_| ());
        });
    }
}

/// An epoch ends in the middle: its snapshot holds the rows before it, private tables included, and no other, also where
/// one source has ended before.
#[test]
fn a_snapshot_holds_the_rows_before_its_barrier_and_no_other() {
    for name in [StrategyName::OwnedShards, StrategyName::Actor] {
        explore(&format!("{name}, a barrier"), move || {
            let outcome = Job { asks_for_epoch: true, ..Job::plain(name) }.check(|_| ());
            // The source that asked ended the epoch, so both owners did.
            assert_eq!(outcome.barriers.load(Ordering::Relaxed), 2);
            outcome.check_snapshot();
        });
    }
}

/// Loom reports a deadlock if a worker sleeps through the request.
#[test]
fn a_drain_ends_sources_that_wait() {
    explore("job, drained", || {
        Job { workers: 1, until: Until::Drain, ..Job::plain(StrategyName::OwnedShards) }.check(Control::drain);
    });
}

/// Loom reports a deadlock if a worker sleeps through the request.
#[test]
fn an_epoch_ends_where_sources_wait() {
    explore("job, an epoch from outside", || {
        let job = Job { workers: 1, until: Until::Epoch, ..Job::plain(StrategyName::OwnedShards) };
        let outcome = job.check(|control| control.inject_barrier(Epoch(1)));
        assert_eq!(outcome.barriers.load(Ordering::Relaxed), 1);
        outcome.check_snapshot();
    });
}
