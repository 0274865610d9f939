//! Panes: rows that belong to the same windows are gathered once, however many windows these are.
//!
//! A row belongs to all windows that hold its time and are not over at its stamp. All windows of a shape that hold some
//! stretch of time are consecutive, so a set of them is told by what they have in common: from the start of the last one to
//! the end of the first. That stretch is the *pane* of the row. Of tumbling windows it is the window itself; of hopping
//! ones, a slice between two bounds; and for a row that comes too late for some of its windows, a stretch that begins as
//! before and ends with the first window that it still counts in.
//!
//! When a pane's first window is over, the pane belongs to one window less, and is the pane of the others from there on:
//! [`next_pane`]. So all panes that end with a window are, at its close, what is in it.

use thalweg_runtime::EventTimeMs;

use super::TimeWindow;
use crate::spec::{WindowKind, WindowShape, Windows};

/// Finds the pane of one row after the other; rows of one slice that follow each other cost two comparisons.
#[derive(Debug)]
pub struct PaneCursor<'a> {
    windows: &'a Windows,
    found: Found,
}

/// A pane and the rows that it holds for.
#[derive(Clone, Copy, Debug)]
struct Found {
    /// `None`: late.
    pane: Option<TimeWindow>,
    /// First and last event time.
    times: (i64, i64),
    /// Least and greatest stamp.
    stamps: (i64, i64),
}

/// A time so close to the ends of what an `i64` of milliseconds can say that windows around it would stick out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfRange(pub EventTimeMs);

impl<'a> PaneCursor<'a> {
    /// Nothing is known yet of any row.
    #[must_use]
    pub fn new(windows: &'a Windows) -> Self {
        // An empty range of times holds no row.
        Self { windows, found: Found { pane: None, times: (i64::MAX, i64::MIN), stamps: (0, 0) } }
    }

    /// The pane of a row of `time` that is stamped `stamp`; `None`: all of its windows are over, it is late.
    ///
    /// # Errors
    /// If the windows are none that can be told; that of TUMBLE always can.
    #[inline]
    pub fn pane(&mut self, time: EventTimeMs, stamp: EventTimeMs) -> Result<Option<TimeWindow>, OutOfRange> {
        if !self.holds(time, stamp) {
            self.found = find(self.windows, time.0, stamp.0).ok_or(OutOfRange(time))?;
        }
        Ok(self.found.pane)
    }

    /// Is the last pane that was found also that of a row of `time` that is stamped `stamp`?
    #[inline]
    #[must_use]
    pub fn holds(&self, time: EventTimeMs, stamp: EventTimeMs) -> bool {
        let Found { times, stamps, .. } = self.found;
        times.0 <= time.0 && time.0 <= times.1 && stamps.0 <= stamp.0 && stamp.0 <= stamps.1
    }
}

/// Windows in a row: the first one's last instant, how far it is to that of the next, and the last one's.
struct Lasts {
    first: i128,
    step: i128,
    last: i128,
}

/// The pane of a time and stamp. `None`: out of range.
fn find(windows: &Windows, time: i64, stamp: i64) -> Option<Found> {
    let WindowShape { kind, size_ms, step_ms, offset_ms } = windows.shape;
    let tile = |size_ms| TimeWindow::around(size_ms, offset_ms, EventTimeMs(time));
    if windows.is_given {
        let window = window_ending(&windows.shape, EventTimeMs(time))?;
        return Some(of_one(window, (time, time), stamp));
    }
    let (size, step, wide) = (i128::from(size_ms), i128::from(step_ms), i128::from(time));
    match kind {
        // Never asked for, since they are given.
        WindowKind::Session => None,
        WindowKind::Tumble => {
            let window = tile(size_ms);
            Some(of_one(window, (window.start.0, window.last.0), stamp))
        }
        WindowKind::Hop => {
            // The starts of the windows that hold the time are those in (time − size, time].
            let aligned = |from: i128| from + (i128::from(offset_ms) - from).rem_euclid(step);
            let (first_start, last_start) = (aligned(wide - size + 1), aligned(wide - step + 1));
            if first_start <= i64::MIN.into() {
                return None;
            }
            let lasts = Lasts { first: first_start + size - 1, step, last: last_start + size - 1 };
            // Times with the same windows: from the last start on and before the next, after the end before and up to the first.
            let times = (last_start.max(lasts.first - step + 1), lasts.first.min(last_start + step - 1));
            of_several(lasts, last_start, times, stamp)
        }
        WindowKind::Cumulate => {
            let start = wide - (wide - i128::from(offset_ms)).rem_euclid(size);
            let past = (wide - start).div_euclid(step) * step;
            let lasts = Lasts { first: start + past + step - 1, step, last: start + size - 1 };
            let times = (start + past, lasts.first);
            of_several(lasts, start, times, stamp)
        }
    }
}

/// A row with one window.
fn of_one(window: TimeWindow, times: (i64, i64), stamp: i64) -> Found {
    let last = window.last.0;
    if window.is_closed_by(EventTimeMs(stamp)) {
        return Found { pane: None, times, stamps: (last.max(i64::MIN + 1), i64::MAX) };
    }
    // The least stamp closes nothing, so not the window that ends there, either.
    Found { pane: Some(window), times, stamps: (i64::MIN, last.saturating_sub(1)) }
}

/// A row with several windows, the last of which starts at `start`. `None`: out of range.
fn of_several(lasts: Lasts, start: i128, times: (i128, i128), stamp: i64) -> Option<Found> {
    let Lasts { first, step, last } = lasts;
    // Neither end of what an `i64` can say is in a window, so that no stamp is mistaken for it.
    let is_told = |time: i128| (i128::from(i64::MIN) + 1..i128::from(i64::MAX)).contains(&time);
    if !(is_told(times.0) && is_told(start) && is_told(first) && is_told(last)) {
        return None;
    }
    let (stamp, times) = (i128::from(stamp), (times.0 as i64, times.1 as i64));
    if stamp >= last {
        return Some(Found { pane: None, times, stamps: (last as i64, i64::MAX) });
    }
    let over = if stamp < first { 0 } else { (stamp - first) / step + 1 };
    let open = first + over * step;
    let least = if over == 0 { i64::MIN } else { (open - step) as i64 };
    let pane = TimeWindow { start: EventTimeMs(start as i64), last: EventTimeMs(open as i64) };
    Some(Found { pane: Some(pane), times, stamps: (least, open as i64 - 1) })
}

/// The window whose last instant is `last`. `None`: it would begin out of range.
#[must_use]
pub fn window_ending(shape: &WindowShape, last: EventTimeMs) -> Option<TimeWindow> {
    let start = match shape.kind {
        WindowKind::Tumble | WindowKind::Cumulate => TimeWindow::around(shape.size_ms, shape.offset_ms, last).start,
        WindowKind::Hop => EventTimeMs(last.0.checked_sub(shape.size_ms - 1)?),
        // The start is a key.
        WindowKind::Session => last,
    };
    Some(TimeWindow { start, last })
}

/// The first window of a pane: the one that ends with it.
#[must_use]
pub fn first_window(windows: &Windows, pane: TimeWindow) -> TimeWindow {
    match windows.shape.kind {
        WindowKind::Tumble | WindowKind::Cumulate | WindowKind::Session => pane,
        WindowKind::Hop => {
            TimeWindow { start: EventTimeMs(pane.last.0.saturating_sub(windows.shape.size_ms - 1)), ..pane }
        }
    }
}

/// How many windows a pane belongs to.
#[must_use]
pub fn windows_of(windows: &Windows, pane: TimeWindow) -> usize {
    let WindowShape { kind, size_ms, step_ms, .. } = windows.shape;
    if windows.is_given || kind == WindowKind::Tumble {
        return 1;
    }
    let (start, last) = (i128::from(pane.start.0), i128::from(pane.last.0));
    let further = (start + i128::from(size_ms) - 1 - last).div_euclid(step_ms.into());
    usize::try_from(further.max(0) + 1).unwrap_or(usize::MAX)
}

/// The window number `n` of a pane, from 0. There are [`windows_of`] of them.
#[must_use]
pub fn nth_window(windows: &Windows, pane: TimeWindow, n: u32) -> TimeWindow {
    let last = pane.last.0.saturating_add(i64::from(n).saturating_mul(windows.shape.step_ms));
    first_window(windows, TimeWindow { last: EventTimeMs(last), ..pane })
}

/// The pane without its first window; `None` if that was the only one.
#[must_use]
pub fn next_pane(windows: &Windows, pane: TimeWindow) -> Option<TimeWindow> {
    let WindowShape { kind, size_ms, step_ms, .. } = windows.shape;
    if windows.is_given || kind == WindowKind::Tumble {
        return None;
    }
    let last = pane.last.0.checked_add(step_ms)?;
    // Of hopping windows the last one starts with the pane, of cumulating ones all do.
    let greatest = pane.start.0.checked_add(size_ms - 1)?;
    (last <= greatest).then_some(TimeWindow { last: EventTimeMs(last), ..pane })
}

/// The pane that is left of `pane` when all windows up to `watermark` are over; `None` if none is left.
#[must_use]
pub fn pane_after(windows: &Windows, pane: TimeWindow, watermark: EventTimeMs) -> Option<TimeWindow> {
    if !pane.is_closed_by(watermark) {
        return Some(pane);
    }
    let next = next_pane(windows, pane)?;
    if !next.is_closed_by(watermark) {
        return Some(next);
    }
    // As many steps at once as a long silence has passed over.
    let step = i128::from(windows.shape.step_ms);
    let over = (i128::from(watermark.0) - i128::from(next.last.0)) / step;
    let last = i64::try_from(i128::from(next.last.0) + over * step).ok()?;
    let greatest = pane.start.0.checked_add(windows.shape.size_ms - 1)?;
    (last <= greatest)
        .then_some(TimeWindow { last: EventTimeMs(last), ..pane })
        .and_then(|pane| next_pane(windows, pane))
}

/// The least watermark above `watermark` that closes a window: those between need not be passed on.
/// Without windows that is [`EventTimeMs::END`].
#[must_use]
pub fn next_close_after(windows: Option<&Windows>, watermark: EventTimeMs) -> EventTimeMs {
    match (windows, watermark.0.checked_add(1)) {
        (Some(Windows { shape, .. }), Some(next)) => {
            // Ends are as far apart as starts, and those of hopping windows begin with the first one's.
            let (step, next) = (i128::from(shape.step_ms), i128::from(next));
            let end = match shape.kind {
                WindowKind::Hop => i128::from(shape.offset_ms) + i128::from(shape.size_ms),
                WindowKind::Tumble | WindowKind::Cumulate | WindowKind::Session => i128::from(shape.offset_ms),
            };
            let last = next + (end - 1 - next).rem_euclid(step);
            EventTimeMs(last.min(i64::MAX.into()) as i64)
        }
        _ => EventTimeMs::END,
    }
}

#[cfg(test)]
mod tests;
