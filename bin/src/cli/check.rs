//! `thalweg check`: everything that would be refused, without running any of it.

use clap::Args;

use super::arguments::{ErrorFormatArg, SqlArgs};
use super::script::{ReadScript, read_all};
use super::{Reported, say};
use crate::error::{Error, Kind};
use crate::report::json;
use crate::report::number::grouped;
use crate::report::stderr::{self, StderrFormat};
use crate::sql::{Checked, Session};

pub(super) const EXAMPLES: &str = "\
Examples:
  thalweg check job.sql
  thalweg check job.sql --format json

Declarations take effect and queries are planned, but no job runs. What is wrong is told all at once, by
its place; a table whose declaration is wrong counts as declared, so that one mistake is told once.";

/// `thalweg check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    sql: SqlArgs,
    #[command(flatten)]
    errors: ErrorFormatArg,
}

/// How a check went.
#[derive(Default)]
struct Tally {
    statements: u64,
    errors: u64,
    /// Statements that use what is declared wrongly.
    unchecked: u64,
    /// Whose the errors are: the SQL's, if one is.
    code: Option<u8>,
}

impl Tally {
    fn add(&mut self, error: &Error) {
        self.errors += 1;
        let code = error.kind.exit_code();
        self.code = match (self.code, error.kind) {
            (None, _) | (Some(_), Kind::Statement) => Some(code),
            (Some(code), _) => Some(code),
        };
    }
}

/// Plans all statements and tells all errors.
pub(super) fn check(args: &CheckArgs) -> Result<(), Reported> {
    stderr::set_format(args.errors.format);
    let mut session = Session::new(args.sql.session_options());
    let mut tally = Tally::default();
    for ReadScript { source, script, mut errors } in read_all(&args.sql, &session)? {
        for statement in &script.statements {
            tally.statements += 1;
            match session.check(statement) {
                Checked::Accepted => {}
                Checked::Refused(refused) => errors.extend(refused),
                Checked::Unchecked => tally.unchecked += 1,
            }
        }
        errors.sort_by_key(|error| error.span.as_ref().map(|span| span.start));
        for error in &errors {
            tally.add(error);
            stderr::tell(error, Some(&source));
            if stderr::format() == StderrFormat::Text {
                stderr::put("");
            }
        }
    }
    tally.tell()
}

impl Tally {
    fn tell(&self) -> Result<(), Reported> {
        let Self { statements, errors, unchecked, code } = *self;
        if stderr::format() == StderrFormat::Json {
            stderr::put(&json::summary(statements, errors, unchecked));
            return code.map_or(Ok(()), |code| Err(Reported { code }));
        }
        let counted =
            |count: u64, noun: &str| format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" });
        let Some(code) = code else {
            let are = if statements == 1 { "is" } else { "are" };
            return say(&format!("{} {are} accepted\n", counted(statements, "statement")))
                .map_err(|error| Reported::new(&error, None));
        };
        let mut text = format!("{} in {}", counted(errors, "error"), counted(statements, "statement"));
        if unchecked > 0 {
            let (uses, was) = if unchecked == 1 { ("uses", "was") } else { ("use", "were") };
            let unchecked = counted(unchecked, "statement");
            text += &format!("; {unchecked} that {uses} what is declared wrongly {was} not checked");
        }
        stderr::put(&text);
        Err(Reported { code })
    }
}
