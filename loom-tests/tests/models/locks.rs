//! State behind locks loses no update and closes once; the two forms that are broken are refuted.

use loom::sync::{Mutex, RwLock};
use loom::thread;
use std::sync::Arc;
use thalweg_loom_tests::explore::{explore, refute};
use thalweg_loom_tests::sums::{Ones, Sums};
use thalweg_runtime::state::*;
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

/// The strategies whose workers share one state.
const SHARING: [StrategyName; 6] = [
    StrategyName::CloneSwap,
    StrategyName::HoldLock,
    StrategyName::PartitionLock,
    StrategyName::ReadWriteLock,
    StrategyName::LocalMerge,
    StrategyName::LocalMergePartitioned,
];

fn make(name: StrategyName) -> Arc<dyn Strategy<Ones>> {
    let (aggregation, bells) = (Arc::new(Ones), Doorbells::new(2));
    strategy(name, StateSpec { aggregation, workers: 2, bells, meter: Meter::OFF })
}

fn process(producer: &mut dyn Producer<Ones>, window: i64) {
    let Ok(processed) = producer.process(&vec![(window, 0)], &mut Vec::new());
    assert_eq!(processed.folded.folded, 1);
}

/// What an owner took out at `frontier`, and whether it was elected.
fn close(owner: &mut dyn Owner<Ones>, frontier: EventTimeMs) -> (Sums, bool) {
    let Ok(closing) = owner.close(frontier);
    (closing.windows.into_iter().flatten().collect(), closing.is_elected)
}

/// Rows of the one key, by window.
fn sums<const N: usize>(windows: [(i64, u64); N]) -> Sums {
    windows.map(|(window, sum)| ((window, 0), sum)).into()
}

/// Runs both at the same time.
fn both<R: Send + 'static>(one: impl FnOnce() -> R + Send + 'static, other: impl FnOnce() -> R) -> (R, R) {
    let thread = thread::spawn(one);
    let other = other();
    (thread.join().expect("no worker panics"), other)
}

/// Two producers bring a batch each for the same group; then two owners bring the same frontier.
fn two_batches_are_counted_and_closed_once(name: StrategyName) {
    explore(name.as_str(), move || {
        let strategy = make(name);
        let (mut first, mut second) = (strategy.producer(WorkerId(0)), strategy.producer(WorkerId(1)));
        both(move || process(&mut *first, 0), || process(&mut *second, 0));
        let (mut first, mut second) = (strategy.owner(WorkerId(0)), strategy.owner(WorkerId(1)));
        let closed = both(move || close(&mut *first, EventTimeMs(0)), || close(&mut *second, EventTimeMs(0)));
        let elected = (sums([(0, 2)]), true);
        let other = (Sums::new(), false);
        assert!(closed == (elected.clone(), other.clone()) || closed == (other, elected), "{closed:?}");
    });
}

#[test]
fn hold_lock_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::HoldLock);
}

#[test]
fn clone_swap_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::CloneSwap);
}

#[test]
fn read_write_lock_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::ReadWriteLock);
}

#[test]
fn partition_lock_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::PartitionLock);
}

/// A window is closed while a batch for the next one comes in: nothing comes back, and nothing is lost.
fn a_batch_beside_a_closing_is_kept(name: StrategyName) {
    explore(&format!("{name} beside a closing"), move || {
        let strategy = make(name);
        let mut producer = strategy.producer(WorkerId(0));
        process(&mut *producer, 0);
        let mut owner = strategy.owner(WorkerId(1));
        let batch = move || {
            process(&mut *producer, 1);
            Sums::new()
        };
        let (_, closed) = both(batch, || close(&mut *owner, EventTimeMs(0)).0);
        assert_eq!(closed, sums([(0, 1)]));
        let (left, _) = close(&mut *strategy.owner(WorkerId(0)), EventTimeMs(1));
        assert_eq!(left, sums([(1, 1)]));
    });
}

/// Two owners are elected for different frontiers and close side by side: each window comes out once, in time, and not of an
/// owner that has promised that it is over.
#[test]
fn two_frontiers_side_by_side_take_every_window_once() {
    for name in SHARING {
        explore(&format!("{name}, two frontiers"), move || {
            let strategy = make(name);
            let mut producer = strategy.producer(WorkerId(0));
            (0..2).for_each(|window| process(&mut *producer, window));
            let owner = |worker| strategy.owner(WorkerId(worker));
            let bring = |mut owner: Box<dyn Owner<Ones>>, frontiers: std::ops::RangeInclusive<i64>| {
                move || frontiers.map(|time| close(&mut *owner, EventTimeMs(time)).0).collect::<Vec<_>>()
            };
            let (first, second) = both(bring(owner(0), 0..=0), bring(owner(1), 0..=1));
            assert!(second[1].keys().all(|(window, _)| *window == 1), "a window behind its promise: {second:?}");
            let closed: Vec<_> = first.into_iter().chain(second).flatten().collect();
            let mut windows: Vec<_> = closed.iter().map(|((window, _), rows)| (*window, *rows)).collect();
            windows.sort_unstable();
            assert_eq!(windows, [(0, 1), (1, 1)], "each window once, and at the latest at its own frontier");
            assert!(strategy.reader().scan().expect("ones can be added up").iter().all(|(_, left)| left.is_empty()));
        });
    }
}

#[test]
fn clone_swap_brings_no_closed_window_back() {
    a_batch_beside_a_closing_is_kept(StrategyName::CloneSwap);
}

#[test]
fn read_write_lock_keeps_a_batch_beside_a_closing() {
    a_batch_beside_a_closing_is_kept(StrategyName::ReadWriteLock);
}

/// The cell of the key is dropped, empty, while a producer has found it already.
#[test]
fn partition_lock_puts_nothing_into_a_cell_that_is_dropped() {
    a_batch_beside_a_closing_is_kept(StrategyName::PartitionLock);
}

/// A reader asks twice while a batch is merged and a window closed.
#[test]
fn what_a_reader_of_read_write_lock_sees_does_not_go_back() {
    explore("read-write-lock, a reader", || {
        let strategy = make(StrategyName::ReadWriteLock);
        let (mut producer, reader) = (strategy.producer(WorkerId(0)), strategy.reader());
        process(&mut *producer, 0);
        let mut owner = strategy.owner(WorkerId(1));
        let read = move || {
            let [(first, seen), (second, seen_later)] = [(), ()].map(|()| {
                let Ok(found) = reader.lookup(&0);
                found
            });
            assert!(first <= second, "{first:?} {second:?}");
            let [open, both, last] = [sums([(0, 1)]), sums([(0, 1), (1, 1)]), sums([(1, 1)])];
            assert!(seen.is_empty() || [open, both, last].contains(&seen), "{seen:?}");
            // Neither does a row go, nor does the closed window come back.
            assert!(seen_later.contains_key(&(1, 0)) || !seen.contains_key(&(1, 0)), "{seen:?} {seen_later:?}");
            assert!(seen != sums([(1, 1)]) || seen_later == seen, "{seen:?} {seen_later:?}");
        };
        let reading = thread::spawn(read);
        let closing = move || assert_eq!(close(&mut *owner, EventTimeMs(0)).0, sums([(0, 1)]));
        both(closing, || process(&mut *producer, 1));
        reading.join().expect("the reader does not panic");
        // What is closed is gone at once; what was merged last comes as soon as an owner looks for questions.
        let Ok((_, seen)) = strategy.reader().lookup(&0);
        assert!(!seen.contains_key(&(0, 0)), "a closed window is seen: {seen:?}");
        strategy.owner(WorkerId(0)).publish();
        let Ok((_, seen)) = strategy.reader().lookup(&0);
        assert_eq!(seen, sums([(1, 1)]), "what was merged last is never seen");
    });
}

/// What a group amounts to: rows of window 0 and key 0.
fn rows(sums: &Sums) -> u64 {
    sums.get(&(0, 0)).copied().unwrap_or(0)
}

/// `clone-swap` as it is often written, without turns: the second write-back wipes the first one out.
#[test]
fn clone_swap_without_turns_is_refuted() {
    refute("clone-swap without turns", |steps| {
        let state = Arc::new(Mutex::new(Ones.shard()));
        let batch = |producer: u16| {
            let (state, steps) = (Arc::clone(&state), steps.clone());
            move || {
                let mut groups = state.lock().expect("nobody panics").clone();
                steps.note(format!("producer {producer} clones the state out: {} rows", rows(&groups)));
                let Ok(_) = Ones.fold(&mut groups, &vec![(0, 0)], &mut ());
                *state.lock().expect("nobody panics") = groups.clone();
                steps.note(format!("producer {producer} folds a row and writes back: {} rows", rows(&groups)));
            }
        };
        both(batch(1), batch(0));
        let sum = rows(&state.lock().expect("nobody panics"));
        steps.note(format!("in the end: {sum} rows of 2"));
        assert_eq!(sum, 2, "an update is lost");
    });
}

/// `read-write-lock` as it is often sketched: the whole updated snapshot is merged, with all that it held before.
#[test]
fn merging_the_whole_snapshot_is_refuted() {
    refute("read-write-lock that merges its snapshot", |steps| {
        let state = Arc::new(RwLock::new(Ones.shard()));
        let batch = |producer: u16| {
            let (state, steps) = (Arc::clone(&state), steps.clone());
            move || {
                let mut groups = state.read().expect("nobody panics").clone();
                steps.note(format!("producer {producer} takes a snapshot: {} rows", rows(&groups)));
                let Ok(_) = Ones.fold(&mut groups, &vec![(0, 0)], &mut ());
                let snapshot = rows(&groups);
                let mut state = state.write().expect("nobody panics");
                for (_, group) in Ones.split(&mut groups, Release::All, 1) {
                    let Ok(()) = Ones.merge(&mut state, group);
                }
                let sum = rows(&state);
                steps.note(format!("producer {producer} folds a row and merges all {snapshot}: {sum} rows"));
            }
        };
        both(batch(1), batch(0));
        let sum = rows(&state.read().expect("nobody panics"));
        steps.note(format!("in the end: {sum} rows of 2"));
        assert!(sum <= 2, "an update is counted twice");
    });
}
