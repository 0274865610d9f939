//! Which rows of a batch are late: what a fold leaves out, known before it.

use thalweg_runtime::EventTimeMs;

use super::PaneCursor;
use crate::batch::Stamps;
use crate::extent::extent;
use crate::kernels::Kernels;
use crate::spec::Windows;

/// The rows whose windows were all over at their stamps, ascending. `times`: event times, as many as `stamps`.
///
/// A time whose windows are out of range is not late: the fold refuses it.
/// Cost: one pass over the times where none is late, as a rule.
#[must_use]
pub fn late_rows(windows: &Windows, times: &[i64], stamps: &Stamps, kernels: Kernels) -> Vec<u32> {
    let mut cursor = PaneCursor::new(windows);
    let greatest = match stamps {
        Stamps::Uniform(stamp) => *stamp,
        Stamps::Each(each) => each.iter().copied().max().unwrap_or(EventTimeMs::MIN),
    };
    // Later times have later windows: if the first one is in time at the greatest stamp, all are.
    let (first, _) = extent(times, kernels);
    if times.is_empty() || cursor.pane(EventTimeMs(first), greatest).is_ok_and(|pane| pane.is_some()) {
        return Vec::new();
    }
    let mut is_late =
        |row: usize| cursor.pane(EventTimeMs(times[row]), stamps.get(row)).is_ok_and(|pane| pane.is_none());
    (0..times.len()).filter(|&row| is_late(row)).map(|row| row as u32).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::spec::{WindowKind, WindowShape};

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_row_is_late_if_the_last_window_that_holds_it_is_over(
            rows in proptest::collection::vec((-60..60_i64, -60..90_i64), 0..20),
            kind in prop_oneof![Just(WindowKind::Tumble), Just(WindowKind::Hop), Just(WindowKind::Cumulate)],
            (step_ms, steps, offset_ms) in (1..8_i64, 1..5_i64, -9..9_i64),
            is_uniform in any::<bool>(),
        ) {
            let size_ms = step_ms * steps;
            let step_ms = if kind == WindowKind::Tumble { size_ms } else { step_ms };
            let shape = WindowShape { kind, size_ms, step_ms, offset_ms };
            let windows = Windows { time_column: 0, shape, is_given: false };
            let times: Vec<i64> = rows.iter().map(|(time, _)| *time).collect();
            let stamp_of = |row: usize| rows[if is_uniform { 0 } else { row }].1;
            let stamps = match is_uniform && !rows.is_empty() {
                true => Stamps::Uniform(EventTimeMs(stamp_of(0))),
                false => Stamps::Each(rows.iter().map(|(_, stamp)| EventTimeMs(*stamp)).collect()),
            };
            // The end of the last window that begins at or before the time.
            let last_end = |time: i64| {
                let aligned = if kind == WindowKind::Hop { step_ms } else { size_ms };
                (time - offset_ms).div_euclid(aligned) * aligned + offset_ms + size_ms
            };
            let expected: Vec<u32> = (0..times.len())
                .filter(|&row| last_end(times[row]) - 1 <= stamp_of(row))
                .map(|row| row as u32)
                .collect();
            prop_assert_eq!(late_rows(&windows, &times, &stamps, Kernels::default()), expected);
        }
    }

    #[test]
    fn windows_out_of_range_make_no_row_late() {
        let shape = WindowShape { kind: WindowKind::Hop, size_ms: 10, step_ms: 5, offset_ms: 0 };
        let windows = Windows { time_column: 0, shape, is_given: false };
        let stamps = Stamps::Uniform(EventTimeMs(100));
        assert_eq!(late_rows(&windows, &[i64::MIN, 0, i64::MAX, 95], &stamps, Kernels::default()), [1]);
    }
}
