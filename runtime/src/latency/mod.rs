//! Latency as a distribution: how long rows take from when they were due to each point on their way.
//!
//! **Who records.** Each operator on each worker has a [`Recorder`] of its own, and so does the thread of each sink.
//! Recording adds to a histogram that nobody else sees. Once a second the recorder exchanges a full histogram for an
//! empty one, under a lock that it only tries, and that only [`Latencies::collect`] ever holds besides. So whoever
//! collects never holds a worker up, and nothing is shared from one batch to the next.
//!
//! **What is recorded.** A [`Span`] is a run of rows and when they were due; it travels with the rows. At a point, each
//! row's latency is the time then less the time at which it was due, never the time at which the engine got round to it:
//! a stall counts for every row that was due in it (no coordinated omission).
//!
//! **The clock** here is for measuring alone. No operator decides anything by it: what depends on age goes by the time of
//! the step ([`Context::now`](crate::Context::now)).
//!
//! Histograms: nanoseconds up to an hour, three significant digits, by the `hdrhistogram` crate (Gil Tene's HdrHistogram).

#[cfg(not(thalweg_loom))]
pub mod hiccup;
mod recorder;
mod span;

pub use hdrhistogram::Histogram;
pub use recorder::{Histograms, Latencies, Recorder};
pub use span::{Origin, Span, Spans};

/// Nanoseconds that a histogram tells apart at most; what takes longer counts as this.
pub const NANOS_MAX: u64 = 3_600_000_000_000;

/// Significant digits of a histogram.
pub const DIGITS: u8 = 3;

/// A point on the way of a row at which its latency is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Point {
    /// The source handed the row over: the lag of a schedule. Not recorded where rows have none.
    Arrived,
    /// The row is in columns.
    Decoded,
    /// Its worker has taken it in: folded into a private table, or divided among the owners of keys.
    Folded,
    /// It is part of the state at the owner of its key.
    Merged,
    /// What it gave has left for the sink.
    Emitted,
    /// The sink has written that.
    Written,
    /// Of a window or of the end of input, from when the owner's frontier passed it: a row of the result left for the sink.
    CloseEmitted,
    /// And was written.
    CloseWritten,
}

impl Point {
    /// All, in the order of a row's way.
    pub const ALL: [Self; 8] = [
        Self::Arrived,
        Self::Decoded,
        Self::Folded,
        Self::Merged,
        Self::Emitted,
        Self::Written,
        Self::CloseEmitted,
        Self::CloseWritten,
    ];

    /// Its name in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Arrived => "arrived",
            Self::Decoded => "decoded",
            Self::Folded => "folded",
            Self::Merged => "merged",
            Self::Emitted => "emitted",
            Self::Written => "written",
            Self::CloseEmitted => "close-emitted",
            Self::CloseWritten => "close-written",
        }
    }
}

/// An empty histogram of nanoseconds.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, NANOS_MAX, DIGITS).expect("an hour in nanoseconds to three digits fits a histogram")
}
