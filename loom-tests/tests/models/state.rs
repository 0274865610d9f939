//! Shared state loses nothing, closes each window once, and is read in whole versions.

use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use thalweg_loom_tests::explore::{explore, is_mutated};
use thalweg_loom_tests::sums::{Ones, Sums};
use thalweg_runtime::state::{
    Closing, Message, Meter, Owner, Published, Release, SharedFrontier, StateSpec, Strategy, StrategyName, Version,
    strategy,
};
use thalweg_runtime::{Doorbells, EventTimeMs, WorkerId};

fn made(name: StrategyName, workers: usize, bells: &Doorbells) -> Arc<dyn Strategy<Ones>> {
    strategy(name, StateSpec { aggregation: Arc::new(Ones), workers, bells: bells.clone(), meter: Meter::OFF })
}

/// A batch of one row for each of these windows and keys, into a state whose producers send nothing.
fn process(state: &dyn Strategy<Ones>, worker: u16, batch: &[(i64, u64)]) {
    let (mut producer, mut sends) = (state.producer(WorkerId(worker)), Vec::new());
    producer.process(&batch.to_vec(), &mut sends).expect("ones can be added up");
    producer.release(Release::All, &mut sends).expect("ones can be added up");
    assert!(sends.is_empty());
}

fn close(owner: &mut dyn Owner<Ones>, frontier: EventTimeMs) -> (Vec<Sums>, bool) {
    let Closing { windows, is_elected, .. } = owner.close(frontier).expect("ones can be added up");
    (windows, is_elected)
}

/// Both workers bring a batch of window 1 and the promise that closes window 0, to which both contributed before.
fn two_producers_and_an_election(name: StrategyName, awaited: &AtomicU64) {
    let state = made(name, 2, &Doorbells::new(2));
    process(&*state, 0, &[(0, 0), (0, 1)]);
    process(&*state, 1, &[(0, 0)]);
    let work = |state: &dyn Strategy<Ones>, worker| {
        process(state, worker, &[(1, 0), (1, 1)]);
        close(&mut *state.owner(WorkerId(worker)), EventTimeMs(0))
    };
    let shared = Arc::clone(&state);
    let other = thread::spawn(move || work(&*shared, 1));
    let mine = work(&*state, 0);
    let others = other.join().expect("the other worker does not panic");
    assert_ne!(mine.1, others.1, "one is elected");
    let (elected, loser) = if mine.1 { (mine, others) } else { (others, mine) };
    assert!(loser.0.is_empty());
    let total = |windows: Vec<Sums>| windows.into_iter().flatten().collect::<Sums>();
    assert_eq!(total(elected.0), Sums::from([((0, 0), 2), ((0, 1), 1)]));
    let (rest, is_elected) = close(&mut *state.owner(WorkerId(0)), EventTimeMs::END);
    assert!(is_elected);
    assert_eq!(total(rest), Sums::from([((1, 0), 2), ((1, 1), 2)]));
    awaited.fetch_add(state.witness().locks_awaited, Ordering::Relaxed);
}

#[test]
fn local_merge_loses_nothing_and_closes_once() {
    explore("local-merge, two producers and an election", || {
        two_producers_and_an_election(StrategyName::LocalMerge, &AtomicU64::new(0));
    });
}

#[test]
fn local_merge_partitioned_loses_nothing_and_closes_once() {
    // Std's, so that it outlives the executions.
    static AWAITED: AtomicU64 = AtomicU64::new(0);
    explore("local-merge-partitioned, two producers and an election", || {
        two_producers_and_an_election(StrategyName::LocalMergePartitioned, &AWAITED);
    });
    assert!(is_mutated() || AWAITED.load(Ordering::Relaxed) > 0, "no execution found a partition taken");
}

#[test]
fn of_two_owners_one_is_elected_for_each_frontier() {
    explore("shared frontier, two owners", || {
        let frontier = Arc::new(SharedFrontier::default());
        let claims = |frontier: &SharedFrontier, times: [i64; 2]| {
            times.map(|time| frontier.elect(EventTimeMs(time), || ()).is_some())
        };
        let shared = Arc::clone(&frontier);
        let other = thread::spawn(move || claims(&shared, [10, 20]));
        let mine = claims(&frontier, [10, 20]);
        let others = other.join().expect("the other owner does not panic");
        assert!(mine[1] != others[1], "one closes up to 20: {mine:?} {others:?}");
        assert!(!(mine[0] && others[0]), "two close up to 10");
        // Nobody is elected for 10 only where the claim of 20 came first, and whoever makes that has claimed 10 before.
        assert!(mine[0] || others[0], "nobody closes up to 10");
    });
}

#[test]
fn a_published_version_is_whole_and_versions_do_not_go_back() {
    explore("published, an owner and a reader", || {
        let published = Arc::new(Published::new((0, 0)));
        let shared = Arc::clone(&published);
        let reader = thread::spawn(move || {
            let reads = [(); 2].map(|()| shared.read());
            for (version, value) in &reads {
                assert_eq!(**value, (version.0, version.0), "half a version");
            }
            assert!(reads[0].0 <= reads[1].0, "versions go back: {reads:?}");
        });
        for version in 1..=2 {
            if published.take_request() {
                published.publish(Version(version), Arc::new((version, version)));
            }
        }
        published.publish(Version(1), Arc::new((1, 1)));
        reader.join().expect("the reader does not panic");
    });
}

/// Snapshots are published by whoever made them, in any order.
#[test]
fn of_two_versions_the_newer_one_stays() {
    explore("published, two publishers", || {
        let published = Arc::new(Published::new(0));
        let other = Arc::clone(&published);
        let publisher = thread::spawn(move || other.publish(Version(1), Arc::new(1)));
        published.publish(Version(2), Arc::new(2));
        publisher.join().expect("the publisher does not panic");
        assert_eq!(published.read(), (Version(2), Arc::new(2)));
    });
}

/// Loom reports a deadlock if the owner sleeps for ever with a version that nobody was given.
#[test]
fn an_owner_that_found_a_reader_in_its_way_is_rung() {
    // Std's, so that it outlives the executions.
    static IN_THE_WAY: AtomicU64 = AtomicU64::new(0);
    explore("published, a reader in the way", || {
        let shared = Arc::new((Published::new(0), Doorbells::new(1)));
        let reader = Arc::clone(&shared);
        let reader = thread::spawn(move || {
            let (version, value) = reader.0.read();
            reader.1.ring(WorkerId(0));
            assert_eq!(version.0, *value);
        });
        let (published, bells) = &*shared;
        let mut offer = Arc::new(1);
        loop {
            bells.bell(WorkerId(0)).take();
            // An owner looks for questions first; that is where loom can stop a reader that holds the lock.
            published.take_request();
            match published.try_publish(Version(1), offer) {
                Ok(()) => break,
                Err(back) => offer = back,
            }
            IN_THE_WAY.fetch_add(1, Ordering::Relaxed);
            bells.bell(WorkerId(0)).wait(Duration::MAX);
        }
        reader.join().expect("the reader does not panic");
        assert_eq!(published.read(), (Version(1), Arc::new(1)));
    });
    assert!(is_mutated() || IN_THE_WAY.load(Ordering::Relaxed) > 0, "no execution found a reader in the way");
}

/// Loom reports a deadlock if the owner sleeps through a question.
#[test]
fn a_question_to_an_owner_that_sleeps_is_answered() {
    for name in [StrategyName::Actor, StrategyName::OwnedShards] {
        explore(&format!("{name}, a question to a sleeping owner"), move || {
            let bells = Doorbells::new(1);
            let state = made(name, 1, &bells);
            let mut owner = state.owner(WorkerId(0));
            owner.receive(Message::Groups(Sums::from([((0, 0), 3)]))).expect("ones can be added up");
            let reader = state.reader();
            let asker = thread::spawn(move || {
                let reads = [(); 2].map(|()| reader.lookup(&0).expect("ones can be added up"));
                assert!(reads[0].0 <= reads[1].0, "versions go back: {reads:?}");
                for (version, rows) in &reads {
                    assert_eq!(rows.get(&(0, 0)), (version.0 > 0).then_some(&3), "half a version");
                }
            });
            loop {
                bells.bell(WorkerId(0)).take();
                owner.publish();
                if state.witness().versions > 0 {
                    break;
                }
                bells.bell(WorkerId(0)).wait(Duration::MAX);
            }
            asker.join().expect("the reader does not panic");
            // No reader is in the way now, if one was.
            owner.publish();
            assert_eq!(state.reader().lookup(&0).expect("ones can be added up").1, Sums::from([((0, 0), 3)]));
            assert_eq!(state.witness().versions, 1, "one version for all questions, as nothing changed");
            // Readers that come after the end find no window that was closed, whether or not anybody steps the owner.
            close(&mut *owner, EventTimeMs::END);
            assert!(state.reader().lookup(&0).expect("ones can be added up").1.is_empty(), "a closed window is seen");
        });
    }
}

/// Loom reports a deadlock if a worker sleeps through a question while its producer holds something back.
#[test]
fn a_question_to_a_worker_that_sleeps_brings_out_what_it_holds_back() {
    explore("owned-shards, a question to a silent source", || {
        let bells = Doorbells::new(2);
        let state = made(StrategyName::OwnedShards, 2, &bells);
        let (mut producer, mut sends) = (state.producer(WorkerId(1)), Vec::new());
        producer.process(&vec![(0, 0)], &mut sends).expect("ones can be added up");
        let reader = state.reader();
        // The owner of key 0 is worker 0; what is known of it is with worker 1.
        let asker = thread::spawn(move || reader.lookup(&0).map(|(_, rows)| assert!(rows.is_empty())));
        loop {
            bells.bell(WorkerId(1)).take();
            if producer.is_awaited() {
                break;
            }
            bells.bell(WorkerId(1)).wait(Duration::MAX);
        }
        producer.release(Release::All, &mut sends).expect("ones can be added up");
        assert!(!producer.is_awaited(), "the only question is answered");
        assert!(matches!(&sends[..], [(WorkerId(0), Message::Groups(_))]));
        asker.join().expect("the reader does not panic").expect("ones can be added up");
    });
}
