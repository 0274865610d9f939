//! The toy job under real threads: results, ends and failures.

mod toy;

use proptest::prelude::*;
use std::thread;
use thalweg_runtime::*;
use toy::{COUNTS, Collected, Job, OUT, Rows, TOTALS, Trouble};

/// Runs the job with a thread for the consumer, which `consume` is given each payload of, and says whether to go on.
fn run(
    mesh: Mesh<Rows>,
    options: &DriveOptions,
    mut consume: impl FnMut(&Rows) -> bool + Send,
) -> Result<DriveReport, JobFailure> {
    let Mesh { workers, mut externals, control } = mesh;
    let mut external = externals.pop().expect("the toy job has one consumer outside");
    thread::scope(|scope| {
        let sink = scope.spawn(move || {
            while let Some((_, rows)) = external.recv() {
                if !consume(&rows) {
                    return external.hang_up();
                }
            }
        });
        let report = drive(workers, options, &control);
        sink.join().expect("the consumer does not panic");
        report.map(|report| DriveReport { edges: control.edge_accounts(), ..report })
    })
}

#[test]
fn every_row_is_counted_once_for_any_workers_lanes_and_ways_to_idle() {
    for (workers, lane_capacity, idle) in
        [(1, 1, Idle::Adaptive), (2, 1, Idle::Spin), (2, 8, Idle::Park), (3, 1, Idle::Adaptive), (8, 2, Idle::Adaptive)]
    {
        let job = Job { workers, lane_capacity, ..Job::default() };
        let mut collected = Collected::default();
        let options = DriveOptions { pin: Pin::Auto, idle };
        let report = run(job.mesh(), &options, |rows| {
            collected.add(rows);
            true
        })
        .expect("the job ends in order");
        assert_eq!(collected.0, job.expected(), "{job:?}");
        for edge in [COUNTS, TOTALS, OUT] {
            let account = &report.edges[usize::from(edge.0)];
            assert!(account.sent_rows > 0);
            assert_eq!(account.sent_rows, account.received_rows, "{edge:?} of {job:?}");
            assert_eq!((account.discarded_rows, account.is_hung_up), (0, false));
        }
        assert!(report.state_peak_bytes > 0);
        assert_eq!(report.pinned.len(), workers);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn threads_and_a_slow_consumer_count_every_row_once(
        workers in 1usize..=8,
        lane_capacity in 1usize..=4,
        rows in 0u64..=1_500,
        rows_per_block in 1u64..=90,
        keys in 1u64..=30,
        window in 1i64..=200,
        emit_rows in 1usize..=40,
        pauses in 0usize..=10,
    ) {
        let rows = Some(rows);
        let job = Job { workers, lane_capacity, rows, rows_per_block, keys, window, emit_rows, ..Job::default() };
        let mut collected = Collected::default();
        let report = run(job.mesh(), &DriveOptions::default(), |rows| {
            (0..pauses).for_each(|_| thread::yield_now());
            collected.add(rows);
            true
        }).unwrap();
        prop_assert_eq!(collected.0, job.expected());
        prop_assert!(report.edges.iter().all(|account| account.sent_rows == account.received_rows));
    }
}

#[test]
fn a_panic_of_one_worker_ends_the_job_with_its_message() {
    let job = Job { workers: 3, rows: None, trouble: Some((100, Trouble::Panic)), ..Job::default() };
    match run(job.mesh(), &DriveOptions::default(), |_| true) {
        Err(JobFailure::Panic { stage: Some(stage), message, .. }) => {
            assert_eq!((stage.as_str(), message.as_str()), ("count", "trouble at row 100"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_fault_ends_the_job_and_comes_back_whole() {
    let job = Job { workers: 3, rows: None, trouble: Some((100, Trouble::Fault)), ..Job::default() };
    match run(job.mesh(), &DriveOptions::default(), |_| true) {
        Err(JobFailure::Fault { worker: Some(_), stage, fault }) => {
            assert_eq!((stage.as_str(), fault.to_string().as_str()), ("count", "fault at row 100"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn state_above_the_limit_ends_the_job_with_the_share_of_each_stage() {
    let job = Job { workers: 2, rows: None, trouble: Some((100, Trouble::Memory)), ..Job::default() };
    let mesh = job.mesh();
    mesh.control.set_memory_limit(1 << 30);
    match run(mesh, &DriveOptions::default(), |_| true) {
        Err(JobFailure::MemoryExhausted { used, limit, stages }) => {
            assert!(used >= 1 << 40);
            assert_eq!(limit, 1 << 30);
            let names: Vec<&str> = stages.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["source", "count", "total"]);
            assert!(stages[1].1 >= 1 << 40, "{stages:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn draining_ends_an_endless_job_with_all_it_read() {
    let job = Job { workers: 2, rows: None, ..Job::default() };
    let mesh = job.mesh();
    let control = mesh.control.clone();
    let mut payloads = 0;
    let report = run(mesh, &DriveOptions::default(), |_| {
        payloads += 1;
        if payloads == 20 {
            control.drain();
        }
        true
    })
    .expect("a drained job ends in order");
    for account in report.edges {
        assert_eq!(account.sent_rows, account.received_rows);
    }
}

#[test]
fn a_failing_sink_ends_the_job() {
    let job = Job { workers: 2, rows: None, ..Job::default() };
    let mesh = job.mesh();
    let control = mesh.control.clone();
    let outcome = run(mesh, &DriveOptions::default(), |_| {
        control.fail("the disk is full".into());
        true
    });
    match outcome {
        Err(JobFailure::Fault { worker: None, fault, .. }) => assert_eq!(fault.to_string(), "the disk is full"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_consumer_that_hangs_up_does_not_hold_the_job_back() {
    let job = Job { workers: 2, lane_capacity: 1, ..Job::default() };
    let mut payloads = 0;
    let report = run(job.mesh(), &DriveOptions::default(), |_| {
        payloads += 1;
        payloads < 3
    })
    .expect("the job goes on without its consumer");
    let [counts, totals, out] = &report.edges[..] else { panic!("three edges") };
    assert_eq!(counts.sent_rows, counts.received_rows);
    assert_eq!(totals.sent_rows, totals.received_rows);
    assert!(out.is_hung_up && out.discarded_rows > 0, "{out:?}");
}
