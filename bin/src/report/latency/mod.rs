//! Latency reports: a directory with one run's distributions, in the standard formats, as JSON and as a page.
//!
//! `latency.hgrm` (percentiles) and `latency.hlog` (interval log, V2) are read by the tools of HdrHistogram; `latency.json`
//! has the figures; `latency.html` shows them, and needs nothing from elsewhere.

mod distribution;
mod log;
mod page;

use std::collections::VecDeque;
use std::fs;
use std::path::Path;
use std::time::Duration;

use thalweg_runtime::latency::{Histogram, Histograms, Point};

pub use self::distribution::{curve, hgrm};
pub use self::log::watch;
pub use self::page::page;
use super::json::{Object, percentiles, put};
use crate::error::{Error, Result};
use crate::job::{LatencyAccount, Percentiles};

/// Seconds of a run that a report shows at most: its last ones.
const SECONDS_MAX: usize = 7_200;

/// How a `latency.json` begins.
const JSON_BEGINS: &str = "{\"type\":\"latency\",";

/// One second of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// When it ended, since the start.
    pub at: Duration,
    /// Records read in it.
    pub rows: u64,
    /// Rows written in it.
    pub emitted: u64,
    /// How far the watermark was behind the clock at its end; `None` without one.
    pub watermark_lag_ms: Option<i64>,
    /// Latency of its rows to the last point that they reached.
    pub latency: Percentiles,
}

/// The seconds of a run, the last ones if they are many.
#[derive(Clone, Debug, Default)]
pub struct Seconds(VecDeque<Second>);

impl Seconds {
    /// Adds the next one.
    pub fn push(&mut self, second: Second) {
        if self.0.len() >= SECONDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(second);
    }

    /// In their order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Second> + ExactSizeIterator {
        self.0.iter()
    }
}

/// What a report is made of.
#[derive(Clone, Debug, Default)]
pub struct LatencyReport {
    /// What ran.
    pub title: String,
    /// Under which conditions, by name.
    pub conditions: Vec<(String, String)>,
    /// From the start to the last row written.
    pub elapsed: Duration,
    /// Records read.
    pub rows: u64,
    /// What was recorded.
    pub latency: LatencyAccount,
    /// Second by second.
    pub seconds: Seconds,
    /// The machine alone: when, and how late it was.
    pub control: Vec<(String, Histogram<u64>)>,
}

impl LatencyReport {
    /// Writes the files of the report into `directory`, which is made if need be; the interval log was written by [`watch`].
    ///
    /// # Errors
    /// `Connector`, if a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let put = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).map_err(|error| unwritable(&path, &error))
        };
        let json = self.json();
        put("latency.hgrm", &self.headline().map(|(_, histogram)| hgrm(histogram)).unwrap_or_default())?;
        put("latency.html", &page(&self.title, std::slice::from_ref(&json)))?;
        put("latency.json", &json)
    }

    /// What the run's latency is said to be: to the last point that rows reached as such, else from the close of windows.
    fn headline(&self) -> Option<(Point, &Histogram<u64>)> {
        let point = headline(&self.latency.histograms)?;
        Some((point, self.latency.histograms.at(point)?))
    }

    /// `latency.json`, on one line.
    #[must_use]
    pub fn json(&self) -> String {
        let mut object = Object::new("latency");
        object.text("title", Some(&self.title));
        object.key("conditions");
        let mut conditions = Object::bare();
        self.conditions.iter().for_each(|(name, value)| conditions.text(name, Some(value)));
        put(&mut object.0, format_args!("{}", conditions.end()));
        object.number("elapsed_us", Some(u64::try_from(self.elapsed.as_micros()).unwrap_or(u64::MAX)));
        object.number("rows", Some(self.rows));
        object.text("headline", self.headline().map(|(point, _)| point.name()));
        let points =
            Point::ALL.into_iter().filter_map(|point| Some((point.name(), self.latency.histograms.at(point)?)));
        object.key("points");
        put(&mut object.0, format_args!("{}", list(points)));
        object.key("control");
        put(&mut object.0, format_args!("{}", list(self.control.iter().map(|(name, late)| (name.as_str(), late)))));
        object.key("seconds");
        let seconds: Vec<String> = self.seconds.iter().map(second).collect();
        put(&mut object.0, format_args!("[{}]", seconds.join(",")));
        object.end()
    }
}

/// Several reports, of which each argument names the directory or the `latency.json`, as one page.
///
/// # Errors
/// `Statement`, if one is not there or is no report.
pub fn compare(paths: &[String]) -> Result<String> {
    let mut reports = Vec::with_capacity(paths.len());
    for path in paths {
        let path = Path::new(path);
        let path = if path.is_dir() { path.join("latency.json") } else { path.to_path_buf() };
        let text = fs::read_to_string(&path).map_err(|error| {
            Error::statement(format!("cannot read `{}`: {error}", path.display()))
                .help("name directories that --latency-report has written")
        })?;
        let text = text.trim();
        if !text.starts_with(JSON_BEGINS) || !text.ends_with('}') {
            return Err(Error::statement(format!("`{}` is no latency report", path.display()))
                .help("name directories that --latency-report has written"));
        }
        reports.push(text.to_owned());
    }
    Ok(page("Latency of several runs", &reports))
}

/// The point that stands for all.
#[must_use]
pub fn headline(histograms: &Histograms) -> Option<Point> {
    let of_rows = |point: &Point| !matches!(point, Point::CloseEmitted | Point::CloseWritten);
    let there = |point: &Point| histograms.at(*point).is_some();
    Point::ALL.into_iter().filter(of_rows).rfind(there).or_else(|| Point::ALL.into_iter().rfind(there))
}

/// Makes the directory of a report.
///
/// # Errors
/// `Connector`, if that is refused.
pub fn prepare(directory: &Path) -> Result<fs::File> {
    fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
    let path = directory.join("latency.hlog");
    fs::File::create(&path).map_err(|error| unwritable(&path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Error {
    Error::connector(format!("cannot write the latency report `{}`: {error}", path.display()))
}

/// Figures and curve of each distribution.
fn list<'a>(histograms: impl Iterator<Item = (&'a str, &'a Histogram<u64>)>) -> String {
    let one = |(name, histogram): (&str, &Histogram<u64>)| {
        let figures = percentiles(name, &Percentiles::of(histogram));
        let curve: Vec<String> =
            curve(histogram).iter().map(|(share, nanos)| format!("[{share:.7},{nanos}]")).collect();
        format!("{},\"curve\":[{}]}}", &figures[..figures.len() - 1], curve.join(","))
    };
    format!("[{}]", histograms.map(one).collect::<Vec<_>>().join(","))
}

fn second(second: &Second) -> String {
    let Second { at, rows, emitted, watermark_lag_ms, latency } = second;
    let lag = watermark_lag_ms.map_or("null".to_owned(), |lag| lag.to_string());
    let figures: Vec<String> = latency.figures().iter().map(|(_, nanos)| nanos.0.to_string()).collect();
    format!("[{:.3},{rows},{emitted},{lag},{},{}]", at.as_secs_f64(), latency.count, figures.join(","))
}

#[cfg(test)]
mod tests;
