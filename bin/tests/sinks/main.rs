//! Files and pipes as sinks: which rows are where, what is left when a process dies, and what the system may refuse.

mod endings;
mod parts;
mod pipes;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use thalweg::job::{self, Account, JobControl, JobOptions, Pin};
use thalweg::sql::{Outcome, Session, SessionOptions};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// The numbers from 0 on with a key, as CSV.
fn numbers(rows: usize) -> String {
    (0..rows).map(|number| format!("{number},k{}\n", number * 7 % 5)).collect()
}

fn table(name: &str, clause: &str, path: &Path, more: &str) -> String {
    table_in("csv", name, clause, path, more)
}

fn table_in(format: &str, name: &str, clause: &str, path: &Path, more: &str) -> String {
    format!(
        "CREATE TABLE {name} (n BIGINT, k STRING) {clause}
         WITH ('connector' = 'filesystem', 'format' = '{format}', 'path' = '{}'{more});",
        path.display()
    )
}

fn run(sql: &str, options: &JobOptions) -> Vec<Account> {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).unwrap_or_else(|errors| panic!("{errors:?}"));
    let mut accounts = Vec::new();
    for statement in &script.statements {
        match session.execute(statement).unwrap_or_else(|error| panic!("{error:?}")) {
            Outcome::Job(plan) => {
                let account = job::run(plan, options, &JobControl::new()).unwrap_or_else(|error| panic!("{error:?}"));
                account.check().unwrap_or_else(|why| panic!("{why}"));
                accounts.push(account);
            }
            Outcome::Done => {}
            other => panic!("{other:?}"),
        }
    }
    accounts
}

fn options(workers: usize, batch_rows: usize, block_bytes: usize) -> JobOptions {
    JobOptions { workers, batch_rows, block_bytes, pin: Pin::Off, ..JobOptions::default() }
}

/// All files below `directory` by their names, hidden ones too, as texts.
fn tree(directory: &Path) -> BTreeMap<String, String> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    bytes(directory).into_iter().map(|(name, bytes)| (name, text(bytes))).collect()
}

fn bytes(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(next) = directories.pop() {
        // A directory may go while it is listed.
        for path in fs::read_dir(next).into_iter().flatten().flatten().map(|entry| entry.path()) {
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(directory).expect("it is below").to_string_lossy().into_owned();
                files.insert(name, fs::read(&path).unwrap_or_default());
            }
        }
    }
    files
}

fn sorted_lines<'a>(texts: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut lines: Vec<String> = texts.flat_map(|text| text.lines()).map(str::to_owned).collect();
    lines.sort();
    lines
}

fn thalweg(sql: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_thalweg"));
    command.args(["run", "-e", sql]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_BACKTRACE");
    command
}

fn output(command: &mut Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().expect("the binary was built with this test");
    let text = |bytes| String::from_utf8(bytes).expect("all output is UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// Waits until `found` gives something.
fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(start.elapsed() < PATIENCE, "{what}: it does not come");
        std::thread::yield_now();
    }
}

/// A job that reads lines from its standard input, as they come.
fn fed(sink: &str) -> Child {
    let script = "CREATE TABLE lines (n BIGINT, k STRING) WITH ('connector' = 'stdin', 'format' = 'csv');".to_owned()
        + sink
        + "INSERT INTO sink SELECT * FROM lines;";
    thalweg(&script).stdin(Stdio::piped()).spawn().expect("it runs")
}

fn feed(child: &mut Child, lines: &str) {
    let pipe = child.stdin.as_mut().expect("it is piped");
    pipe.write_all(lines.as_bytes()).expect("it reads");
}

fn end(mut child: Child) {
    drop(child.stdin.take());
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!(ended.status.code(), Some(0), "{}", String::from_utf8_lossy(&ended.stderr));
}
