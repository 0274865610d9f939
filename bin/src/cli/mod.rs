//! The command line: what `thalweg` does for a person at a terminal.
//!
//! Results go to standard output; progress, the closing account and errors to standard error. The exit code is 0 when the
//! work is done or drained, that of [`crate::error::Kind`] for an error, and 130 when a second Ctrl-C ends it.

mod arguments;
mod bench;
mod check;
mod completions;
mod explain;
pub mod generate;
mod interrupt;
mod man;
mod panic;
mod report;
mod run;
mod script;
mod standard_input;
mod usage;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use self::generate::GenerateCommand;
use crate::connect::stdout::{Stream, StreamWriter};
use crate::connect::{SinkRows, SinkWriter};
use crate::error::{Error, Kind, Result};
use crate::report::diagnostic::SourceText;
use crate::report::stderr;

/// Streaming SQL in Apache Flink's dialect, in one binary for one machine
#[derive(Debug, Parser)]
#[command(name = "thalweg", version, max_term_width = 110, after_long_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the statements of a file
    #[command(after_long_help = run::EXAMPLES)]
    Run(run::RunArgs),
    /// Show how the queries of a file would run: stages, exchanges, watermarks
    #[command(after_long_help = explain::EXAMPLES)]
    Explain(explain::ExplainArgs),
    /// Say what would be refused, and why, without reading any rows
    #[command(after_long_help = check::EXAMPLES)]
    Check(check::CheckArgs),
    /// Load tests for your own machine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Write one page from latency reports
    #[command(after_long_help = report::EXAMPLES)]
    Report(report::ReportArgs),
    /// Make test data from a seed
    #[command(subcommand)]
    Gen(GenerateCommand),
    /// Write what completes thalweg's commands and options in a shell
    #[command(after_long_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
    /// Write the manual pages
    #[command(after_long_help = man::EXAMPLES)]
    Man(man::ManArgs),
}

const EXAMPLES: &str = "\
Examples:
  thalweg run job.sql
  thalweg run -e \"SELECT symbol, COUNT(*) FROM 'trades.csv' GROUP BY symbol\"
  thalweg explain job.sql
  thalweg check job.sql
  thalweg gen trades --rows 1000000 --out trades.csv

Results go to standard output, everything else to standard error. Exit codes: 0 done or drained,
1 internal error, 2 SQL, plan or usage, 3 bad data, 5 a source or sink failed, 6 memory budget
exhausted, 130 ended by Ctrl-C before it was drained.";

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    panic::install();
    let code = std::panic::catch_unwind(dispatch).unwrap_or(Kind::Internal.exit_code());
    ExitCode::from(code)
}

/// The exit code.
fn dispatch() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::tell(error),
    };
    let done = interrupt::install().map_err(|error| Reported::new(&error, None)).and_then(|()| match &cli.command {
        Command::Run(args) => run::run(args),
        Command::Explain(args) => explain::explain(args),
        Command::Check(args) => check::check(args),
        Command::Bench(command) => bench::run(command),
        Command::Report(args) => report::report(args).map_err(|error| Reported::new(&error, None)),
        Command::Gen(command) => generate::run(command).map_err(|error| Reported::new(&error, None)),
        Command::Completions(args) => completions::write(args).map_err(|error| Reported::new(&error, None)),
        Command::Man(args) => man::write(args).map_err(|error| Reported::new(&error, None)),
    });
    done.map_or_else(|reported| reported.code, |()| 0)
}

/// An error that the user has been told; what is left of it is the exit code.
#[derive(Debug)]
struct Reported {
    code: u8,
}

impl Reported {
    /// Tells the user.
    fn new(error: &Error, source: Option<&SourceText>) -> Self {
        stderr::tell(error, source);
        Self { code: error.kind.exit_code() }
    }
}

/// Writes text to standard output; a closed pipe is not an error.
fn say(text: &str) -> Result<()> {
    let mut out = StreamWriter::new(Stream::Stdout, Vec::new());
    out.write(SinkRows::Encoded(text.as_bytes()))?;
    out.finish()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
