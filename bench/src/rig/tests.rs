use std::time::Duration;

use super::*;
use thalweg_operators::kernels::Kernels;

use crate::columns::Columns;
use crate::row_at_a_time::Records as Rows;
use crate::workload::{Distribution, Pool, Script, Workload};

const WORKLOAD: Workload = Workload {
    keys: 50,
    distribution: Distribution::Uniform,
    rows: 1_250,
    pool_rows: 500,
    batch_rows: 100,
    is_prefilled: false,
};

/// Every strategy over both data models: the answer is the naive one, and so is the pure engine's.
fn check(workload: Workload, producers: usize, repetitions: usize, meters: &[Meter]) -> Vec<Run> {
    let pool = Pool::new(workload);
    let (columns, rows) = (Columns::new(&pool, Kernels::Simd).unwrap(), Rows::new(&pool));
    let script = Script::new(&workload, producers, repetitions, Duration::from_secs(60));
    let column_batches = Arc::new(Prepared::new(&columns, &pool, script.clone()).unwrap());
    let row_batches = Arc::new(Prepared::new(&rows, &pool, script.clone()).unwrap());
    let mut runs = Vec::new();
    for &meter in meters {
        runs.push(run_pure(&columns, &column_batches, meter).unwrap());
        runs.push(run_pure(&rows, &row_batches, meter).unwrap());
        let scalar = columns.with_kernels(Kernels::Scalar);
        runs.push(run_pure(&scalar, &column_batches, meter).unwrap());
        for name in StrategyName::ALL {
            runs.push(run_strategy(name, &scalar, &column_batches, meter).unwrap());
            runs.push(run_strategy(name, &columns, &column_batches, meter).unwrap());
            runs.push(run_strategy(name, &rows, &row_batches, meter).unwrap());
        }
    }
    for run in &runs {
        let mut naive = Answer::default();
        for (repetition, fed) in script.repetitions.iter().zip(&run.fed) {
            let slices = repetition.feeds.iter().zip(fed).flat_map(|(feed, &fed)| feed[..fed].to_vec());
            let offset = repetition.offset_ms;
            naive += pool.answer_from(slices, offset);
        }
        if workload.is_prefilled {
            // One window for all repetitions.
            let slices = script.repetitions.iter().zip(&run.fed);
            let slices = slices.flat_map(|(repetition, fed)| {
                repetition.feeds.iter().zip(fed).flat_map(|(feed, &fed)| feed[..fed].to_vec())
            });
            naive = pool.answer_from(slices, 0);
        }
        assert_eq!(run.answer, naive);
        assert_eq!(run.answer, answer_of(&columns, &column_batches, &run.fed).unwrap());
        assert_eq!(run.latencies.len(), measured_batches(&script, run));
        assert!(run.rows > 0 && run.elapsed.0 > 0 && !run.rates.is_empty());
    }
    runs
}

fn measured_batches(script: &Script, run: &Run) -> usize {
    let repetitions = script.repetitions.iter().zip(&run.fed).filter(|(repetition, _)| repetition.is_measured);
    repetitions.map(|(_, fed)| fed.iter().sum::<usize>()).sum()
}

#[test]
fn all_strategies_answer_as_the_naive_sum_over_several_repetitions() {
    for producers in [1, 2, 3] {
        for run in check(WORKLOAD, producers, 3, &[Meter::OFF, Meter::on()]) {
            assert_eq!(run.rates.len(), 3);
            assert_eq!(run.rows, 3 * WORKLOAD.rows);
        }
    }
}

#[test]
fn windows_that_close_on_the_way_are_emitted_once() {
    let workload = Workload { rows: 61_000, keys: 20, pool_rows: 10_000, batch_rows: 1_000, ..WORKLOAD };
    for run in check(workload, 2, 1, &[Meter::OFF]) {
        assert!(run.answer.groups >= 60 && run.rows == 61_000, "{}", run.answer);
    }
}

#[test]
fn prefilled_state_is_held_before_the_first_row_that_is_measured() {
    let workload = Workload { keys: 3_000, rows: 5_000, pool_rows: 5_000, is_prefilled: true, ..WORKLOAD };
    for run in check(workload, 2, 1, &[Meter::on()]) {
        assert_eq!((run.answer.groups, run.rows), (3_000, 5_000));
    }
}

/// Who has no time is fed less, and the answer is that to what was fed.
#[test]
fn a_limit_ends_a_repetition_between_two_batches() {
    let workload = Workload { keys: 3_000, rows: 5_000, pool_rows: 5_000, is_prefilled: true, ..WORKLOAD };
    let pool = Pool::new(workload);
    let columns = Columns::new(&pool, Kernels::Simd).unwrap();
    let script = Script::new(&workload, 2, 1, Duration::ZERO);
    let prepared = Arc::new(Prepared::new(&columns, &pool, script).unwrap());
    for name in StrategyName::ALL {
        let run = run_strategy(name, &columns, &prepared, Meter::OFF).unwrap();
        assert!(run.rows < 5_000, "{name}");
        assert_eq!(run.answer, answer_of(&columns, &prepared, &run.fed).unwrap());
    }
}

#[test]
fn a_metered_run_says_where_its_time_went_and_no_more_than_there_was() {
    let pool = Pool::new(WORKLOAD);
    let columns = Columns::new(&pool, Kernels::Simd).unwrap();
    let script = Script::new(&WORKLOAD, 2, 3, Duration::from_secs(60));
    let prepared = Arc::new(Prepared::new(&columns, &pool, script).unwrap());
    for name in StrategyName::ALL {
        let run = run_strategy(name, &columns, &prepared, Meter::on()).unwrap();
        assert!(run.cost.fold.0 > 0 && run.emit.0 > 0, "{name}: {:?}", run.cost);
        assert!(run.cost.total().0 + run.emit.0 <= run.elapsed.0 * run.workers as u64, "{name}: {run:?}");
        let unmetered = run_strategy(name, &columns, &prepared, Meter::OFF).unwrap();
        assert_eq!((unmetered.cost.total().0, unmetered.emit.0), (0, 0), "{name}");
    }
}
