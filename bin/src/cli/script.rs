//! The SQL that a command was given: read, parsed as a whole, and told of when it is wrong.

use std::io::Read;

use super::arguments::SqlArgs;
use super::{Reported, note};
use crate::error::{Error, Kind, Result};
use crate::report::diagnostic::{Colours, SourceText, render};
use crate::sql::{Script, Session};

/// One text of SQL and its statements.
pub(super) struct ParsedScript {
    pub(super) source: SourceText,
    pub(super) script: Script,
}

/// Reads and parses all SQL of `args`, in order, before anything of it runs.
///
/// # Errors
/// If a text cannot be read, or one or more statements are not SQL; all are told.
pub(super) fn parse_all(args: &SqlArgs, session: &Session) -> Result<Vec<ParsedScript>, Reported> {
    let sources = load(args).map_err(|error| Reported::new(&error, None))?;
    let mut parsed = Vec::with_capacity(sources.len());
    let mut failed: Option<Reported> = None;
    for source in sources {
        match session.parse(&source.text) {
            Ok(script) => parsed.push(ParsedScript { source, script }),
            Err(errors) => failed = report_all(&errors, &source).or(failed),
        }
    }
    failed.map_or(Ok(parsed), Err)
}

/// Tells all errors of one text; `None` if there are none.
pub(super) fn report_all(errors: &[Error], source: &SourceText) -> Option<Reported> {
    for error in errors {
        note(&render(error, Some(source), Colours::of_stderr()));
    }
    errors.first().map(|error| Reported { code: error.kind.exit_code() })
}

/// Whether the SQL itself came from standard input.
pub(super) fn is_from_stdin(args: &SqlArgs) -> bool {
    args.file.as_deref() == Some("-")
}

fn load(args: &SqlArgs) -> Result<Vec<SourceText>> {
    let mut sources = Vec::new();
    match args.file.as_deref() {
        Some("-") => {
            let mut bytes = Vec::new();
            let read = std::io::stdin().lock().read_to_end(&mut bytes);
            read.map_err(|error| Error::new(Kind::Statement, format!("cannot read standard input: {error}")))?;
            sources.push(source("<stdin>", bytes)?);
        }
        Some(path) => {
            let bytes = std::fs::read(path).map_err(|error| {
                Error::statement(format!("cannot read '{path}': {error}"))
                    .help("to run SQL of the command line, write -e \"SELECT ...\"")
            })?;
            sources.push(source(path, bytes)?);
        }
        None => {}
    }
    for sql in &args.execute {
        sources.push(SourceText { name: "-e".to_owned(), text: sql.clone() });
    }
    if sources.is_empty() {
        return Err(Error::statement("no SQL was given")
            .help("name a file of SQL, or '-' for standard input, or write -e \"SELECT ...\""));
    }
    Ok(sources)
}

/// The text without a byte order mark.
fn source(name: &str, bytes: Vec<u8>) -> Result<SourceText> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Error::statement(format!("'{name}' is not UTF-8 on line {}", line + 1)).help("save it as UTF-8")
    })?;
    let text = text.strip_prefix('\u{feff}').map_or(text.clone(), str::to_owned);
    Ok(SourceText { name: name.to_owned(), text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_taken_without_its_mark_and_only_as_utf8() {
        assert_eq!(source("a", "\u{feff}SELECT 1".into()).unwrap().text, "SELECT 1");
        let error = source("a", b"SELECT 1;\nSELECT '\xe9'".to_vec()).unwrap_err();
        assert_eq!(error.message, "'a' is not UTF-8 on line 2");
    }
}
