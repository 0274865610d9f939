//! Rows out of order, in streaming mode, one file read by several workers.
//!
//! Disorder within the declared lag changes nothing: the rows of the sorted file, and none late. Beyond it, which rows are
//! late is a property of the file: the same set for any number of workers, batch and block size and any strategy of sharing
//! state, and the one that a naive oracle finds by going through the file once.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type, TimestampMillisecondType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::error::Result;
use thalweg::job::{self, Account, JobOptions, Pin};
use thalweg::plan::JobPlan;
use thalweg::plan::strategy::StrategyChoice;
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_runtime::state::StrategyName;

const WORKERS: [usize; 4] = [1, 2, 4, 7];
const BATCH_ROWS: [usize; 3] = [1, 7, 4096];
const WINDOW_MS: i64 = 10_000;
const LAG_MS: i64 = 5_000;
const START_MS: i64 = 1_704_067_200_000; // 2024-01-01 00:00:00
const ROWS: i32 = 400;
/// Simulated schedules, each of other rows.
const SCHEDULES: u64 = 200;

/// A row of the input.
#[derive(Clone, Copy, Debug)]
struct Event {
    id: i32,
    key: i32,
    ts_ms: i64,
}

/// The windows that rows are put into.
#[derive(Clone, Copy, Debug)]
enum Form {
    Tumble,
    Hop,
    Cumulate,
}

const FORMS: [Form; 3] = [Form::Tumble, Form::Hop, Form::Cumulate];
/// From one window to the next, where they overlap: most rows are late for some of their windows before they are for all.
const STEP_MS: i64 = 2_500;

impl Form {
    /// The call, over the table `events`.
    fn call(self) -> String {
        let (size, step) = (WINDOW_MS as f64 / 1000.0, STEP_MS as f64 / 1000.0);
        match self {
            Self::Tumble => format!("TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '{size}' SECOND)"),
            Self::Hop => {
                format!("HOP(TABLE events, DESCRIPTOR(ts), INTERVAL '{step}' SECOND, INTERVAL '{size}' SECOND)")
            }
            Self::Cumulate => {
                format!("CUMULATE(TABLE events, DESCRIPTOR(ts), INTERVAL '{step}' SECOND, INTERVAL '{size}' SECOND)")
            }
        }
    }

    /// The ends of the windows that hold a time.
    fn ends(self, ts_ms: i64) -> Vec<i64> {
        let end_of = |size_ms: i64| ts_ms.div_euclid(size_ms) * size_ms + size_ms;
        match self {
            Self::Tumble => vec![end_of(WINDOW_MS)],
            Self::Hop => (0..WINDOW_MS / STEP_MS).map(|step| end_of(STEP_MS) + step * STEP_MS).collect(),
            Self::Cumulate => {
                (0..).map(|step| end_of(STEP_MS) + step * STEP_MS).take_while(|end| *end <= end_of(WINDOW_MS)).collect()
            }
        }
    }
}

/// Window end and key, then: rows, sum of ids, ids in the order of the file. The ids tell every set of rows from every other.
type Groups = BTreeMap<(i64, i32), (i64, i64, Vec<i32>)>;

#[test]
fn disorder_within_the_lag_gives_the_rows_of_the_sorted_input_and_no_late_row() {
    for seed in 0..6 {
        let (mut rng, form) = (StdRng::seed_from_u64(seed), FORMS[seed as usize % FORMS.len()]);
        let sorted = events(&mut rng);
        // Each row is put off by less than the lag, so none comes after one that is later by the lag or more.
        let shuffled = put_off(&sorted, LAG_MS, &mut rng);
        assert!(shuffled.windows(2).any(|pair| pair[0].ts_ms > pair[1].ts_ms), "seed {seed}: the input is in order");
        let directory = tempfile::tempdir().expect("a temporary directory");
        for (name, events) in [("sorted", &sorted), ("shuffled", &shuffled)] {
            let path = directory.path().join(format!("{name}.csv"));
            std::fs::write(&path, csv(events)).expect("the input can be written");
            for options in ways(&mut rng) {
                let (groups, account) = run(&path, form, &options);
                let groups = without_order(groups);
                assert_eq!(groups, without_order(naive(&sorted, form, i64::MAX).0), "seed {seed}, {name}, {options:?}");
                assert_eq!(account.late(), 0, "seed {seed}, {name}, {options:?}");
            }
        }
    }
}

#[test]
fn disorder_beyond_the_lag_makes_the_same_rows_late_however_the_job_is_run() {
    for seed in 100..108 {
        let (mut rng, form) = (StdRng::seed_from_u64(seed), FORMS[seed as usize % FORMS.len()]);
        let sorted = events(&mut rng);
        let disorder_ms = *[LAG_MS * 3, LAG_MS * 6, LAG_MS * 20].choose(&mut rng).expect("there is one");
        let shuffled = put_off(&sorted, disorder_ms, &mut rng);
        let (expected, ids) = naive(&shuffled, form, LAG_MS);
        let late = ids.len() as u64;
        assert!(late > 0 && late < ROWS as u64, "seed {seed}: {late} late rows prove nothing");
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("shuffled.csv");
        std::fs::write(&path, csv(&shuffled)).expect("the input can be written");
        for options in ways(&mut rng) {
            let (groups, account) = run(&path, form, &options);
            assert_eq!(account.late(), late, "seed {seed}, {options:?}");
            assert_eq!(groups, expected, "seed {seed}, {options:?}");
            assert_eq!(diverted(&path), ids, "seed {seed}, {options:?}");
        }
    }
}

/// The workers of production under the simulator: which one steps, and how far, is the seed's choice at every step.
#[test]
fn any_schedule_of_the_workers_gives_the_rows_and_the_late_rows_of_the_oracle() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for seed in 0..SCHEDULES {
        let mut rng = StdRng::seed_from_u64(seed);
        // Each form with each strategy.
        let form = FORMS[seed as usize / StrategyName::ALL.len() % FORMS.len()];
        let disorder_ms = *[LAG_MS, LAG_MS * 3, LAG_MS * 20].choose(&mut rng).expect("there is one");
        let shuffled = put_off(&events(&mut rng), disorder_ms, &mut rng);
        let (expected, ids) = naive(&shuffled, form, LAG_MS);
        let late = ids.len() as u64;
        let path = directory.path().join("shuffled.csv");
        std::fs::write(&path, csv(&shuffled)).expect("the input can be written");
        let options = JobOptions {
            // Each strategy meets its share of the schedules.
            strategy: StrategyChoice::Named(StrategyName::ALL[seed as usize % StrategyName::ALL.len()]),
            workers: rng.random_range(1..=5),
            batch_rows: *BATCH_ROWS.choose(&mut rng).expect("there is one"),
            block_bytes: rng.random_range(30..2000),
            ..JobOptions::default()
        };
        let (groups, account) = run_by(&path, form, |plan| job::simulate(plan, &options, seed));
        assert_eq!(account.late(), late, "seed {seed}, {options:?}");
        assert_eq!(groups, expected, "seed {seed}, {options:?}");
        assert_eq!(diverted(&path), ids, "seed {seed}, {options:?}");
    }
}

/// A few obvious lines: a row is late for a window that had ended, to the millisecond, by the greatest time before it less the
/// lag, and late if it is so for all. The ids of the late rows are in the order of the file.
fn naive(events: &[Event], form: Form, lag_ms: i64) -> (Groups, Vec<i32>) {
    let (mut groups, mut late, mut greatest_ms) = (Groups::new(), Vec::new(), None::<i64>);
    for event in events {
        let is_over =
            |end_ms: &i64| greatest_ms.is_some_and(|greatest_ms| end_ms - 1 <= greatest_ms.saturating_sub(lag_ms));
        let open: Vec<i64> = form.ends(event.ts_ms).into_iter().filter(|end_ms| !is_over(end_ms)).collect();
        late.extend(open.is_empty().then_some(event.id));
        for end_ms in open {
            let group = groups.entry((end_ms, event.key)).or_default();
            group.0 += 1;
            group.1 += i64::from(event.id);
            group.2.push(event.id);
        }
        greatest_ms = greatest_ms.max(Some(event.ts_ms));
    }
    (groups, late)
}

/// The ids of the late rows that a run has written.
fn diverted(path: &Path) -> Vec<i32> {
    let lines = std::fs::read_to_string(path.with_extension("late")).expect("late rows have a file");
    let id = |line: &str| line.split_once("\"record\":\"")?.1.split_once(',')?.0.parse().ok();
    lines.lines().map(|line| id(line).unwrap_or_else(|| panic!("no record in {line}"))).collect()
}

/// The groups of a shuffled file hold the rows of the sorted one, in another order.
fn without_order(mut groups: Groups) -> Groups {
    groups.values_mut().for_each(|group| group.2.sort_unstable());
    groups
}

fn events(rng: &mut StdRng) -> Vec<Event> {
    let mut ts_ms = START_MS;
    let mut event = |id| {
        // Pauses now and then, so that some windows are empty and others full.
        ts_ms += if rng.random_bool(0.02) { rng.random_range(0..4 * WINDOW_MS) } else { rng.random_range(0..600) };
        Event { id, key: rng.random_range(0..5), ts_ms }
    };
    (0..ROWS).map(&mut event).collect()
}

/// The events in the order in which they arrive if each is on its way for less than `delay_ms`.
fn put_off(sorted: &[Event], delay_ms: i64, rng: &mut StdRng) -> Vec<Event> {
    let mut arrivals: Vec<(i64, Event)> =
        sorted.iter().map(|event| (event.ts_ms + rng.random_range(0..delay_ms), *event)).collect();
    arrivals.sort_by_key(|(arrival_ms, _)| *arrival_ms);
    arrivals.into_iter().map(|(_, event)| event).collect()
}

/// Every number of workers with every batch size; blocks of any size from one that holds a few records up, and any strategy.
fn ways(rng: &mut StdRng) -> Vec<JobOptions> {
    let mut ways = Vec::new();
    for workers in WORKERS {
        for batch_rows in BATCH_ROWS {
            let block_bytes = *[rng.random_range(30..300), 1024, 128 * 1024].choose(rng).expect("there is one");
            let strategy = StrategyChoice::Named(*StrategyName::ALL.choose(rng).expect("there are eight"));
            let how = JobOptions { workers, batch_rows, block_bytes, strategy, ..JobOptions::default() };
            ways.push(JobOptions { pin: Pin::Off, ..how });
        }
    }
    ways
}

fn csv(events: &[Event]) -> String {
    let mut text = String::from("id,k,ts\n");
    for Event { id, key, ts_ms } in events {
        let ts = chrono::DateTime::from_timestamp_millis(*ts_ms).expect("a time of this century");
        writeln!(text, "{id},{key},{}", ts.format("%Y-%m-%d %H:%M:%S%.3f")).expect("a string takes all");
    }
    text
}

fn run(path: &Path, form: Form, options: &JobOptions) -> (Groups, Account) {
    run_by(path, form, |plan| job::collect(plan, options))
}

fn run_by(path: &Path, form: Form, run: impl Fn(JobPlan) -> Result<(Vec<RecordBatch>, Account)>) -> (Groups, Account) {
    let script = format!(
        "SET 'execution.runtime-mode' = 'streaming';
         CREATE TABLE events (id INT, k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '{}' SECOND)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'late-rows' = 'divert', 'late-rows-path' = '{}');
         SELECT window_end, k, COUNT(*), SUM(CAST(id AS BIGINT)), LISTAGG(CAST(id AS STRING))
         FROM TABLE({}) GROUP BY window_start, window_end, k;",
        LAG_MS / 1000,
        path.display(),
        path.with_extension("late").display(),
        form.call(),
    );
    let mut session = Session::new(SessionOptions::default());
    let mut result = None;
    for statement in &session.parse(&script).expect("the script is correct").statements {
        if let Outcome::Job(plan) = session.execute(statement).expect("the script is correct") {
            result = Some(run(plan).expect("the input is correct"));
        }
    }
    let (batches, account) = result.expect("the script runs a job");
    account.check().expect("accounts balance");
    let mut groups = Groups::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let end_ms = batch.column(0).as_primitive::<TimestampMillisecondType>().value(row);
            let key = batch.column(1).as_primitive::<Int32Type>().value(row);
            let integer = |column: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
            let ids =
                batch.column(4).as_string_view().value(row).split(',').map(|id| id.parse().expect("an id")).collect();
            let before = groups.insert((end_ms, key), (integer(2), integer(3), ids));
            assert!(before.is_none(), "window {end_ms}, key {key} came out twice");
        }
    }
    (groups, account)
}
