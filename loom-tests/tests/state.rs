//! State that workers share loses no update and closes once; the two forms that are broken are refuted.

#![cfg(all(thalweg_loom, feature = "model"))]

use loom::sync::{Mutex, RwLock};
use loom::thread;
use std::convert::Infallible;
use std::sync::Arc;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::state::*;
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

/// A row or a group: the start of its window of 10 ms, and how many rows it stands for. There is one key.
type Count = (i64, u64);

/// Counts rows by window.
struct Counts;

impl Counts {
    fn take(groups: &mut Vec<Count>, frontier: EventTimeMs) -> Vec<Count> {
        groups.extract_if(.., |(window, _)| *window + 9 <= frontier.0).collect()
    }

    fn add(groups: &mut Vec<Count>, (window, count): Count) {
        match groups.iter_mut().find(|(known, _)| *known == window) {
            Some((_, sum)) => *sum += count,
            None => groups.push((window, count)),
        }
    }
}

impl Aggregation for Counts {
    type Batch = Vec<i64>;
    type Partial = Count;
    type Shard = Vec<Count>;
    type Closed = Count;
    type Key = ();
    type Rows = Vec<Count>;
    type Scratch = ();
    type Error = Infallible;

    fn shard(&self) -> Vec<Count> {
        Vec::new()
    }
    fn fold(&self, groups: &mut Vec<Count>, batch: &Vec<i64>, _: &mut ()) -> Result<Folded, Infallible> {
        batch.iter().for_each(|window| Self::add(groups, (*window, 1)));
        Ok(Folded { folded: batch.len() as u64, late: 0 })
    }
    fn split(&self, groups: &mut Vec<Count>, release: Release, _: usize) -> Vec<(usize, Count)> {
        let frontier = match release {
            Release::All => EventTimeMs::END,
            Release::ClosedBy(frontier) => frontier,
        };
        Self::take(groups, frontier).into_iter().map(|group| (0, group)).collect()
    }
    fn split_keys(&self, groups: &mut Vec<Count>) -> Vec<(u64, Count)> {
        std::mem::take(groups).into_iter().map(|group| (self.hash(&()), group)).collect()
    }
    fn merge(&self, groups: &mut Vec<Count>, group: Count) -> Result<(), Infallible> {
        Self::add(groups, group);
        Ok(())
    }
    fn close(&self, groups: &mut Vec<Count>, frontier: EventTimeMs) -> Vec<Count> {
        Self::take(groups, frontier)
    }
    fn lookup(&self, groups: &Vec<Count>, (): &()) -> Result<Vec<Count>, Infallible> {
        Ok(groups.clone())
    }
    fn scan(&self, groups: &Vec<Count>) -> Result<Vec<Count>, Infallible> {
        Ok(groups.clone())
    }
    fn hash(&self, (): &()) -> u64 {
        7
    }
    fn own(&self, batch: &Vec<i64>) -> Result<Vec<i64>, Infallible> {
        Ok(batch.clone())
    }
    fn groups(&self, groups: &Vec<Count>) -> usize {
        groups.len()
    }
    fn bytes(&self, groups: &Vec<Count>) -> usize {
        groups.len() * size_of::<Count>()
    }
}

fn make(name: StrategyName) -> Arc<dyn Strategy<Counts>> {
    let (aggregation, bells) = (Arc::new(Counts), Doorbells::new(2));
    strategy(name, StateSpec { aggregation, workers: 2, bells, meter: Meter::OFF })
}

fn process(producer: &mut dyn Producer<Counts>, window: i64) {
    let Ok(processed) = producer.process(&vec![window], &mut Vec::new());
    assert_eq!(processed.folded.folded, 1);
}

/// What an owner took out at `frontier`, and whether it was elected.
fn close(owner: &mut dyn Owner<Counts>, frontier: EventTimeMs) -> (Vec<Count>, bool) {
    let Ok(closing) = owner.close(frontier);
    (closing.windows, closing.is_elected)
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
        let closed = both(move || close(&mut *first, EventTimeMs(9)), || close(&mut *second, EventTimeMs(9)));
        let elected = (vec![(0, 2)], true);
        let other = (Vec::new(), false);
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
            process(&mut *producer, 10);
            Vec::new()
        };
        let (_, closed) = both(batch, || close(&mut *owner, EventTimeMs(9)).0);
        assert_eq!(closed, [(0, 1)]);
        let (left, _) = close(&mut *strategy.owner(WorkerId(0)), EventTimeMs::END);
        assert_eq!(left, [(10, 1)]);
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
                let Ok(found) = reader.lookup(&());
                found
            });
            assert!(first <= second, "{first:?} {second:?}");
            assert!(seen.is_empty() || seen == [(0, 1)] || seen == [(0, 1), (10, 1)] || seen == [(10, 1)], "{seen:?}");
            // The closed window is gone for good.
            assert!(seen != [(10, 1)] || seen_later == [(10, 1)], "{seen:?} {seen_later:?}");
        };
        let reading = thread::spawn(read);
        let closing = move || assert_eq!(close(&mut *owner, EventTimeMs(9)).0, [(0, 1)]);
        both(closing, || process(&mut *producer, 10));
        reading.join().expect("the reader does not panic");
    });
}

/// `clone-swap` as it is often written, without turns: the second write-back wipes the first one out.
#[test]
#[should_panic(expected = "an update is lost")]
fn clone_swap_without_turns_is_broken() {
    explore("clone-swap without turns", None, 1, || {
        let state = Arc::new(Mutex::new(Counts.shard()));
        let batch = |state: Arc<Mutex<Vec<Count>>>| {
            move || {
                let mut groups = state.lock().expect("nobody panics").clone();
                let Ok(_) = Counts.fold(&mut groups, &vec![0], &mut ());
                *state.lock().expect("nobody panics") = groups.clone();
            }
        };
        both(batch(Arc::clone(&state)), batch(Arc::clone(&state)));
        assert_eq!(*state.lock().expect("nobody panics"), [(0, 2)], "an update is lost");
    });
}

/// `read-write-lock` as it is often sketched: the whole updated snapshot is merged, with all that it held before.
#[test]
#[should_panic(expected = "an update is counted twice")]
fn merging_the_whole_snapshot_is_broken() {
    explore("read-write-lock that merges its snapshot", None, 1, || {
        let state = Arc::new(RwLock::new(Counts.shard()));
        let batch = |state: Arc<RwLock<Vec<Count>>>| {
            move || {
                let mut groups = state.read().expect("nobody panics").clone();
                let Ok(_) = Counts.fold(&mut groups, &vec![0], &mut ());
                let mut state = state.write().expect("nobody panics");
                for (_, group) in Counts.split(&mut groups, Release::All, 1) {
                    let Ok(()) = Counts.merge(&mut state, group);
                }
            }
        };
        both(batch(Arc::clone(&state)), batch(Arc::clone(&state)));
        let sum = state.read().expect("nobody panics")[0].1;
        assert!(sum <= 2, "an update is counted twice");
    });
}
