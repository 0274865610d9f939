//! The progress line: one line at the bottom of the terminal, gone when the work is done.
//!
//! It is drawn on standard error, and only if that is a terminal. Results may share the terminal: who writes them does
//! so within [`aside`], which takes the line away meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

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

/// Rows, rows/s, bytes, watermark, rows out and time left, after `elapsed`.
#[must_use]
pub fn describe(now: &ProgressSnapshot, elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64().max(1e-3);
    let mut parts = vec![format!("{} rows in", grouped(now.rows)), format!("{}/s", rounded(now.rows as f64 / seconds))];
    match now.bytes_total {
        Some(total) if total > 0 => {
            let share = (now.bytes as f64 / total as f64).min(1.0);
            parts.push(format!("{} of {} ({:.0} %)", bytes(now.bytes), bytes(total), share * 100.0));
        }
        _ => parts.push(bytes(now.bytes)),
    }
    if let Some(time) = now.watermark_ms.and_then(DateTime::from_timestamp_millis) {
        parts.push(format!("watermark {}", time.format("%Y-%m-%d %H:%M:%S")));
    }
    parts.push(format!("{} rows out", grouped(now.emitted)));
    if let Some(left) = time_left(now, elapsed) {
        parts.push(format!("{} left", duration(left)));
    }
    parts.join(" · ")
}

/// Until all bytes are read, at the speed so far; `None` where that says nothing.
fn time_left(now: &ProgressSnapshot, elapsed: Duration) -> Option<Duration> {
    let total = now.bytes_total?;
    if now.bytes == 0 || elapsed < Duration::from_secs(1) {
        return None;
    }
    let left = total.saturating_sub(now.bytes) as f64 / now.bytes as f64;
    Duration::try_from_secs_f64(elapsed.as_secs_f64() * left).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_says_how_far_and_how_long() {
        let now = ProgressSnapshot {
            rows: 5_000_000,
            bytes: 256 << 20,
            bytes_total: Some(1 << 30),
            watermark_ms: Some(1_700_000_000_000),
            emitted: 1_200,
            ..ProgressSnapshot::default()
        };
        assert_eq!(
            describe(&now, Duration::from_secs(2)),
            "5,000,000 rows in · 2.50 M/s · 256 MiB of 1.00 GiB (25 %) · watermark 2023-11-14 22:13:20 · \
             1,200 rows out · 6.0 s left"
        );
    }

    #[test]
    fn unbounded_input_has_no_time_left() {
        let now = ProgressSnapshot { rows: 10, bytes: 100, ..ProgressSnapshot::default() };
        assert_eq!(describe(&now, Duration::from_secs(10)), "10 rows in · 1/s · 100 B · 0 rows out");
        assert_eq!(time_left(&ProgressSnapshot { bytes_total: Some(5), ..now }, Duration::ZERO), None);
        let _ = describe(&ProgressSnapshot { watermark_ms: Some(i64::MAX), ..now }, Duration::ZERO);
    }
}
