//! State behind locks loses no update and closes once; the two forms that are broken are refuted.

#![cfg(all(thalweg_loom, feature = "model"))]

use loom::sync::{Mutex, RwLock};
use loom::thread;
use std::sync::Arc;
use thalweg_loom_tests::explore::explore;
use thalweg_loom_tests::sums::{Ones, Sums};
use thalweg_runtime::state::*;
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

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
fn two_batches_are_counted_and_closed_once(name: StrategyName, floor: usize) {
    explore(name.as_str(), Some(4), floor, move || {
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
    two_batches_are_counted_and_closed_once(StrategyName::HoldLock, 20);
}

#[test]
fn clone_swap_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::CloneSwap, 40);
}

#[test]
fn read_write_lock_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::ReadWriteLock, 150);
}

#[test]
fn partition_lock_counts_and_closes_once() {
    two_batches_are_counted_and_closed_once(StrategyName::PartitionLock, 150);
}

/// A window is closed while a batch for the next one comes in: nothing comes back, and nothing is lost.
fn a_batch_beside_a_closing_is_kept(name: StrategyName, floor: usize) {
    explore(&format!("{name} beside a closing"), Some(3), floor, move || {
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
        let (left, _) = close(&mut *strategy.owner(WorkerId(0)), EventTimeMs::END);
        assert_eq!(left, sums([(1, 1)]));
    });
}

#[test]
fn clone_swap_brings_no_closed_window_back() {
    a_batch_beside_a_closing_is_kept(StrategyName::CloneSwap, 7);
}

#[test]
fn read_write_lock_keeps_a_batch_beside_a_closing() {
    a_batch_beside_a_closing_is_kept(StrategyName::ReadWriteLock, 50);
}

/// The cell of the key is dropped, empty, while a producer has found it already.
#[test]
fn partition_lock_puts_nothing_into_a_cell_that_is_dropped() {
    a_batch_beside_a_closing_is_kept(StrategyName::PartitionLock, 90);
}

/// A reader asks twice while a batch is merged and a window closed.
#[test]
fn what_a_reader_of_read_write_lock_sees_does_not_go_back() {
    explore("read-write-lock, a reader", Some(2), 50, || {
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
    });
}

/// `clone-swap` as it is often written, without turns: the second write-back wipes the first one out.
#[test]
#[should_panic(expected = "an update is lost")]
fn clone_swap_without_turns_is_broken() {
    explore("clone-swap without turns", None, 1, || {
        let state = Arc::new(Mutex::new(Ones.shard()));
        let batch = |state: Arc<Mutex<Sums>>| {
            move || {
                let mut groups = state.lock().expect("nobody panics").clone();
                let Ok(_) = Ones.fold(&mut groups, &vec![(0, 0)], &mut ());
                *state.lock().expect("nobody panics") = groups.clone();
            }
        };
        both(batch(Arc::clone(&state)), batch(Arc::clone(&state)));
        assert_eq!(*state.lock().expect("nobody panics"), sums([(0, 2)]), "an update is lost");
    });
}

/// `read-write-lock` as it is often sketched: the whole updated snapshot is merged, with all that it held before.
#[test]
#[should_panic(expected = "an update is counted twice")]
fn merging_the_whole_snapshot_is_broken() {
    explore("read-write-lock that merges its snapshot", None, 1, || {
        let state = Arc::new(RwLock::new(Ones.shard()));
        let batch = |state: Arc<RwLock<Sums>>| {
            move || {
                let mut groups = state.read().expect("nobody panics").clone();
                let Ok(_) = Ones.fold(&mut groups, &vec![(0, 0)], &mut ());
                let mut state = state.write().expect("nobody panics");
                for (_, group) in Ones.split(&mut groups, Release::All, 1) {
                    let Ok(()) = Ones.merge(&mut state, group);
                }
            }
        };
        both(batch(Arc::clone(&state)), batch(Arc::clone(&state)));
        let sum = state.read().expect("nobody panics")[&(0, 0)];
        assert!(sum <= 2, "an update is counted twice");
    });
}
