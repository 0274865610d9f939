//! The frontier of state that is shared: who closes the windows that are over.

use crate::EventTimeMs;
use crate::sync::{AtomicI64, Ordering, mutant};

/// How far the windows of a shared state have been claimed. Every owner brings the frontiers that its inputs promised;
/// the first to bring one is elected to close what it closes.
#[derive(Debug)]
pub struct SharedFrontier(AtomicI64);

impl Default for SharedFrontier {
    fn default() -> Self {
        Self(AtomicI64::new(EventTimeMs::MIN.0))
    }
}

impl SharedFrontier {
    /// Claims everything up to `frontier`: true for one caller only. Two that are elected for different frontiers may
    /// take windows out at the same time; each group is taken by one of them.
    #[must_use]
    pub fn claim(&self, frontier: EventTimeMs) -> bool {
        if mutant!(elected_twice) {
            let claimed = self.0.load(Ordering::Acquire);
            self.0.fetch_max(frontier.0, Ordering::AcqRel);
            return claimed < frontier.0;
        }
        // Relaxed: that one is the first is decided by the number alone, and the groups are behind locks of their own.
        self.0.fetch_max(frontier.0, Ordering::Relaxed) < frontier.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_is_elected_for_each_frontier() {
        let frontier = SharedFrontier::default();
        let claims = [10, 10, 5, 20, i64::MAX, i64::MAX].map(|time| frontier.claim(EventTimeMs(time)));
        assert_eq!(claims, [true, false, false, true, true, false]);
    }
}
