//! The progress line: one line at the bottom of the terminal, gone when the work is done.
//!
//! It is drawn on standard error, and only if that is a terminal. Results may share the terminal: who writes them does
//! so within [`aside`], which takes the line away meanwhile.

use std::collections::VecDeque;
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::DateTime;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::number::{bytes, duration, grouped, rounded};
use crate::job::ProgressSnapshot;

/// Redraws in a second at most.
const DRAWS_PER_SECOND: u8 = 10;

/// The line that is on the terminal now.
static DRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// The line, for as long as it lives.
pub struct ProgressLine {
    bar: ProgressBar,
}

impl ProgressLine {
    /// Whether there is somebody to see it: standard error is a terminal, and one that can take a line back.
    #[must_use]
    pub fn is_wanted() -> bool {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        std::io::stderr().is_terminal() && !is_dumb
    }

    /// Takes the bottom line of the terminal, if there is one.
    #[must_use]
    pub fn start() -> Self {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(None, target);
        if let Ok(style) = ProgressStyle::with_template("{wide_msg}") {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar.clone());
        }
        Self { bar }
    }

    /// Shows `text`.
    pub fn show(&self, text: String) {
        if !self.bar.is_hidden() {
            self.bar.set_message(text);
        }
    }
}

impl Drop for ProgressLine {
    fn drop(&mut self) {
        *DRAWN.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.bar.finish_and_clear();
    }
}

/// Runs `write`, which writes to the terminal, without the line in its way.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    let bar = DRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match bar {
        Some(bar) => bar.suspend(write),
        None => write(),
    }
}

/// The speed of now is that over this time.
const SPEED_OVER: Duration = Duration::from_secs(2);

/// How much of the last estimate of the time left is kept after a second; the rest is what the speed of now says.
const KEPT_PER_SECOND: f64 = 0.7;

/// How far a job is, and how fast.
pub struct ProgressMeter {
    start: Instant,
    /// When, records, bytes: those of the last [`SPEED_OVER`], oldest first.
    samples: VecDeque<(Instant, u64, u64)>,
    /// When it was last seen, and the bytes a second that the time left goes by.
    smoothed: Option<(Instant, f64)>,
}

impl ProgressMeter {
    /// For a job that began at `start`.
    #[must_use]
    pub fn new(start: Instant) -> Self {
        Self { start, samples: VecDeque::from([(start, 0, 0)]), smoothed: None }
    }

    /// The line: rows, rows/s, bytes, watermark, rows out, late, rejected and time left.
    pub fn describe(&mut self, progress: &ProgressSnapshot, now: Instant) -> String {
        self.samples.push_back((now, progress.rows, progress.bytes));
        // One that is older than needed stays, so that the time between the ends is never too short.
        while self.samples.get(1).is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= SPEED_OVER) {
            self.samples.pop_front();
        }
        let (then, rows, bytes_then) = *self.samples.front().expect("a sample was just added");
        let seconds = now.saturating_duration_since(then).as_secs_f64().max(1e-3);
        let rows_per_second = progress.rows.saturating_sub(rows) as f64 / seconds;
        let bytes_per_second = self.smooth(progress.bytes.saturating_sub(bytes_then) as f64 / seconds, now);
        let mut parts = vec![format!("{} rows in", grouped(progress.rows)), format!("{}/s", rounded(rows_per_second))];
        match progress.bytes_total {
            Some(total) if total > 0 => {
                let share = (progress.bytes as f64 / total as f64).min(1.0);
                // 100 % is when it is done.
                let percent = (share * 100.0).floor().min(if progress.bytes < total { 99.0 } else { 100.0 });
                parts.push(format!("{} of {} ({percent:.0} %)", bytes(progress.bytes), bytes(total)));
            }
            _ => parts.push(bytes(progress.bytes)),
        }
        if let Some(time) = progress.watermark_ms.and_then(DateTime::from_timestamp_millis) {
            parts.push(format!("watermark {}", time.format("%Y-%m-%d %H:%M:%S")));
        }
        parts.push(format!("{} rows out", grouped(progress.emitted)));
        for (count, what) in [(progress.late, "late"), (progress.rejected.total(), "rejected")] {
            if count > 0 {
                parts.push(format!("{} {what}", grouped(count)));
            }
        }
        if let Some(left) = self.time_left(progress, bytes_per_second, now) {
            parts.push(format!("{} left", duration(left)));
        }
        parts.join(" · ")
    }

    /// The speed with its jitter taken out.
    fn smooth(&mut self, bytes_per_second: f64, now: Instant) -> f64 {
        let smoothed = match self.smoothed {
            Some((at, last)) => {
                let kept = KEPT_PER_SECOND.powf(now.saturating_duration_since(at).as_secs_f64());
                last * kept + bytes_per_second * (1.0 - kept)
            }
            None => bytes_per_second,
        };
        self.smoothed = Some((now, smoothed));
        smoothed
    }

    /// Until all bytes are read; `None` where that cannot be said: of input without an end, and in the first second.
    fn time_left(&self, progress: &ProgressSnapshot, bytes_per_second: f64, now: Instant) -> Option<Duration> {
        let left = progress.bytes_total?.checked_sub(progress.bytes).filter(|left| *left > 0)?;
        if now.saturating_duration_since(self.start) < Duration::from_secs(1) {
            return None;
        }
        Duration::try_from_secs_f64(left as f64 / bytes_per_second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connect::bad_input::{RejectCounts, RejectReason};

    fn at(start: Instant, millis: u64) -> Instant {
        start + Duration::from_millis(millis)
    }

    #[test]
    fn line_says_how_far_and_how_long() {
        let mut rejected = RejectCounts::default();
        rejected.add(RejectReason::Malformed, 1_000);
        let now = ProgressSnapshot {
            rows: 5_000_000,
            bytes: 256 << 20,
            bytes_total: Some(1 << 30),
            watermark_ms: Some(1_700_000_000_000),
            emitted: 1_200,
            late: 3,
            rejected,
        };
        let start = Instant::now();
        assert_eq!(
            ProgressMeter::new(start).describe(&now, at(start, 2_000)),
            "5,000,000 rows in · 2.50 M/s · 256 MiB of 1.00 GiB (25 %) · watermark 2023-11-14 22:13:20 · \
             1,200 rows out · 3 late · 1,000 rejected · 6.0 s left"
        );
    }

    #[test]
    fn speed_is_that_of_now_and_not_of_the_whole() {
        let start = Instant::now();
        let mut meter = ProgressMeter::new(start);
        let rows = |rows| ProgressSnapshot { rows, ..ProgressSnapshot::default() };
        for tenth in 1..=100 {
            meter.describe(&rows(tenth * 1_000), at(start, tenth * 100));
        }
        for tenth in 1..=30 {
            let line = meter.describe(&rows(100_000 + tenth), at(start, 10_000 + tenth * 100));
            assert!(line.contains(if tenth < 30 { "/s" } else { " · 10/s · " }), "{line}");
        }
    }

    #[test]
    fn time_left_does_not_jump_with_the_speed() {
        let start = Instant::now();
        let mut meter = ProgressMeter::new(start);
        let bytes = |bytes| ProgressSnapshot { bytes, bytes_total: Some(100_000), ..ProgressSnapshot::default() };
        for tenth in 1..=50 {
            meter.describe(&bytes(tenth * 100), at(start, tenth * 100));
        }
        let steady = meter.describe(&bytes(5_100), at(start, 5_100));
        assert!(steady.ends_with("1 min 34 s left"), "{steady}");
        // One tenth of a second without a byte.
        let stalled = meter.describe(&bytes(5_100), at(start, 5_200));
        assert!(stalled.ends_with("1 min 34 s left") || stalled.ends_with("1 min 35 s left"), "{stalled}");
    }

    #[test]
    fn unbounded_input_has_no_time_left() {
        let now = ProgressSnapshot { rows: 10, bytes: 100, ..ProgressSnapshot::default() };
        let start = Instant::now();
        let later = at(start, 10_000);
        assert_eq!(ProgressMeter::new(start).describe(&now, later), "10 rows in · 1/s · 100 B · 0 rows out");
        let begun = ProgressSnapshot { bytes_total: Some(500), ..now };
        assert!(!ProgressMeter::new(start).describe(&begun, at(start, 500)).contains("left"));
        let stalled = ProgressSnapshot { bytes: 0, ..begun };
        assert!(!ProgressMeter::new(start).describe(&stalled, later).contains("left"), "nobody knows");
        let done = ProgressSnapshot { bytes: 500, ..begun };
        assert!(ProgressMeter::new(start).describe(&done, later).contains("(100 %) · 0 rows out"));
        let _ = ProgressMeter::new(start).describe(&ProgressSnapshot { watermark_ms: Some(i64::MAX), ..now }, start);
    }
}
