//! The seed query end to end: a CSV of trades in, windows of a minute out, with every answer compared to the generator's
//! own totals.
//!
//! `cargo run --release -p thalweg-bench -- seed [--rows N] [--rounds N] [--small]`

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, RecordBatch};
use thalweg::job::{self, JobOptions};
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_runtime::Fault;

use crate::conditions::Conditions;
use crate::trades::{Group, Trade, Trades};

const WORKERS: [usize; 2] = [1, 2];

/// What to run.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SeedArguments {
    /// Rows of the file
    #[arg(long, value_name = "N", default_value_t = 10_000_000)]
    rows: u64,
    /// Runs of each kind
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// A few rows and one round: does it run, and is the answer right?
    #[arg(long, conflicts_with_all = ["rows", "rounds"])]
    small: bool,
}

/// Runs the seed query over one file in both modes, with one and two workers, and prints how long it took.
///
/// # Errors
/// If the file cannot be made, a job fails, or an answer is wrong.
pub fn run(arguments: SeedArguments) -> Result<(), Fault> {
    let arguments = if arguments.small { SeedArguments { rows: 200_000, rounds: 1, ..arguments } } else { arguments };
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("trades.csv");
    let expected = generate(&path, arguments.rows)?;
    println!("{}", Conditions::now().line());
    println!(
        "seed query, {} rows, {} groups, {} rounds, alternating",
        arguments.rows,
        expected.len(),
        arguments.rounds
    );
    for mode in ["streaming", "batch"] {
        let mut seconds: Vec<Vec<Duration>> = vec![Vec::new(); WORKERS.len()];
        for _ in 0..arguments.rounds {
            for (index, workers) in WORKERS.into_iter().enumerate() {
                seconds[index].push(time(&path, mode, workers, arguments.rows, &expected)?);
            }
        }
        for (workers, mut times) in WORKERS.into_iter().zip(seconds) {
            times.sort();
            let (least, median) = (times[0].as_secs_f64(), times[times.len() / 2].as_secs_f64());
            let rate = |time: f64| arguments.rows as f64 / time / 1e6;
            println!(
                "{mode:9} {workers} workers: median {median:.3} s, {:.1} M rows/s; best {least:.3} s, {:.1} M rows/s",
                rate(median),
                rate(least)
            );
        }
    }
    Ok(())
}

/// Writes the trades and returns what the query must answer.
fn generate(path: &Path, rows: u64) -> Result<BTreeMap<Group, Totals>, Fault> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(file, "trader_id,symbol,price,quantity,trade_time")?;
    let mut expected: BTreeMap<Group, Totals> = BTreeMap::new();
    for trade in Trades::new(20, 10).take(rows as usize) {
        trade.write(&mut file)?;
        expected.entry(trade.group()).or_default().add(&trade);
    }
    file.flush()?;
    Ok(expected)
}

/// Runs the query once, checks its answer and returns how long the job took, planning included.
fn time(
    path: &Path,
    mode: &str,
    workers: usize,
    rows: u64,
    expected: &BTreeMap<Group, Totals>,
) -> Result<Duration, Fault> {
    let sql = format!(
        "SET 'execution.runtime-mode' = '{mode}';
         CREATE TABLE trades (
           trader_id STRING, symbol STRING, price DOUBLE, quantity BIGINT, trade_time TIMESTAMP(3),
           WATERMARK FOR trade_time AS trade_time - INTERVAL '5' SECOND
         ) WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
         SELECT trader_id, symbol, window_start, COUNT(*), AVG(price), SUM(quantity), SUM(price * quantity)
         FROM TABLE(TUMBLE(TABLE trades, DESCRIPTOR(trade_time), INTERVAL '1' MINUTE))
         GROUP BY trader_id, symbol, window_start, window_end;",
        path.display()
    );
    let started = Instant::now();
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(&sql).map_err(|errors| errors[0].clone())?;
    let options = JobOptions { workers, ..JobOptions::default() };
    let mut answer = Vec::new();
    let mut elapsed = Duration::ZERO;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement)? {
            let (batches, account) = job::collect(plan, &options)?;
            elapsed = started.elapsed();
            account.check()?;
            if account.records() != rows || account.late() != 0 {
                return Err(format!("{} records, {} late", account.records(), account.late()).into());
            }
            answer = batches;
        }
    }
    check(&answer, expected)?;
    Ok(elapsed)
}

/// Every group once, integers equal, doubles to 1e-12 of their size.
fn check(answer: &[RecordBatch], expected: &BTreeMap<Group, Totals>) -> Result<(), Fault> {
    let mut seen = 0;
    for batch in answer {
        let (traders, symbols) = (batch.column(0).as_string_view(), batch.column(1).as_string_view());
        let starts = batch.column(2).as_primitive::<arrow_array::types::TimestampMillisecondType>();
        let (counts, averages) =
            (batch.column(3).as_primitive::<Int64Type>(), batch.column(4).as_primitive::<Float64Type>());
        let (quantities, turnovers) =
            (batch.column(5).as_primitive::<Int64Type>(), batch.column(6).as_primitive::<Float64Type>());
        for row in 0..batch.num_rows() {
            let group = Group::named(traders.value(row), symbols.value(row), starts.value(row));
            let totals = expected.get(&group).ok_or_else(|| format!("a group that nobody generated: {group:?}"))?;
            let is_near = |left: f64, right: f64| (left - right).abs() <= 1e-12 * right.abs();
            let is_right = counts.value(row) == totals.count
                && quantities.value(row) == totals.quantity
                && is_near(averages.value(row), totals.cents as f64 / 100.0 / totals.count as f64)
                && is_near(turnovers.value(row), totals.turnover_cents as f64 / 100.0);
            if !is_right || averages.is_null(row) {
                return Err(format!("wrong answer for {group:?}, expected {totals:?}").into());
            }
            seen += 1;
        }
    }
    if seen != expected.len() { Err(format!("{seen} groups instead of {}", expected.len()).into()) } else { Ok(()) }
}

/// Exact totals of one group, in cents.
#[derive(Debug, Default)]
struct Totals {
    count: i64,
    cents: i64,
    quantity: i64,
    turnover_cents: i64,
}

impl Totals {
    fn add(&mut self, trade: &Trade) {
        self.count += 1;
        self.cents += trade.price_cents;
        self.quantity += trade.quantity;
        self.turnover_cents += trade.price_cents * trade.quantity;
    }
}
