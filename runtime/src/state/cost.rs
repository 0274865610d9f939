//! Where the time of a batch goes.

use std::ops::AddAssign;

use crate::clock::{MonotonicClock, Nanos};

/// Time by what it was spent on. All but [`held`](Self::held) exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Waiting for a lock or a turn.
    pub wait: Nanos,
    /// Cloning state.
    pub clone: Nanos,
    /// Folding rows into groups.
    pub fold: Nanos,
    /// Merging groups into groups, and dividing them by their owners.
    pub merge: Nanos,
    /// Making rows fit to travel, and handing messages over.
    pub channel: Nanos,
    /// Counting what was done. What reading the clock costs is spread over all parts.
    pub metrics: Nanos,
    /// Time during which a lock was held: part of the others, not beside them.
    pub held: Nanos,
}

impl Cost {
    /// All of it.
    #[must_use]
    pub fn total(&self) -> Nanos {
        let Self { wait, clone, fold, merge, channel, metrics, held: _ } = self;
        Nanos([wait, clone, fold, merge, channel, metrics].into_iter().map(|part| part.0).sum())
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        let Self { wait, clone, fold, merge, channel, metrics, held } = other;
        self.wait.0 += wait.0;
        self.clone.0 += clone.0;
        self.fold.0 += fold.0;
        self.merge.0 += merge.0;
        self.channel.0 += channel.0;
        self.metrics.0 += metrics.0;
        self.held.0 += held.0;
    }
}

/// Measures costs, or does not: then no clock is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    clock: Option<MonotonicClock>,
}

impl Meter {
    /// Measures nothing.
    pub const OFF: Self = Self { clock: None };

    /// Measures with the machine's clock.
    #[must_use]
    pub fn on() -> Self {
        Self { clock: Some(MonotonicClock::start()) }
    }

    /// Whether costs are measured.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.clock.is_some()
    }

    /// Does `work` and adds the time that it took to `part`.
    pub fn time<R>(&self, part: &mut Nanos, work: impl FnOnce() -> R) -> R {
        let Some(clock) = &self.clock else { return work() };
        let start = clock.now();
        let result = work();
        part.0 += clock.now().0 - start.0;
        result
    }

    /// The clock, for what begins and ends in different places: zero if nothing is measured.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.clock.map_or(Nanos(0), |clock| clock.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_added_to_its_part_and_none_is_taken_without_a_meter() {
        let mut cost = Cost::default();
        let slow = || (0..2000u64).map(std::hint::black_box).sum::<u64>();
        assert_eq!(Meter::OFF.time(&mut cost.fold, slow), 1_999_000);
        assert_eq!(cost, Cost::default());
        let meter = Meter::on();
        meter.time(&mut cost.fold, slow);
        meter.time(&mut cost.merge, slow);
        assert!(cost.fold.0 > 0 && cost.merge.0 > 0);
        assert_eq!(cost.total().0, cost.fold.0 + cost.merge.0);
    }
}
