//! Whole workers: they make progress over full lanes, end together, and fail together.

#![cfg(all(thalweg_loom, feature = "model"))]

use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::*;

#[derive(Debug)]
struct Row;

impl Payload for Row {
    fn rows(&self) -> u64 {
        1
    }
    fn bytes(&self) -> usize {
        0
    }
}

/// A source that sends rows to the other worker, all in one call, so that they do not fit.
struct Sender {
    rows: usize,
}

impl Operator<Row> for Sender {
    fn receive(&mut self, _: &mut Context<'_, Row>, _: EdgeId, _: WorkerId, _: Row) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }
    fn advance(&mut self, _: &mut Context<'_, Row>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }
    fn poll(&mut self, cx: &mut Context<'_, Row>) -> Result<Activity, Fault> {
        let other = WorkerId(1 - cx.worker().0);
        (0..self.rows).for_each(|_| cx.send(EdgeId(0), other, Row));
        Ok(Activity::Done)
    }
    fn barrier(&mut self, _: &mut Context<'_, Row>, _: Epoch) -> Result<(), Fault> {
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

/// Counts what it gets, and is done when its inputs are. Without inputs it waits for ever, or fails at once.
struct Receiver {
    rows: Arc<AtomicU64>,
    has_ended: bool,
    fails: bool,
}

impl Operator<Row> for Receiver {
    fn receive(&mut self, _: &mut Context<'_, Row>, _: EdgeId, _: WorkerId, _: Row) -> Result<(), Fault> {
        self.rows.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
    fn advance(&mut self, _: &mut Context<'_, Row>, frontier: EventTimeMs) -> Result<(), Fault> {
        self.has_ended = frontier == EventTimeMs::END;
        Ok(())
    }
    fn poll(&mut self, _: &mut Context<'_, Row>) -> Result<Activity, Fault> {
        if self.fails {
            return Err("as it should".into());
        }
        Ok(if self.has_ended { Activity::Done } else { Activity::Waiting })
    }
    fn barrier(&mut self, _: &mut Context<'_, Row>, _: Epoch) -> Result<(), Fault> {
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

/// What a pinned thread does, without the spinning.
fn run(mut worker: Worker<Row>) {
    loop {
        match worker.step(Nanos(0), 8) {
            Progress::Worked => {}
            Progress::Idle => worker.bell().wait(Duration::MAX),
            Progress::Done => return,
        }
    }
}

/// Runs both workers of a mesh to their end.
fn run_both(mesh: Mesh<Row>) -> Control {
    let Mesh { mut workers, control, .. } = mesh;
    let second = workers.pop().expect("two workers");
    let first = workers.pop().expect("two workers");
    let other = thread::spawn(move || run(second));
    run(first);
    other.join().expect("the other worker does not panic");
    control
}

#[test]
fn two_workers_with_full_lanes_to_each_other_make_progress() {
    explore("workers, full lanes", Some(2), 100, || {
        let topology = Topology {
            stages: vec!["send".to_owned(), "receive".to_owned()],
            edges: vec![EdgeSpec { from: StageId(0), to: Target::Stage(StageId(1)), lane_capacity: 1 }],
        };
        let rows = Arc::new(AtomicU64::new(0));
        let mesh = build(&topology, 2, &Doorbells::new(2), |stage, _| match stage.0 {
            0 => Box::new(Sender { rows: 2 }) as Box<dyn Operator<Row>>,
            _ => Box::new(Receiver { rows: Arc::clone(&rows), has_ended: false, fails: false }),
        });
        let control = run_both(mesh);
        assert!(control.take_failure().is_none());
        assert_eq!(rows.load(Ordering::Relaxed), 4);
    });
}

#[test]
fn a_fault_of_one_worker_wakes_the_other() {
    explore("workers, a fault reaches all", None, 20, || {
        let topology = Topology { stages: vec!["wait".to_owned()], edges: Vec::new() };
        let rows = Arc::new(AtomicU64::new(0));
        let mesh = build(&topology, 2, &Doorbells::new(2), |_, worker| {
            let (rows, fails) = (Arc::clone(&rows), worker == WorkerId(1));
            Box::new(Receiver { rows, has_ended: false, fails }) as Box<dyn Operator<Row>>
        });
        let failure = run_both(mesh).take_failure();
        assert!(matches!(failure, Some(JobFailure::Fault { worker: Some(WorkerId(1)), .. })), "{failure:?}");
    });
}
