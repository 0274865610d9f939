//! The doorbell loses no wake-up.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::{Doorbell, Doorbells, WorkerId};

/// The owner's loop: look for work, sleep if there is none. Loom reports a deadlock if it sleeps for ever.
fn wait_for(bell: &Doorbell, work: &AtomicUsize, units: usize) {
    loop {
        bell.take();
        // Relaxed: the bell alone must make the work visible.
        if work.load(Ordering::Relaxed) == units {
            return;
        }
        bell.wait(Duration::MAX);
    }
}

#[test]
fn work_is_seen_by_whoever_went_to_sleep() {
    explore("doorbell, one ringer", || {
        let shared = Arc::new((Doorbell::new(), AtomicUsize::new(0)));
        let ringer = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for _ in 0..2 {
                ringer.1.fetch_add(1, Ordering::Relaxed);
                ringer.0.ring();
            }
        });
        wait_for(&shared.0, &shared.1, 2);
        thread.join().expect("the ringer does not panic");
    });
}

#[test]
fn work_of_two_ringers_is_seen() {
    explore("doorbell, two ringers", || {
        let shared = Arc::new((Doorbells::new(1), AtomicUsize::new(0)));
        let ring = |_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.fetch_add(1, Ordering::Relaxed);
                shared.0.ring(WorkerId(0));
            })
        };
        let threads: Vec<_> = (0..2).map(ring).collect();
        wait_for(shared.0.bell(WorkerId(0)), &shared.1, 2);
        threads.into_iter().for_each(|thread| thread.join().expect("a ringer does not panic"));
    });
}

#[test]
fn a_wake_up_for_no_reason_changes_nothing() {
    explore("doorbell, spurious wake-ups", || {
        let shared = Arc::new((Doorbell::new(), AtomicUsize::new(0)));
        let sleeper = Arc::clone(&shared);
        // Loom cannot unpark a thread that joins another one, so the owner joins nobody.
        let owner = thread::spawn(move || wait_for(&sleeper.0, &sleeper.1, 1));
        let ghost = owner.thread().clone();
        let ghost = thread::spawn(move || ghost.unpark());
        shared.1.fetch_add(1, Ordering::Relaxed);
        shared.0.ring();
        owner.join().expect("the owner does not panic");
        ghost.join().expect("the ghost does not panic");
    });
}
