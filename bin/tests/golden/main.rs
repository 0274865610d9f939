//! Golden SQL: every file of `tests/sql` gives its rows, however it is run.
//!
//! A file says what is asked and what must come out (the format is in [`case`]); this harness runs it in each of its modes,
//! with several numbers of workers, batch sizes and block sizes, small inputs cut into blocks at every byte, a GROUP BY
//! also with every strategy of sharing its state, and checks the rows, the late and the rejected ones (and what is
//! written of them), and that the accounts balance and are the same, each time. The expected rows are not ours:
//! `oracle/oracle.py` has them from DuckDB, or they are small enough to be worked out by hand.
//!
//! `GOLDEN=windows/offset cargo test -p thalweg --test golden` runs the files whose name holds those words.

mod account;
mod case;
mod matrix;
mod rejects;
mod rows;
mod run;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use account::Totals;
use case::Case;
use thalweg::plan::RuntimeMode;

/// Less would mean that files were lost, or that a filter was left in the environment.
const CASES_MIN: usize = 106;

#[test]
fn every_golden_file_gives_its_rows_however_it_is_run() {
    let filter = std::env::var("GOLDEN").unwrap_or_default();
    let cases: Vec<Case> = Case::all().into_iter().filter(|case| case.name.contains(&filter)).collect();
    assert!(cases.len() >= if filter.is_empty() { CASES_MIN } else { 1 }, "only {} golden files", cases.len());

    let (next, runs) = (AtomicUsize::new(0), Mutex::new(Runs::default()));
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    match run_every_way(case, number) {
                        Ok(of_case) => {
                            let mut runs = runs.lock().expect("no thread panics with the counts");
                            runs.all += of_case.all;
                            runs.of_strategies += of_case.of_strategies;
                        }
                        Err(failure) => failures.lock().expect("no thread panics with the list").push(failure),
                    }
                }
            });
        }
    });

    let failures = failures.into_inner().expect("no thread panics with the list");
    // Not `println!`, which the test runner keeps to itself when all is well.
    let Runs { all, of_strategies } = runs.into_inner().expect("no thread panics with the counts");
    let files = cases.len();
    let _ = writeln!(std::io::stderr(), "golden: {files} files, {all} runs, {of_strategies} of other strategies");
    assert!(failures.is_empty(), "{} of {} files fail:\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}

/// The worked examples of `docs/time.md` are the cases of `sql/time`: input, statements and rows, word for word.
#[test]
fn the_page_on_time_shows_what_is_run() {
    let page = std::fs::read_to_string(tests_directory().join("../../docs/time.md")).expect("the page is there");
    let cases: Vec<Case> = Case::all().into_iter().filter(|case| case.name.starts_with("time/")).collect();
    assert_eq!(cases.len(), 5, "the page has five examples");
    for case in cases {
        let path = tests_directory().join("sql").join(&case.name).with_extension("test");
        let text = std::fs::read_to_string(path).expect("the case is there").replace("${dir}/", "");
        for section in text.split("\n==> ").skip(1) {
            let (title, body) = section.split_once('\n').expect("a section has a body");
            let is_shown = !title.starts_with("rejects");
            assert!(!is_shown || page.contains(&format!("\n{}\n```", body.trim_end())), "{}: {title}", case.name);
        }
    }
}

/// Runs a case with every member of its matrix; answers how many there were, or what went wrong first.
fn run_every_way(case: &Case, number: usize) -> Result<Runs, String> {
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    case.write_files(directory.path())?;
    let mut ways = matrix::ways(case);
    let mut runs = Runs::default();
    let mut totals: BTreeMap<&str, Vec<Totals>> = BTreeMap::new();
    while let Some(&way) = ways.get(runs.all) {
        // A panic of the engine is a failure of this case, not of the run.
        let accounts =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run::check(case, &way, directory.path())))
                .unwrap_or_else(|_| Err("the engine panicked; see above".into()))
                .map_err(|why| format!("{} ({way}): {why}", case.name))?;
        if runs.all == 0 && accounts.iter().any(account::has_choice) {
            let more = matrix::strategy_ways(case, number);
            runs.of_strategies = more.len();
            ways.extend(more);
        }
        let found: Vec<Totals> = accounts.iter().map(|account| Totals::new(account, case.is_net)).collect();
        let mode = if way.mode == RuntimeMode::Batch { "batch" } else { "streaming" };
        let expected = totals.entry(mode).or_insert_with(|| found.clone());
        if *expected != found {
            return Err(format!("{} ({way}): the account is {found:?}, and before it was {expected:?}", case.name));
        }
        runs.all += 1;
    }
    Ok(runs)
}

/// How often a case was run.
#[derive(Clone, Copy, Default)]
struct Runs {
    all: usize,
    /// With other strategies than the default.
    of_strategies: usize,
}

/// `bin/tests`.
fn tests_directory() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests"))
}
