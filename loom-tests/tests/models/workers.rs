//! Whole workers: they make progress over full lanes, end together, and fail together.

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
    edges: u16,
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
        for edge in (0..self.edges).map(EdgeId) {
            (0..self.rows).for_each(|_| cx.send(edge, other, Row));
        }
        Ok(Activity::Done)
    }
    fn barrier(&mut self, _: &mut Context<'_, Row>, _: Epoch) -> Result<(), Fault> {
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

/// A source that sends rows to the outside.
struct Outward {
    rows: usize,
}

impl Operator<Row> for Outward {
    fn receive(&mut self, _: &mut Context<'_, Row>, _: EdgeId, _: WorkerId, _: Row) -> Result<(), Fault> {
        Err("a source has no inputs".into())
    }
    fn advance(&mut self, _: &mut Context<'_, Row>, _: EventTimeMs) -> Result<(), Fault> {
        Err("a source has no frontier".into())
    }
    fn poll(&mut self, cx: &mut Context<'_, Row>) -> Result<Activity, Fault> {
        (0..self.rows).for_each(|_| cx.send(EdgeId(0), cx.worker(), Row));
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

/// Both workers send to each other on so many edges, each with room for one message in a lane.
fn full_lanes(edges: u16) {
    // The end is a message too, so one row is enough to fill a lane.
    let sent = 3 - usize::from(edges);
    let (stages, send) = (vec!["send".to_owned(), "receive".to_owned()], StageId(0));
    let edge = |_| EdgeSpec { from: send, to: Target::Stage(StageId(1)), lane_capacity: 1 };
    let topology = Topology { stages, edges: (0..edges).map(edge).collect() };
    let rows = Arc::new(AtomicU64::new(0));
    let mesh = build(&topology, 2, &Doorbells::new(2), |stage, _| match stage.0 {
        0 => Box::new(Sender { rows: sent, edges }) as Box<dyn Operator<Row>>,
        _ => Box::new(Receiver { rows: Arc::clone(&rows), has_ended: false, fails: false }),
    });
    let control = run_both(mesh);
    assert!(control.take_failure().is_none());
    assert_eq!(rows.load(Ordering::Relaxed), 2 * sent as u64 * u64::from(edges));
}

#[test]
fn two_workers_with_full_lanes_to_each_other_make_progress() {
    explore("workers, full lanes", || full_lanes(1));
    explore("workers, full lanes on two edges", || full_lanes(2));
}

/// A sink of its own thread gets every row and learns of the end.
#[test]
fn a_consumer_outside_gets_all_and_the_end() {
    explore("workers, a consumer outside", || {
        let edge = EdgeSpec { from: StageId(0), to: Target::External, lane_capacity: 1 };
        let topology = Topology { stages: vec!["send".to_owned()], edges: vec![edge] };
        let mesh =
            build(&topology, 1, &Doorbells::new(1), |_, _| Box::new(Outward { rows: 2 }) as Box<dyn Operator<Row>>);
        let Mesh { mut workers, mut externals, control } = mesh;
        let worker = workers.pop().expect("one worker");
        let worker = thread::spawn(move || run(worker));
        let mut outside = externals.pop().expect("one consumer outside");
        let rows = std::iter::from_fn(|| outside.recv()).count();
        worker.join().expect("the worker does not panic");
        assert_eq!(rows, 2);
        let account = &control.edge_accounts()[0];
        assert_eq!((account.sent_rows, account.received_rows), (2, 2));
    });
}

/// What one worker suffers from the end of another is not what is reported.
#[test]
fn of_a_fault_and_its_consequences_the_fault_is_reported() {
    explore("workers, a fault and its consequence", || {
        let edge = EdgeSpec { from: StageId(0), to: Target::Stage(StageId(1)), lane_capacity: 1 };
        let topology = Topology { stages: vec!["fail".to_owned(), "receive".to_owned()], edges: vec![edge] };
        let rows = Arc::new(AtomicU64::new(0));
        let mesh = build(&topology, 2, &Doorbells::new(2), |stage, worker| {
            let fails = stage.0 == 0 && worker.0 == 1;
            Box::new(Receiver { rows: Arc::clone(&rows), has_ended: false, fails }) as Box<dyn Operator<Row>>
        });
        match run_both(mesh).take_failure() {
            Some(JobFailure::Fault { worker: Some(WorkerId(1)), stage, fault }) => {
                assert_eq!((stage.as_str(), fault.to_string().as_str()), ("fail", "as it should"));
            }
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn a_fault_of_one_worker_wakes_the_other() {
    explore("workers, a fault reaches all", || {
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
