//! The ordered carry goes through all blocks in order, and nobody waits for a turn that has come.

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use std::sync::Arc;
use std::time::Duration;
use thalweg_loom_tests::explore::explore;
use thalweg_runtime::progress::carry::OrderedCarry;
use thalweg_runtime::{Doorbells, WorkerId};

/// Takes the turn of a block, asleep until it comes.
fn take_turn(carry: &OrderedCarry<Vec<u64>>, bells: &Doorbells, block: u64, me: WorkerId) {
    loop {
        bells.bell(me).take();
        if let Some(mut turn) = carry.try_turn(block, me) {
            turn.push(block);
            return turn.pass();
        }
        bells.bell(me).wait(Duration::MAX);
    }
}

fn blocks_in_order(first: &'static [u64], second: &'static [u64]) {
    let bells = Doorbells::new(2);
    let carry = Arc::new(OrderedCarry::new(Vec::new(), bells.clone()));
    let (other_carry, other_bells) = (Arc::clone(&carry), bells.clone());
    let other = thread::spawn(move || {
        second.iter().for_each(|block| take_turn(&other_carry, &other_bells, *block, WorkerId(1)));
    });
    first.iter().for_each(|block| take_turn(&carry, &bells, *block, WorkerId(0)));
    other.join().expect("the other worker does not panic");
    assert_eq!(carry.turn(), 3);
    let seen = carry.try_turn(3, WorkerId(0)).expect("all blocks have passed");
    assert_eq!(*seen, [0, 1, 2]);
}

/// What a turn did outside of the carry is seen by whoever sees that it has passed, and takes no lock.
#[test]
fn who_sees_a_turn_pass_sees_what_was_done_in_it() {
    explore("carry, a turn that is seen to have passed", || {
        let carry = Arc::new((OrderedCarry::new((), Doorbells::new(2)), AtomicU64::new(0)));
        let reader = Arc::clone(&carry);
        let reader = thread::spawn(move || {
            if reader.0.turn() == 1 {
                assert_eq!(reader.1.load(Ordering::Relaxed), 7, "a turn is seen to have passed, but not what it did");
            }
        });
        let turn = carry.0.try_turn(0, WorkerId(1)).expect("nobody is before block 0");
        // Relaxed: the turn alone must make it visible.
        carry.1.store(7, Ordering::Relaxed);
        turn.pass();
        reader.join().expect("the reader does not panic");
    });
}

#[test]
fn two_workers_carry_three_blocks_in_order() {
    explore("carry, blocks 0 and 2 against 1", || blocks_in_order(&[0, 2], &[1]));
    explore("carry, blocks 1 and 2 against 0", || blocks_in_order(&[1, 2], &[0]));
}
