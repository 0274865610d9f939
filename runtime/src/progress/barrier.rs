//! Barriers: where one epoch of a lane ends, and the checks that hang on it.
//!
//! A barrier travels in the lane, behind the last row of its epoch. A stage is *aligned* when every live input lane has
//! delivered the barrier of the same epoch. A lane that has is not read until then, so that no row of the next epoch gets
//! into state that belongs to the last one; what its message said about time is held back for the same reason. A lane
//! that has ended counts as aligned with every epoch.

use crate::Epoch;
use crate::sync::mutant;
use std::fmt;

/// The mark that ends an epoch on a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Barrier {
    /// The epoch that ends here.
    pub epoch: Epoch,
}

/// What went over a lane since the last barrier. Producer and consumer count on their own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    /// Messages, with and without data.
    pub messages: u64,
    /// Rows or partials in them.
    pub rows: u64,
}

/// The two ends of a lane do not agree: messages were lost or doubled. Ours to mend, never the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Miscount {
    /// What the producer counted.
    pub sent: Count,
    /// What the consumer counted.
    pub received: Count,
}

impl fmt::Display for Miscount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, received } = self;
        write!(
            f,
            "a lane lost or doubled messages: {} with {} rows were sent since the last barrier, {} with {} rows arrived",
            sent.messages, sent.rows, received.messages, received.rows
        )
    }
}

impl std::error::Error for Miscount {}

/// A lane delivered the barrier of another epoch than the one being aligned. Ours to mend, never the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misaligned {
    /// The epoch that the other lanes are at.
    pub expected: Epoch,
    /// The epoch of the barrier that came.
    pub found: Epoch,
}

impl fmt::Display for Misaligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a lane delivered the barrier of epoch {} while epoch {} was due", self.found.0, self.expected.0)
    }
}

impl std::error::Error for Misaligned {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lane {
    /// Read; its barrier has not come.
    Open,
    /// Its barrier came; not read until all others' did.
    Held,
    /// Nothing comes any more.
    Ended,
}

/// Which of a stage's input lanes have delivered the barrier that is due.
#[derive(Clone, Debug)]
pub struct Alignment {
    lanes: Vec<Lane>,
    open: usize,
    held: usize,
    /// The epoch that is due next. Epochs count from 1, without a gap.
    due: Epoch,
}

impl Alignment {
    /// Over `lanes` lanes, all live, with epoch 1 due.
    #[must_use]
    pub fn new(lanes: usize) -> Self {
        Self { lanes: vec![Lane::Open; lanes], open: lanes, held: 0, due: Epoch(1) }
    }

    /// The lane delivered a barrier: it is held from now on.
    ///
    /// # Errors
    /// If it is not the barrier of the epoch that is due, or the lane's second one.
    ///
    /// # Panics
    /// If there is no such lane.
    pub fn arrive(&mut self, lane: usize, barrier: Barrier) -> Result<(), Misaligned> {
        if barrier.epoch != self.due || self.lanes[lane] != Lane::Open {
            return Err(Misaligned { expected: self.due, found: barrier.epoch });
        }
        self.lanes[lane] = Lane::Held;
        self.open -= 1;
        self.held += 1;
        Ok(())
    }

    /// The lane has ended, and with it every epoch on it.
    ///
    /// # Panics
    /// If there is no such lane.
    pub fn end(&mut self, lane: usize) {
        match std::mem::replace(&mut self.lanes[lane], Lane::Ended) {
            _ if mutant!(barrier_waits_for_the_ended) => {}
            Lane::Open => self.open -= 1,
            Lane::Held => self.held -= 1,
            Lane::Ended => {}
        }
    }

    /// The lane may be read.
    ///
    /// # Panics
    /// If there is no such lane.
    #[must_use]
    pub fn is_open(&self, lane: usize) -> bool {
        self.lanes[lane] == Lane::Open || mutant!(barrier_holds_nobody) && self.lanes[lane] == Lane::Held
    }

    /// The epoch whose barrier every live lane has delivered, if any has.
    #[must_use]
    pub fn complete(&self) -> Option<Epoch> {
        ((self.open == 0 || mutant!(barrier_of_the_first)) && self.held > 0).then_some(self.due)
    }

    /// The barrier was dealt with: held lanes are read again, and the next epoch is due.
    pub fn release(&mut self) {
        for lane in &mut self.lanes {
            if *lane == Lane::Held && !mutant!(barrier_holds_for_ever) {
                *lane = Lane::Open;
            }
        }
        self.open += self.held;
        self.held = 0;
        self.due = Epoch(self.due.0 + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn barrier(epoch: u64) -> Barrier {
        Barrier { epoch: Epoch(epoch) }
    }

    #[test]
    fn a_lane_that_delivered_its_barrier_is_held_until_all_did() {
        let mut alignment = Alignment::new(2);
        alignment.arrive(0, barrier(1)).unwrap();
        assert!(!alignment.is_open(0) && alignment.is_open(1));
        assert_eq!(alignment.complete(), None);
        alignment.arrive(1, barrier(1)).unwrap();
        assert_eq!(alignment.complete(), Some(Epoch(1)));
        alignment.release();
        assert!(alignment.is_open(0) && alignment.is_open(1));
        assert_eq!(alignment.complete(), None);
        alignment.arrive(1, barrier(2)).unwrap();
    }

    #[test]
    fn an_ended_lane_is_aligned_with_every_epoch() {
        let mut alignment = Alignment::new(2);
        alignment.arrive(0, barrier(1)).unwrap();
        alignment.end(1);
        assert_eq!(alignment.complete(), Some(Epoch(1)));
        alignment.release();
        assert!(!alignment.is_open(1));
        alignment.end(0);
        assert_eq!(alignment.complete(), None, "no barrier is complete when nobody is left to send one");
    }

    #[test]
    fn a_skipped_or_repeated_epoch_is_refused() {
        let mut alignment = Alignment::new(2);
        assert_eq!(alignment.arrive(0, barrier(2)), Err(Misaligned { expected: Epoch(1), found: Epoch(2) }));
        alignment.arrive(0, barrier(1)).unwrap();
        assert!(alignment.arrive(0, barrier(1)).is_err());
    }
}
