//! The interval log of a running job: what was recorded in each second, by point.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use thalweg_runtime::latency::{Histograms, Point};

use super::{Second, Seconds, headline};
use crate::error::{Error, Result};
use crate::job::{JobControl, Percentiles, ProgressSnapshot};

const EVERY: Duration = Duration::from_secs(1);

/// Follows a job until the other end of `ended` is gone, which is after its end: writes the interval log, if there is one,
/// and gives the seconds.
///
/// # Errors
/// `Connector`, if the log cannot be written.
pub fn watch(control: &JobControl, ended: &Receiver<()>, mut log: Option<&mut (dyn Write + Send)>) -> Result<Seconds> {
    let mut serializer = V2DeflateSerializer::new();
    let start = Instant::now();
    let mut builder = IntervalLogWriterBuilder::new();
    builder.add_comment("nanoseconds; one histogram for each second and point").with_start_time(SystemTime::now());
    builder.with_base_time(SystemTime::now()).with_max_value_divisor(1e6);
    let failed = |error: &dyn std::fmt::Display| Error::connector(format!("cannot write the interval log: {error}"));
    let writer = log.as_mut().map(|log| builder.begin_log_with(log, &mut serializer));
    let mut writer = writer.transpose().map_err(|error| failed(&error))?;
    let mut seconds = Seconds::default();
    let mut seen = Histograms::default();
    let (mut from, mut before) = (Duration::ZERO, ProgressSnapshot::default());
    loop {
        let is_over = ended.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
        let to = start.elapsed();
        let interval = match is_over {
            false => control.latencies().collect(),
            // The job has collected what was left, for its account.
            true => control.latencies().total().without(&seen),
        };
        seen.add(&interval);
        // To pack them takes milliseconds of a core, which a worker may spin on.
        if let Some(writer) = &mut writer {
            for point in Point::ALL {
                let (Some(histogram), Some(tag)) = (interval.at(point), Tag::new(point.name())) else { continue };
                writer.write_histogram(histogram, from, to - from, Some(tag)).map_err(|error| failed(&error))?;
            }
        }
        let progress = control.progress();
        let latency = headline(&interval).and_then(|point| interval.at(point)).map(Percentiles::of);
        let second = Second {
            at: to,
            rows: progress.rows - before.rows,
            emitted: progress.emitted - before.emitted,
            watermark_lag_ms: progress.watermark_ms.filter(|time| *time < i64::MAX).map(lag_ms),
            latency: latency.unwrap_or_default(),
        };
        seconds.push(second);
        (from, before) = (to, progress);
        if is_over {
            return Ok(seconds);
        }
    }
}

/// How far a watermark is behind the clock.
fn lag_ms(watermark_ms: i64) -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(watermark_ms)
}
