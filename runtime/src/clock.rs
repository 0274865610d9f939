//! Time as an argument: who drives the workers brings the clock, a real one or the simulator's.

use std::time::Instant;

/// Monotonic time in nanoseconds since the job's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

/// The machine's monotonic clock, counted from its making.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    start: Instant,
}

impl MonotonicClock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// A moment on this clock: zero for all before its start.
    #[must_use]
    pub fn at(&self, moment: Instant) -> Nanos {
        Nanos(u64::try_from(moment.saturating_duration_since(self.start).as_nanos()).unwrap_or(u64::MAX))
    }

    /// Time since the start; it stops at 584 years.
    #[must_use]
    pub fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }
}
