//! Panes against windows that are found by trying.

use proptest::prelude::*;

use super::*;

fn windows(kind: WindowKind, size_ms: i64, step_ms: i64, offset_ms: i64) -> Windows {
    Windows { time_column: 0, shape: WindowShape { kind, size_ms, step_ms, offset_ms }, is_given: false }
}

fn pane(windows: &Windows, time: i64, stamp: i64) -> Option<(i64, i64)> {
    let pane = PaneCursor::new(windows).pane(EventTimeMs(time), EventTimeMs(stamp)).expect("within range");
    pane.map(|pane| (pane.start.0, pane.last.0))
}

/// The windows of a pane, first to last.
fn all(windows: &Windows, pane: TimeWindow) -> Vec<(i64, i64)> {
    std::iter::successors(Some(pane), |pane| next_pane(windows, *pane))
        .map(|pane| first_window(windows, pane))
        .map(|window| (window.start.0, window.last.0))
        .collect()
}

/// The windows that hold a time and are not over at a stamp, by trying all.
fn tried(shape: &WindowShape, time: i64, stamp: i64) -> Vec<(i64, i64)> {
    let WindowShape { kind, size_ms, step_ms, offset_ms } = *shape;
    let every = if kind == WindowKind::Hop { step_ms } else { size_ms };
    let starts = (time - size_ms + 1..=time).filter(|start| (start - offset_ms) % every == 0);
    let ends = |start: i64| match kind {
        WindowKind::Cumulate => (1..=size_ms / step_ms).map(|steps| start + steps * step_ms - 1).collect(),
        WindowKind::Tumble | WindowKind::Hop => vec![start + size_ms - 1],
        WindowKind::Session => unreachable!("sessions are given"),
    };
    let windows = starts.flat_map(|start| ends(start).into_iter().map(move |last| (start, last)));
    let mut open: Vec<_> = windows.filter(|(_, last)| *last >= time && (*last > stamp || stamp == i64::MIN)).collect();
    open.sort_by_key(|(_, last)| *last);
    open
}

#[test]
fn a_row_that_is_late_for_some_windows_counts_in_the_others() {
    let hop = windows(WindowKind::Hop, 10, 5, 0);
    assert_eq!(pane(&hop, 7, i64::MIN), Some((5, 9)));
    assert_eq!(pane(&hop, 7, 8), Some((5, 9)));
    assert_eq!(pane(&hop, 7, 9), Some((5, 14)));
    assert_eq!(pane(&hop, 7, 14), None);
    let cumulate = windows(WindowKind::Cumulate, 15, 5, 0);
    assert_eq!(pane(&cumulate, 7, 4), Some((0, 9)));
    assert_eq!(pane(&cumulate, 7, 9), Some((0, 14)));
    assert_eq!(pane(&cumulate, 7, 14), None);
}

#[test]
fn windows_that_stick_out_of_time_are_refused_and_those_of_tumble_cut() {
    for time in [i64::MIN, i64::MIN + 5, i64::MAX - 5, i64::MAX] {
        let time = EventTimeMs(time);
        for kind in [WindowKind::Hop, WindowKind::Cumulate] {
            let windows = windows(kind, 100, 10, 0);
            assert_eq!(PaneCursor::new(&windows).pane(time, EventTimeMs::MIN), Err(OutOfRange(time)));
        }
        let tumbling = Windows::tumbling(0, 100, 0);
        let pane = PaneCursor::new(&tumbling).pane(time, EventTimeMs::MIN);
        assert_eq!(pane, Ok(Some(TimeWindow::around(100, 0, time))));
    }
}

#[test]
fn a_given_time_is_the_end_of_its_only_window() {
    let hop = Windows { is_given: true, ..windows(WindowKind::Hop, 10, 5, 0) };
    assert_eq!(pane(&hop, 14, 9), Some((5, 14)));
    assert_eq!(pane(&hop, 14, 14), None);
    let cumulate = Windows { is_given: true, ..windows(WindowKind::Cumulate, 15, 5, 0) };
    assert_eq!(pane(&cumulate, 24, 14), Some((15, 24)));
    for windows in [hop, cumulate] {
        let pane = TimeWindow { start: EventTimeMs(0), last: EventTimeMs(9) };
        assert_eq!(next_pane(&windows, pane), None);
        assert_eq!(first_window(&windows, pane), pane);
    }
}

#[test]
fn without_windows_only_the_end_closes() {
    assert_eq!(next_close_after(None, EventTimeMs(7)), EventTimeMs::END);
}

#[test]
fn a_session_is_given_by_its_last_instant_alone() {
    let session = Windows { is_given: true, ..windows(WindowKind::Session, 10, 1, 0) };
    let pane = PaneCursor::new(&session).pane(EventTimeMs(23), EventTimeMs(22)).unwrap().unwrap();
    assert_eq!((pane.end().0, windows_of(&session, pane), next_pane(&session, pane)), (24, 1, None));
    assert_eq!(PaneCursor::new(&session).pane(EventTimeMs(23), EventTimeMs(23)).unwrap(), None);
    assert_eq!(next_close_after(Some(&session), EventTimeMs(22)), EventTimeMs(23));
}

fn any_windows() -> impl Strategy<Value = Windows> {
    let kind = proptest::sample::select(vec![WindowKind::Tumble, WindowKind::Hop, WindowKind::Cumulate]);
    (kind, 1..40i64, 1..9i64, -90..90i64).prop_map(|(kind, size, part, offset)| match kind {
        WindowKind::Tumble => Windows::tumbling(0, size, offset),
        WindowKind::Hop => windows(kind, size, 1 + (size - 1) * part / 8, offset),
        WindowKind::Cumulate => windows(kind, size * part, size, offset),
        WindowKind::Session => unreachable!("sessions are given"),
    })
}

fn any_stamp() -> impl Strategy<Value = i64> {
    prop_oneof![8 => -300..300i64, 1 => Just(i64::MIN), 1 => Just(i64::MAX)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pane_is_the_open_windows_of_its_rows(
        windows in any_windows(),
        rows in proptest::collection::vec((-200..200i64, any_stamp()), 1..20),
    ) {
        let mut cursor = PaneCursor::new(&windows);
        for (time, stamp) in rows {
            let expected = tried(&windows.shape, time, stamp);
            let found = cursor.pane(EventTimeMs(time), EventTimeMs(stamp)).expect("within range");
            let numbered = |pane| (0..windows_of(&windows, pane) as u32).map(move |n| nth_window(&windows, pane, n));
            let numbered: Vec<_> = found.into_iter().flat_map(numbered).map(|w| (w.start.0, w.last.0)).collect();
            prop_assert_eq!(&numbered, &expected);
            prop_assert_eq!(found.map_or_else(Vec::new, |pane| all(&windows, pane)), expected);
            prop_assert!(found.is_none_or(|pane| !pane.is_closed_by(EventTimeMs(stamp))));
        }
    }

    #[test]
    fn a_watermark_takes_windows_from_a_pane_one_by_one_or_at_once(
        windows in any_windows(), time in -200..200i64, watermark in any_stamp(),
    ) {
        let pane = PaneCursor::new(&windows).pane(EventTimeMs(time), EventTimeMs::MIN).expect("within range");
        let mut one_by_one = std::iter::successors(pane, |pane| next_pane(&windows, *pane));
        let expected = one_by_one.find(|pane| !pane.is_closed_by(EventTimeMs(watermark)));
        prop_assert_eq!(pane.and_then(|pane| pane_after(&windows, pane, EventTimeMs(watermark))), expected);
    }

    #[test]
    fn the_next_close_is_that_of_the_next_window(windows in any_windows(), watermark in -200..200i64) {
        let next = (watermark + 1..).find(|&last| tried(&windows.shape, last, last - 1).iter().any(|w| w.1 == last));
        prop_assert_eq!(Some(next_close_after(Some(&windows), EventTimeMs(watermark)).0), next);
    }
}
