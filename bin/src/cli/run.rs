//! `thalweg run`: statements in order, each job to its end.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use clap::Args;

use super::arguments::{EngineArgs, SqlArgs, error_format_parser, format_parser};
use super::script::{ParsedScript, parse_all};
use super::standard_input::StandardInput;
use super::{Reported, interrupt, report, say};
use crate::connect::result::{self, ResultFormat};
use crate::error::Result;
use crate::job::{self, Account, JobControl, JobOptions};
use crate::plan::{JobPlan, Node, NodeOp, Table};
use crate::report::progress::{ProgressLine, ProgressMeter};
use crate::report::stderr::{self, StderrFormat, note};
use crate::sql::{Outcome, Session, Statement};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg run job.sql
  thalweg run -e \"SELECT symbol, COUNT(*) FROM 'trades.csv' GROUP BY symbol\"
  thalweg run tables.sql -e \"SELECT * FROM trades LIMIT 10\" --format json
  thalweg run job.sql --workers 4 --memory 2G --set execution.runtime-mode=batch

Jobs over bounded input end by themselves; others run until Ctrl-C, which drains them: what was
read is finished and shown. A second Ctrl-C ends at once.";

/// `thalweg run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    sql: SqlArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// How the results of SELECT are written; without it a table on a terminal, if the input is bounded, else csv
    #[arg(long, value_name = "FORMAT", value_parser = format_parser())]
    format: Option<ResultFormat>,
    /// How errors, notes and the account are written on standard error: text or json; without it json with --format json
    #[arg(long, value_name = "FORMAT", value_parser = error_format_parser())]
    error_format: Option<StderrFormat>,
    /// Directory for a latency report: percentiles, interval log, JSON and a page; of several jobs, the last one's
    #[arg(long, value_name = "DIR")]
    latency_report: Option<PathBuf>,
    /// No progress line and no closing account
    #[arg(long, short)]
    quiet: bool,
}

impl RunArgs {
    fn error_format(&self) -> StderrFormat {
        self.error_format.unwrap_or(match self.format {
            Some(ResultFormat::Json) => StderrFormat::Json,
            _ => StderrFormat::Text,
        })
    }
}

/// Between two looks at a running job.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);

/// Runs all statements.
pub(super) fn run(args: &RunArgs) -> Result<(), Reported> {
    stderr::set_format(args.error_format());
    let mut session = Session::new(args.sql.session_options());
    let scripts = parse_all(&args.sql, &session)?;
    let mut stdin = StandardInput::default();
    let statements: usize = scripts.iter().map(|parsed| parsed.script.statements.len()).sum();
    let mut done = 0;
    for ParsedScript { source, script } in &scripts {
        for statement in &script.statements {
            if interrupt::is_asked() {
                note(&format!("stopped: {} of {statements} statements were not run", statements - done));
                return Ok(());
            }
            run_statement(args, &mut session, statement, &mut stdin)
                .map_err(|error| Reported::new(&error, Some(source)))?;
            done += 1;
        }
    }
    Ok(())
}

fn run_statement(
    args: &RunArgs,
    session: &mut Session,
    statement: &Statement,
    stdin: &mut StandardInput,
) -> Result<()> {
    match session.execute(statement)? {
        Outcome::Done => Ok(()),
        Outcome::Rows(rows) => result::write_rows(format_of(args, Boundedness::Bounded), &rows),
        Outcome::Explain(plan) => {
            let options = args.engine.job_options(session, ResultFormat::Csv)?;
            let text = job::explain(plan, &options);
            say(&format!("{}\n", text.trim_end()))
        }
        Outcome::Job(plan) => {
            let input = boundedness(&plan);
            stdin.take(&args.sql, tables(&plan).into_iter()).map_err(|error| error.at(statement.span.clone()))?;
            let options = args.engine.job_options(session, format_of(args, input))?;
            let account = run_job(plan, &options, args)?;
            if !args.quiet {
                stderr::account(&account);
            }
            Ok(())
        }
    }
}

/// Runs one job to its end, with a progress line; Ctrl-C drains it.
fn run_job(plan: JobPlan, options: &JobOptions, args: &RunArgs) -> Result<Account> {
    let shows_progress = !args.quiet;
    let control = JobControl::new();
    if shows_progress {
        control.on_note(note);
    }
    let _drained_by_signal = interrupt::attend(control.clone());
    // Dropping the sender ends the progress line.
    let (running, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        if shows_progress && stderr::format() == StderrFormat::Text && ProgressLine::is_wanted() {
            let control = control.clone();
            scope.spawn(move || show_progress(&control, &ended));
        }
        let account = match &args.latency_report {
            None => job::run(plan, options, &control),
            Some(directory) => {
                report::run_watched(plan, options, &control, Some(directory)).and_then(|(account, seconds)| {
                    let title = args.sql.name();
                    report::write(directory, title, (&account, seconds), Vec::new(), options).map(|()| account)
                })
            }
        };
        drop(running);
        account
    })
}

/// Keeps the progress line up to date until the other end of `ended` is gone.
fn show_progress(control: &JobControl, ended: &mpsc::Receiver<()>) {
    let start = Instant::now();
    // A job that is done at once needs no line.
    if ended.recv_timeout(PROGRESS_EVERY * 3) != Err(RecvTimeoutError::Timeout) {
        return;
    }
    let line = ProgressLine::start();
    let mut meter = ProgressMeter::new(start);
    while ended.recv_timeout(PROGRESS_EVERY) == Err(RecvTimeoutError::Timeout) {
        line.show(meter.describe(&control.progress(), Instant::now()));
    }
}

/// Whether all input of a job comes to an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Boundedness {
    Bounded,
    Unbounded,
}

/// A table is drawn when all rows are there: not for a job that may never end, and not for a program that reads rows.
fn format_of(args: &RunArgs, input: Boundedness) -> ResultFormat {
    args.format.unwrap_or_else(|| match input {
        Boundedness::Bounded if std::io::stdout().is_terminal() => ResultFormat::Table,
        _ => ResultFormat::Csv,
    })
}

fn boundedness(plan: &JobPlan) -> Boundedness {
    match tables(plan).iter().all(|table| table.connector.is_bounded()) {
        true => Boundedness::Bounded,
        false => Boundedness::Unbounded,
    }
}

/// The tables that a job reads.
pub(super) fn tables(plan: &JobPlan) -> Vec<&Table> {
    let mut tables = Vec::new();
    let mut nodes: Vec<&Node> = plan.pipelines.iter().map(|pipeline| &pipeline.root).collect();
    while let Some(node) = nodes.pop() {
        match &node.op {
            NodeOp::Scan { table, .. } => tables.push(table.as_ref()),
            NodeOp::Values(_) => {}
            NodeOp::Watermark { input, .. }
            | NodeOp::Filter { input, .. }
            | NodeOp::Unnest { input, .. }
            | NodeOp::Project { input, .. }
            | NodeOp::Aggregate { input, .. }
            | NodeOp::Running { input, .. }
            | NodeOp::Rank { input, .. }
            | NodeOp::Session { input, .. }
            | NodeOp::Sort { input, .. } => nodes.push(input),
            NodeOp::Union { inputs } => nodes.extend(inputs),
        }
    }
    tables
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_schema::{Schema, SchemaRef};

    use super::*;
    use crate::connect::Connector;
    use crate::plan::{Pipeline, RuntimeMode, SinkTable};

    fn scan(options: &[(&str, &str)]) -> Node {
        let schema: SchemaRef = Arc::new(Schema::empty());
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let connector = Connector::new("t", &schema, &options).unwrap();
        let table = Arc::new(Table { name: "t".to_owned(), schema: Arc::clone(&schema), connector });
        Node { schema, op: NodeOp::Scan { table, columns: Vec::new(), pruning: Vec::new() } }
    }

    fn union(inputs: Vec<Node>) -> JobPlan {
        let schema = Arc::clone(&inputs[0].schema);
        let root = Node { schema, op: NodeOp::Union { inputs } };
        JobPlan { mode: RuntimeMode::Streaming, pipelines: vec![Pipeline { root, sink: SinkTable::Result }] }
    }

    #[test]
    fn one_endless_input_makes_a_job_unbounded() {
        let rows = ("connector", "datagen");
        let bounded = || scan(&[rows, ("number-of-rows", "5")]);
        assert_eq!(boundedness(&union(vec![bounded(), bounded()])), Boundedness::Bounded);
        let plan = union(vec![bounded(), scan(&[rows])]);
        assert_eq!(tables(&plan).len(), 2);
        assert_eq!(boundedness(&plan), Boundedness::Unbounded);
    }
}
