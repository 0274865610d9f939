//! `thalweg bench`: load tests that users run on their own machine.
//!
//! `bench latency` generates rows by a schedule that never waits: row *n* is due *n* ÷ rate after the start, and its
//! latency is told from then on, however late anybody came to take it. The generator runs within the workers, which thus
//! pay for it; how late it was is told too. Before and after, the hiccup control says what the machine does by itself.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use thalweg_runtime::latency::{Point, hiccup};

use super::arguments::{EngineArgs, parse_time};
use super::report::{run_watched, write};
use super::{Reported, interrupt, say};
use crate::connect::result::ResultFormat;
use crate::error::{Error, Result};
use crate::job::{Account, Idle, JobControl, JobOptions, Metrics, Percentiles};
use crate::report::diagnostic::SourceText;
use crate::report::latency::Seconds;
use crate::report::number::{grouped, rounded};
use crate::report::stderr::note;
use crate::sql::{Outcome, Session, SessionOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg bench latency --rate 1000000 --duration 60s --batch-delay 1ms
  thalweg bench latency --rate 5000000 --keys 1000000 --latency-report report
  thalweg bench latency --rate 500000 --window 20ms
  thalweg bench latency --sweep --duration 5s
  thalweg bench latency --rate 1000 --sql job.sql

SQL of your own finds the schedule in ${rate}, ${rows} and ${batch}: 'connector' = 'datagen',
'rows-per-second' = '${rate}', 'number-of-rows' = '${rows}', 'rows-per-batch' = '${batch}'.";

/// Rows that a source hands over together at most.
const BATCH_ROWS_MAX: u64 = 4_096;

/// What a sweep starts with, in rows a second.
const SWEEP_FROM: u64 = 250_000;

/// `thalweg bench`.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// How long rows take at a rate, from when they were due
    #[command(after_long_help = EXAMPLES)]
    Latency(Box<LatencyArgs>),
}

/// `thalweg bench latency`.
#[derive(Debug, Args)]
pub(super) struct LatencyArgs {
    /// Rows a second
    #[arg(long, value_name = "R", default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rate: u64,
    /// How long the schedule is
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = parse_time)]
    duration: Duration,
    /// Jobs of your own instead of the seed query
    #[arg(long, value_name = "FILE")]
    sql: Option<PathBuf>,
    /// Keys of the seed query
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=2_000_000_000))]
    keys: u64,
    /// The seed query over tumbling windows of this size, instead of running
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    window: Option<Duration>,
    /// Find the highest rate that can be sustained, and measure at 10, 50, 80 and 90 % of it
    #[arg(long, conflicts_with = "rate")]
    sweep: bool,
    /// Directory for the report
    #[arg(long, value_name = "DIR", conflicts_with = "sweep")]
    latency_report: Option<PathBuf>,
    #[command(flatten)]
    engine: EngineArgs,
}

/// Runs it.
pub(super) fn run(command: &BenchCommand) -> Result<(), Reported> {
    let BenchCommand::Latency(args) = command;
    let untold = |error: Error| Reported::new(&error, None);
    let options = args.options().map_err(untold)?;
    let length = args.duration.min(Duration::from_secs(60));
    let spins = options.idle == Idle::Spin;
    let control = |when: &str| {
        let late = hiccup::measure(length, options.workers, &options.pin, spins);
        line(format_args!("control {when}: {}", Percentiles::of(&late)));
        (when.to_owned(), late)
    };
    let before = control("before");
    if args.sweep {
        args.sweep(&options)?;
        control("after");
        return Ok(());
    }
    let (account, seconds) = args.measure(args.rate, args.duration, &options, args.latency_report.as_ref())?;
    tell(&account, args.rate, args.duration);
    let after = control("after");
    let Some(directory) = &args.latency_report else { return Ok(()) };
    let title = format!("{} at {} rows/s", args.named(), rounded(args.rate as f64));
    write(directory, title, (&account, seconds), vec![before, after], &options).map_err(untold)?;
    line(format_args!("report: {}", directory.join("latency.html").display()));
    Ok(())
}

impl LatencyArgs {
    fn options(&self) -> Result<JobOptions> {
        let options = self.engine.job_options(&Session::new(SessionOptions::default()), ResultFormat::Csv)?;
        if options.metrics == Metrics::Off {
            return Err(Error::statement("there is no latency to tell with --metrics off").help("leave it out"));
        }
        if self.window.is_some_and(|size| size.as_millis() == 0 || size.subsec_nanos() % 1_000_000 != 0) {
            return Err(
                Error::statement("a window is a number of whole milliseconds").help("for example --window 20ms")
            );
        }
        // A batch that waits for nobody is what the test is about.
        Ok(JobOptions { batch_delay: Some(options.batch_delay.unwrap_or_default()), ..options })
    }

    fn named(&self) -> String {
        match (&self.sql, self.window) {
            (Some(path), _) => path.display().to_string(),
            (None, None) => format!("running GROUP BY of {} keys", grouped(self.keys)),
            (None, Some(size)) => format!("GROUP BY of {} keys in windows of {size:?}", grouped(self.keys)),
        }
    }

    /// Runs the jobs once by a schedule of `rate`; the last one's account.
    fn measure(
        &self,
        rate: u64,
        length: Duration,
        options: &JobOptions,
        report: Option<&PathBuf>,
    ) -> Result<(Account, Seconds), Reported> {
        let rows = (rate as f64 * length.as_secs_f64()).ceil().max(1.0) as u64;
        let delay = options.batch_delay.unwrap_or_default();
        let batch = ((rate as f64 * delay.as_secs_f64()) as u64).clamp(1, BATCH_ROWS_MAX);
        let source = self.script().map_err(|error| Reported::new(&error, None))?;
        let variables = [("rate", rate), ("rows", rows), ("batch", batch)];
        let variables = variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_string())).collect();
        let mut session = Session::new(SessionOptions { variables, ..SessionOptions::default() });
        let told = |error: Error| Reported::new(&error, Some(&source));
        let (script, errors) = session.read(&source.text);
        if let Some(error) = errors.into_iter().next() {
            return Err(told(error));
        }
        let mut last = None;
        for statement in &script.statements {
            if let Outcome::Job(plan) = session.execute(statement).map_err(told)? {
                let control = JobControl::new();
                let _drained_by_signal = interrupt::attend(control.clone());
                let run = run_watched(plan, options, &control, report.map(PathBuf::as_path)).map_err(told)?;
                last = Some(run);
            }
        }
        last.ok_or_else(|| {
            told(Error::statement("there is no job in the SQL").help("end it with INSERT INTO … SELECT"))
        })
    }

    fn script(&self) -> Result<SourceText> {
        if let Some(path) = &self.sql {
            let text = std::fs::read_to_string(path)
                .map_err(|error| Error::statement(format!("cannot read '{}': {error}", path.display())))?;
            return Ok(SourceText { name: path.display().to_string(), text });
        }
        // As near to a square as the number of keys allows, so that both columns matter.
        let symbols = (1..=self.keys.isqrt()).rev().find(|symbols| self.keys.is_multiple_of(*symbols)).unwrap_or(1);
        let traders = self.keys / symbols;
        let aggregates = "COUNT(*) AS n, AVG(price) AS ap, SUM(quantity) AS sq, SUM(price * quantity) AS spq";
        let query = match self.window {
            None => format!("SELECT trader_id, symbol, {aggregates} FROM trades GROUP BY trader_id, symbol"),
            Some(size) => format!(
                "SELECT trader_id, symbol, {aggregates} FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(trade_time), \
                 INTERVAL '{:.3}' SECOND)) GROUP BY trader_id, symbol, window_start, window_end",
                size.as_secs_f64()
            ),
        };
        let text = format!(
            "SET 'execution.runtime-mode' = 'streaming';\n\
             CREATE TABLE trades (trader_id INT, symbol INT, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3), \
             WATERMARK FOR trade_time AS trade_time) WITH ('connector' = 'datagen', 'rows-per-second' = '${{rate}}', \
             'number-of-rows' = '${{rows}}', 'rows-per-batch' = '${{batch}}', \
             'fields.trader_id.min' = '0', 'fields.trader_id.max' = '{}', \
             'fields.symbol.min' = '0', 'fields.symbol.max' = '{}', \
             'fields.price.min' = '1', 'fields.price.max' = '100', \
             'fields.quantity.min' = '1', 'fields.quantity.max' = '1000');\n\
             CREATE TABLE sink (trader_id INT, symbol INT, n BIGINT, ap DOUBLE, sq BIGINT, spq DOUBLE) \
             WITH ('connector' = 'blackhole');\n\
             INSERT INTO sink {query};\n",
            traders - 1,
            symbols - 1,
        );
        Ok(SourceText { name: "the seed query".to_owned(), text })
    }

    /// Doubles the rate until it cannot be sustained, halves the step four times, and measures at parts of what can.
    fn sweep(&self, options: &JobOptions) -> Result<(), Reported> {
        let holds = |rate: u64| -> Result<bool, Reported> {
            let (account, seconds) = self.measure(rate, self.duration, options, None)?;
            let is_held = is_sustained(&account, &seconds, self.duration);
            let said = if is_held { "sustained" } else { "not sustained" };
            line(format_args!("{} rows/s: {said}; {}", rounded(rate as f64), headline(&account)));
            Ok(is_held)
        };
        let (mut low, mut high) = (0, SWEEP_FROM);
        while !interrupt::is_asked() && holds(high)? {
            (low, high) = (high, high * 2);
        }
        for _ in 0..4 {
            if interrupt::is_asked() {
                return Ok(());
            }
            let middle = low.midpoint(high);
            if holds(middle)? { low = middle } else { high = middle }
        }
        line(format_args!("highest sustainable rate: {} rows/s", rounded(low as f64)));
        for percent in [10, 50, 80, 90] {
            if interrupt::is_asked() {
                return Ok(());
            }
            let rate = (low * percent / 100).max(1);
            let (account, _) = self.measure(rate, self.duration, options, None)?;
            line(format_args!("{percent} % of it, {} rows/s: {}", rounded(rate as f64), headline(&account)));
        }
        Ok(())
    }
}

/// Whether a schedule was kept up with: the job ended when its schedule did, and half of its rows did not take longer in
/// the second half than in the first.
fn is_sustained(account: &Account, seconds: &Seconds, length: Duration) -> bool {
    let allowed = length + Duration::from_millis(100) + length / 50;
    let medians: Vec<u64> =
        seconds.iter().filter(|second| second.latency.count > 0).map(|second| second.latency.p50.0).collect();
    let (early, late) = medians.split_at(medians.len() / 2);
    let median = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part.get(part.len() / 2).copied()
    };
    let grows = median(early).zip(median(late)).is_some_and(|(early, late)| late > early * 2 + 1_000_000);
    account.elapsed <= allowed && !grows
}

/// What the run's latency is said to be.
fn headline(account: &Account) -> String {
    account.latency.to_string().lines().collect::<Vec<_>>().join("; ")
}

/// All points, and whether the generator kept its schedule.
fn tell(account: &Account, rate: u64, length: Duration) {
    for (point, figures) in account.latency.points().filter(|(point, _)| *point != Point::Arrived) {
        line(format_args!("{:>13}: {figures}", point.name()));
    }
    let lag = account.latency.points().find(|(point, _)| *point == Point::Arrived);
    if let Some((_, lag)) = lag {
        line(format_args!("{:>13}: {lag}", "generator lag"));
    }
    let over = account.elapsed.saturating_sub(length);
    let is_kept = over <= Duration::from_millis(100) + length / 50;
    match (is_kept, account.is_drained) {
        (_, true) => note("the run was ended before its schedule"),
        (true, _) => line(format_args!("the schedule of {} rows/s for {length:?} was kept", rounded(rate as f64))),
        (false, _) => line(format_args!(
            "THE SCHEDULE OF {} ROWS/S WAS NOT KEPT: the last row was done {over:?} after the end of a schedule of {length:?}",
            rounded(rate as f64)
        )),
    }
    if let Err(imbalance) = account.check() {
        line(format_args!("THE ACCOUNT DOES NOT BALANCE: {imbalance}"));
    }
}

/// A line of the result. Where it cannot be written, there is nobody to tell.
fn line(text: std::fmt::Arguments<'_>) {
    let _ = say(&format!("{text}\n"));
}
