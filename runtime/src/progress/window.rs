//! How far the producers of numbered blocks may run ahead of those who take the blocks in, in order.
//!
//! Blocks are numbered from 0 without a gap, each comes from one producer, and every consumer gets a message for each. A
//! consumer that takes them in by their numbers holds those that came too early; so that these are few, a block may only be
//! sent while it is less than the window's width ahead of the slowest consumer.
//!
//! **Nobody waits for ever.** Take the least block that some consumer has not taken in. It is never too far ahead, so its
//! producer may send it; and as consumers never refuse a message, it arrives. Its consumer has all blocks before, takes it
//! in, and the window moves. A producer sends its blocks in ascending order, so it is not behind another that has to wait.
//!
//! **No wake-up is lost.** As in the [carry](super::carry): a producer that finds the window closed raises its note and looks
//! *again*; a consumer moves on and then lowers every note, and rings those that were up. Notes change by
//! read-modify-writes only: either the lowering comes second and rings, or the raising does and (acquire, of a release) the
//! second look happens after the move.

use crate::WorkerId;
use crate::exchange::doorbell::Doorbells;
use crate::sync::{AtomicBool, AtomicU64, Ordering, mutant, ordering};

/// The window of one stage's blocks over the owners that take them in, one on each worker.
#[derive(Debug)]
pub struct BlockWindow {
    width: u64,
    /// By consumer: blocks that it has taken in.
    taken: Box<[AtomicU64]>,
    /// By worker: it asked in vain.
    notes: Box<[AtomicBool]>,
    bells: Doorbells,
}

impl BlockWindow {
    /// A window of `width` blocks, at least 1, over a consumer on each of the workers whose bells these are.
    #[must_use]
    pub fn new(width: u64, bells: &Doorbells) -> Self {
        let workers = 0..bells.len();
        let taken = workers.clone().map(|_| AtomicU64::new(0)).collect();
        let notes = workers.map(|_| AtomicBool::new(false)).collect();
        Self { width: width.max(1), taken, notes, bells: bells.clone() }
    }

    /// Whether block `block` may be sent. If not, `worker` is rung when it is worth asking again.
    ///
    /// # Panics
    /// If there is no such worker: a bug of the caller.
    #[must_use]
    pub fn may_send(&self, block: u64, worker: WorkerId) -> bool {
        if self.is_open(block) {
            return true;
        }
        if !mutant!(window_leaves_no_note) {
            // Acquire: see the module's page.
            self.notes[usize::from(worker.0)].swap(true, ordering!(window_raise, Acquire));
        }
        !mutant!(window_looks_once) && self.is_open(block)
    }

    /// The consumer on `worker` has taken in all blocks below `next`.
    ///
    /// # Panics
    /// If there is no such worker: a bug of the caller.
    pub fn take_in(&self, worker: WorkerId, next: u64) {
        if mutant!(window_rings_early) {
            self.ring_notes();
        }
        // Relaxed: a number, and nothing else hangs on it; the notes see to it that it is seen.
        self.taken[usize::from(worker.0)].store(next, Ordering::Relaxed);
        if !mutant!(window_rings_early) {
            self.ring_notes();
        }
    }

    fn ring_notes(&self) {
        for (worker, note) in self.notes.iter().enumerate() {
            // Release: see the module's page.
            if note.swap(false, ordering!(window_lower, Release)) && !mutant!(window_rings_nobody) {
                self.bells.ring(WorkerId(worker as u16));
            }
        }
    }

    fn is_open(&self, block: u64) -> bool {
        // Relaxed: see `take_in`.
        let taken = self.taken.iter().map(|taken| taken.load(Ordering::Relaxed));
        let slowest = if mutant!(window_of_the_fastest) { taken.max() } else { taken.min() };
        slowest.is_none_or(|slowest| block < slowest.saturating_add(self.width))
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_consumer_holds_everybody_and_rings_those_that_asked() {
        let bells = Doorbells::new(2);
        let window = BlockWindow::new(2, &bells);
        assert!(window.may_send(0, WorkerId(0)) && window.may_send(1, WorkerId(1)));
        assert!(!window.may_send(2, WorkerId(1)));
        window.take_in(WorkerId(0), 5);
        assert!(bells.bell(WorkerId(1)).take(), "it was asked");
        assert!(!window.may_send(2, WorkerId(1)));
        window.take_in(WorkerId(1), 1);
        assert!(bells.bell(WorkerId(1)).take() && !bells.bell(WorkerId(0)).take());
        assert!(window.may_send(2, WorkerId(1)) && !window.may_send(3, WorkerId(0)));
    }
}
