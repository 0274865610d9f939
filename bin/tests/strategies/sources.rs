//! Several sources that meet in one aggregation, with rows out of order: whatever the strategy and the schedule, every row
//! is in its group once or late, and none is late that its own source did not leave behind.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use arrow_array::RecordBatch;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, TimestampMillisecondType};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::job::{self, Account, JobOptions};
use thalweg_runtime::state::StrategyName;

use crate::{file, options, plan};

const WINDOW_MS: i64 = 10_000;
const START_MS: i64 = 1_704_067_200_000; // 2024-01-01 00:00:00
const ROWS_OF_EACH: i32 = 300;
/// Simulated schedules of each strategy.
const SCHEDULES: u64 = 12;

/// A row of one of the files.
struct Event {
    id: i32,
    key: i32,
    ts_ms: i64,
}

/// Rows out of order, and the ids of those that are behind the windows of their own file.
fn events(first: i32, rng: &mut StdRng) -> (Vec<Event>, BTreeSet<i32>) {
    let (mut ts_ms, mut greatest_ms) = (START_MS, i64::MIN);
    let (mut events, mut behind) = (Vec::new(), BTreeSet::new());
    for id in first..first + ROWS_OF_EACH {
        ts_ms += rng.random_range(0..400);
        let back_ms = if rng.random_bool(0.1) { rng.random_range(0..3 * WINDOW_MS) } else { 0 };
        let event = Event { id, key: rng.random_range(0..6), ts_ms: ts_ms - back_ms };
        if end_ms(event.ts_ms) - 1 <= greatest_ms {
            behind.insert(id);
        }
        greatest_ms = greatest_ms.max(event.ts_ms);
        events.push(event);
    }
    (events, behind)
}

fn end_ms(ts_ms: i64) -> i64 {
    ts_ms.div_euclid(WINDOW_MS) * WINDOW_MS + WINDOW_MS
}

fn csv(events: &[Event]) -> String {
    let mut text = String::from("id,k,ts\n");
    for Event { id, key, ts_ms } in events {
        let ts = chrono::DateTime::from_timestamp_millis(*ts_ms).expect("a time of this century");
        writeln!(text, "{id},{key},{}", ts.format("%Y-%m-%d %H:%M:%S%.3f")).expect("a string takes all");
    }
    text
}

/// Window end and key of every id that came out.
fn places(batches: &[RecordBatch]) -> BTreeMap<i32, (i64, i32)> {
    let (mut places, mut groups) = (BTreeMap::new(), BTreeSet::new());
    for batch in batches {
        for row in 0..batch.num_rows() {
            let group = (
                batch.column(0).as_primitive::<TimestampMillisecondType>().value(row),
                batch.column(1).as_primitive::<Int32Type>().value(row),
            );
            assert!(groups.insert(group), "{group:?} came out twice");
            for id in batch.column(2).as_string_view().value(row).split(',') {
                let before = places.insert(id.parse().expect("an id"), group);
                assert!(before.is_none(), "row {id} is in {before:?} and in {group:?}");
            }
        }
    }
    places
}

#[test]
fn rows_of_two_sources_are_in_their_groups_once_or_late_under_any_schedule() {
    let mut late_in_all = 0;
    for seed in 0..SCHEDULES {
        let mut rng = StdRng::seed_from_u64(seed);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let [left, right] = [0, ROWS_OF_EACH].map(|first| events(first, &mut rng));
        let tables = [("l", &left), ("r", &right)].map(|(name, (events, _))| {
            let path = file(directory.path(), &format!("{name}.csv"), &csv(events));
            format!(
                "CREATE TABLE {name} (id INT, k INT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts)
                 WITH ('connector' = 'filesystem', 'path' = '{path}', 'format' = 'csv');"
            )
        });
        let script = format!(
            "SET 'execution.runtime-mode' = 'streaming'; {} {}
             CREATE VIEW both_tables AS SELECT * FROM l UNION ALL SELECT * FROM r;
             SELECT window_end, k, LISTAGG(CAST(id AS STRING))
             FROM TABLE(TUMBLE(TABLE both_tables, DESCRIPTOR(ts), INTERVAL '10' SECOND))
             GROUP BY window_start, window_end, k;",
            tables[0], tables[1]
        );
        for strategy in StrategyName::ALL {
            let what = format!("seed {seed}, {strategy}");
            let options = JobOptions {
                batch_rows: [1, 7, 4096][rng.random_range(0..3)],
                block_bytes: rng.random_range(30..2000),
                ..options(strategy, rng.random_range(1..=4))
            };
            let (batches, account) = job::simulate(plan(&script), &options, seed).expect("the input is correct");
            late_in_all += check(&batches, &account, [&left, &right], &what);
        }
    }
    assert!(late_in_all > 0, "no row was late, which proves nothing");
}

/// Answers how many rows were late.
fn check(batches: &[RecordBatch], account: &Account, files: [&(Vec<Event>, BTreeSet<i32>); 2], what: &str) -> u64 {
    account.check().unwrap_or_else(|why| panic!("{what}: {why}"));
    let places = places(batches);
    let folded: u64 = account.operators.iter().map(|operator| operator.folded).sum();
    assert_eq!(places.len() as u64, folded, "{what}");
    assert_eq!(folded + account.late(), 2 * ROWS_OF_EACH as u64, "{what}");
    for (events, behind) in files {
        for Event { id, key, ts_ms } in events {
            match places.get(id) {
                Some(place) => assert_eq!(*place, (end_ms(*ts_ms), *key), "{what}: row {id}"),
                None => assert!(behind.contains(id), "{what}: row {id} is late, and its own file does not say so"),
            }
        }
    }
    account.late()
}
