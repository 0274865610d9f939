//! Bad input of random files: rows and rejects are those that a naive oracle finds by going through the file once, for any
//! number of workers, batch and block size; and whatever the policy, it is about the same records.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Arc, Mutex};

use arrow_array::cast::AsArray;
use arrow_array::types::{Int32Type, Int64Type};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::error::{Error, Kind, Result};
use thalweg::job::{self, Account, JobControl, JobOptions, Pin};
use thalweg::plan::JobPlan;
use thalweg::sql::{Outcome, Session, SessionOptions};

const SEEDS: std::ops::Range<u64> = 0..12;
const RECORDS: i32 = 300;

/// What the query gives for a record: id, quotient, number.
type Row = (i32, i64, i32);

/// A record that must be refused.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Refused {
    offset: u64,
    /// Of the fault.
    line: u64,
    reason: &'static str,
    record: String,
}

/// A file, with what must come of it.
#[derive(Default)]
struct Input {
    text: String,
    rows: Vec<Row>,
    refused: Vec<Refused>,
    records: u64,
}

impl Input {
    /// `badness`: of 100 records, how many have something wrong with them.
    fn random(rng: &mut StdRng, badness: u32) -> Self {
        let mut input = Self::default();
        let mut line = 1;
        for id in 0..RECORDS {
            if rng.random_range(0..100) < 3 {
                // Passed over, and no record.
                input.text += "\n";
                line += 1;
            }
            let offset = input.text.len() as u64;
            let divisor = rng.random_range(1..50);
            let number = rng.random_range(-1000..1000);
            let bad = if rng.random_range(0..100) < badness { rng.random_range(0..7) } else { 7 };
            let text = if rng.random_bool(0.1) { "\"a\nb\"" } else { "some text" };
            let (record, reason) = match bad {
                0 => (format!("{id},{divisor},{number}"), Some("field-count")),
                1 => (format!("{id},{divisor},{number},{text},more"), Some("field-count")),
                2 => (format!("x{id},{divisor},{number},{text}"), Some("malformed")),
                3 => (format!("{id},99999999999999999999,{number},{text}"), Some("out-of-range")),
                4 => (format!("{id},0,{number},{text}"), Some("expression")),
                5 => (format!("{id},{divisor},n{number},{text}"), Some("expression")),
                // Both fail: what is below in the plan is reported, and the record once.
                6 => (format!("{id},0,n{number},{text}"), Some("expression")),
                _ => (format!("{id},{divisor},{number},{text}"), None),
            };
            input.records += 1;
            match reason {
                Some(reason) => {
                    // Of a field too many, which may stand behind a newline in quotes; of the record else.
                    let line = line + if bad == 1 { record.matches('\n').count() as u64 } else { 0 };
                    input.refused.push(Refused { offset, line, reason, record: record.clone() });
                }
                None => input.rows.push((id, 1_000_000 / divisor, number)),
            }
            line += 1 + record.matches('\n').count() as u64;
            writeln!(input.text, "{record}").expect("a string takes all");
        }
        input
    }
}

#[test]
fn rows_and_rejects_are_those_of_the_oracle_however_the_job_is_run() {
    for seed in SEEDS {
        let mut rng = StdRng::seed_from_u64(seed);
        let badness = *[2, 20, 100].choose(&mut rng).expect("there is one");
        let input = Input::random(&mut rng, badness);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("t.csv");
        std::fs::write(&path, &input.text).expect("the input can be written");
        let rejects = directory.path().join("r.ndjson");
        let divert = format!("'on-error' = 'divert', 'rejects-path' = '{}'", rejects.display());
        for options in ways(&mut rng) {
            let at = format!("seed {seed}, {options:?}");
            let (rows, account) =
                run(&path, &divert, |plan| job::collect(plan, &options)).expect("bad input is diverted");
            assert_eq!(rows, input.rows, "{at}");
            assert_eq!(account.records(), input.records, "{at}");
            assert_eq!(account.rejected(), input.refused.len() as u64, "{at}");
            assert_eq!(account.rejects().to_string(), counted(&input.refused), "{at}");
            let lines = std::fs::read_to_string(&rejects).expect("rejects were written");
            let written: Vec<Refused> = lines.lines().map(parse).collect();
            // The record is what stands at the offset.
            for refused in &written {
                assert!(input.text[refused.offset as usize..].starts_with(&refused.record), "{at}: {refused:?}");
            }
            assert_eq!(written, input.refused, "{at}");

            let (rows, account) =
                run(&path, "'on-error' = 'skip'", |plan| job::collect(plan, &options)).expect("skipped");
            assert_eq!((rows, account.rejected()), (input.rows.clone(), input.refused.len() as u64), "{at}");
        }
    }
}

#[test]
fn fail_and_max_rejects_end_with_the_record_that_divert_would_have_next() {
    for seed in SEEDS {
        let mut rng = StdRng::seed_from_u64(1000 + seed);
        let input = Input::random(&mut rng, 10);
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("t.csv");
        std::fs::write(&path, &input.text).expect("the input can be written");
        let rejects = directory.path().join("r.ndjson");
        let failing = |error: Option<Error>, refused: &Refused, at: &str| {
            let error = error.unwrap_or_else(|| panic!("{at}: the job did not fail"));
            assert_eq!(error.kind, Kind::Data, "{at}: {error}");
            let place = format!("{}:{}:", path.display(), refused.line);
            assert!(error.message.starts_with(&place), "{at}: {error} is not at {place}");
        };
        for options in ways(&mut rng) {
            let at = format!("seed {seed}, {options:?}");
            let failed = run(&path, "'on-error' = 'fail'", |plan| job::collect(plan, &options)).err();
            failing(failed, &input.refused[0], &at);
            let schedule = rng.random_range(0..1_000_000);
            let failed = run(&path, "'on-error' = 'fail'", |plan| job::simulate(plan, &options, schedule)).err();
            failing(failed, &input.refused[0], &format!("{at}, schedule {schedule}"));

            let max = rng.random_range(0..input.refused.len());
            let policy =
                format!("'on-error' = 'divert', 'max-rejects' = '{max}', 'rejects-path' = '{}'", rejects.display());
            let failed = run(&path, &policy, |plan| job::collect(plan, &options)).err();
            failing(failed, &input.refused[max], &at);
            let lines = std::fs::read_to_string(&rejects).expect("rejects were written");
            let written: Vec<Refused> = lines.lines().map(parse).collect();
            assert_eq!(written, input.refused[..max], "{at}: all before the last are written");
        }
        let all = format!("'on-error' = 'skip', 'max-rejects' = '{}'", input.refused.len());
        run(&path, &all, |plan| job::collect(plan, &JobOptions::default())).expect("as many as are accepted");
    }
}

#[test]
fn two_hundred_thousand_bad_records_are_a_handful_of_notes_and_progress_counts_them() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("t.csv");
    std::fs::write(&path, "bad\n".repeat(200_000)).expect("the input can be written");
    let control = JobControl::new();
    let notes = Arc::new(Mutex::new(Vec::<String>::new()));
    let heard = Arc::clone(&notes);
    control.on_note(move |note| heard.lock().expect("no panic").push(note.to_owned()));
    let sink =
        format!("CREATE TABLE s (n INT) WITH ('connector' = 'blackhole'); {}", table(&path, "'on-error' = 'skip'"));
    let script = format!("{sink} INSERT INTO s SELECT id FROM t;");
    let account = execute(&script, |plan| job::run(plan, &JobOptions::default(), &control)).expect("all are skipped");
    account.check().expect("accounts balance");
    assert_eq!(account.rejects().to_string(), "field-count 200000");
    assert_eq!(control.progress().rejected, account.rejects());
    let notes = notes.lock().expect("no panic");
    assert!(notes[0].starts_with(&format!("{}:1:4: a record of 1 field", path.display())), "{notes:?}");
    // At most one a second, and the last; one alone, if all were read before the first was told.
    assert!((1..100).contains(&notes.len()), "{} notes", notes.len());
    assert!(notes.last().is_some_and(|note| note.contains("more")), "{notes:?}");
}

#[test]
fn what_has_no_meaning_is_refused() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("t.csv");
    std::fs::write(&path, "1,1,1,x\n").expect("the input can be written");
    for (options, message) in [
        ("'rejects-path' = 'r.ndjson'", "'rejects-path'"),
        ("'on-error' = 'skip', 'rejects-max-bytes' = '1 mb'", "'rejects-max-bytes'"),
        ("'max-rejects' = '5'", "'max-rejects'"),
        ("'on-error' = 'perhaps'", "'on-error'"),
        ("'on-error' = 'divert', 'rejects-path' = ''", "'rejects-path'"),
        ("'max-future' = 'soon'", "'max-future'"),
        ("'max-future' = '1 h'", "'max-future'"),
        ("'late-rows' = 'divert'", "'late-rows'"),
        ("'late-rows' = 'keep'", "'late-rows'"),
        ("'late-rows-path' = 'late.ndjson'", "'late-rows-path'"),
        ("'late-rows' = 'drop', 'late-rows-max-bytes' = '1 mb'", "'late-rows-max-bytes'"),
        ("'late-rows' = 'divert', 'late-rows-path' = ''", "'late-rows-path'"),
    ] {
        let error = run(&path, options, |plan| job::collect(plan, &JobOptions::default())).expect_err(options);
        assert_eq!(error.kind, Kind::Statement, "{options}: {error}");
        assert!(error.message.contains(message) && error.help.is_some(), "{options}: {error}");
    }
    let options = format!("'on-error' = 'divert', 'rejects-path' = '{}'", path.display());
    let error = run(&path, &options, |plan| job::collect(plan, &JobOptions::default())).expect_err("it is the input");
    assert!(error.kind == Kind::Connector && error.message.contains("something else than rejects"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("the input is there"), "1,1,1,x\n");
}

/// `expression 2, malformed 1`, in the engine's order of reasons.
fn counted(refused: &[Refused]) -> String {
    let names = ["malformed", "out-of-range", "field-count", "expression"];
    let count = |name: &str| refused.iter().filter(|refused| refused.reason == name).count();
    let counts: Vec<String> =
        names.iter().filter(|name| count(name) > 0).map(|name| format!("{name} {}", count(name))).collect();
    counts.join(", ")
}

/// A line of the file of rejects.
fn parse(line: &str) -> Refused {
    let after = |key: &str| {
        let (_, rest) = line.split_once(&format!("\"{key}\":")).unwrap_or_else(|| panic!("no {key} in {line}"));
        rest
    };
    let number = |key: &str| {
        let digits: String = after(key).chars().take_while(char::is_ascii_digit).collect();
        digits.parse().unwrap_or_else(|error| panic!("{key} in {line}: {error}"))
    };
    let names = ["malformed", "out-of-range", "field-count", "expression"];
    let reason = names.into_iter().find(|name| after("reason").starts_with(&format!("\"{name}\"")));
    let record = after("record").strip_prefix('"').and_then(|rest| rest.strip_suffix("\"}"));
    let record = record.unwrap_or_else(|| panic!("no end of the record in {line}"));
    Refused {
        offset: number("offset"),
        line: number("line"),
        reason: reason.unwrap_or_else(|| panic!("an unexpected reason in {line}")),
        record: record.replace("\\n", "\n").replace("\\\"", "\""),
    }
}

fn ways(rng: &mut StdRng) -> Vec<JobOptions> {
    let mut ways = Vec::new();
    for workers in [1, 2, 4] {
        for batch_rows in [1, 7, 4096] {
            let block_bytes = *[rng.random_range(20..300), 1024, 128 * 1024].choose(rng).expect("there is one");
            ways.push(JobOptions { workers, batch_rows, block_bytes, pin: Pin::Off, ..JobOptions::default() });
        }
    }
    ways
}

fn table(path: &Path, options: &str) -> String {
    format!(
        "CREATE TABLE t (id INT, divisor BIGINT, n STRING, s STRING, quotient AS 1000000 / divisor)
         WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', {options});",
        path.display()
    )
}

/// The rows in the order of the input, which a job without an aggregate keeps.
fn run(
    path: &Path,
    options: &str,
    run: impl Fn(JobPlan) -> Result<(Vec<arrow_array::RecordBatch>, Account)>,
) -> Result<(Vec<Row>, Account)> {
    let query = "SELECT id, quotient, CAST(n AS INT) FROM t WHERE s IS NOT NULL AND CAST(n AS INT) > -5000;";
    let (batches, account) = execute(&format!("{} {query}", table(path, options)), run)?;
    account.check().expect("accounts balance");
    let rows = batches.iter().flat_map(|batch| {
        let ids = batch.column(0).as_primitive::<Int32Type>();
        let quotients = batch.column(1).as_primitive::<Int64Type>();
        let numbers = batch.column(2).as_primitive::<Int32Type>();
        (0..batch.num_rows()).map(|row| (ids.value(row), quotients.value(row), numbers.value(row))).collect::<Vec<_>>()
    });
    Ok((rows.collect(), account))
}

fn execute<T>(script: &str, run: impl Fn(JobPlan) -> Result<T>) -> Result<T> {
    let mut session = Session::new(SessionOptions::default());
    let mut result = None;
    let script = session.parse(script).map_err(|mut errors| errors.remove(0))?;
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement)? {
            result = Some(run(plan)?);
        }
    }
    Ok(result.expect("the script runs a job"))
}
