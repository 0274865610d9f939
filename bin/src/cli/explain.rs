//! `thalweg explain`: how the queries of a file would run.

use clap::Args;

use super::arguments::{ErrorFormatArg, SqlArgs, StrategyArg, WorkersArg};
use super::script::{ParsedScript, parse_all};
use super::{Reported, say};
use crate::job::{self, JobOptions};
use crate::report::stderr;
use crate::sql::{Outcome, Session};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg explain job.sql
  thalweg explain -e \"SELECT symbol, COUNT(*) FROM 'trades.csv' GROUP BY symbol\" --strategy auto";

/// `thalweg explain`.
#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    sql: SqlArgs,
    #[command(flatten)]
    workers: WorkersArg,
    #[command(flatten)]
    strategy: StrategyArg,
    #[command(flatten)]
    errors: ErrorFormatArg,
}

/// Executes what declares, and shows the plan of what would run.
pub(super) fn explain(args: &ExplainArgs) -> Result<(), Reported> {
    stderr::set_format(args.errors.format);
    let mut session = Session::new(args.sql.session_options());
    for ParsedScript { source, script } in &parse_all(&args.sql, &session)? {
        for statement in &script.statements {
            let shown = session.execute(statement).and_then(|outcome| match outcome {
                Outcome::Explain(plan) | Outcome::Job(plan) => {
                    let workers = args.workers.count(&session)?;
                    let options =
                        JobOptions { workers, strategy: args.strategy.choice(&session)?, ..JobOptions::default() };
                    let text = job::explain(plan, &options);
                    say(&format!("{}\n\n", text.trim_end()))
                }
                Outcome::Done | Outcome::Rows(_) => Ok(()),
            });
            shown.map_err(|error| Reported::new(&error, Some(source)))?;
        }
    }
    Ok(())
}
