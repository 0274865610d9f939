//! Any strategy as a real job: sources with a producer each, and a stage of owners that emits windows.
//!
//! ```text
//!   source 0 (producer per worker) ──┐
//!                                    ├── messages ──► merge (owner per worker) ──► windows' groups, outside
//!   source 1 (producer per worker) ──┘
//! ```

use crate::aggregation::{Batch, Group, Output, Row, Toy};
use crate::faults::{Trouble, Troubled};
use crate::operators::{Merge, Source};
use crate::oracle::{Expected, expected};
use crate::watch::Watch;
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use thalweg_runtime::simulate::random::Random;
use thalweg_runtime::state::*;
use thalweg_runtime::*;

/// What travels: messages to owners, groups of windows to the outside.
pub enum Parcel {
    Message(Message<Toy>),
    Groups(Vec<Output>),
}

impl Payload for Parcel {
    fn rows(&self) -> u64 {
        let rows = match self {
            Self::Message(Message::Rows(batch)) => batch.rows.len(),
            Self::Message(Message::Groups(partial)) => partial.len(),
            Self::Groups(groups) => groups.len(),
        };
        rows as u64
    }

    fn bytes(&self) -> usize {
        self.rows() as usize * size_of::<Row>()
    }
}

/// A batch, and what its source promises behind it.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    pub batch: Batch,
    pub promise: Option<EventTimeMs>,
}

/// What one source reads on one worker.
pub type Feed = Vec<Step>;

/// How rows become a feed.
#[derive(Clone, Copy, Debug)]
pub struct Cut {
    pub batch_rows: usize,
    pub batches_per_promise: usize,
    /// How far behind the greatest time so far the watermark is.
    pub lag: i64,
}

impl Cut {
    /// Rows of (key, time, value), each stamped with the watermark over those before it.
    pub fn feed(&self, rows: &[(u64, i64, i64)], next_ordinal: &mut u64) -> Feed {
        let mut watermark = EventTimeMs::MIN.0;
        let batches = rows.chunks(self.batch_rows).map(|rows| {
            let rows = rows.iter().map(|&(key, time, value)| {
                let row = Row { ordinal: *next_ordinal, key, time, value, stamp: watermark };
                *next_ordinal += 1;
                watermark = watermark.max(time - self.lag - 1);
                row
            });
            (Batch { rows: rows.collect(), is_view: true }, watermark)
        });
        let step = |(index, (batch, watermark)): (usize, (Batch, i64))| {
            let promises = (index + 1).is_multiple_of(self.batches_per_promise);
            Step { batch, promise: promises.then_some(EventTimeMs(watermark)) }
        };
        batches.collect::<Vec<_>>().into_iter().enumerate().map(step).collect()
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Job {
    pub strategy: StrategyName,
    pub workers: usize,
    pub lane_capacity: usize,
    pub window: i64,
    pub closes_at_end: bool,
    /// Groups that are emitted in one poll.
    pub emit_groups: usize,
    pub meter: Meter,
    /// Epochs that end while it runs.
    pub epochs: u64,
    /// By source, then by worker: as many for each worker as there are sources.
    pub feeds: Vec<Feed>,
}

/// Epochs that a job ends at most.
pub const EPOCHS_MAX: usize = 2;

/// What a job came to, besides its groups.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tally {
    /// Rows folded or late at producers.
    pub folded: Folded,
    /// Rows sent on as rows.
    pub passed: u64,
    /// Rows that owners were sent as rows.
    pub received: Folded,
    /// Owners that spoke for the whole state at the end of input.
    pub elected_at_end: u64,
    /// Batches that producers took in.
    pub batches: u64,
    pub cost: Cost,
    /// By epoch: rows that sources had let in when they ended it, or their input.
    pub before_barrier: [u64; EPOCHS_MAX],
    /// By epoch: rows that owners had been sent when it ended there.
    pub at_barrier: [u64; EPOCHS_MAX],
    /// By epoch: owners that ended it.
    pub barriers: [u64; EPOCHS_MAX],
    /// What sources had not read when they ended.
    pub unread: BTreeMap<(EdgeId, WorkerId), Feed>,
}

/// What came out.
#[derive(Debug, PartialEq)]
pub struct Outcome {
    pub groups: BTreeMap<(i64, u64), Group>,
    pub tally: Tally,
    pub witness: WitnessCounts,
    /// What a reader gets after the end.
    pub left: usize,
}

impl Job {
    /// A tiny job, all of it decided by the seed, with at most so many rows in a feed.
    pub fn seeded(strategy: StrategyName, seed: u64, rows_max: u64) -> Self {
        let mut random = Random::new(seed);
        let mut between = |low: u64, high: u64| low + random.below(high - low + 1);
        let (workers, sources) = (between(1, 3) as usize, if between(0, 3) == 0 { 2 } else { 1 });
        let cut = Cut { batch_rows: between(1, 3) as usize, batches_per_promise: 1, lag: between(0, 8) as i64 };
        let (keys, span) = (between(1, 4), between(1, 30));
        let mut next_ordinal = 0;
        let feeds = (0..workers * sources).map(|_| {
            let rows =
                (0..between(0, rows_max)).map(|_| (between(1, keys), between(0, span) as i64, between(0, 9) as i64));
            cut.feed(&rows.collect::<Vec<_>>(), &mut next_ordinal)
        });
        let feeds = feeds.collect();
        let (lane_capacity, window, epochs) = (between(1, 2) as usize, between(3, 12) as i64, between(0, 1));
        let closes_at_end = between(0, 7) == 0;
        Self {
            strategy,
            workers,
            lane_capacity,
            window,
            closes_at_end,
            emit_groups: 3,
            meter: Meter::OFF,
            epochs,
            feeds,
        }
    }

    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        self.feeds.iter().flatten().flat_map(|step| &step.batch.rows)
    }

    pub fn expected(&self) -> Expected {
        expected(self.window, self.rows())
    }

    /// Runs the job under the schedule of `seed`. Every source asks for live state before each of its batches.
    pub fn simulate(&self, seed: u64) -> Result<Outcome, SimulationFailure> {
        self.simulate_in(&Simulator::new(seed), Trouble::None).map(|(_, outcome)| outcome)
    }

    /// The same, in trouble.
    pub fn simulate_in(
        &self,
        simulator: &Simulator,
        trouble: Trouble,
    ) -> Result<(SimulationReport, Outcome), SimulationFailure> {
        let (mesh, built) = self.build(true, trouble);
        (1..=self.epochs).for_each(|epoch| mesh.control.inject_barrier(Epoch(epoch)));
        let mut groups = BTreeMap::new();
        let report = simulator.run(mesh, |_, _, parcel| {
            collect(&mut groups, parcel);
            ControlFlow::Continue(())
        })?;
        Ok((report, built.outcome(groups)))
    }

    /// Runs the job with a thread for each worker, and one that reads live state all the time.
    pub fn drive(&self) -> Result<Outcome, JobFailure> {
        let (Mesh { workers, mut externals, control }, built) = self.build(false, Trouble::None);
        let mut external = externals.pop().expect("one consumer outside");
        let has_ended = AtomicBool::new(false);
        let groups = thread::scope(|scope| {
            let sink = scope.spawn(move || {
                let mut groups = BTreeMap::new();
                while let Some((_, parcel)) = external.recv() {
                    collect(&mut groups, parcel);
                }
                groups
            });
            let reader = scope.spawn(|| {
                let mut watch = self.watch(&*built.strategy);
                while !has_ended.load(Ordering::Acquire) {
                    watch.look();
                    thread::yield_now();
                }
            });
            (1..=self.epochs).for_each(|epoch| control.inject_barrier(Epoch(epoch)));
            let driven = drive(workers, &DriveOptions::default(), &control);
            has_ended.store(true, Ordering::Release);
            reader.join().expect("what a reader sees is right");
            let groups = sink.join().expect("every group comes once");
            driven.map(|_| groups)
        })?;
        Ok(built.outcome(groups))
    }

    /// Every group exactly once, every row in one account, every window closed by one owner.
    pub fn check(&self, outcome: &Outcome) {
        let Outcome { groups, tally, witness, left } = outcome;
        let expected = self.expected();
        assert_eq!(*groups, expected.groups, "{self:#?}");
        assert_eq!(tally.folded.late + tally.received.late, expected.late, "late rows of {self:#?}");
        assert_eq!(tally.folded.folded + tally.folded.late + tally.passed, self.rows().count() as u64, "{self:#?}");
        assert_eq!(tally.received.folded + tally.received.late, tally.passed, "{self:#?}");
        assert_eq!(tally.elected_at_end, 1, "who speaks for the whole state of {self:#?}");
        assert_eq!(witness.batches, tally.batches, "{self:#?}");
        assert_eq!(*left, 0, "groups of windows that are closed in {self:#?}");
        if matches!(self.strategy, StrategyName::Actor | StrategyName::OwnedShards) {
            for (epoch, owners) in tally.barriers.iter().enumerate().filter(|(_, owners)| **owners > 0) {
                assert_eq!(*owners, self.workers as u64, "owners that ended epoch {epoch} of {self:#?}");
                let (before, at) = (tally.before_barrier[epoch], tally.at_barrier[epoch]);
                assert_eq!(at, before, "rows in the snapshot of epoch {epoch} of {self:#?}");
            }
        }
    }

    fn build(&self, sources_read: bool, trouble: Trouble) -> (Mesh<Parcel>, Built) {
        let sources = self.feeds.len() / self.workers;
        assert_eq!(sources * self.workers, self.feeds.len(), "a feed for each source and worker");
        let bells = Doorbells::new(self.workers);
        let (workers, meter) = (self.workers, self.meter);
        let aggregation = Arc::new(Toy { window: self.window, closes_at_end: self.closes_at_end });
        let strategy = strategy(self.strategy, StateSpec { aggregation, workers, bells: bells.clone(), meter });
        assert_eq!(strategy.name(), self.strategy);
        let (tally, asked) = (Arc::new(Mutex::new(Tally::default())), Arc::new(OnceLock::new()));
        let mesh = build(&self.topology(sources), workers, &bells, |stage, worker| {
            let stage = usize::from(stage.0);
            if stage == sources {
                let out = EdgeId(sources as u16);
                return Box::new(Merge::new(strategy.owner(worker), out, self.emit_groups, &tally))
                    as Box<dyn Operator<Parcel>>;
            }
            let feed = self.feeds[stage * workers + usize::from(worker.0)].clone();
            let watch = sources_read.then(|| self.watch(&*strategy));
            let troubled = (stage == 0 && worker.0 == 0).then(|| Troubled::new(trouble, &asked));
            Box::new(Source::new(strategy.producer(worker), EdgeId(stage as u16), feed, watch, troubled, &tally))
        });
        assert!(asked.set(mesh.control.clone()).is_ok());
        (mesh, Built { strategy, tally })
    }

    fn topology(&self, sources: usize) -> Topology {
        let merge = StageId(sources as u16);
        let lane_capacity = self.lane_capacity;
        let mut stages: Vec<String> = (0..sources).map(|source| format!("source {source}")).collect();
        stages.push("merge".to_owned());
        let to_merge = |source| EdgeSpec { from: StageId(source as u16), to: Target::Stage(merge), lane_capacity };
        let mut edges: Vec<EdgeSpec> = (0..sources).map(to_merge).collect();
        edges.push(EdgeSpec { from: merge, to: Target::External, lane_capacity });
        Topology { stages, edges }
    }

    fn watch(&self, strategy: &dyn Strategy<Toy>) -> Watch {
        Watch::new(strategy.reader(), self.expected())
    }
}

/// What is kept of a job while it runs.
struct Built {
    strategy: Arc<dyn Strategy<Toy>>,
    tally: Arc<Mutex<Tally>>,
}

impl Built {
    fn outcome(self, groups: BTreeMap<(i64, u64), Group>) -> Outcome {
        let pieces = self.strategy.reader().scan().expect("the toy can be read");
        let left = pieces.iter().map(|(_, rows)| rows.len()).sum();
        let tally = self.tally.lock().expect("no operator panicked").clone();
        Outcome { groups, tally, witness: self.strategy.witness(), left }
    }
}

fn collect(groups: &mut BTreeMap<(i64, u64), Group>, parcel: Parcel) {
    let Parcel::Groups(outputs) = parcel else { panic!("a message to an owner left the workers") };
    for Output { window, key, group } in outputs {
        let before = groups.insert((window, key), group);
        assert_eq!(before, None, "window {window} of key {key} came out twice");
    }
}
