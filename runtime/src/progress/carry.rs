//! The ordered carry: a value that goes from block 0 to block 1 to block 2, whichever workers hold the blocks.
//!
//! Blocks of one file are handed out in order and worked on side by side, but a little must be known of all blocks before:
//! where the first record starts, the line number, the greatest event time. That little is the carry. It is free for
//! exactly one block at a time, its *turn*.
//!
//! **Nobody blocks.** A worker asks [`try_turn`](OrderedCarry::try_turn); if blocks before its own have not passed, it
//! leaves a note that it asked and does other work. Whoever passes the turn on rings those that left a note. As one of the
//! blocks in hand is always the least, and its holder gets the turn at once, blocks pass as fast as their holders step;
//! a holder must therefore not put its block off for anything that waits for a later block.
//!
//! **No wake-up is lost.** Passing on is: make `turn` the next index, then lower every note and ring those that were up.
//! Asking is: if it is not my turn, raise my note, then look at `turn` *again*. Notes change by read-modify-writes only.
//! Either the lowering comes second and rings, or the raising does, and then (acquire, of a release) the second look happens
//! after `turn` moved.
//!
//! **A panic in a turn** leaves the value in doubt, so nobody gets another turn. The notes are rung all the same; the
//! panic itself ends the job ([`drive`](crate::driver::drive)), and with it all that still wait.

use crate::WorkerId;
use crate::exchange::doorbell::Doorbells;
use crate::sync::{AtomicBool, AtomicU64, Mutex, MutexGuard, Ordering, mutant, ordering};
use std::ops::{Deref, DerefMut};

/// A value handed from block *k* to block *k* + 1.
#[derive(Debug)]
pub struct OrderedCarry<T> {
    /// Index of the block whose turn it is: blocks that have passed. Only the holder of a turn moves it.
    turn: AtomicU64,
    /// Locked only for the length of a turn, so nobody ever waits for it.
    value: Mutex<T>,
    /// By worker: it asked in vain.
    notes: Vec<AtomicBool>,
    is_poisoned: AtomicBool,
    bells: Doorbells,
}

impl<T> OrderedCarry<T> {
    /// A carry with the value that block 0 gets. `bells` are those of the workers that will ask.
    #[must_use]
    pub fn new(initial: T, bells: Doorbells) -> Self {
        let notes = (0..bells.len()).map(|_| AtomicBool::new(false)).collect();
        Self { turn: AtomicU64::new(0), value: Mutex::new(initial), notes, is_poisoned: AtomicBool::new(false), bells }
    }

    /// Blocks that have passed: the index of the next one. What was done before they passed is seen.
    #[must_use]
    pub fn turn(&self) -> u64 {
        // Acquire: pairs with the Release in `pass_on`. Without it the lock of the value might still be found taken.
        self.turn.load(ordering!(carry_turn_read, Acquire))
    }

    /// A turn was dropped by a panic: there will be no other.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        // Relaxed: nothing is read because of it.
        self.is_poisoned.load(Ordering::Relaxed)
    }

    /// The turn of block `index`, if all blocks before have passed. If not, `worker` is rung when it is worth asking
    /// again. None for ever after a panic in an earlier turn.
    ///
    /// # Panics
    /// If the block has passed already, or there is no such worker: bugs of the caller.
    pub fn try_turn(&self, index: u64, worker: WorkerId) -> Option<Turn<'_, T>> {
        if self.turn() != index {
            if !mutant!(carry_leaves_no_note) {
                // Acquire: see the module's page.
                self.notes[usize::from(worker.0)].swap(true, ordering!(carry_raise, Acquire));
            }
            if mutant!(carry_looks_once) {
                return None;
            }
            let turn = self.turn();
            assert!(turn <= index, "block {index} asked for a second turn: {turn} blocks have passed");
            if turn != index {
                return None;
            }
        }
        // An earlier turn gave its guard back before it moved `turn` here; only a second holder of the same index would
        // find the lock taken, and gets nothing. Nor does anybody get anything from a lock that a panic has poisoned.
        let value = self.value.try_lock().ok()?;
        Some(Turn { carry: self, index, value: Some(value) })
    }

    /// Lets block `index` in, and rings all that asked in vain.
    fn pass_on(&self, index: u64) {
        if mutant!(carry_rings_early) {
            self.ring_notes();
        }
        // Release: pairs with `turn`.
        self.turn.store(index, ordering!(carry_turn_write, Release));
        if !mutant!(carry_rings_early) {
            self.ring_notes();
        }
    }

    fn ring_notes(&self) {
        for (worker, note) in self.notes.iter().enumerate() {
            // Release: see the module's page.
            if note.swap(false, ordering!(carry_lower, Release)) && !mutant!(carry_rings_nobody) {
                self.bells.ring(WorkerId(worker as u16));
            }
        }
    }
}

/// The carried value while it is one block's turn. Dropping it passes the turn on.
#[derive(Debug)]
pub struct Turn<'a, T> {
    carry: &'a OrderedCarry<T>,
    index: u64,
    /// None only while dropping.
    value: Option<MutexGuard<'a, T>>,
}

impl<T> Turn<'_, T> {
    /// Lets the next block in.
    pub fn pass(self) {
        drop(self);
    }
}

impl<T> Deref for Turn<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("a turn holds the value until it is dropped")
    }
}

impl<T> DerefMut for Turn<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("a turn holds the value until it is dropped")
    }
}

impl<T> Drop for Turn<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.carry.is_poisoned.store(true, Ordering::Relaxed);
        }
        if mutant!(carry_passes_before_it_is_free) {
            self.carry.pass_on(self.index + 1);
        }
        // The lock is free before the next block may look for it.
        drop(self.value.take());
        if self.carry.is_poisoned() {
            self.carry.ring_notes();
        } else if !mutant!(carry_passes_before_it_is_free) {
            self.carry.pass_on(self.index + 1);
        }
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    #[test]
    fn blocks_take_their_turns_in_order() {
        let bells = Doorbells::new(2);
        let carry = OrderedCarry::new(100, bells.clone());
        assert!(carry.try_turn(1, WorkerId(1)).is_none());
        {
            let mut turn = carry.try_turn(0, WorkerId(0)).expect("nobody is before block 0");
            assert!(carry.try_turn(0, WorkerId(0)).is_none(), "a turn is held once");
            *turn += 1;
        }
        assert!(bells.bell(WorkerId(1)).is_rung(), "who asked in vain is rung");
        assert!(!bells.bell(WorkerId(0)).is_rung());
        let turn = carry.try_turn(1, WorkerId(1)).expect("block 0 has passed");
        assert_eq!(*turn, 101);
        turn.pass();
        assert_eq!(carry.turn(), 2);
    }

    #[test]
    fn many_threads_carry_a_value_through_all_blocks_in_order() {
        const BLOCKS: u64 = 3_000;
        let bells = Doorbells::new(4);
        let carry = OrderedCarry::new(Vec::new(), bells.clone());
        let next = std::sync::atomic::AtomicU64::new(0);
        std::thread::scope(|scope| {
            for worker in (0..4).map(WorkerId) {
                let (bells, carry, next) = (&bells, &carry, &next);
                scope.spawn(move || {
                    loop {
                        let block = next.fetch_add(1, Ordering::Relaxed);
                        if block >= BLOCKS {
                            break;
                        }
                        loop {
                            bells.bell(worker).take();
                            if let Some(mut seen) = carry.try_turn(block, worker) {
                                seen.push(block);
                                break;
                            }
                            bells.bell(worker).wait(std::time::Duration::from_secs(3600));
                        }
                    }
                });
            }
        });
        let seen = carry.try_turn(BLOCKS, WorkerId(0)).expect("all blocks have passed");
        assert!(seen.iter().copied().eq(0..BLOCKS));
    }

    #[test]
    fn a_panic_in_a_turn_rings_those_who_wait_and_ends_all_turns() {
        let bells = Doorbells::new(2);
        let carry = OrderedCarry::new((), bells.clone());
        assert!(carry.try_turn(1, WorkerId(1)).is_none());
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _turn = carry.try_turn(0, WorkerId(0)).expect("nobody is before block 0");
            panic!("in the turn");
        }));
        assert!(panic.is_err());
        assert!(carry.is_poisoned());
        assert!(bells.bell(WorkerId(1)).is_rung());
        assert!(carry.try_turn(0, WorkerId(0)).is_none());
        assert!(carry.try_turn(1, WorkerId(1)).is_none());
    }
}
