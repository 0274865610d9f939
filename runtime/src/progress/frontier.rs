//! The frontier of a stage: the least watermark over the live producers of all its inputs.

use crate::EventTimeMs;
use crate::sync::mutant;

/// Which event times are complete. A producer is live until it promises [`EventTimeMs::END`]; being the greatest time, an
/// end leaves the minimum by itself.
///
/// Invariant: `least` is the minimum of `watermarks`, and never falls.
#[derive(Clone, Debug)]
pub struct Frontier {
    /// One per producer of each input edge.
    watermarks: Vec<EventTimeMs>,
    least: EventTimeMs,
}

impl Frontier {
    /// A frontier over `producers` producers that have promised nothing. Over none, it never moves.
    #[must_use]
    pub fn new(producers: usize) -> Self {
        Self { watermarks: vec![EventTimeMs::MIN; producers], least: EventTimeMs::MIN }
    }

    /// Takes in the promise of one producer; true if the frontier moved. Cost: O(producers) if the slowest one promised,
    /// otherwise O(1). A promise below an earlier one changes nothing.
    ///
    /// # Panics
    /// If there is no such producer.
    pub fn raise(&mut self, producer: usize, watermark: EventTimeMs) -> bool {
        let held = &mut self.watermarks[producer];
        let was = *held;
        if watermark <= was {
            return false;
        }
        *held = watermark;
        if was > self.least {
            return false;
        }
        let watermarks = self.watermarks.iter().copied();
        let least = if mutant!(frontier_of_the_fastest) { watermarks.max() } else { watermarks.min() };
        let least = least.unwrap_or(EventTimeMs::MIN);
        let moved = least > self.least;
        self.least = least;
        moved
    }

    /// The least watermark.
    #[must_use]
    pub fn get(&self) -> EventTimeMs {
        self.least
    }

    /// The producer has promised the end.
    ///
    /// # Panics
    /// If there is no such producer.
    #[must_use]
    pub fn has_ended(&self, producer: usize) -> bool {
        self.watermarks[producer] == EventTimeMs::END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slowest_live_producer_holds_the_frontier() {
        let mut frontier = Frontier::new(3);
        assert!(!frontier.raise(0, EventTimeMs(10)));
        assert!(!frontier.raise(1, EventTimeMs(20)));
        assert_eq!(frontier.get(), EventTimeMs::MIN);
        assert!(frontier.raise(2, EventTimeMs(5)));
        assert_eq!(frontier.get(), EventTimeMs(5));
        assert!(!frontier.raise(1, EventTimeMs(30)), "not the slowest");
        assert!(!frontier.raise(2, EventTimeMs(4)), "a promise is not taken back");
        assert_eq!(frontier.get(), EventTimeMs(5));
        assert!(frontier.raise(2, EventTimeMs(25)));
        assert_eq!(frontier.get(), EventTimeMs(10));
    }

    #[test]
    fn ended_producers_leave_and_the_last_one_ends_the_stage() {
        let mut frontier = Frontier::new(2);
        assert!(!frontier.raise(0, EventTimeMs::END));
        assert!(frontier.has_ended(0));
        assert!(frontier.raise(1, EventTimeMs(7)));
        assert_eq!(frontier.get(), EventTimeMs(7));
        assert!(frontier.raise(1, EventTimeMs::END));
        assert_eq!(frontier.get(), EventTimeMs::END);
    }

    #[test]
    fn without_producers_nothing_is_ever_complete() {
        assert_eq!(Frontier::new(0).get(), EventTimeMs::MIN);
    }
}
