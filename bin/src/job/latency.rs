//! Latency of a job: what is measured, the rows' times on their way through a stage, and what the account says of them.

use std::fmt;
use std::str::FromStr;
use std::time::Instant;

use thalweg_runtime::Nanos;
use thalweg_runtime::latency::{Histogram, Histograms, Latencies, Origin, Point, Recorder, Span, Spans};

use crate::connect::Arrival;
use crate::report::number::grouped;

/// What is measured while a job runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Metrics {
    /// Nothing: no clock is read on the way of a row.
    Off,
    /// How long rows take.
    #[default]
    Latency,
    /// That, and where the time of each aggregation goes.
    All,
}

impl Metrics {
    /// What can be written.
    pub const NAMES: [&str; 3] = ["off", "latency", "on"];
}

impl FromStr for Metrics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => Ok(Self::Off),
            "latency" => Ok(Self::Latency),
            "on" => Ok(Self::All),
            _ => Err(format!("one of {}", Self::NAMES.join(", "))),
        }
    }
}

/// The times of the rows that one operator has in hand, and its recorder.
pub(super) struct Track {
    recorder: Recorder,
    /// Of the rows that are pushed now; `None` if nothing is measured, or the rows were never due.
    span: Option<Span>,
    /// Of the block that they are of, where a source hands over blocks.
    block: Option<Span>,
    /// Of rows that were pushed and wait to be sent.
    gathered: Spans,
}

impl Track {
    pub(super) fn new(latencies: &Latencies) -> Self {
        Self { recorder: latencies.recorder(), span: None, block: None, gathered: Spans::default() }
    }

    /// The time to measure by.
    pub(super) fn now(&self) -> Nanos {
        self.recorder.now()
    }

    /// What is pushed from now on are rows of `span`.
    pub(super) fn begin(&mut self, span: Option<Span>) {
        self.span = span;
    }

    /// What is pushed from now on are rows of a block of `span`.
    pub(super) fn begin_block(&mut self, span: Option<Span>) {
        (self.block, self.span) = (span, span);
    }

    /// The block in hand.
    pub(super) fn block(&self) -> Option<Span> {
        self.block
    }

    /// The span of a block that a source hands over: due when its schedule says so, else when it arrived, else when it was
    /// `asked` for.
    pub(super) fn arrived(&mut self, asked: Nanos, arrival: Option<Arrival>, rows: u64) -> Option<Span> {
        match arrival {
            None => Some(Span::at(asked, rows, Origin::Row)),
            Some(Arrival { first_due, last_due, taken }) => {
                let at = |moment: Instant| self.recorder.moment(moment);
                let span = Span { first: at(first_due), last: at(last_due), rows, origin: Origin::Row };
                if let Some(taken) = taken {
                    // That rows wait for those with which they are gathered is no lag of the schedule.
                    self.recorder.record_at(Point::Arrived, Span { first: at(taken.from), ..span }, at(taken.at));
                }
                Some(span)
            }
        }
    }

    /// The rows of `span` are at `point`.
    pub(super) fn record(&mut self, point: Point, span: Option<Span>) {
        if let Some(span) = span {
            self.recorder.record(point, span);
        }
    }

    /// All of `spans` are at `point`.
    pub(super) fn record_all(&mut self, point: Point, spans: &Spans) {
        if spans.is_empty() {
            return;
        }
        let now = self.recorder.now();
        spans.iter().for_each(|span| self.recorder.record_at(point, span, now));
    }

    /// `rows` of those in hand are at `point`.
    pub(super) fn reach(&mut self, point: Point, rows: u64) {
        self.record(point, self.span.map(|span| span.with_rows(rows)));
    }

    /// `rows` of those in hand have left for a sink that throws them away, and so are there already.
    pub(super) fn discard(&mut self, rows: u64) {
        if let Some(span) = self.span {
            let now = self.recorder.now();
            self.recorder.record_at(Point::Emitted, span.with_rows(rows), now);
            self.recorder.record_at(Point::Written, span.with_rows(rows), now);
        }
    }

    /// `rows` of those in hand wait to be sent.
    pub(super) fn gather(&mut self, rows: u64) {
        if let Some(span) = self.span {
            self.gathered.push(span.with_rows(rows));
        }
    }

    /// `rows` of those in hand.
    pub(super) fn spans(&self, rows: u64) -> Spans {
        let mut spans = Spans::default();
        self.span.into_iter().for_each(|span| spans.push(span.with_rows(rows)));
        spans
    }

    /// What waits to be sent, which is then on its way.
    pub(super) fn take_gathered(&mut self) -> Spans {
        std::mem::take(&mut self.gathered)
    }
}

/// A distribution in a few figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Percentiles {
    /// Rows.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: Nanos,
    /// Nine in ten.
    pub p90: Nanos,
    /// 99 in a hundred.
    pub p99: Nanos,
    /// 999 in a thousand.
    pub p99_9: Nanos,
    /// 9,999 in ten thousand.
    pub p99_99: Nanos,
    /// All.
    pub max: Nanos,
}

impl Percentiles {
    /// Those of a histogram of nanoseconds.
    #[must_use]
    pub fn of(histogram: &Histogram<u64>) -> Self {
        let at = |percent: f64| Nanos(histogram.value_at_percentile(percent).min(histogram.max()));
        Self {
            count: histogram.len(),
            p50: at(50.0),
            p90: at(90.0),
            p99: at(99.0),
            p99_9: at(99.9),
            p99_99: at(99.99),
            max: Nanos(histogram.max()),
        }
    }

    /// Name and value of each figure, the count aside.
    #[must_use]
    pub fn figures(&self) -> [(&'static str, Nanos); 6] {
        let Self { p50, p90, p99, p99_9, p99_99, max, count: _ } = *self;
        [("p50", p50), ("p90", p90), ("p99", p99), ("p99.9", p99_9), ("p99.99", p99_99), ("max", max)]
    }
}

/// `p50 1.20 ms, p90 …, max 3.00 ms (1,000 rows)`.
impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, nanos) in self.figures() {
            write!(f, "{name} {}, ", time(nanos))?;
        }
        write!(f, "{} row{}", grouped(self.count), if self.count == 1 { "" } else { "s" })
    }
}

/// A time to three digits, in the unit that suits it.
#[must_use]
pub fn time(nanos: Nanos) -> String {
    let (value, unit) = match nanos.0 {
        0..1_000 => return format!("{} ns", nanos.0),
        1_000..1_000_000 => (nanos.0 as f64 / 1e3, "µs"),
        1_000_000..1_000_000_000 => (nanos.0 as f64 / 1e6, "ms"),
        _ => (nanos.0 as f64 / 1e9, "s"),
    };
    let decimals = match value {
        100.0.. => 0,
        10.0.. => 1,
        _ => 2,
    };
    format!("{value:.decimals$} {unit}")
}

/// The latencies of a job that has ended.
#[derive(Clone, Debug, Default)]
pub struct LatencyAccount {
    /// By point.
    pub histograms: Histograms,
}

impl LatencyAccount {
    /// The points at which something was recorded, in the order of a row's way.
    pub fn points(&self) -> impl Iterator<Item = (Point, Percentiles)> + '_ {
        let of = |point| Some((point, Percentiles::of(self.histograms.at(point)?)));
        Point::ALL.into_iter().filter_map(of)
    }

    /// The last point that rows reached as such, without waiting for a window: what their latency is said to be.
    #[must_use]
    pub fn last_of_rows(&self) -> Option<(Point, Percentiles)> {
        self.points().filter(|(point, _)| !matches!(point, Point::CloseEmitted | Point::CloseWritten)).last()
    }

    /// From the close of a window to its rows in the sink.
    #[must_use]
    pub fn of_closes(&self) -> Option<Percentiles> {
        self.histograms.at(Point::CloseWritten).map(Percentiles::of)
    }
}

/// One line for rows, and one for the results of windows, as far as there are any.
impl fmt::Display for LatencyAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.last_of_rows().map(|(point, figures)| format!("latency to {}: {figures}", point.name()));
        let closes = self.of_closes().map(|figures| format!("latency from close to written: {figures}"));
        let lines: Vec<String> = rows.into_iter().chain(closes).collect();
        f.write_str(&lines.join("\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits() {
        for (nanos, expected) in [
            (999, "999 ns"),
            (1_234, "1.23 µs"),
            (65_400, "65.4 µs"),
            (12_000_000, "12.0 ms"),
            (3_600_000_000_000, "3600 s"),
        ] {
            assert_eq!(time(Nanos(nanos)), expected);
        }
    }

    #[test]
    fn the_account_tells_rows_and_closes_apart() {
        let latencies = Latencies::on();
        let mut recorder = latencies.recorder();
        recorder.record_at(Point::Merged, Span::at(Nanos(0), 100, Origin::Row), Nanos(2_000));
        recorder.record_at(Point::Written, Span::at(Nanos(0), 1, Origin::Close), Nanos(5_000_000));
        drop(recorder);
        let account = LatencyAccount { histograms: latencies.total() };
        assert_eq!(
            account.to_string(),
            "latency to merged: p50 2.00 µs, p90 2.00 µs, p99 2.00 µs, p99.9 2.00 µs, p99.99 2.00 µs, max 2.00 µs, 100 rows\n\
             latency from close to written: p50 5.00 ms, p90 5.00 ms, p99 5.00 ms, p99.9 5.00 ms, p99.99 5.00 ms, max 5.00 ms, 1 row"
        );
        assert_eq!(LatencyAccount::default().to_string(), "");
    }
}
