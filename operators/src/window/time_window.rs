//! A stretch of event time, and the tiles of fixed size, aligned to an offset from the epoch, that cover all of it.
//! Invariant: every event time is in exactly one tile, also at the ends of what an `i64` of milliseconds can say.

use thalweg_runtime::EventTimeMs;

/// A window by its first and its last millisecond. Ordered by its end.
///
/// The windows around the earliest and the latest time are cut to what an `i64` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimeWindow {
    /// The first event time within.
    pub start: EventTimeMs,
    /// The last event time within: end − 1 ms. A frontier that reaches it closes the window.
    pub last: EventTimeMs,
}

impl TimeWindow {
    /// The window of a job without windows. It is over at the end of input only.
    pub const ALL: Self = Self { start: EventTimeMs::MIN, last: EventTimeMs::END };

    /// The tile that holds `time`, among those of `size_ms` (above 0) of which one starts at `offset_ms`.
    #[must_use]
    pub fn around(size_ms: i64, offset_ms: i64, time: EventTimeMs) -> Self {
        let (size, offset) = (i128::from(size_ms), i128::from(offset_ms));
        let past = (i128::from(time.0) - offset).rem_euclid(size);
        let start = i128::from(time.0) - past;
        let clamp = |time: i128| EventTimeMs(time.clamp(i64::MIN.into(), i64::MAX.into()) as i64);
        Self { start: clamp(start), last: clamp(start + size - 1) }
    }

    /// Does the window hold `time`?
    #[inline]
    #[must_use]
    pub fn contains(&self, time: EventTimeMs) -> bool {
        self.start <= time && time <= self.last
    }

    /// Is the window over once the watermark is `watermark`? [`EventTimeMs::MIN`] promises nothing.
    #[inline]
    #[must_use]
    pub fn is_closed_by(&self, watermark: EventTimeMs) -> bool {
        self.last <= watermark && watermark != EventTimeMs::MIN
    }

    /// The end, exclusive: the value of `window_end`.
    #[must_use]
    pub fn end(&self) -> EventTimeMs {
        EventTimeMs(self.last.0.saturating_add(1))
    }
}

impl Ord for TimeWindow {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.last, self.start).cmp(&(other.last, other.start))
    }
}

impl PartialOrd for TimeWindow {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn around(size_ms: i64, offset_ms: i64, time: i64) -> (i64, i64) {
        let window = TimeWindow::around(size_ms, offset_ms, EventTimeMs(time));
        (window.start.0, window.last.0)
    }

    #[test]
    fn windows_start_at_the_offset_modulo_the_size() {
        let cases = [
            (10, 0, 0, (0, 9)),
            (10, 0, 9, (0, 9)),
            (10, 0, -1, (-10, -1)),
            (10, 3, 2, (-7, 2)),
            (10, -3, 7, (7, 16)),
            (10, 23, 3, (3, 12)),
            (1, 0, -5, (-5, -5)),
        ];
        for (size, offset, time, window) in cases {
            assert_eq!(around(size, offset, time), window, "size {size}, offset {offset}, time {time}");
        }
    }

    #[test]
    fn the_end_of_input_closes_all_windows_and_the_start_none() {
        for time in [i64::MIN, -1, 0, i64::MAX] {
            let window = TimeWindow::around(i64::MAX, i64::MIN, EventTimeMs(time));
            assert!(window.contains(EventTimeMs(time)) && window.is_closed_by(EventTimeMs::END));
        }
        assert!(!TimeWindow::ALL.is_closed_by(EventTimeMs(i64::MAX - 1)));
    }

    fn any_time() -> impl Strategy<Value = i64> {
        prop_oneof![
            any::<i64>(),
            -50..50i64,
            (0..50i64).prop_map(|d| i64::MIN + d),
            (0..50i64).prop_map(|d| i64::MAX - d)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn windows_tile_all_of_time(size_ms in prop_oneof![1..20i64, any_time().prop_filter("above 0", |&s| s > 0)],
                                    offset_ms in any_time(), time in any_time()) {
            let window = TimeWindow::around(size_ms, offset_ms, EventTimeMs(time));
            prop_assert!(window.contains(EventTimeMs(time)));
            prop_assert_eq!(TimeWindow::around(size_ms, offset_ms, window.start), window);
            prop_assert_eq!(TimeWindow::around(size_ms, offset_ms, window.last), window);
            if let Some(next) = window.last.0.checked_add(1) {
                let next = TimeWindow::around(size_ms, offset_ms, EventTimeMs(next));
                prop_assert_eq!(next.start.0, window.last.0 + 1);
                prop_assert!(next > window);
            }
            prop_assert_eq!(window.is_closed_by(EventTimeMs(time)), window.last.0 == time && time != i64::MIN);
        }
    }
}
