//! One job as a whole process: the last query of a script, its result as columns, and the sum of each of them.
//!
//! `thalweg-bench job FILE.sql [--workers N] [--check]`. What other engines do with a result that is wanted in the same
//! process: it is made, looked at once, and let go of. The workers sum where the rows are made, so nothing is kept.

use std::path::PathBuf;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use arrow_array::RecordBatch;
use thalweg::connect::{Encoder, OpenSink, SinkRows, SinkWriter, WriteOutcome};
use thalweg::error::Error;
use thalweg::job::{self, Account, JobControl, JobOptions};
use thalweg::plan::JobPlan;
use thalweg::sql::{Outcome, Session, SessionOptions};
use thalweg_runtime::Fault;

use crate::column_sums::{ColumnSums, Pairing};

/// What to run.
#[derive(Clone, Debug, clap::Args)]
pub struct JobArguments {
    /// File of SQL statements; the last one is a query
    #[arg(value_name = "FILE", required_unless_present = "small")]
    script: Option<PathBuf>,
    /// Worker threads; without it one for each core
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    workers: Option<u16>,
    /// Also sums that tie the values of a row to each other
    #[arg(long)]
    check: bool,
    /// A query over made-up rows whose sums are known
    #[arg(long, conflicts_with = "script")]
    small: bool,
}

/// Runs the job and prints the sums as JSON.
///
/// # Errors
/// If the script cannot be read, the job fails, its account does not balance, or a column has no sum.
pub fn run(arguments: &JobArguments) -> Result<(), Fault> {
    let options = JobOptions {
        workers: arguments.workers.map_or_else(|| JobOptions::default().workers, usize::from),
        ..JobOptions::default()
    };
    let pairing = if arguments.check { Pairing::Checked } else { Pairing::Unchecked };
    let Some(path) = &arguments.script else { return small(&options) };
    let sql = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let (sums, account) = sums_of(&sql, &options, pairing)?;
    let records: u64 = account.sources.iter().map(|source| source.records).sum();
    println!("{}", sums.to_json(records, account.late(), account.state_peak_bytes));
    Ok(())
}

/// Sums of ten thousand rows, known beforehand.
fn small(options: &JobOptions) -> Result<(), Fault> {
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("rows.csv");
    let rows: String = (0..10_000).map(|row| format!("name{row:04},{row},{}.5\n", row % 7)).collect();
    std::fs::write(&path, rows)?;
    let sql = format!(
        "CREATE TABLE t (name STRING, number BIGINT, ratio DOUBLE)
           WITH ('connector' = 'filesystem', 'format' = 'csv', 'path' = '{}');
         SELECT name, COUNT(*) AS rows_in, SUM(number) AS numbers, AVG(ratio) AS ratio FROM t GROUP BY name;",
        path.display()
    );
    let (sums, account) =
        sums_of(&format!("SET 'execution.runtime-mode' = 'batch'; {sql}"), options, Pairing::Checked)?;
    let json = sums.to_json(account.records(), account.late(), 0);
    for expected in [r#""rows":10000"#, r#""sum":"49995000""#, r#""sum":34994.0"#, r#""length":80000"#] {
        if !json.contains(expected) {
            return Err(format!("the sums do not hold {expected}: {json}").into());
        }
    }
    println!("{json}");
    Ok(())
}

/// Runs the statements of `sql` and sums the columns of its last query.
fn sums_of(sql: &str, options: &JobOptions, pairing: Pairing) -> Result<(ColumnSums, Account), Fault> {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).map_err(|errors| errors[0].clone())?;
    let mut last = None;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement)? {
            last = Some(summed(plan, options, pairing)?);
        }
    }
    let (sums, account) = last.ok_or("the script has no query")?;
    account.check()?;
    Ok((sums, account))
}

/// Runs one job; each worker sums what it has made, and the sums meet at the end.
fn summed(plan: JobPlan, options: &JobOptions, pairing: Pairing) -> Result<(ColumnSums, Account), Fault> {
    let (sender, receiver) = mpsc::channel();
    let sender = Mutex::new(sender);
    let account = job::run_into(
        plan,
        &|sink| {
            let empty = ColumnSums::new(&sink.schema, pairing)
                .map_err(|reason| Error::new(thalweg::error::Kind::Statement, reason))?;
            let sender = sender.lock().expect("nobody panics with the sender").clone();
            let sender = Mutex::new(sender);
            Ok(OpenSink {
                encoder: Some(Arc::new(move || {
                    let sender = sender.lock().expect("nobody panics with the sender").clone();
                    Box::new(Summer { sums: empty.clone(), sender })
                })),
                writer: Box::new(Done),
                schema: Arc::clone(&sink.schema),
            })
        },
        options,
        &JobControl::new(),
    )?;
    drop(sender);
    let sums = receiver.into_iter().reduce(ColumnSums::merged).ok_or("the job had no worker")?;
    Ok((sums, account))
}

/// Adds up the rows that one worker makes, and hands the sums over at the end.
struct Summer {
    sums: ColumnSums,
    sender: Sender<ColumnSums>,
}

impl Encoder for Summer {
    fn encode(&mut self, batch: &RecordBatch, _out: &mut Vec<u8>) -> thalweg::error::Result<()> {
        self.sums.add(batch);
        Ok(())
    }
}

impl Drop for Summer {
    fn drop(&mut self) {
        // Whoever does not listen any more has seen the job fail.
        _ = self.sender.send(self.sums.clone());
    }
}

/// Nothing is left to be written.
struct Done;

impl SinkWriter for Done {
    fn write(&mut self, _rows: SinkRows<'_>) -> thalweg::error::Result<WriteOutcome> {
        Ok(WriteOutcome::Written)
    }

    fn finish(&mut self) -> thalweg::error::Result<()> {
        Ok(())
    }
}
