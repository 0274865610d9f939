//! Recorders, and who collects from them.

use super::span::{Origin, Span};
use super::{Point, histogram};
use crate::clock::{MonotonicClock, Nanos};
use crate::sync::{Arc, Mutex, lock, try_lock};
use hdrhistogram::Histogram;

/// Between two exchanges of a recorder's histograms.
const EXCHANGE_EVERY: u64 = 1_000_000_000;

/// Rows of a span that are told apart at most: where more were due one after the other, each stands for its neighbours,
/// and the first of them for its latency, which is the greatest.
const STEPS_MAX: u64 = 32;

/// A histogram for each point, made when something is recorded there.
#[derive(Clone, Debug, Default)]
pub struct Histograms([Option<Box<Histogram<u64>>>; Point::ALL.len()]);

impl Histograms {
    /// What was recorded at `point`; `None` if nothing was.
    #[must_use]
    pub fn at(&self, point: Point) -> Option<&Histogram<u64>> {
        self.0[point as usize].as_deref().filter(|histogram| !histogram.is_empty())
    }

    /// Adds all of `other`.
    pub fn add(&mut self, other: &Self) {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            let Some(other) = other.as_deref().filter(|other| !other.is_empty()) else { continue };
            let own = own.get_or_insert_with(|| Box::new(histogram()));
            own.add(other).expect("histograms of the same bounds add up");
        }
    }

    /// What was recorded beside `other`, which is part of this.
    ///
    /// # Panics
    /// If it is not.
    #[must_use]
    pub fn without(mut self, other: &Self) -> Self {
        for (own, other) in self.0.iter_mut().zip(&other.0) {
            if let (Some(own), Some(other)) = (own, other) {
                own.subtract(other.as_ref()).expect("what was recorded before is part of the whole");
            }
        }
        self
    }

    /// Nothing was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        Point::ALL.into_iter().all(|point| self.at(point).is_none())
    }

    fn clear(&mut self) {
        self.0.iter_mut().flatten().for_each(|histogram| histogram.reset());
    }

    fn record(&mut self, point: Point, nanos: u64, rows: u64) {
        let histogram = self.0[point as usize].get_or_insert_with(|| Box::new(histogram()));
        histogram.saturating_record_n(nanos, rows);
    }
}

/// The latencies of one job. Clones are the same.
#[derive(Clone)]
pub struct Latencies(Option<Arc<Whole>>);

struct Whole {
    clock: MonotonicClock,
    /// Those of all recorders.
    slots: Mutex<Vec<Arc<Mutex<Slot>>>>,
    /// All that was collected.
    collected: Mutex<Histograms>,
}

/// Where a recorder and who collects meet.
#[derive(Default)]
struct Slot {
    /// Waits to be collected.
    full: Option<Box<Histograms>>,
    /// Empty ones, for the recorder to go on with.
    spare: Option<Box<Histograms>>,
    /// What was left when the recorder went.
    rest: Option<Box<Histograms>>,
}

impl Latencies {
    /// Records nothing, and asks no clock.
    pub const OFF: Self = Self(None);

    /// Records on a clock that starts now.
    #[must_use]
    pub fn on() -> Self {
        let clock = MonotonicClock::start();
        Self(Some(Arc::new(Whole {
            clock,
            slots: Mutex::new(Vec::new()),
            collected: Mutex::new(Histograms::default()),
        })))
    }

    /// Whether anything is recorded.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// A recorder for one operator on one worker, or for the thread of a sink.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        let Some(whole) = &self.0 else { return Recorder(None) };
        let slot = Arc::new(Mutex::new(Slot::default()));
        lock(&whole.slots).push(Arc::clone(&slot));
        Recorder(Some(Box::new(Own {
            clock: whole.clock,
            histograms: Box::default(),
            slot,
            exchange_at: EXCHANGE_EVERY,
        })))
    }

    /// What recorders have handed over since the last call: up to about a second ago, and all of those that are gone.
    #[must_use]
    pub fn collect(&self) -> Histograms {
        let mut collected = Histograms::default();
        let Some(whole) = &self.0 else { return collected };
        let slots = lock(&whole.slots).clone();
        for slot in slots {
            let mut slot = lock(&slot);
            if let Some(mut full) = slot.full.take() {
                collected.add(&full);
                full.clear();
                slot.spare = Some(full);
            } else if slot.spare.is_none() {
                slot.spare = Some(Box::default());
            }
            if let Some(rest) = slot.rest.take() {
                collected.add(&rest);
            }
        }
        lock(&whole.collected).add(&collected);
        collected
    }

    /// All that was collected so far, what is collectable now included.
    #[must_use]
    pub fn total(&self) -> Histograms {
        let _ = self.collect();
        self.0.as_ref().map_or_else(Histograms::default, |whole| lock(&whole.collected).clone())
    }
}

/// Where one operator on one worker, or the thread of a sink, keeps what it measures.
pub struct Recorder(Option<Box<Own>>);

struct Own {
    clock: MonotonicClock,
    histograms: Box<Histograms>,
    slot: Arc<Mutex<Slot>>,
    exchange_at: u64,
}

impl Recorder {
    /// The time; zero if nothing is measured.
    #[must_use]
    pub fn now(&self) -> Nanos {
        self.0.as_ref().map_or(Nanos(0), |own| own.clock.now())
    }

    /// A moment on the same clock.
    #[must_use]
    pub fn moment(&self, moment: std::time::Instant) -> Nanos {
        self.0.as_ref().map_or(Nanos(0), |own| own.clock.at(moment))
    }

    /// The rows of `span` are at `point` now. Costs one reading of the clock, and an addition for each of up to 32 rows.
    pub fn record(&mut self, point: Point, span: Span) {
        let now = self.now();
        self.record_at(point, span, now);
    }

    /// The rows of `span` were at `point` at `now`. Results of windows count at points of their own.
    pub fn record_at(&mut self, point: Point, span: Span, now: Nanos) {
        let Some(own) = &mut self.0 else { return };
        let point = match (span.origin, point) {
            (Origin::Row, point) => point,
            (Origin::Close, Point::Emitted) => Point::CloseEmitted,
            (Origin::Close, Point::Written) => Point::CloseWritten,
            (Origin::Close, _) => return,
        };
        let steps = if span.first == span.last { span.rows.min(1) } else { span.rows.min(STEPS_MAX) };
        let cut = |step: u64| (u128::from(span.rows) * u128::from(step) / u128::from(steps)) as u64;
        for step in 0..steps {
            let (from, to) = (cut(step), cut(step + 1));
            let nanos = now.0.saturating_sub(span.due(from, span.rows).0);
            own.histograms.record(point, nanos, to - from);
        }
        if now.0 >= own.exchange_at {
            own.exchange(now);
        }
    }
}

impl Own {
    /// Hands over what was recorded, if who collects has taken what was handed over before.
    fn exchange(&mut self, now: Nanos) {
        self.exchange_at = now.0 + EXCHANGE_EVERY;
        let Some(mut slot) = try_lock(&self.slot) else { return };
        if slot.full.is_none()
            && let Some(spare) = slot.spare.take()
        {
            slot.full = Some(std::mem::replace(&mut self.histograms, spare));
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        lock(&self.slot).rest = Some(std::mem::take(&mut self.histograms));
    }
}

#[cfg(all(test, not(thalweg_loom)))]
mod tests {
    use super::*;

    fn count(histograms: &Histograms, point: Point) -> u64 {
        histograms.at(point).map_or(0, Histogram::len)
    }

    #[test]
    fn every_row_counts_once_however_often_is_collected() {
        let latencies = Latencies::on();
        let mut recorders = [latencies.recorder(), latencies.recorder()];
        let mut collected = 0;
        for second in 1..=5 {
            for recorder in &mut recorders {
                let span = Span { first: Nanos(0), last: Nanos(1_000), rows: 1_000, origin: Origin::Row };
                recorder.record_at(Point::Merged, span, Nanos(second * EXCHANGE_EVERY + 1));
            }
            collected += count(&latencies.collect(), Point::Merged);
        }
        assert!(collected >= 2_000, "histograms are exchanged while it runs: {collected}");
        drop(recorders);
        collected += count(&latencies.collect(), Point::Merged);
        assert_eq!(collected, 10_000);
        assert_eq!(count(&latencies.total(), Point::Merged), 10_000);
    }

    #[test]
    fn a_stall_counts_for_every_row_that_was_due_in_it() {
        let latencies = Latencies::on();
        let mut recorder = latencies.recorder();
        // A row each microsecond for 10 ms, all merged at the end.
        let span = Span { first: Nanos(0), last: Nanos(9_999_000), rows: 10_000, origin: Origin::Row };
        recorder.record_at(Point::Merged, span, Nanos(10_000_000));
        drop(recorder);
        let total = latencies.total();
        let merged = total.at(Point::Merged).expect("it was recorded");
        let half = merged.value_at_percentile(50.0) as f64;
        assert!((4.9e6..5.4e6).contains(&half), "half of the rows waited for 5 ms or less, not {half}");
        assert!(merged.max() >= 10_000_000);
    }

    #[test]
    fn results_of_windows_count_for_themselves() {
        let latencies = Latencies::on();
        let mut recorder = latencies.recorder();
        for (origin, point) in
            [(Origin::Row, Point::Written), (Origin::Close, Point::Written), (Origin::Close, Point::Merged)]
        {
            recorder.record_at(point, Span::at(Nanos(5), 7, origin), Nanos(9));
        }
        drop(recorder);
        let total = latencies.total();
        assert_eq!(count(&total, Point::Written), 7);
        assert_eq!(count(&total, Point::CloseWritten), 7);
        assert_eq!(count(&total, Point::Merged), 0);
    }

    #[test]
    fn nothing_is_kept_if_it_is_off() {
        let mut recorder = Latencies::OFF.recorder();
        recorder.record(Point::Merged, Span::at(Nanos(0), 1, Origin::Row));
        drop(recorder);
        assert!(Latencies::OFF.total().is_empty());
    }
}
