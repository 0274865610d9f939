//! Runs a case in one way, in this process, and compares.

use std::fs;
use std::path::Path;

use thalweg::job::{self, Account, JobControl, JobOptions, Pin};
use thalweg::plan::{JobPlan, RuntimeMode, SinkTable};
use thalweg::sql::{Outcome, Session, SessionOptions};

use crate::account;
use crate::case::Case;
use crate::matrix::Way;
use crate::rejects;
use crate::rows::{self, Value};

/// Runs `case` as `way` says, and checks rows, files, late and rejected rows, and the accounts, one of each job.
pub fn check(case: &Case, way: &Way, directory: &Path) -> Result<Vec<Account>, String> {
    for name in case.outputs.iter().map(|(name, _)| name).chain(case.rejects.iter().map(|(name, _)| name)) {
        let _ = fs::remove_file(directory.join(name));
    }
    let script = case.script(way.mode, directory);
    let late = if way.mode == RuntimeMode::Streaming { case.late } else { 0 };
    let mut session = Session::new(SessionOptions::default());
    let mut accounts = Vec::new();
    let statements = session.parse(&script).map_err(|errors| told(&errors[0], &script))?.statements;
    for statement in &statements {
        match session.execute(statement).map_err(|error| told(&error, &script))? {
            Outcome::Job(plan) => {
                let outcome = run(case, way, plan, late);
                // Looked at first: they say most of what is wrong with the others.
                case.rejects.iter().try_for_each(|(name, rejects)| rejects::check(&directory.join(name), rejects))?;
                accounts.push(outcome?);
            }
            Outcome::Done => {}
            Outcome::Rows(_) | Outcome::Explain(_) => {
                return Err("a golden file runs jobs, and asks nothing else".into());
            }
        }
    }
    if accounts.is_empty() {
        return Err("no statement started a job".into());
    }
    case.outputs.iter().try_for_each(|(name, expected)| {
        let text = fs::read_to_string(directory.join(name)).map_err(|error| format!("{name}: {error}"))?;
        let plain = |rows| rows::expected(rows, &[]);
        differs(rows::difference(plain(&rows::parse(&text)), plain(expected), false))
            .map_err(|why| format!("{name}: {why}"))
    })?;
    Ok(accounts)
}

fn run(case: &Case, way: &Way, plan: JobPlan, late: u64) -> Result<Account, String> {
    let options = JobOptions {
        workers: way.workers,
        batch_rows: way.batch_rows,
        block_bytes: way.block_bytes,
        strategy: way.strategy,
        kernels: way.kernels(),
        // Several cases run at a time: bound to cores, all of them would share the first ones.
        pin: Pin::Off,
        ..JobOptions::default()
    };
    let is_select = plan.pipelines.iter().any(|pipeline| matches!(pipeline.sink, SinkTable::Result));
    if !is_select {
        let account = job::run(plan, &options, &JobControl::new()).map_err(|error| error.to_string())?;
        account::check(&account, case, late)?;
        return Ok(account);
    }
    let (batches, account) = job::collect(plan, &options).map_err(|error| error.to_string())?;
    account::check(&account, case, late)?;
    let kinds = batches.first().map(rows::kinds).unwrap_or_default();
    let mut actual: Vec<Vec<Value>> = batches.iter().flat_map(rows::actual).collect();
    let mut kinds = kinds;
    if case.is_net && batches.first().is_some_and(|batch| batch.schema().field(0).name() == "op") {
        actual = rows::net(actual)?;
        kinds.remove(0);
    }
    let expected = case.rows.as_deref().ok_or("the case expects no rows of a SELECT")?;
    let expected = rows::expected(expected, &kinds);
    differs(match case.key_columns {
        Some(columns) => rows::difference(rows::by_key(actual, columns), rows::by_key(expected, columns), true),
        None => rows::difference(actual, expected, case.is_ordered),
    })?;
    all_read(case, &account)?;
    Ok(account)
}

fn differs(difference: Option<String>) -> Result<(), String> {
    difference.map_or(Ok(()), Err)
}

/// The sources counted as many records as the extracts have, unless the query may stop early.
fn all_read(case: &Case, account: &Account) -> Result<(), String> {
    if case.sql.contains("LIMIT") {
        return Ok(());
    }
    for source in account.sources.iter().filter(|source| case.tables.contains(&source.table)) {
        let path = crate::tests_directory().join("data").join(format!("{}.csv", source.table));
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        // No record of the extracts has a line end within, and the first is the header.
        let records = text.lines().count() as u64 - 1;
        if source.records != records {
            return Err(format!("{} records of `{}` were counted, it has {records}", source.records, source.table));
        }
    }
    Ok(())
}

/// An error with what it points at.
fn told(error: &thalweg::error::Error, script: &str) -> String {
    let place = error.span.clone().and_then(|span| script.get(span)).unwrap_or_default();
    let help = error.help.as_deref().unwrap_or_default();
    format!("{error}; at `{place}`; help: {help}")
}
