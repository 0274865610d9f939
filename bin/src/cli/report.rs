//! `thalweg report`: one page from one or several latency reports; and what `--latency-report` needs of a run.

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use clap::Args;
use thalweg_runtime::latency::Histogram;

use super::say;
use crate::error::{Error, Result};
use crate::job::{self, Account, JobControl, JobOptions};
use crate::plan::JobPlan;
use crate::report::latency::{self, LatencyReport, Seconds};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg report before after > page.html
  thalweg report runs/* --out page.html

Each RUN is a directory that --latency-report has written.";

/// `thalweg report`.
#[derive(Debug, Args)]
pub(super) struct ReportArgs {
    /// Directories of latency reports
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,
    /// File to write the page to; without it standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Writes the page.
pub(super) fn report(args: &ReportArgs) -> Result<()> {
    let page = latency::compare(&args.runs)?;
    match &args.out {
        None => say(&page),
        Some(path) => std::fs::write(path, page)
            .map_err(|error| Error::connector(format!("cannot write `{}`: {error}", path.display()))),
    }
}

/// Runs a job and follows its latency second by second; with a directory, its interval log is written there meanwhile.
pub(super) fn run_watched(
    plan: JobPlan,
    options: &JobOptions,
    control: &JobControl,
    directory: Option<&Path>,
) -> Result<(Account, Seconds)> {
    let mut log = directory.map(|directory| latency::prepare(directory).map(BufWriter::new)).transpose()?;
    let (running, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let log = log.as_mut().map(|log| log as &mut (dyn std::io::Write + Send));
        let watcher = scope.spawn(move || latency::watch(control, &ended, log));
        let account = job::run(plan, options, control);
        drop(running);
        let seconds =
            watcher.join().unwrap_or_else(|_| Err(Error::internal("the thread that follows latency panicked")));
        Ok((account?, seconds?))
    })
}

/// Writes the report of a run that has ended.
pub(super) fn write(
    directory: &Path,
    title: String,
    (account, seconds): (&Account, Seconds),
    control: Vec<(String, Histogram<u64>)>,
    options: &JobOptions,
) -> Result<()> {
    let report = LatencyReport {
        title,
        conditions: conditions(options),
        elapsed: account.elapsed,
        rows: account.records(),
        latency: account.latency.clone(),
        seconds,
        control,
    };
    report.write(directory)
}

/// What a figure cannot be understood without.
fn conditions(options: &JobOptions) -> Vec<(String, String)> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processor = read("/proc/cpuinfo");
    let processor = processor.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let pairs = [
        ("command", std::env::args().collect::<Vec<_>>().join(" ")),
        ("version", env!("CARGO_PKG_VERSION").to_owned()),
        ("machine", format!("{cores} cores, {}", processor.map_or("unknown processor", |(_, name)| name.trim()))),
        ("system", format!("{} {}", std::env::consts::OS, kernel.trim())),
        ("workers", options.workers.to_string()),
        ("idle", format!("{:?}", options.idle).to_lowercase()),
        ("batch delay", options.batch_delay.map_or("none".to_owned(), |delay| format!("{delay:?}"))),
        ("time", chrono::Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string()),
    ];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
