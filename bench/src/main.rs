//! `cargo run --release -p thalweg-bench -- seed | job | kernels | stages | strategies | overhead-breakdown`

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use thalweg_bench::breakdown::{self, BreakdownArguments};
use thalweg_bench::job::{self, JobArguments};
use thalweg_bench::kernels::{self, KernelsArguments};
use thalweg_bench::seed::{self, SeedArguments};
use thalweg_bench::stages::{self, StagesArguments};
use thalweg_bench::strategies::{self, StrategiesArguments};

/// The allocator of the `thalweg` command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks that check each answer they time
#[derive(Debug, Parser)]
#[command(name = "thalweg-bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// The seed query end to end, over a CSV file
    Seed(SeedArguments),
    /// One job as a whole process, with the sum of each column of its result
    Job(JobArguments),
    /// Kernels of a GROUP BY, stage by stage, scalar against vector instructions
    Kernels(KernelsArguments),
    /// Where the time of a row goes, stage by stage, and the rate of batches in memory
    Stages(StagesArguments),
    /// Eight ways to share keyed state, side by side: by producers, keys and metrics
    Strategies(StrategiesArguments),
    /// Where the time goes on exactly the seed workload, and on larger ones, beside what was predicted
    OverheadBreakdown(BreakdownArguments),
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Seed(arguments) => seed::run(arguments),
        Command::Job(arguments) => job::run(&arguments),
        Command::Kernels(arguments) => kernels::run(arguments),
        Command::Stages(arguments) => stages::run(arguments),
        Command::Strategies(arguments) => strategies::run(&arguments),
        Command::OverheadBreakdown(arguments) => breakdown::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("error: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
        for line in [
            "seed --small",
            "job a.sql --workers 1 --check",
            "job --small",
            "kernels --rounds 2",
            "stages --rounds 3",
            "strategies --small --csv a",
            "strategies --full",
            "overhead-breakdown --html b",
        ] {
            let arguments = ["thalweg-bench"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(arguments).is_ok(), "{line}");
        }
        for line in ["strategies --small --full", "seed --rows 5 --small", "strategies --rounds 0", "job", "unknown"] {
            let arguments = ["thalweg-bench"].into_iter().chain(line.split(' '));
            assert!(Cli::try_parse_from(arguments).is_err(), "{line}");
        }
    }
}
