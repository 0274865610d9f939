//! The SQL that a command was given: read, parsed as a whole, and told of when it is wrong.

use std::io::Read;
use std::path::Path;

use super::Reported;
use super::arguments::SqlArgs;
use crate::connect::missing_path;
use crate::error::{Error, Kind, Result};
use crate::report::diagnostic::SourceText;
use crate::report::stderr;
use crate::sql::{Script, Session};

/// One text of SQL and its statements.
pub(super) struct ParsedScript {
    pub(super) source: SourceText,
    pub(super) script: Script,
}

/// One text of SQL, what of it can be read, and what is wrong with the rest.
pub(super) struct ReadScript {
    pub(super) source: SourceText,
    pub(super) script: Script,
    pub(super) errors: Vec<Error>,
}

/// Reads and parses all SQL of `args`, in order, before anything of it runs.
///
/// # Errors
/// If a text cannot be read, or one or more statements are not SQL; all are told.
pub(super) fn parse_all(args: &SqlArgs, session: &Session) -> Result<Vec<ParsedScript>, Reported> {
    let mut parsed = Vec::new();
    let mut failed: Option<Reported> = None;
    for ReadScript { source, script, mut errors } in read_all(args, session)? {
        errors.sort_by_key(|error| error.span.as_ref().map(|span| span.start));
        for (index, error) in errors.iter().enumerate() {
            if index > 0 && stderr::format() == stderr::StderrFormat::Text {
                stderr::put("");
            }
            stderr::tell(error, Some(&source));
            failed.get_or_insert(Reported { code: error.kind.exit_code() });
        }
        parsed.push(ParsedScript { source, script });
    }
    failed.map_or(Ok(parsed), Err)
}

/// As [`parse_all`], but what cannot be read is left for the caller to tell.
///
/// # Errors
/// If a text is not there, or there is no statement in any.
pub(super) fn read_all(args: &SqlArgs, session: &Session) -> Result<Vec<ReadScript>, Reported> {
    let sources = load(args).map_err(|error| Reported::new(&error, None))?;
    let mut read = Vec::with_capacity(sources.len());
    for source in sources {
        let (script, errors) = session.read(&source.text);
        read.push(ReadScript { source, script, errors });
    }
    if read.iter().all(|read| read.script.statements.is_empty() && read.errors.is_empty()) {
        let names: Vec<String> = read.iter().map(|read| format!("'{}'", read.source.name)).collect();
        let error = Error::statement(format!("there is no statement in {}", names.join(" and ")))
            .help("comments and semicolons alone do nothing; write for example SELECT * FROM 'trades.csv';");
        return Err(Reported::new(&error, None));
    }
    Ok(read)
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
            let bytes = std::fs::read(path).map_err(|error| unreadable(path, &error))?;
            refuse_data(path)?;
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

/// A file of rows in the place of the SQL that reads it.
fn refuse_data(path: &str) -> Result<()> {
    const ENDINGS: [&str; 8] = ["csv", "tsv", "json", "jsonl", "ndjson", "parquet", "gz", "zst"];
    let ending = Path::new(path).extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    if !ENDINGS.contains(&ending.to_lowercase().as_str()) {
        return Ok(());
    }
    let quoted = path.replace('\'', "''");
    Err(Error::statement(format!("'{path}' holds rows, not SQL, going by its ending"))
        .help(format!("to query it: thalweg run -e \"SELECT * FROM '{quoted}'\"")))
}

/// The error for a file of SQL that cannot be read.
fn unreadable(path: &str, error: &std::io::Error) -> Error {
    let is_sql = path.split_whitespace().nth(1).is_some();
    if is_sql && error.kind() == std::io::ErrorKind::NotFound {
        let quoted = path.replace('"', "\\\"");
        return Error::statement(format!("there is no file '{path}'"))
            .help(format!("to run SQL of the command line, write -e \"{quoted}\""));
    }
    let refused = Error::statement(format!("cannot read '{path}': {error}"));
    match error.kind() {
        std::io::ErrorKind::NotFound => refused.help(missing_path::advice(path)),
        std::io::ErrorKind::IsADirectory => refused.help("name a file of SQL in it"),
        std::io::ErrorKind::PermissionDenied => refused.help("the user who runs the job needs the right to read it"),
        _ => refused,
    }
}

/// The text without a byte order mark.
fn source(name: &str, bytes: Vec<u8>) -> Result<SourceText> {
    if bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF") {
        return Err(Error::statement(format!("'{name}' is in UTF-16, not in UTF-8"))
            .help(format!("convert it, for example with `iconv -f UTF-16 -t UTF-8 {name}`")));
    }
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
