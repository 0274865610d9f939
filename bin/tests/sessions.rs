//! SESSION windows of rows out of order, in streaming mode: the sessions, and the late rows, are those that a naive oracle
//! finds by going through the file once, for any number of workers, batch and block size, and any schedule.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampMillisecondType};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::error::Result;
use thalweg::job::{self, Account, JobOptions, Pin};
use thalweg::plan::JobPlan;
use thalweg::sql::{Outcome, Session, SessionOptions};

const START_MS: i64 = 1_704_067_200_000; // 2024-01-01 00:00:00
const ROWS: i64 = 300;

/// A row of the input; no key is NULL.
#[derive(Clone, Copy, Debug)]
struct Event {
    id: i64,
    key: Option<i64>,
    ts_ms: i64,
}

/// Start, end and key, then the ids of the rows in the order of the file.
type Sessions = BTreeMap<(i64, i64, Option<i64>), Vec<i64>>;

#[test]
fn sessions_and_late_rows_are_those_of_the_oracle_however_the_job_is_run() {
    for seed in 0..8 {
        let mut rng = StdRng::seed_from_u64(seed);
        let input = Input::random(&mut rng);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("events.csv");
        std::fs::write(&path, csv(&input.events)).expect("the input can be written");
        let (expected, late) = naive(&input, false);
        for workers in [1, 2, 3, 5] {
            for batch_rows in [1, 7, 4096] {
                let block_bytes =
                    *[rng.random_range(30..300), 1024, 128 * 1024].choose(&mut rng).expect("there is one");
                let options = JobOptions { workers, batch_rows, block_bytes, pin: Pin::Off, ..JobOptions::default() };
                let (found, account) = run(&path, &input, "streaming", |plan| job::collect(plan, &options));
                assert_eq!((found, account.late()), (expected.clone(), late), "seed {seed}, {options:?}");
            }
        }
        let options = JobOptions { workers: 3, pin: Pin::Off, ..JobOptions::default() };
        let (found, account) = run(&path, &input, "batch", |plan| job::collect(plan, &options));
        assert_eq!((found, account.late()), (naive(&input, true).0, 0), "seed {seed}, batch");
    }
}

#[test]
fn any_schedule_of_the_workers_gives_the_sessions_of_the_oracle() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut late_in_all, mut joined_in_all) = (0, 0);
    for seed in 100..300 {
        let mut rng = StdRng::seed_from_u64(seed);
        let input = Input::random(&mut rng);
        let path = directory.path().join("events.csv");
        std::fs::write(&path, csv(&input.events)).expect("the input can be written");
        let (expected, late) = naive(&input, false);
        let options = JobOptions {
            workers: rng.random_range(1..=5),
            batch_rows: *[1, 7, 4096].choose(&mut rng).expect("there is one"),
            block_bytes: rng.random_range(30..2000),
            ..JobOptions::default()
        };
        let (found, account) = run(&path, &input, "streaming", |plan| job::simulate(plan, &options, seed));
        let (more, less): (Vec<_>, Vec<_>) = (
            found.iter().filter(|(session, ids)| expected.get(session) != Some(ids)).collect(),
            expected.iter().filter(|(session, ids)| found.get(session) != Some(ids)).collect(),
        );
        assert_eq!((more, account.late()), (less, late), "seed {seed}, {options:?}");
        late_in_all += late;
        joined_in_all += expected.values().filter(|ids| ids.len() > 1).count();
    }
    assert!(late_in_all > 0 && joined_in_all > 0, "{late_in_all} late rows and {joined_in_all} sessions prove nothing");
}

/// Rows, and how they are read.
struct Input {
    events: Vec<Event>,
    gap_ms: i64,
    lag_ms: i64,
}

impl Input {
    /// Short times, so that sessions often touch, and stamps often meet their ends to the millisecond.
    fn random(rng: &mut StdRng) -> Self {
        let gap_ms = *[1, 3, 10, 40].choose(rng).expect("there is one");
        let lag_ms = *[0, 1, 5, 30].choose(rng).expect("there is one");
        let (keys, step) = (rng.random_range(1..6), *[1, 2, 10, 50].choose(rng).expect("there is one"));
        let disorder_ms = *[1, 10, 60, 400].choose(rng).expect("there is one");
        let mut now = START_MS;
        let mut event = |id| {
            now += if rng.random_bool(0.05) { rng.random_range(0..200) } else { rng.random_range(0..=step) };
            let key = rng.random_range(0..=keys);
            Event { id, key: (key > 0).then_some(key), ts_ms: now - rng.random_range(0..disorder_ms) }
        };
        Self { events: (0..ROWS).map(&mut event).collect(), gap_ms, lag_ms }
    }
}

/// A few obvious lines: a row joins all sessions of its key that it overlaps or touches and that end after the greatest time
/// before it less the lag; it is late if what comes of that is over by then.
fn naive(input: &Input, is_batch: bool) -> (Sessions, u64) {
    let (mut all, mut late, mut greatest_ms) = (Sessions::new(), 0, None::<i64>);
    for event in &input.events {
        let stamp_ms = greatest_ms.filter(|_| !is_batch).map_or(i64::MIN, |greatest_ms| greatest_ms - input.lag_ms);
        greatest_ms = greatest_ms.max(Some(event.ts_ms));
        let (mut start, mut end, mut ids) = (event.ts_ms, event.ts_ms + input.gap_ms, Vec::new());
        let is_joined = |(from, to, key): &(i64, i64, Option<i64>)| {
            *key == event.key && *from <= event.ts_ms + input.gap_ms && *to >= event.ts_ms && *to > stamp_ms
        };
        let joined: Vec<_> = all.keys().copied().filter(is_joined).collect();
        for (from, to, _) in &joined {
            (start, end) = (start.min(*from), end.max(*to));
        }
        if end - 1 <= stamp_ms {
            late += 1;
            continue;
        }
        joined.iter().for_each(|session| ids.extend(all.remove(session).unwrap_or_default()));
        ids.push(event.id);
        ids.sort_unstable();
        all.insert((start, end, event.key), ids);
    }
    (all, late)
}

fn csv(events: &[Event]) -> String {
    let mut text = String::new();
    for Event { id, key, ts_ms } in events {
        let ts = chrono::DateTime::from_timestamp_millis(*ts_ms).expect("a time of this century");
        let key = key.map_or_else(String::new, |key| key.to_string());
        writeln!(text, "{id},{key},{}", ts.format("%Y-%m-%d %H:%M:%S%.3f")).expect("a string takes all");
    }
    text
}

fn run(
    path: &Path,
    input: &Input,
    mode: &str,
    run: impl Fn(JobPlan) -> Result<(Vec<RecordBatch>, Account)>,
) -> (Sessions, Account) {
    let seconds = |ms: i64| format!("INTERVAL '{}.{:03}' SECOND", ms / 1000, ms % 1000);
    let script = format!(
        "SET 'execution.runtime-mode' = '{mode}';
         CREATE TABLE events (id BIGINT, k BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - {})
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv');
         SELECT window_start, window_end, k, LISTAGG(CAST(id AS STRING))
         FROM TABLE(SESSION(TABLE events PARTITION BY k, DESCRIPTOR(ts), {})) GROUP BY k, window_start, window_end;",
        seconds(input.lag_ms),
        path.display(),
        seconds(input.gap_ms),
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
    let mut sessions = Sessions::new();
    for batch in &batches {
        for row in 0..batch.num_rows() {
            let time = |column: usize| batch.column(column).as_primitive::<TimestampMillisecondType>().value(row);
            let key = batch.column(2).as_primitive::<Int64Type>().iter().nth(row).flatten();
            let ids = batch.column(3).as_string_view().value(row).split(',').map(|id| id.parse().expect("an id"));
            let before = sessions.insert((time(0), time(1), key), ids.collect());
            assert!(before.is_none(), "session {} of {key:?} came out twice", time(0));
        }
    }
    (sessions, account)
}
