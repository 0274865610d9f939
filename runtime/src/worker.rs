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
use crate::sync::mutant;
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

    /// When an operator asked to be called again at the latest, in the last step.
    #[must_use]
    pub fn wake_at(&self) -> Option<Nanos> {
        self.outbox.wake_at
    }

    /// Does what can be done now: for each stage at most `budget` polls and `budget` messages (at least one, or it
    /// could not tell whether it may sleep), and one poll for a source. `now` must not go back between two calls. Never blocks.
    pub fn step(&mut self, now: Nanos, budget: usize) -> Progress {
        // Before anything is looked at: what happens from here on rings again.
        if !mutant!(worker_takes_the_bell_late) {
            self.bell().take();
        }
        if self.control.has_failed() {
            return Progress::Done;
        }
        let passed = now.0.saturating_sub(self.last_step.0);
        self.last_step = now;
        self.outbox.wake_at = None;
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
        if mutant!(worker_takes_the_bell_late) {
            self.bell().take();
        }
        let is_over =
            |stage: &Stage<D>| stage.is_done() && (!stage.is_backlogged() || mutant!(worker_ends_with_a_backlog));
        if self.stages.iter().all(is_over) {
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
            let may_read = !self.stages.iter().any(Stage::is_backlogged);
            let stage = &mut self.stages[index];
            if stage.is_done() {
                continue;
            }
            let (worker, workers, control) = (self.id, self.workers, &self.control);
            self.running = Some(stage.id);
            let now = self.last_step;
            let mut shift = Shift { worker, workers, is_draining, now, control, outbox: &mut self.outbox };
            let ran = if stage.is_source() && !may_read {
                // Another source may be stuck behind a barrier that waits for this one's.
                stage.inject_barriers(&mut shift)
            } else {
                stage.run(&mut shift, budget)
            };
            worked |= ran.map_err(|fault| JobFailure::Fault {
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

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;
    use crate::operator::{Activity, Context, Fault, Operator};
    use crate::progress::barrier::Miscount;
    use crate::sync::{Arc, Mutex, lock};
    use crate::topology::{EdgeSpec, Target, Topology};
    use crate::{Epoch, EventTimeMs, Mesh, build};
    use std::collections::VecDeque;

    #[derive(Debug)]
    struct Word(&'static str);

    impl Payload for Word {
        fn rows(&self) -> u64 {
            1
        }
        fn bytes(&self) -> usize {
            self.0.len()
        }
    }

    /// As a source, sends one line of its script per poll, each word to worker 0; writes down what it is told.
    struct Scribe {
        script: Option<VecDeque<&'static [&'static str]>>,
        log: Arc<Mutex<Vec<String>>>,
        has_ended: bool,
    }

    impl Scribe {
        fn note(&self, line: String) {
            lock(&self.log).push(line);
        }
    }

    impl Operator<Word> for Scribe {
        fn receive(&mut self, _: &mut Context<'_, Word>, _: EdgeId, from: WorkerId, data: Word) -> Result<(), Fault> {
            self.note(format!("{} from {}", data.0, from.0));
            Ok(())
        }
        fn advance(&mut self, _: &mut Context<'_, Word>, frontier: EventTimeMs) -> Result<(), Fault> {
            self.note(format!("frontier {}", frontier.0));
            self.has_ended = frontier == EventTimeMs::END;
            Ok(())
        }
        fn poll(&mut self, cx: &mut Context<'_, Word>) -> Result<Activity, Fault> {
            let Some(script) = &mut self.script else {
                return Ok(if self.has_ended { Activity::Done } else { Activity::Waiting });
            };
            let Some(line) = script.pop_front() else { return Ok(Activity::Done) };
            for word in line {
                match word.parse() {
                    Ok(time) => cx.promise(EventTimeMs(time)),
                    Err(_) => cx.send(EdgeId(0), WorkerId(0), Word(word)),
                }
            }
            Ok(Activity::Busy)
        }
        fn barrier(&mut self, _: &mut Context<'_, Word>, epoch: Epoch) -> Result<(), Fault> {
            if self.script.is_none() {
                self.note(format!("barrier {}", epoch.0));
            }
            Ok(())
        }
        fn state_bytes(&self) -> usize {
            0
        }
    }

    type Log = Arc<Mutex<Vec<String>>>;

    /// A source and a scribe on each worker; the log is that of the scribe of worker 0.
    fn mesh(lane_capacity: usize, scripts: &[&[&'static [&'static str]]]) -> (Mesh<Word>, Log) {
        let stages = vec!["source".to_owned(), "scribe".to_owned()];
        let edges = vec![EdgeSpec { from: StageId(0), to: Target::Stage(StageId(1)), lane_capacity }];
        let log = Log::default();
        let mesh =
            build(&Topology { stages, edges }, scripts.len(), &Doorbells::new(scripts.len()), |stage, worker| {
                let script = (stage.0 == 0).then(|| scripts[usize::from(worker.0)].iter().copied().collect());
                let log = if worker.0 == 0 { Arc::clone(&log) } else { Log::default() };
                Box::new(Scribe { script, log, has_ended: false }) as Box<dyn Operator<Word>>
            });
        (mesh, log)
    }

    /// Steps until there is nothing to do, and takes the log.
    fn run(worker: &mut Worker<Word>, log: &Log) -> (Progress, Vec<String>) {
        let progress = loop {
            match worker.step(Nanos(0), 4) {
                Progress::Worked => {}
                rest => break rest,
            }
        };
        (progress, std::mem::take(&mut lock(log)))
    }

    #[test]
    fn a_message_is_data_then_watermark_and_the_end_comes_last() {
        let (mut mesh, log) = mesh(4, &[&[&["a", "10", "b"], &["5"], &["c", "20"]]]);
        let (progress, lines) = run(&mut mesh.workers[0], &log);
        // The promise of a call counts behind all that the call sent; a lower one changes nothing.
        let end = format!("frontier {}", i64::MAX);
        assert_eq!(lines, ["a from 0", "b from 0", "frontier 10", "c from 0", "frontier 20", &end]);
        assert_eq!(progress, Progress::Done);
    }

    #[test]
    fn a_lane_that_delivered_its_barrier_waits_and_so_does_its_watermark() {
        let (mut mesh, log) = mesh(8, &[&[&["a", "1"], &["b", "30"]], &[&["c", "20"]]]);
        let [first, second] = &mut mesh.workers[..] else { panic!("two workers") };
        first.step(Nanos(0), 4);
        mesh.control.inject_barrier(Epoch(1));
        let (progress, lines) = run(first, &log);
        assert_eq!((progress, lines), (Progress::Idle, vec!["a from 0".to_owned()]), "b is behind the barrier");
        // The source of worker 1 ends epoch 1 before its first row.
        run(second, &Log::default());
        let (_, lines) = run(first, &log);
        assert_eq!(lines[0], "barrier 1");
        let end = format!("frontier {}", i64::MAX);
        assert!(lines.contains(&"b from 0".to_owned()) && lines.contains(&"c from 1".to_owned()), "{lines:?}");
        assert_eq!(lines.last(), Some(&end));
        assert!(mesh.control.take_failure().is_none());
    }

    #[test]
    fn a_lost_message_fails_the_job_at_the_next_barrier_or_end() {
        for ends_epoch in [false, true] {
            let (mut mesh, log) = mesh(1, &[&[&["a", "b", "c"], &["d"]]]);
            let worker = &mut mesh.workers[0];
            assert_eq!(worker.step(Nanos(0), 1), Progress::Worked);
            assert!(worker.stages.iter_mut().any(Stage::lose_newest), "c waits for room");
            if ends_epoch {
                mesh.control.inject_barrier(Epoch(1));
            }
            let (progress, lines) = run(worker, &log);
            assert_eq!(progress, Progress::Done);
            assert!(!lines.iter().any(|line| line.starts_with("barrier") || line.starts_with("frontier")), "{lines:?}");
            match mesh.control.take_failure() {
                Some(JobFailure::Fault { stage, fault, .. }) => {
                    let miscount = fault.downcast_ref::<Miscount>().unwrap();
                    assert_eq!(stage, "scribe");
                    assert_eq!(miscount.sent.rows, miscount.received.rows + 1, "{miscount}");
                }
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_full_lane_is_charged_to_its_edge() {
        let (mut mesh, _) = mesh(1, &[&[&["a"], &["b", "c"]], &[&["d", "e", "f"]]]);
        let second = &mut mesh.workers[1];
        second.step(Nanos(10), 4);
        assert_eq!(second.step(Nanos(25), 4), Progress::Idle, "worker 0 does not take");
        run(&mut mesh.workers[0], &Log::default());
        assert_eq!(mesh.workers[1].step(Nanos(40), 4), Progress::Worked);
        assert_eq!(mesh.control.edge_accounts()[0].blocked_nanos, 30);
    }

    type Counter = Arc<Mutex<usize>>;

    /// Sends a word with each poll that it may make, and counts both; it never has enough.
    struct Busy {
        sends_on: Option<EdgeId>,
        polls: Counter,
        received: Counter,
    }

    impl Operator<Word> for Busy {
        fn receive(&mut self, _: &mut Context<'_, Word>, _: EdgeId, _: WorkerId, _: Word) -> Result<(), Fault> {
            *lock(&self.received) += 1;
            Ok(())
        }
        fn advance(&mut self, _: &mut Context<'_, Word>, _: EventTimeMs) -> Result<(), Fault> {
            Ok(())
        }
        fn poll(&mut self, cx: &mut Context<'_, Word>) -> Result<Activity, Fault> {
            *lock(&self.polls) += 1;
            if let Some(edge) = self.sends_on {
                cx.send(edge, WorkerId(0), Word("word"));
            }
            Ok(Activity::Busy)
        }
        fn barrier(&mut self, _: &mut Context<'_, Word>, _: Epoch) -> Result<(), Fault> {
            Ok(())
        }
        fn state_bytes(&self) -> usize {
            0
        }
    }

    /// Two sources, each with an edge of its own to a stage that is busy, too; how often each stage of worker 1 was polled,
    /// and what worker 0 received.
    fn busy_mesh(capacities: [usize; 2]) -> (Mesh<Word>, Vec<Counter>, Counter) {
        let stages = ["narrow", "wide", "busy"].map(str::to_owned).to_vec();
        let edge = |from: usize| EdgeSpec {
            from: StageId(from as u16),
            to: Target::Stage(StageId(2)),
            lane_capacity: capacities[from],
        };
        let topology = Topology { stages, edges: vec![edge(0), edge(1)] };
        let polls: Vec<Counter> = (0..3).map(|_| Arc::default()).collect();
        let received = Arc::default();
        let mesh = build(&topology, 2, &Doorbells::new(2), |stage, worker| {
            let counted = if worker.0 == 1 { Arc::clone(&polls[usize::from(stage.0)]) } else { Arc::default() };
            let received = if worker.0 == 0 { Arc::clone(&received) } else { Arc::default() };
            let sends_on = (stage.0 < 2 && worker.0 == 1).then_some(EdgeId(stage.0));
            Box::new(Busy { sends_on, polls: counted, received }) as Box<dyn Operator<Word>>
        });
        (mesh, polls, received)
    }

    #[test]
    fn no_source_reads_on_while_one_lane_of_its_worker_is_full() {
        let (mut mesh, polls, _) = busy_mesh([1, 64]);
        for _ in 0..20 {
            mesh.workers[1].step(Nanos(0), 4);
        }
        // One word is in the lane and one waits; so long the other source, whose lane has room, read along.
        assert_eq!((*lock(&polls[0]), *lock(&polls[1])), (2, 2));
    }

    #[test]
    fn a_stage_that_is_still_emitting_takes_one_message_a_step() {
        let (mut mesh, _, received) = busy_mesh([8, 8]);
        for _ in 0..4 {
            mesh.workers[1].step(Nanos(0), 4);
        }
        for steps in 1..4 {
            mesh.workers[0].step(Nanos(0), 16);
            assert_eq!(*lock(&received), steps);
        }
    }
}
