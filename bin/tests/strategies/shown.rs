//! Which strategy runs an aggregation, why, and what it costs: what EXPLAIN and the account say.

use thalweg::error::Kind;
use thalweg::job::Metrics;
use thalweg::job::{self, JobOptions};
use thalweg::plan::strategy::{Basis, StrategyChoice};
use thalweg_runtime::latency::Point;
use thalweg_runtime::state::StrategyName;

use crate::{file, options, plan};

fn keys(rows: usize, keys: usize) -> String {
    let rows = (0..rows).map(|row| format!("{},{row}\n", row % keys)).collect::<String>();
    format!("k,n\n{rows}")
}

#[test]
fn explain_shows_which_strategy_runs_each_aggregation() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "in.csv", &keys(1_000, 10));
    let nested =
        format!("SELECT total, COUNT(*) FROM (SELECT k, SUM(n) AS total FROM '{path}' GROUP BY k) AS t GROUP BY total");
    for strategy in StrategyName::ALL {
        let text = job::explain(plan(&nested), &options(strategy, 2));
        let states: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("state: ")).collect();
        assert_eq!(states, [strategy.as_str(), "owned-shards (later exchange)"], "{text}");
        assert!(text.starts_with(&format!("Job: batch mode, 2 workers, state strategy {strategy}\n")), "{text}");
    }
}

#[test]
fn auto_tells_what_it_chose_and_from_which_facts() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let few = file(directory.path(), "few.csv", &keys(1_000, 10));
    let many = file(directory.path(), "many.csv", &keys(20_000, 20_000));
    let auto =
        |workers, readers| JobOptions { workers, readers, strategy: StrategyChoice::Auto, ..JobOptions::default() };
    for (sql, options, expected) in [
        (
            format!("SELECT k, SUM(n) FROM '{few}' GROUP BY k"),
            auto(1, 0),
            "1 source, 1 worker on CORES, no readers, about 10 keys (10 in the first 1,000 rows)",
        ),
        (
            format!(
                "SELECT k, SUM(n) FROM (SELECT * FROM '{few}' WHERE n >= 500 UNION ALL SELECT * FROM '{many}') AS t GROUP BY k"
            ),
            auto(4, 2),
            "2 sources, 4 workers on CORES, 2 readers, about 20,000 keys (20,000 in the first 20,500 rows)",
        ),
        (
            "SELECT k, COUNT(*) FROM (VALUES (1), (2), (2)) AS t(k) GROUP BY k".to_owned(),
            auto(2, 0),
            "1 source, 2 workers on CORES, no readers, about 2 keys (2 in the first 3 rows)",
        ),
    ] {
        let text = job::explain(plan(&sql), &options);
        let state = text.lines().find_map(|line| line.trim().strip_prefix("state: ")).expect("there is an aggregation");
        let expected = expected.replace("CORES", &cores());
        assert!(state.contains(", chosen by auto because ") && state.ends_with(&expected), "{state}");
        // The job takes what EXPLAIN showed.
        let (_, account) = job::collect(plan(&sql), &options).expect("the input is correct");
        let decision = &account.aggregations[0].decision;
        assert_eq!(decision.to_string(), state);
        assert!(matches!(decision.basis, Basis::Auto { .. }));
    }
}

fn cores() -> String {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        1 => "1 core".to_owned(),
        cores => format!("{cores} cores"),
    }
}

#[test]
fn auto_does_not_wait_for_rows_that_are_made_slowly() {
    let sql = "CREATE TABLE t (ts TIMESTAMP(3), k BIGINT, WATERMARK FOR ts AS ts) WITH ('connector' = 'datagen',
               'rows-per-second' = '1', 'start-time' = '2024-01-01 00:00:00', 'fields.k.min' = '1', 'fields.k.max' = '70');
               SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' DAY))
               GROUP BY window_start, window_end, k;";
    let options = JobOptions { workers: 2, strategy: StrategyChoice::Auto, ..JobOptions::default() };
    let text = job::explain(plan(sql), &options);
    assert!(text.contains("about 70 keys (70 in the first 65,536 rows)"), "{text}");
}

#[test]
fn auto_reads_nothing_beforehand_that_would_be_missing_afterwards() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo runs").success());
    let sql = format!(
        "CREATE TABLE t (ts TIMESTAMP(3), k BIGINT, WATERMARK FOR ts AS ts)
         WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
         SELECT k, COUNT(*) FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) GROUP BY window_start, window_end, k;",
        path.display()
    );
    let options = JobOptions { workers: 2, strategy: StrategyChoice::Auto, ..JobOptions::default() };
    let text = job::explain(plan(&sql), &options);
    assert!(text.contains("unknown number of keys"), "{text}");
    let writer = std::thread::spawn(move || std::fs::write(path, "2024-01-01 00:00:01,1\n2024-01-01 00:00:02,1\n"));
    let (batches, account) = job::collect(plan(&sql), &options).expect("the input is correct");
    writer.join().expect("no panic").expect("the job reads");
    assert_eq!((account.records(), batches.iter().map(|batch| batch.num_rows()).sum::<usize>()), (2, 1));
}

#[test]
fn metrics_tell_where_the_time_went_and_are_silent_when_off() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "in.csv", &keys(20_000, 100));
    let sql = format!("SELECT k, SUM(n) FROM '{path}' GROUP BY k");
    for strategy in StrategyName::ALL {
        for metrics in [Metrics::All, Metrics::Latency, Metrics::Off] {
            let options = JobOptions { metrics, batch_rows: 100, ..options(strategy, 2) };
            let (_, account) = job::collect(plan(&sql), &options).expect("the input is correct");
            let told = account.to_string();
            let is_costed = metrics == Metrics::All;
            assert_eq!(told.contains(&format!("stage 1 merge, state: {strategy}\n")), is_costed, "{told}");
            // Every row is told of once, wherever and however often it went.
            let latency = &account.latency.histograms;
            for point in [Point::Decoded, Point::Folded, Point::Merged] {
                let rows = latency.at(point).map_or(0, |histogram| histogram.len());
                assert_eq!(rows, if metrics == Metrics::Off { 0 } else { 20_000 }, "{strategy}, {}", point.name());
            }
            assert_eq!(told.contains("\nlatency to merged: p50 "), metrics != Metrics::Off, "{told}");
            let [aggregation] = &account.aggregations[..] else { panic!("one aggregation: {told}") };
            assert_eq!(aggregation.cost.is_some(), is_costed);
            let Some(cost) = &aggregation.cost else { continue };
            assert_eq!(cost.rows, 20_000, "{strategy}");
            assert!(cost.batches >= 200 && cost.batch_p50.is_some(), "{strategy}: {told}");
            let time = cost.cost.total().0;
            assert!(time > 0 && cost.cost.fold.0 > 0, "{strategy}: {told}");
            let clones = matches!(strategy, StrategyName::CloneSwap | StrategyName::ReadWriteLock);
            assert_eq!(cost.cost.clone.0 > 0, clones, "{strategy}: {told}");
            let exchanges = matches!(strategy, StrategyName::Actor | StrategyName::OwnedShards);
            assert_eq!(cost.cost.channel.0 > 0, exchanges, "{strategy}: {told}");
            assert_eq!(cost.cost.held.0 > 0, !exchanges, "{strategy}: {told}");
        }
    }
}

#[test]
fn memory_bounds_every_strategy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "in.csv", &keys(60_000, 60_000));
    let sql = format!("SELECT k, SUM(n) FROM '{path}' GROUP BY k");
    for strategy in StrategyName::ALL {
        for workers in [1, 3] {
            let options = JobOptions { memory_bytes: Some(256 << 10), ..options(strategy, workers) };
            let error = job::collect(plan(&sql), &options).expect_err("60,000 groups do not fit in 256 KiB");
            assert_eq!(error.kind, Kind::Memory, "{strategy}, {workers} workers: {error}");
            let enough = JobOptions { memory_bytes: Some(1 << 30), ..options };
            let (_, account) = job::collect(plan(&sql), &enough).expect("1 GiB is enough");
            let peak = account.state_peak_bytes;
            assert!((1 << 20..1 << 28).contains(&peak), "{strategy}, {workers} workers: {peak} bytes at the peak");
        }
    }
}

#[test]
fn a_job_that_fails_tells_its_error_with_every_strategy() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = file(directory.path(), "in.csv", "k,n\na,9223372036854775807\na,9223372036854775807\n");
    let sql = format!("SELECT k, SUM(n) FROM '{path}' GROUP BY k");
    for strategy in StrategyName::ALL {
        let error = job::collect(plan(&sql), &options(strategy, 2)).expect_err("the sum does not fit");
        assert_eq!(error.kind, Kind::Data, "{strategy}: {error}");
    }
}
