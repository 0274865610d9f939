//! Live state, read while a job runs: whole, never going back, and stopping nobody.

use crate::aggregation::{Batch, Output, Row, Toy};
use crate::by_hand::ByHand;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use thalweg_runtime::state::*;
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

/// Those whose batches, or what they came to, are in each piece of the state as a whole or not at all.
const WHOLE: [StrategyName; 5] = [
    StrategyName::HoldLock,
    StrategyName::Actor,
    StrategyName::LocalMerge,
    StrategyName::LocalMergePartitioned,
    StrategyName::OwnedShards,
];

/// Those whose owners make versions for readers.
const VERSIONED: [StrategyName; 2] = [StrategyName::Actor, StrategyName::OwnedShards];

const KEYS: u64 = 40;
const VALUE: i64 = 7;
/// Versions that each reader has to see grow before the producers stop.
const LOOKS: usize = 30;
/// Batches of each producer after which the test fails instead.
const BATCHES_MAX: u64 = 2_000_000;

/// One row for each key, all of one window, which stays open.
fn batch(number: u64) -> Batch {
    let row = |key| Row { ordinal: number * KEYS + key, key, time: 5, value: VALUE, stamp: i64::MIN };
    Batch { rows: (0..KEYS).map(row).collect(), is_view: true }
}

/// Reads until it saw the state grow [`LOOKS`] times, and checks each piece.
fn read_whole_pieces(reader: &dyn Reader<Toy>, key: u64) {
    let mut seen: BTreeMap<usize, (Version, u64)> = BTreeMap::new();
    let (mut grown, mut looked_up) = (0, (Version(0), 0));
    while grown < LOOKS {
        let pieces = reader.scan().expect("the toy can be read");
        let mut grew = false;
        for (index, (version, rows)) in pieces.iter().enumerate() {
            let count = rows.first().map_or(0, |output| output.group.count);
            let is_whole = |output: &Output| {
                output.group.count == count && output.group.sum == count as i64 * VALUE && output.group.max == VALUE
            };
            assert!(rows.iter().all(is_whole), "half a batch in version {version:?}: {rows:?}");
            let (last_version, last_count) = seen.insert(index, (*version, count)).unwrap_or_default();
            assert!(*version >= last_version && count >= last_count, "piece {index} went back");
            assert!(*version > last_version || count == last_count, "version {version:?} changed");
            grew |= count > last_count;
        }
        grown += usize::from(grew);
        let (version, rows) = reader.lookup(&key).expect("the toy can be read");
        assert!(rows.len() <= 1 && rows.iter().all(|output| output.key == key), "{rows:?}");
        let count = rows.first().map_or(0, |output| output.group.count);
        assert!((version, count) >= looked_up && count >= looked_up.1, "{version:?} after {looked_up:?}");
        looked_up = (version, count);
    }
}

#[test]
fn readers_see_whole_versions_that_never_go_back_while_threads_feed_the_state() {
    for name in WHOLE {
        let (workers, readers) = (2, 2);
        let bells = Doorbells::new(workers);
        let spec = StateSpec {
            aggregation: Arc::new(Toy { window: 10, closes_at_end: false }),
            workers,
            bells,
            meter: Meter::OFF,
        };
        let strategy = strategy(name, spec);
        let satisfied = AtomicUsize::new(0);
        let rows = thread::scope(|scope| {
            // Small queues, so that owners keep up.
            let (senders, receivers): (Vec<_>, Vec<_>) = (0..workers).map(|_| mpsc::sync_channel(4)).unzip();
            let produce = |worker: u16| {
                let (mut producer, senders) = (strategy.producer(WorkerId(worker)), senders.clone());
                let satisfied = &satisfied;
                move || {
                    let (mut sends, mut rows) = (Vec::new(), 0);
                    let send = |sends: &mut Sends<Toy>| {
                        for (to, message) in sends.drain(..) {
                            senders[usize::from(to.0)].send(message).expect("owners outlive producers");
                        }
                    };
                    for number in 0.. {
                        if satisfied.load(Ordering::Relaxed) == readers {
                            break;
                        }
                        assert!(number < BATCHES_MAX, "{name}: readers never saw the state grow");
                        let processed = producer.process(&batch(number), &mut sends).expect("no window is closed");
                        rows += processed.folded.folded + processed.passed;
                        send(&mut sends);
                    }
                    producer.release(Release::All, &mut sends).expect("no window is closed");
                    send(&mut sends);
                    rows
                }
            };
            let producers: Vec<_> = (0..workers as u16).map(|worker| scope.spawn(produce(worker))).collect();
            drop(senders);
            let own = |(worker, messages): (usize, mpsc::Receiver<Message<Toy>>)| {
                let mut owner = strategy.owner(WorkerId(worker as u16));
                scope.spawn(move || {
                    for message in messages {
                        owner.receive(message).expect("no window is closed");
                        owner.publish();
                    }
                    owner
                })
            };
            let owners: Vec<_> = receivers.into_iter().enumerate().map(own).collect();
            let read = |key| {
                let (reader, satisfied) = (strategy.reader(), &satisfied);
                scope.spawn(move || {
                    read_whole_pieces(&*reader, key);
                    satisfied.fetch_add(1, Ordering::Relaxed);
                })
            };
            let readers: Vec<_> = (0..readers as u64).map(read).collect();
            readers.into_iter().for_each(|reader| reader.join().expect("what a reader sees is right"));
            let rows: u64 = producers.into_iter().map(|producer| producer.join().expect("a producer ends")).sum();
            let mut closed = 0;
            for mut owner in owners.into_iter().map(|owner| owner.join().expect("an owner ends")) {
                let closing = owner.close(EventTimeMs::END).expect("no window is closed");
                closed += closing.windows.iter().flatten().map(|output| output.group.count).sum::<u64>();
            }
            assert_eq!(closed, rows, "{name} lost rows while it was read");
            rows
        });
        assert!(rows > 0);
        let left = strategy.reader().scan().expect("the toy can be read");
        assert!(left.iter().all(|(_, rows)| rows.is_empty()), "{name}: what is closed is not read");
    }
}

#[test]
fn a_version_is_made_when_somebody_asked_and_something_changed() {
    for name in VERSIONED {
        let mut hands = ByHand::new(name, 2, Meter::OFF);
        let step = |hands: &mut ByHand| hands.owners.iter_mut().for_each(|owner| owner.publish());
        for _ in 0..3 {
            hands.process(0, &[(1, 1)]);
            step(&mut hands);
        }
        assert_eq!(hands.strategy.witness().versions, 0, "{name}: nobody asked");
        assert!(hands.scan().is_empty(), "{name}: the first question comes before the first version");
        // The producer learns of the question and lets go of all three rows and this one.
        hands.process(0, &[(1, 1)]);
        step(&mut hands);
        let made = hands.strategy.witness().versions;
        let [found] = hands.scan()[..] else { panic!("{name}: one key") };
        assert_eq!((found.key, found.group.count, made), (1, 4, 1), "{name}");
        step(&mut hands);
        step(&mut hands);
        assert_eq!(hands.strategy.witness().versions, made, "{name}: nothing changed since");
        hands.close(i64::MAX);
        assert!(hands.scan().is_empty(), "{name}: readers find what is left");
    }
}

#[test]
fn a_question_rings_all_who_own_or_hold_something_back() {
    for (name, pieces) in [(StrategyName::Actor, 1), (StrategyName::OwnedShards, 3)] {
        let bells = Doorbells::new(3);
        let aggregation = Arc::new(Toy { window: 10, closes_at_end: false });
        let spec = StateSpec { aggregation, workers: 3, bells: bells.clone(), meter: Meter::OFF };
        let reader = strategy(name, spec).reader();
        let rung = || -> Vec<bool> { (0..3).map(|worker| bells.bell(WorkerId(worker)).take()).collect() };
        let holders: Vec<bool> = (0..3).map(|worker| worker < pieces).collect();
        reader.lookup(&1).expect("the toy can be read");
        assert_eq!(rung(), holders, "{name}");
        assert_eq!(reader.scan().expect("the toy can be read").len(), pieces, "{name}");
        assert_eq!(rung(), holders, "{name}");
    }
}

#[test]
fn what_a_silent_source_brought_is_seen_after_two_more_questions() {
    let mut hands = ByHand::new(StrategyName::OwnedShards, 2, Meter::OFF);
    hands.process(0, &[(1, 1), (2, 1)]);
    assert!(!hands.producers[0].is_awaited(), "nobody asked");
    hands.scan();
    assert!(hands.producers[0].is_awaited() && !hands.producers[1].is_awaited(), "one of them holds something back");
    let mut sends = Vec::new();
    hands.producers[0].release(Release::All, &mut sends).expect("the toy can be split");
    hands.deliver(sends);
    assert!(!hands.producers[0].is_awaited(), "the question is answered");
    hands.scan();
    hands.owners.iter_mut().for_each(|owner| owner.publish());
    assert_eq!(hands.scan().len(), 2);
}

#[test]
fn a_lookup_finds_what_a_scan_finds() {
    for name in WHOLE {
        let mut hands = ByHand::new(name, 3, Meter::OFF);
        for _ in 0..3 {
            hands.process(0, &(0..30).map(|key| (key, 1)).collect::<Vec<_>>());
            hands.scan();
            hands.owners.iter_mut().for_each(|owner| owner.publish());
        }
        let (reader, all) = (hands.strategy.reader(), hands.scan());
        assert_eq!(all.len(), 30, "{name}");
        for output in all {
            let (version, rows) = reader.lookup(&output.key).expect("the toy can be read");
            assert_eq!((rows, version > Version(0)), (vec![output], true), "{name}");
        }
        assert_eq!(reader.lookup(&99).expect("the toy can be read").1, [], "{name}");
    }
}
