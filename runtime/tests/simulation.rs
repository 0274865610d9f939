//! The toy job under the simulator: the same answer under every schedule, and the same schedule from the same seed.

mod toy;

use proptest::prelude::*;
use std::ops::ControlFlow;
use thalweg_runtime::*;
use toy::{Collected, Job, OUT, Rows, Trouble};

/// Runs the job; the report, and what came out.
fn simulate(seed: u64, job: &Job) -> Result<(SimulationReport, Collected), SimulationFailure> {
    let mut collected = Collected::default();
    let report = Simulator::new(seed).run(job.mesh(), |edge, _, rows: Rows| {
        assert_eq!(edge, OUT);
        collected.add(&rows);
        ControlFlow::Continue(())
    })?;
    Ok((report, collected))
}

prop_compose! {
    fn any_job()(
        workers in 1usize..=7,
        lane_capacity in 1usize..=4,
        rows in 0u64..=600,
        rows_per_block in 1u64..=70,
        blocks_per_flush in 1u64..=4,
        keys in 1u64..=40,
        window in 1i64..=90,
        emit_rows in 1usize..=20,
    ) -> Job {
        Job { workers, lane_capacity, rows: Some(rows), rows_per_block, blocks_per_flush, keys, window, emit_rows, trouble: None }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_row_is_counted_once_under_any_schedule(seed: u64, job in any_job()) {
        let (report, collected) = simulate(seed, &job).unwrap();
        prop_assert_eq!(collected.0, job.expected());
        for account in report.edges {
            prop_assert_eq!(account.sent_rows, account.received_rows);
            prop_assert_eq!(account.discarded_rows, 0);
        }
    }

    #[test]
    fn barriers_cut_every_lane_at_the_same_place(seed: u64, job in any_job(), every in 1usize..20) {
        let mesh = job.mesh();
        let control = mesh.control.clone();
        let mut collected = Collected::default();
        let mut payloads = 0;
        control.inject_barrier(Epoch(2));
        Simulator::new(seed).run(mesh, |_, _, rows: Rows| {
            collected.add(&rows);
            payloads += 1;
            if payloads % every == 0 {
                control.inject_barrier(Epoch(2 + (payloads / every) as u64));
            }
            ControlFlow::Continue(())
        }).unwrap();
        prop_assert_eq!(collected.0, job.expected());
    }

    #[test]
    fn a_drain_ends_an_endless_source_with_all_it_read(seed: u64, job in any_job(), after in 1usize..30) {
        let job = Job { rows: None, emit_rows: 1_000, ..job };
        let mesh = job.mesh();
        let control = mesh.control.clone();
        let mut payloads = 0;
        let report = Simulator::new(seed).run(mesh, |_, _, _: Rows| {
            payloads += 1;
            if payloads == after {
                control.drain();
            }
            ControlFlow::Continue(())
        }).unwrap();
        prop_assert!(payloads >= after);
        for account in report.edges {
            prop_assert_eq!(account.sent_rows, account.received_rows);
        }
    }

    #[test]
    fn a_hang_up_lets_the_job_go_on_to_its_end(seed: u64, job in any_job(), after in 1usize..5) {
        let job = Job { rows: Some(600), window: 7, ..job };
        let mut payloads = 0;
        let report = Simulator::new(seed).run(job.mesh(), |_, _, _: Rows| {
            payloads += 1;
            if payloads < after { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        }).unwrap();
        prop_assert!(report.edges[2].is_hung_up);
        prop_assert_eq!(report.edges[1].sent_rows, report.edges[1].received_rows);
    }

    #[test]
    fn a_fault_reaches_all_and_the_caller(seed: u64, job in any_job(), row in 1u64..200) {
        let job = Job { rows: None, emit_rows: 1_000, trouble: Some((row, Trouble::Fault)), ..job };
        match simulate(seed, &job) {
            Err(SimulationFailure::Job { failure: JobFailure::Fault { stage, fault, .. }, seed: told, .. }) => {
                prop_assert_eq!((stage, fault.to_string(), told), ("count".to_owned(), format!("fault at row {row}"), seed));
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }
}

#[test]
fn the_same_seed_takes_the_same_schedule_and_another_seed_another() {
    let job = Job { workers: 3, lane_capacity: 1, ..Job::default() };
    let run = |seed| simulate(seed, &job).unwrap().0;
    let first = run(11);
    assert_eq!(first, run(11));
    let schedules: std::collections::HashSet<u64> = (0..20).map(|seed| run(seed).schedule).collect();
    assert_eq!(schedules.len(), 20);
}

#[test]
fn a_panic_is_reported_with_its_stage_and_seed() {
    let job = Job { rows: None, trouble: Some((5, Trouble::Panic)), ..Job::default() };
    match simulate(3, &job) {
        Err(SimulationFailure::Job {
            seed: 3, failure: JobFailure::Panic { stage: Some(stage), message, .. }, ..
        }) => {
            assert_eq!((stage.as_str(), message.as_str()), ("count", "trouble at row 5"));
        }
        other => panic!("{other:?}"),
    }
}

/// A source that waits for a bell that nobody rings.
struct Forgotten;

impl Operator<Rows> for Forgotten {
    fn receive(&mut self, _: &mut Context<'_, Rows>, _: EdgeId, _: WorkerId, _: Rows) -> Result<(), Fault> {
        Ok(())
    }
    fn advance(&mut self, _: &mut Context<'_, Rows>, _: EventTimeMs) -> Result<(), Fault> {
        Ok(())
    }
    fn poll(&mut self, _: &mut Context<'_, Rows>) -> Result<Activity, Fault> {
        Ok(Activity::Waiting)
    }
    fn barrier(&mut self, _: &mut Context<'_, Rows>, _: Epoch) -> Result<(), Fault> {
        Ok(())
    }
    fn state_bytes(&self) -> usize {
        0
    }
}

#[test]
fn a_lost_wake_up_is_found_and_an_endless_job_is_given_up() {
    let topology = Topology { stages: vec!["source".to_owned()], edges: Vec::new() };
    let mesh = || build(&topology, 2, &Doorbells::new(2), |_, _| Box::new(Forgotten) as Box<dyn Operator<Rows>>);
    match Simulator::new(8).run(mesh(), |_, _, _| ControlFlow::Continue(())) {
        Err(SimulationFailure::Stuck { seed: 8, workers, .. }) => assert_eq!(workers, [WorkerId(0), WorkerId(1)]),
        other => panic!("{other:?}"),
    }
    let endless = Job { rows: None, ..Job::default() };
    let simulator = Simulator::new(8).with_steps_max(1_000);
    let outcome = simulator.run(endless.mesh(), |_, _, _| ControlFlow::Continue(()));
    assert!(matches!(outcome, Err(SimulationFailure::Endless { steps: 1_000, .. })), "{outcome:?}");
}
