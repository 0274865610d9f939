//! Arguments that several commands share, and how their values are read.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use thalweg_operators::kernels::Kernels;
use thalweg_runtime::{Idle, Pin};

use crate::connect::result::ResultFormat;
use crate::error::Error;
use crate::job::{JobOptions, Metrics};
use crate::plan::strategy::StrategyChoice;
use crate::report::number::parse_bytes;
use crate::report::stderr::StderrFormat;
use crate::sql::{Session, SessionOptions};

/// Workers at most: the key groups that a worker can own.
const WORKERS_MAX: u64 = 1_024;

/// Rows of a batch at most: what a batch touches fits in the second-level cache.
const BATCH_ROWS_MAX: u64 = 4_096;

/// Bytes of a block at most.
const BLOCK_BYTES_MAX: u64 = 1 << 30;

/// The SQL, and what surrounds it.
#[derive(Clone, Debug, Args)]
pub(super) struct SqlArgs {
    /// File of SQL statements; `-` for standard input
    #[arg(value_name = "FILE")]
    pub(super) file: Option<String>,
    /// SQL to take instead of a file, or after it; may be repeated
    #[arg(short, long, value_name = "SQL")]
    pub(super) execute: Vec<String>,
    /// A setting, as by the statement SET; wins over those of the SQL
    ///
    /// An option of a table is set as thalweg.table.NAME.OPTION: --set thalweg.table.trades.on-error=skip.
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    set: Vec<(String, String)>,
    /// Value of ${KEY} in the SQL; wins over the environment
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    var: Vec<(String, String)>,
    /// Event time of FROM 'file', as in WATERMARK FOR: "ts - INTERVAL '5' SECOND"
    ///
    /// Of several files, it is for those that have the column; one must.
    #[arg(long, value_name = "EXPR")]
    watermark: Option<String>,
}

impl SqlArgs {
    /// What reports call it.
    pub(super) fn name(&self) -> String {
        let file = self.file.as_deref().map(|file| if file == "-" { "<stdin>" } else { file });
        file.map_or_else(|| self.execute.join("; "), str::to_owned)
    }

    /// What a session starts with.
    pub(super) fn session_options(&self) -> SessionOptions {
        SessionOptions {
            settings: self.set.clone(),
            variables: self.var.iter().cloned().collect(),
            watermark: self.watermark.clone(),
        }
    }
}

/// How many workers there are.
#[derive(Clone, Debug, Args)]
pub(super) struct WorkersArg {
    /// Worker threads; without it SET 'parallelism.default', else one for each core
    #[arg(long, value_name = "N", value_parser = parse_workers)]
    workers: Option<u64>,
}

impl WorkersArg {
    /// The number of workers: of the flag, else of the session, else of the cores.
    ///
    /// # Errors
    /// If the session's setting is not a number of workers.
    pub(super) fn count(&self, session: &Session) -> Result<usize, Error> {
        if let Some(workers) = self.workers {
            return Ok(workers as usize);
        }
        if let Some(text) = session.setting("parallelism.default") {
            return match text.parse::<u64>() {
                Ok(workers) if (1..=WORKERS_MAX).contains(&workers) => Ok(workers as usize),
                _ => Err(Error::statement(format!("'parallelism.default' cannot be '{text}'"))
                    .help(format!("accepted: a number from 1 to {WORKERS_MAX}"))),
            };
        }
        Ok(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

/// How workers share the state of a GROUP BY.
#[derive(Clone, Debug, Args)]
pub(super) struct StrategyArg {
    /// How workers share the state of a GROUP BY; without it SET 'thalweg.state.strategy', else owned-shards
    ///
    /// All give the same rows. auto goes by the number of sources, workers, readers and keys; EXPLAIN shows what it takes.
    #[arg(long, value_name = "NAME", value_parser = strategy_parser(), help_heading = TUNING)]
    strategy: Option<StrategyChoice>,
}

impl StrategyArg {
    /// The strategy: of the flag, else of the session, else the default.
    ///
    /// # Errors
    /// If the session's setting is not a strategy.
    pub(super) fn choice(&self, session: &Session) -> Result<StrategyChoice, Error> {
        match self.strategy {
            Some(choice) => Ok(choice),
            None => Ok(session.strategy()?.unwrap_or_default()),
        }
    }
}

/// How a job is run.
#[derive(Clone, Debug, Args)]
pub(super) struct EngineArgs {
    #[command(flatten)]
    pub(super) workers: WorkersArg,
    /// Bind workers to cores: auto, off, or the cores' numbers
    #[arg(long, value_name = "auto|off|0,2,4", default_value = "auto", value_parser = parse_pin, help_heading = TUNING)]
    pin: Pin,
    /// What a worker without work does
    #[arg(long, value_name = "MODE", default_value = "adaptive", value_parser = idle_parser(), help_heading = TUNING)]
    idle: Idle,
    /// Rows of a batch
    #[arg(long, value_name = "N", default_value_t = BATCH_ROWS_MAX, help_heading = TUNING,
          value_parser = parse_batch_rows)]
    batch_rows: u64,
    /// Bytes of a file that a worker reads at once
    #[arg(long, value_name = "SIZE", default_value = "128K", value_parser = parse_block_bytes, help_heading = TUNING)]
    block_bytes: usize,
    /// Most bytes of state, such as 4G; a job that needs more ends with exit code 6. Without it there is no limit
    #[arg(long, value_name = "SIZE", value_parser = parse_memory)]
    memory: Option<u64>,
    #[command(flatten)]
    pub(super) strategy: StrategyArg,
    /// How loops over rows are computed: a value at a time, or with the best instructions that the processor has; without
    /// it SET 'thalweg.kernels', else simd
    #[arg(long, value_name = "scalar|simd", value_parser = kernels_parser(), help_heading = TUNING)]
    kernels: Option<Kernels>,
    /// What is measured, and shown in the closing account: nothing, how long rows take, or also where the time of each GROUP
    /// BY goes; without it SET 'thalweg.metrics', else latency
    #[arg(long, value_name = "off|latency|on", value_parser = metrics_parser(), help_heading = TUNING)]
    metrics: Option<Metrics>,
    /// How long the rows of a GROUP BY may wait for others before they become part of its state; without it until their
    /// window closes, which is fastest
    ///
    /// Rows never wait for input that is not there. A time such as 50us, 1ms or 0.5s.
    #[arg(long, value_name = "TIME", value_parser = parse_time, help_heading = TUNING)]
    batch_delay: Option<Duration>,
}

const TUNING: &str = "Tuning";

impl EngineArgs {
    /// The options of a job.
    ///
    /// # Errors
    /// As for [`WorkersArg::count`] and [`StrategyArg::choice`].
    pub(super) fn job_options(&self, session: &Session, format: ResultFormat) -> Result<JobOptions, Error> {
        let metrics = self.metrics.map_or_else(|| session.metrics(), |metrics| Ok(Some(metrics)))?;
        let kernels = self.kernels.map_or_else(|| session.kernels(), |kernels| Ok(Some(kernels)))?;
        Ok(JobOptions {
            workers: self.workers.count(session)?,
            pin: self.pin.clone(),
            idle: self.idle,
            batch_rows: self.batch_rows as usize,
            block_bytes: self.block_bytes,
            memory_bytes: self.memory,
            format,
            strategy: self.strategy.choice(session)?,
            kernels: kernels.unwrap_or_default(),
            metrics: metrics.unwrap_or_default(),
            batch_delay: self.batch_delay,
            // Whoever reads live state is a program that links this library.
            readers: 0,
        })
    }
}

/// How errors are written by a command that shows little else.
#[derive(Clone, Debug, Args)]
pub(super) struct ErrorFormatArg {
    /// How errors are written on standard error: for a person, or as one JSON object a line
    #[arg(long = "format", alias = "error-format", value_name = "FORMAT", default_value = "text",
          value_parser = error_format_parser())]
    pub(super) format: StderrFormat,
}

/// Reads `--error-format`.
pub(super) fn error_format_parser() -> impl TypedValueParser<Value = StderrFormat> {
    PossibleValuesParser::new(["text", "json"]).map(|name| match name.as_str() {
        "json" => StderrFormat::Json,
        _ => StderrFormat::Text,
    })
}

/// Reads `--format`.
pub(super) fn format_parser() -> impl TypedValueParser<Value = ResultFormat> {
    PossibleValuesParser::new(ResultFormat::NAMES).try_map(|name| name.parse::<ResultFormat>())
}

fn strategy_parser() -> impl TypedValueParser<Value = StrategyChoice> {
    PossibleValuesParser::new(StrategyChoice::NAMES).try_map(|name| name.parse::<StrategyChoice>())
}

fn kernels_parser() -> impl TypedValueParser<Value = Kernels> {
    PossibleValuesParser::new(Kernels::ALL.map(Kernels::name)).try_map(|name| name.parse::<Kernels>())
}

fn metrics_parser() -> impl TypedValueParser<Value = Metrics> {
    PossibleValuesParser::new(Metrics::NAMES).try_map(|name| name.parse::<Metrics>())
}

fn idle_parser() -> impl TypedValueParser<Value = Idle> {
    PossibleValuesParser::new(["spin", "adaptive", "park"]).map(|name| match name.as_str() {
        "spin" => Idle::Spin,
        "park" => Idle::Park,
        _ => Idle::Adaptive,
    })
}

fn parse_pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.to_owned())),
        _ => Err(format!("write KEY=VALUE, for example '{}=…'", text.trim_matches(['=', ' ']))),
    }
}

fn parse_pin(text: &str) -> Result<Pin, String> {
    match text {
        "auto" => Ok(Pin::Auto),
        "off" => Ok(Pin::Off),
        list => {
            let cores = list.split(',').map(|core| core.trim().parse::<usize>()).collect::<Result<Vec<_>, _>>();
            cores.map(Pin::Cores).map_err(|_| "write 'auto', 'off' or numbers of cores such as '0,2,4'".to_owned())
        }
    }
}

fn parse_number(text: &str, greatest: u64) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|number| (1..=greatest).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {greatest}"))
}

fn parse_workers(text: &str) -> Result<u64, String> {
    parse_number(text, WORKERS_MAX)
}

fn parse_batch_rows(text: &str) -> Result<u64, String> {
    parse_number(text, BATCH_ROWS_MAX)
}

/// `50us`, `1ms`, `0.5s`, `0`.
pub(super) fn parse_time(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let digits = text.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
    let unit = match text[digits..].trim() {
        "ns" => 1e-9,
        "us" | "µs" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "min" => 60.0,
        "" if text == "0" => 1.0,
        _ => return Err("write a time with its unit, such as 50us, 1ms, 0.5s or 2min".to_owned()),
    };
    let time = text[..digits].parse::<f64>().ok().and_then(|number| Duration::try_from_secs_f64(number * unit).ok());
    time.filter(|time| *time <= Duration::from_secs(86_400)).ok_or_else(|| "write a time of up to a day".to_owned())
}

fn parse_memory(text: &str) -> Result<u64, String> {
    parse_bytes(text).filter(|bytes| *bytes > 0).ok_or_else(|| "write a size such as 512M or 4G".to_owned())
}

fn parse_block_bytes(text: &str) -> Result<usize, String> {
    let bytes = parse_bytes(text).filter(|bytes| (1..=BLOCK_BYTES_MAX).contains(bytes));
    bytes.map(|bytes| bytes as usize).ok_or_else(|| "write a size from 1 to 1G, such as 128K".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_or_refused() {
        assert_eq!(parse_pin("0, 2,4"), Ok(Pin::Cores(vec![0, 2, 4])));
        assert_eq!(parse_pin("auto"), Ok(Pin::Auto));
        assert!(parse_pin("0,two").is_err());
        assert!(parse_pin("").is_err());
        assert_eq!(parse_pair("a.b = c=d"), Ok(("a.b".to_owned(), " c=d".to_owned())));
        assert!(parse_pair("=x").is_err());
        assert_eq!(parse_memory("1K"), Ok(1_024));
        assert!(parse_memory("0").is_err());
        assert_eq!(parse_block_bytes("1"), Ok(1));
        assert!(parse_block_bytes("2G").is_err());
        assert_eq!(parse_time("50us"), Ok(Duration::from_micros(50)));
        assert_eq!(parse_time("0.5 s"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_time("0"), Ok(Duration::ZERO));
        for wrong in ["", "5", "ms", "-1ms", "1e9s", "99999999999s", "1.2.3s"] {
            assert!(parse_time(wrong).is_err(), "{wrong}");
        }
    }
}
