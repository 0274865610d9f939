//! The ordered carry goes through all blocks in order, and nobody waits for a turn that has come.

#![cfg(all(thalweg_loom, feature = "model"))]

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

#[test]
fn two_workers_carry_three_blocks_in_order() {
    explore("carry, blocks 0 and 2 against 1", Some(5), 200, || blocks_in_order(&[0, 2], &[1]));
    explore("carry, blocks 1 and 2 against 0", Some(5), 50, || blocks_in_order(&[1, 2], &[0]));
}
