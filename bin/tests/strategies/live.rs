//! Live state: readers in the same process, before, while and after a job runs.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema};
use thalweg::error::Kind;
use thalweg::job::{self, JobControl, JobOptions, LiveState};
use thalweg_runtime::state::{StrategyName, Version};

use crate::{options, plan};

/// How long rows may take until readers see them.
const PATIENCE: Duration = Duration::from_secs(30);

/// Windows of ten seconds over a pipe that the test writes.
fn script(pipe: &Path) -> String {
    format!(
        "CREATE TABLE events (ts TIMESTAMP(3), k STRING, n BIGINT, WATERMARK FOR ts AS ts)
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
         CREATE TABLE nowhere (k STRING, n BIGINT, total BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT k, COUNT(*), SUM(n)
         FROM TABLE(TUMBLE(TABLE events, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;",
        pipe.display()
    )
}

fn pipe(directory: &Path) -> PathBuf {
    let path = directory.join("events");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    path
}

fn key(name: &str) -> RecordBatch {
    let schema = Schema::new(vec![Field::new("k", DataType::Utf8, true)]);
    RecordBatch::try_new(Arc::new(schema), vec![Arc::new(StringArray::from(vec![name]))]).expect("one column")
}

/// Key, count and sum of every row.
fn rows(batch: &RecordBatch) -> Vec<(String, i64, i64)> {
    let integer = |column: usize, row: usize| batch.column(column).as_primitive::<Int64Type>().value(row);
    let row = |row| (batch.column(0).as_string_view().value(row).to_owned(), integer(1, row), integer(2, row));
    (0..batch.num_rows()).map(row).collect()
}

/// Asks until the groups are the `expected` ones, and holds every answer to what holds at any moment: versions of a part
/// never go back.
fn wait_for(state: &LiveState, versions: &mut Vec<Version>, expected: &[(&str, i64, i64)], what: &str) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let pieces = state.scan().expect("all values fit");
        versions.resize(pieces.len(), Version(0));
        for ((version, _), last) in pieces.iter().zip(versions.iter_mut()) {
            assert!(version >= last, "{what}: version {version:?} after {last:?}");
            *last = *version;
        }
        let mut found: Vec<_> = pieces.iter().flat_map(|(_, batch)| rows(batch)).collect();
        found.sort();
        let found: Vec<(&str, i64, i64)> = found.iter().map(|(k, n, sum)| (k.as_str(), *n, *sum)).collect();
        if found == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{what}: {found:?} and not {expected:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The state of the only aggregation, as soon as the job has been set up.
fn state(control: &JobControl) -> LiveState {
    wait_until(|| !control.states().is_empty(), "the job begins");
    control.states().pop().expect("there is one")
}

fn wait_until(condition: impl Fn() -> bool, what: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "{what}: it does not come");
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn write(pipe: &mut File, lines: &str) {
    pipe.write_all(lines.as_bytes()).and_then(|()| pipe.flush()).expect("the job reads");
}

#[test]
fn readers_see_groups_before_while_and_after_a_job_runs_with_every_strategy() {
    for strategy in StrategyName::ALL {
        for workers in [1, 3] {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let path = pipe(directory.path());
            let (control, plan) = (JobControl::new(), plan(&script(&path)));
            assert!(control.states().is_empty(), "nothing is known of the job yet");
            let job = {
                let (control, options) = (control.clone(), options(strategy, workers));
                std::thread::spawn(move || job::run(plan, &options, &control))
            };
            let what = format!("{strategy}, {workers} workers");
            let mut pipe = OpenOptions::new().write(true).open(&path).expect("the job opens its end");
            let state = state(&control);
            assert_eq!((state.name(), state.strategy()), ("1 merge", strategy));
            let names: Vec<String> = state.schema().fields().iter().map(|field| field.name().clone()).collect();
            assert_eq!(names.len(), 6, "{names:?}");
            let mut versions = Vec::new();
            wait_for(&state, &mut versions, &[], &what);

            write(&mut pipe, "2024-01-01 00:00:01,a,1\n2024-01-01 00:00:02,b,10\n2024-01-01 00:00:03,a,2\n");
            wait_for(&state, &mut versions, &[("a", 2, 3), ("b", 1, 10)], &what);
            let (_, found) = state.lookup(&key("a")).expect("a key of the right type");
            assert_eq!(rows(&found), [("a".to_owned(), 2, 3)], "{what}");
            assert_eq!(state.lookup(&key("c")).expect("a key of the right type").1.num_rows(), 0, "{what}");
            assert_eq!(found.schema(), *state.schema());

            // The first window closes: its groups have left the state, as rows.
            write(&mut pipe, "2024-01-01 00:00:11,c,7\n");
            wait_for(&state, &mut versions, &[("c", 1, 7)], &what);
            wait_until(|| control.progress().emitted == 2, &what);

            drop(pipe);
            let account = job.join().expect("no panic").expect("the input is correct");
            account.check().expect("the account balances");
            assert_eq!(account.emitted, 3, "{what}");
            wait_for(&state, &mut versions, &[], &what);
            assert_eq!(control.states().len(), 1, "the handle outlives the job");
        }
    }
}

#[test]
fn a_key_that_does_not_fit_is_refused_with_the_columns_that_would() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = crate::file(directory.path(), "in.csv", "k,n\na,1\n");
    let control = JobControl::new();
    let plan = plan(&format!(
        "CREATE TABLE nowhere (n BIGINT, k STRING, c BIGINT) WITH ('connector' = 'blackhole');
         INSERT INTO nowhere SELECT n, k, COUNT(*) FROM '{path}' GROUP BY n, k;"
    ));
    job::run(plan, &options(StrategyName::HoldLock, 1), &control).expect("the input is correct");
    let state = state(&control);
    let error = state.lookup(&key("a")).expect_err("it has one column");
    assert_eq!(error.kind, Kind::Statement);
    assert!(error.message.contains("one row of 2 columns (n, k)"), "{error}");
    let schema = Schema::new(vec![Field::new("n", DataType::Utf8, true), Field::new("k", DataType::Utf8, true)]);
    let columns: Vec<ArrayRef> = vec![Arc::new(StringArray::from(vec!["x"])), Arc::new(StringArray::from(vec!["a"]))];
    let error = state.lookup(&RecordBatch::try_new(Arc::new(schema), columns).expect("two columns"));
    assert!(error.expect_err("x is no number").message.contains("`n` of the key"));
}

/// Readers that never stop, on state that never stands still: no row is seen twice.
#[test]
fn readers_do_not_keep_a_job_from_its_end() {
    for strategy in StrategyName::ALL {
        let script = "CREATE TABLE numbers (k BIGINT, n BIGINT) WITH ('connector' = 'datagen', 'rows-per-second' = \
                      '100000000', 'number-of-rows' = '50000', 'fields.k.min' = '0', 'fields.k.max' = '20');
                      CREATE TABLE nowhere (k BIGINT, n BIGINT) WITH ('connector' = 'blackhole');
                      INSERT INTO nowhere SELECT k, COUNT(*) FROM numbers GROUP BY k;";
        let (control, plan) = (JobControl::new(), plan(script));
        let options = JobOptions { batch_rows: 100, readers: 2, ..options(strategy, 2) };
        let has_ended = AtomicBool::new(false);
        std::thread::scope(|scope| {
            for _ in 0..options.readers {
                scope.spawn(|| {
                    while !has_ended.load(Ordering::Acquire) {
                        for state in control.states() {
                            let pieces = state.scan().expect("all values fit");
                            let counts = pieces.iter().flat_map(|(_, batch)| counts(batch)).sum::<i64>();
                            assert!(counts <= 50_000, "{strategy}: {counts} rows of 50,000");
                        }
                    }
                });
            }
            let account = job::run(plan, &options, &control).expect("the job ends");
            has_ended.store(true, Ordering::Release);
            account.check().expect("the account balances");
            assert_eq!(account.operators.iter().map(|operator| operator.folded).sum::<u64>(), 50_000, "{strategy}");
        });
    }
}

fn counts(batch: &RecordBatch) -> Vec<i64> {
    batch.column(1).as_primitive::<Int64Type>().values().to_vec()
}
