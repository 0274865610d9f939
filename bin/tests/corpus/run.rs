//! Reads the file of a case in several ways, and compares.

use std::path::Path;

use arrow_array::RecordBatch;
use thalweg::connect::result::{self, ResultFormat};
use thalweg::error::Error;
use thalweg::job::{self, Account, JobControl, JobOptions, Pin};
use thalweg::sql::{Outcome, Session, SessionOptions};

use crate::case::{Case, Reject};

/// Workers and bytes of a block.
const WAYS: [(usize, usize); 4] = [(1, 128 * 1024), (3, 1), (2, 5), (4, 64)];

/// Rows as JSON lines, and rejects.
type Outcomes = (Vec<String>, Vec<Reject>);

/// Whether the case comes out as it says, however it is read.
pub fn check(case: &Case) -> Result<(), String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    let ending = if case.format == "parquet" { "parquet" } else { "txt" };
    let input = directory.path().join(format!("input.{ending}"));
    std::fs::write(&input, &case.bytes).map_err(|error| error.to_string())?;
    for (workers, block_bytes) in WAYS {
        let at = |why: String| format!("{workers} workers, blocks of {block_bytes} bytes: {why}");
        let options = JobOptions { workers, block_bytes, batch_rows: 3, pin: Pin::Off, ..JobOptions::default() };
        let read = read(case, "divert", &input, &options).map(|(rows, _)| rows);
        match (&case.error, read) {
            (None, Ok(rows)) => {
                let rejects = rejects_in(&directory.path().join("rejects.ndjson")).map_err(at)?;
                same(case, &(rows, rejects)).map_err(at)?;
            }
            (Some(expected), Err(error)) => fails_as(expected, &error).map_err(at)?,
            (None, Err(error)) => return Err(at(format!("fails: {error}; {:?}", error.help))),
            (Some((_, expected)), Ok(rows)) => return Err(at(format!("does not fail with {expected:?}: {rows:?}"))),
        }
        fails_with_the_first(case, &input, &options).map_err(at)?;
    }
    Ok(())
}

fn same(case: &Case, (rows, rejects): &Outcomes) -> Result<(), String> {
    if *rows != case.rows {
        return Err(format!("rows {rows:#?}, not {:#?}", case.rows));
    }
    if *rejects != case.rejects {
        return Err(format!("rejects {rejects:#?}, not {:#?}", case.rejects));
    }
    Ok(())
}

fn fails_as((code, message): &(u8, String), error: &Error) -> Result<(), String> {
    if error.kind.exit_code() == *code && error.message.contains(message) {
        return Ok(());
    }
    Err(format!("exits {}: {}; not {code}: …{message}…", error.kind.exit_code(), error.message))
}

/// Under `fail` the first reject ends the job, with its place; without one, nothing does. `max-rejects` has no meaning then.
fn fails_with_the_first(case: &Case, input: &Path, options: &JobOptions) -> Result<(), String> {
    if case.options.contains("'max-rejects'") {
        return Ok(());
    }
    let outcome = read(case, "fail", input, options);
    match (outcome, case.rejects.first(), &case.error) {
        (Ok((rows, _)), None, None) if rows == case.rows => Ok(()),
        (Err(error), None, Some(expected)) => fails_as(expected, &error),
        (Err(error), Some(first), _) => {
            let place = match (first.line, first.column) {
                (0, _) => format!("{}: ", input.display()),
                (line, 0) => format!("{}:{line}: ", input.display()),
                (line, column) => format!("{}:{line}:{column}: ", input.display()),
            };
            if error.message.starts_with(&place) && error.kind.exit_code() == 3 {
                return Ok(());
            }
            Err(format!("under fail: exits {}: {}; not at {place}", error.kind.exit_code(), error.message))
        }
        (Ok((rows, _)), _, _) => Err(format!("does not fail under fail: {rows:?}")),
        (Err(error), None, None) => Err(format!("fails under fail: {error}")),
    }
}

/// The rows of the case's file.
fn read(case: &Case, on_error: &str, input: &Path, options: &JobOptions) -> Result<(Vec<String>, Account), Error> {
    let mut with = format!(
        "'connector' = 'filesystem', 'path' = '{}', 'format' = '{}', 'on-error' = '{on_error}'",
        input.display(),
        case.format
    );
    if on_error == "divert" {
        let rejects = input.with_file_name("rejects.ndjson");
        let _ = std::fs::remove_file(&rejects);
        with.push_str(&format!(", 'rejects-path' = '{}'", rejects.display()));
    }
    if !case.options.is_empty() {
        with.push_str(", ");
        with.push_str(&case.options);
    }
    let query = if case.query.is_empty() { "*" } else { &case.query };
    let sql = format!("CREATE TABLE t ({}) WITH ({with});\nSELECT {query} FROM t;", case.columns);
    let (batches, account) = run(&sql, options)?;
    account.check().map_err(Error::internal)?;
    Ok((json_lines(&batches)?, account))
}

/// Runs statements; the batches are those of the last SELECT.
fn run(sql: &str, options: &JobOptions) -> Result<(Vec<RecordBatch>, Account), Error> {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).map_err(|errors| errors.into_iter().next().expect("there is an error"))?;
    let mut outcome = None;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement)? {
            outcome = Some(job::collect(plan, options)?);
        }
    }
    outcome.ok_or_else(|| Error::internal("no statement started a job"))
}

fn json_lines(batches: &[RecordBatch]) -> Result<Vec<String>, Error> {
    let mut lines = Vec::new();
    for batch in batches {
        let sink = result::open(ResultFormat::Json, &batch.schema())?;
        let encoder = sink.encoder.ok_or_else(|| Error::internal("results have an encoder"))?;
        let mut bytes = Vec::new();
        encoder().encode(batch, &mut bytes)?;
        let text = String::from_utf8(bytes).map_err(|error| Error::internal(error.to_string()))?;
        lines.extend(text.lines().map(str::to_owned));
    }
    Ok(lines)
}

/// What `divert` wrote; nothing, if it made no file.
fn rejects_in(path: &Path) -> Result<Vec<Reject>, String> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(Vec::new()) };
    text.lines()
        .map(|line| {
            let reject: serde_json::Value = serde_json::from_str(line).map_err(|error| format!("{line}: {error}"))?;
            let number = |field: &str| reject[field].as_u64().unwrap_or_default();
            let reason = reject["reason"].as_str().unwrap_or_default().to_owned();
            Ok(Reject { offset: number("offset"), line: number("line"), column: number("column"), reason })
        })
        .collect()
}

/// `VALUES` in SQL, written as a file of Parquet with these columns.
pub fn parquet_of(values: &[u8], columns: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("made.parquet");
    let values = std::str::from_utf8(values).expect("VALUES are text");
    let sql = format!(
        "CREATE TABLE made ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'parquet');\n\
         INSERT INTO made {values};",
        path.display()
    );
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(&sql).unwrap_or_else(|errors| panic!("{}: {sql}", errors[0]));
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement).unwrap_or_else(|error| panic!("{error}: {sql}")) {
            job::run(plan, &JobOptions::default(), &JobControl::new()).unwrap_or_else(|error| panic!("{error}: {sql}"));
        }
    }
    std::fs::read(&path).expect("the job has written it")
}
