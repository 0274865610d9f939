//! Every strategy of sharing keyed state, as a job: equal in results under any schedule, and what its name says.

mod aggregation;
mod by_hand;
mod exchanges;
mod faults;
mod job;
mod operators;
mod oracle;
mod readers;
mod watch;
mod witnesses;

use aggregation::GROUP_BYTES;
use by_hand::ByHand;
use job::{Cut, Feed, Job};
use proptest::prelude::*;
use thalweg_runtime::state::{Cost, Meter, StrategyName};

/// Schedules that each strategy is run under.
const SCHEDULES: u64 = 10_000;

/// One test for each strategy, so that they run side by side and a failure names its strategy.
fn no_update_is_lost_under_any_schedule(strategy: StrategyName) {
    for seed in 0..SCHEDULES {
        let job = Job::seeded(strategy, seed, 6);
        let outcome = job.simulate(seed).unwrap_or_else(|failure| panic!("{failure} in {job:#?}"));
        job.check(&outcome);
    }
}

#[test]
fn hold_lock_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::HoldLock);
}

#[test]
fn actor_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::Actor);
}

#[test]
fn local_merge_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::LocalMerge);
}

#[test]
fn local_merge_partitioned_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::LocalMergePartitioned);
}

#[test]
fn owned_shards_lose_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::OwnedShards);
}

#[test]
fn clone_swap_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::CloneSwap);
}

#[test]
fn partition_lock_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::PartitionLock);
}

#[test]
fn read_write_lock_loses_no_update_under_any_schedule() {
    no_update_is_lost_under_any_schedule(StrategyName::ReadWriteLock);
}

/// Rows of (key, time, value) for each source and worker, cut in one way.
fn any_feeds() -> impl Strategy<Value = (usize, Vec<Feed>)> {
    let cut = (1usize..=5, 1usize..=3, 0i64..=40).prop_map(|(batch_rows, batches_per_promise, lag)| Cut {
        batch_rows,
        batches_per_promise,
        lag,
    });
    let shape = (1usize..=4, 1usize..=2, 1u64..=20, 1i64..=120);
    (shape, cut).prop_flat_map(|((workers, sources, keys, span), cut)| {
        let row = (0..keys, -span..span, any::<i64>());
        proptest::collection::vec(proptest::collection::vec(row, 0..40), workers * sources).prop_map(move |feeds| {
            let mut next_ordinal = 0;
            (workers, feeds.iter().map(|rows| cut.feed(rows, &mut next_ordinal)).collect())
        })
    })
}

prop_compose! {
    fn any_job()(
        (workers, feeds) in any_feeds(),
        lane_capacity in 1usize..=3,
        window in 1i64..=50,
        closes_at_end: bool,
        emit_groups in 1usize..=9,
        epochs in 0u64..=2,
        is_metered: bool,
    ) -> Job {
        let meter = if is_metered { Meter::on() } else { Meter::OFF };
        Job { strategy: StrategyName::HoldLock, workers, lane_capacity, window, closes_at_end, emit_groups, meter, epochs, feeds }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn every_strategy_gives_the_rows_of_the_oracle(seed: u64, job in any_job()) {
        for strategy in StrategyName::ALL {
            let job = Job { strategy, ..job.clone() };
            job.check(&job.simulate(seed).unwrap());
        }
    }
}

/// Few keys, small batches and many of them: threads meet at the same groups all the time.
fn contended(strategy: StrategyName, round: i64) -> Job {
    let workers = 4;
    let cut = Cut { batch_rows: 4, batches_per_promise: 5, lag: 20 };
    let mut next_ordinal = 0;
    // Times go up by one per row and now and then back by more than the lag.
    let row = |row: i64| ((row % 5) as u64, row - if row % 11 == 0 { 60 } else { row % 20 }, row * round);
    let rows: Vec<_> = (0..800).map(row).collect();
    let feeds = (0..workers * 2).map(|_| cut.feed(&rows, &mut next_ordinal)).collect();
    Job {
        strategy,
        workers,
        lane_capacity: 2,
        window: 50,
        closes_at_end: false,
        emit_groups: 4,
        meter: Meter::on(),
        epochs: 2,
        feeds,
    }
}

#[test]
fn threads_that_contend_lose_no_update_while_a_reader_looks_on() {
    for strategy in StrategyName::ALL {
        for round in 0..10 {
            let job = contended(strategy, round);
            let outcome = job.drive().unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
            job.check(&outcome);
            assert!(outcome.tally.folded.late + outcome.tally.received.late > 0, "some rows are late");
        }
    }
}

#[test]
fn what_all_ends_answer_for_adds_up_to_nothing_but_empty_shards_at_the_end() {
    for strategy in StrategyName::ALL {
        let mut hands = ByHand::new(strategy, 3, Meter::OFF);
        let (empty, keys) = (hands.bytes(), 100);
        for batch in 0..9 {
            let rows: Vec<(u64, i64)> = (0..keys).map(|key| (key, batch)).collect();
            hands.process(batch as usize % 3, &rows);
        }
        assert!(hands.bytes() >= empty + keys as usize * GROUP_BYTES, "{strategy} holds {} bytes", hands.bytes());
        let closed = hands.close(i64::MAX);
        assert_eq!(closed.iter().map(|(groups, _)| groups.len()).sum::<usize>(), keys as usize, "{strategy}");
        assert_eq!(closed.iter().filter(|(_, is_elected)| *is_elected).count(), 1, "{strategy}");
        assert_eq!(hands.bytes(), empty, "{strategy}");
    }
}

#[test]
fn without_a_meter_nothing_is_measured() {
    for strategy in StrategyName::ALL {
        let job = Job { meter: Meter::OFF, ..contended(strategy, 1) };
        let outcome = job.drive().unwrap_or_else(|failure| panic!("{strategy}: {failure}"));
        assert_eq!(outcome.tally.cost, Cost::default(), "{strategy}");
    }
}

#[test]
fn a_window_leaves_at_the_first_frontier_that_closes_it() {
    for strategy in StrategyName::ALL {
        let mut hands = ByHand::new(strategy, 2, Meter::OFF);
        let windows_at = |hands: &mut ByHand, frontier| -> Vec<i64> {
            let closed = hands.close(frontier);
            let mut windows: Vec<i64> =
                closed.iter().flat_map(|(groups, _)| groups).map(|group| group.window).collect();
            windows.sort_unstable();
            windows
        };
        hands.process(0, &[(1, 5), (2, 15), (1, 25)]);
        assert_eq!(windows_at(&mut hands, 8), [0; 0], "{strategy}");
        assert_eq!(windows_at(&mut hands, 9), [0], "{strategy}");
        // Known since the first batch, and not the earliest then.
        assert_eq!(windows_at(&mut hands, 19), [10], "{strategy}");
        hands.process(1, &[(3, 45), (2, 28)]);
        assert_eq!(windows_at(&mut hands, 29), [20, 20], "{strategy}");
        hands.process(0, &[(3, 35)]);
        assert_eq!(windows_at(&mut hands, 48), [30], "{strategy}");
        assert_eq!(windows_at(&mut hands, 49), [40], "{strategy}");
    }
}
