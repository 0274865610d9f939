//! A producer that found the window closed is rung when it opens, whoever opens it.

use loom::thread;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::progress::window::BlockWindow;
use thalweg_runtime::{Doorbells, WorkerId};

/// Sleeps until the block may be sent.
fn wait_to_send(window: &BlockWindow, bells: &Doorbells, block: u64, me: WorkerId) {
    loop {
        bells.bell(me).take();
        if window.may_send(block, me) {
            return;
        }
        bells.bell(me).wait(Duration::MAX);
    }
}

#[test]
fn a_closed_window_opens_for_whoever_waits() {
    explore("window, one producer and two consumers", || {
        let bells = Doorbells::new(2);
        let window = Arc::new(BlockWindow::new(1, &bells));
        let other = Arc::clone(&window);
        // Std's: what has happened, and not what is seen of it.
        let is_taken = Arc::new(AtomicBool::new(false));
        let taken = Arc::clone(&is_taken);
        let consumer = thread::spawn(move || {
            taken.store(true, Ordering::Relaxed);
            other.take_in(WorkerId(1), 1);
        });
        window.take_in(WorkerId(0), 1);
        wait_to_send(&window, &bells, 1, WorkerId(0));
        assert!(is_taken.load(Ordering::Relaxed), "the slowest consumer has not taken block 0 in");
        consumer.join().expect("the consumer does not panic");
        assert!(!window.may_send(2, WorkerId(0)), "the window is one block wide");
    });
}

#[test]
fn two_producers_are_both_rung() {
    explore("window, two producers", || {
        let bells = Doorbells::new(2);
        let window = Arc::new(BlockWindow::new(1, &bells));
        let (producer, other_bells) = (Arc::clone(&window), bells.clone());
        let other = thread::spawn(move || {
            producer.take_in(WorkerId(1), 1);
            wait_to_send(&producer, &other_bells, 1, WorkerId(1));
        });
        window.take_in(WorkerId(0), 1);
        wait_to_send(&window, &bells, 1, WorkerId(0));
        other.join().expect("the other worker does not panic");
    });
}
