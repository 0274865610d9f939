//! The frontier of state that is shared: who closes the windows that are over.

use crate::EventTimeMs;
use crate::sync::{Mutex, lock, mutant};

/// How far the windows of a shared state have been closed. Every owner brings the frontiers that its inputs promised; the
/// first to bring one is elected to close what it closes.
///
/// The others wait until that is taken out, though not until it is emitted. Who was not elected promises the frontier
/// downstream at once, and must not find a window of before it in the state when it is elected for a later one.
#[derive(Debug)]
pub struct SharedFrontier(Mutex<EventTimeMs>);

impl Default for SharedFrontier {
    fn default() -> Self {
        Self(Mutex::new(EventTimeMs::MIN))
    }
}

impl SharedFrontier {
    /// Calls `close`, which takes out everything up to `frontier`, for one caller only; `None` for the others, who return
    /// after that. One owner closes at a time.
    pub fn elect<R>(&self, frontier: EventTimeMs, close: impl FnOnce() -> R) -> Option<R> {
        let mut closed = lock(&self.0);
        if *closed >= frontier && !mutant!(elected_twice) {
            return None;
        }
        *closed = frontier;
        if mutant!(elected_ahead_of_closing) {
            drop(closed);
            return Some(close());
        }
        Some(close())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_caller_is_elected_for_each_frontier() {
        let frontier = SharedFrontier::default();
        let elected =
            [10, 10, 5, 20, i64::MAX, i64::MAX].map(|time| frontier.elect(EventTimeMs(time), || ()).is_some());
        assert_eq!(elected, [true, false, false, true, true, false]);
    }
}
