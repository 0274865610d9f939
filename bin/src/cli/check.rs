//! `thalweg check`: what would be refused, without running any of it.

use clap::Args;

use super::arguments::SqlArgs;
use super::script::{ParsedScript, parse_all, report_all};
use super::{Reported, note, say};
use crate::report::number::grouped;
use crate::sql::Session;

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg check job.sql

Declarations take effect and queries are planned, but no job runs.";

/// `thalweg check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    sql: SqlArgs,
}

/// Plans all statements and tells the first error of each.
pub(super) fn check(args: &CheckArgs) -> Result<(), Reported> {
    let mut session = Session::new(args.sql.session_options());
    let mut first: Option<Reported> = None;
    let (mut statements, mut wrong) = (0, 0);
    for ParsedScript { source, script } in &parse_all(&args.sql, &session)? {
        for statement in &script.statements {
            statements += 1;
            if let Err(error) = session.execute(statement) {
                wrong += 1;
                let reported = report_all(std::slice::from_ref(&error), source);
                first = first.or(reported);
            }
        }
    }
    match first {
        Some(reported) => {
            note(&format!("{} of {} statements would be refused", grouped(wrong), grouped(statements)));
            Err(reported)
        }
        None => {
            let text = if statements == 1 { "statement is" } else { "statements are" };
            say(&format!("{} {text} accepted\n", grouped(statements))).map_err(|error| Reported::new(&error, None))
        }
    }
}
