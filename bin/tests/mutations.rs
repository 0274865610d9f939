//! Rows of which some are damaged at random, as CSV and as JSON lines: nothing panics, every record is accounted for, the
//! rows that nobody touched are still there, and a reject says where it stands in the file.
//!
//! `MUTATED_ROWS=10000000 cargo test --release -p thalweg --test mutations -- --nocapture` damages so many rows of each.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::job::{self, Account, JobOptions, Pin};
use thalweg::sql::{Outcome, Session, SessionOptions};

/// Rows that are damaged of each format, where the environment does not say otherwise.
const MUTATED_ROWS: u64 = 60_000;
/// Rows of one file.
const FILE_ROWS: i64 = 50_000;
/// Damaged rows among a hundred.
const DAMAGED_PERCENT: u32 = 20;
/// What must be left of the rows that were not touched.
const UNTOUCHED_KEPT_MIN: f64 = 0.99;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Text {
    Csv,
    Json,
}

#[test]
fn damaged_csv_costs_the_damaged_rows() {
    damage(Text::Csv);
}

#[test]
fn damaged_json_costs_the_damaged_rows() {
    damage(Text::Json);
}

fn damage(text: Text) {
    let wanted = std::env::var("MUTATED_ROWS").ok().and_then(|rows| rows.parse().ok()).unwrap_or(MUTATED_ROWS);
    let directory = tempfile::tempdir().expect("a temporary directory");
    let (mut damaged, mut untouched, mut kept, mut rejected) = (0, 0, 0, 0);
    let mut seed = 0;
    while damaged < wanted {
        let mut random = StdRng::seed_from_u64(seed);
        let input = Input::new(text, &mut random);
        let path = directory.path().join("input.txt");
        std::fs::write(&path, &input.bytes).expect("the input can be written");
        // Every fourth file is diverted, so that its rejects can be looked up in it.
        let on_error = if seed % 4 == 0 { "divert" } else { "skip" };
        let (ids, account) = read(text, &path, on_error, seed);
        account.check().unwrap_or_else(|why| panic!("{text:?}, seed {seed}: {why}"));
        let found = input.untouched.iter().filter(|id| ids.contains(id)).count();
        damaged += input.damaged;
        untouched += input.untouched.len();
        kept += found;
        rejected += account.rejected();
        if on_error == "divert" {
            look_up(&path.with_file_name("rejects.ndjson"), &input.bytes, account.rejected());
        }
        seed += 1;
    }
    let share = kept as f64 / untouched as f64;
    println!(
        "{text:?}: {damaged} rows damaged, {rejected} rejected; of {untouched} untouched {:.3} % kept",
        share * 100.0
    );
    assert!(rejected > 0 && share >= UNTOUCHED_KEPT_MIN, "{text:?}: {share} of the untouched rows are left");
}

/// A file, and which of its rows nobody touched.
struct Input {
    bytes: Vec<u8>,
    untouched: Vec<i64>,
    damaged: u64,
}

impl Input {
    fn new(text: Text, random: &mut StdRng) -> Self {
        let mut input = Self { bytes: Vec::new(), untouched: Vec::new(), damaged: 0 };
        let mut row = String::new();
        for id in 0..FILE_ROWS {
            row.clear();
            write_row(text, id, random, &mut row);
            let mut bytes = row.clone().into_bytes();
            if random.random_range(0..100) < DAMAGED_PERCENT {
                for _ in 0..random.random_range(1..=3) {
                    mutate(&mut bytes, random);
                }
                input.damaged += 1;
            } else {
                input.untouched.push(id);
            }
            input.bytes.extend(bytes);
        }
        input
    }
}

/// Some quoted, some with what needs quotes; one in fifty of two lines.
fn write_row(text: Text, id: i64, random: &mut StdRng, out: &mut String) {
    let note = *["plain", "with, comma", "with \"quotes\"", "ünïcödé 😀", ""].choose(random).expect("there is one");
    let note = if text == Text::Csv && random.random_range(0..50) == 0 { "two\nlines" } else { note };
    let price: i32 = random.random_range(-1_000_000..1_000_000);
    let (whole, cents) = (price / 100, (price % 100).abs());
    let second = random.random_range(0..86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let time = format!("2024-03-01 {hour:02}:{minute:02}:{second:02}");
    let done = match text {
        Text::Csv if note.contains([',', '"', '\n']) => {
            writeln!(out, "{id},\"{}\",{whole}.{cents:02},{time}", note.replace('"', "\"\""))
        }
        Text::Csv => writeln!(out, "{id},{note},{whole}.{cents:02},{time}"),
        Text::Json => {
            let note = note.replace('"', "\\\"");
            writeln!(out, "{{\"id\":{id},\"note\":\"{note}\",\"price\":{whole}.{cents:02},\"time\":\"{time}\"}}")
        }
    };
    done.expect("a string can be written to");
}

/// One damage, as disks, editors and broken writers do it; the line end at the end of the row is left alone, so that it
/// is this row and not its neighbour that is damaged.
fn mutate(row: &mut Vec<u8>, random: &mut StdRng) {
    let end = row.len().saturating_sub(1);
    if end == 0 {
        return;
    }
    let at = random.random_range(0..end);
    match random.random_range(0..8) {
        0 => row[at] ^= 1 << random.random_range(0..8),
        1 => drop(row.remove(at)),
        2 => row.insert(at, random.random()),
        3 => row.insert(at, *b"\",\n\r{}[]:\\0".choose(random).expect("there is one")),
        4 => row[at] = 0,
        5 => drop(row.drain(at..random.random_range(at..end))),
        6 => row.truncate(at),
        _ => {
            let again = row[at..random.random_range(at..end)].to_vec();
            row.splice(at..at, again);
        }
    }
    // What was cut off took the line end with it.
    if row.last() != Some(&b'\n') {
        row.push(b'\n');
    }
}

/// Reads the file with as many workers and cuts as the seed says.
fn read(text: Text, path: &Path, on_error: &str, seed: u64) -> (BTreeSet<i64>, Account) {
    let format = if text == Text::Csv { "csv', 'csv.header' = 'false" } else { "json" };
    let rejects = path.with_file_name("rejects.ndjson");
    let _ = std::fs::remove_file(&rejects);
    let divert =
        if on_error == "divert" { format!(", 'rejects-path' = '{}'", rejects.display()) } else { String::new() };
    let sql = format!(
        "CREATE TABLE t (id BIGINT, note STRING, price DECIMAL(10, 2), `time` TIMESTAMP(3)) WITH ('connector' = 'filesystem', \
         'path' = '{}', 'format' = '{format}', 'on-error' = '{on_error}'{divert}, 'max-record-bytes' = '64 kb');\n\
         SELECT id, note, price, `time` FROM t;",
        path.display()
    );
    let options = JobOptions {
        workers: 1 + seed as usize % 4,
        block_bytes: [128 * 1024, 4 * 1024, 1000][seed as usize % 3],
        pin: Pin::Off,
        ..JobOptions::default()
    };
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(&sql).unwrap_or_else(|errors| panic!("{}", errors[0]));
    for statement in &script.statements {
        if let Outcome::Job(plan) = session.execute(statement).unwrap_or_else(|error| panic!("{error}")) {
            let (batches, account) =
                job::collect(plan, &options).unwrap_or_else(|error| panic!("{text:?}, {seed}: {error}"));
            let ids = batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().iter().flatten());
            return (ids.collect(), account);
        }
    }
    unreachable!("the last statement starts a job")
}

/// Every reject's record stands at its offset.
fn look_up(rejects: &Path, input: &[u8], expected: u64) {
    let text = std::fs::read_to_string(rejects).expect("what was diverted can be read");
    let mut found = 0;
    let mut last = 0;
    for line in text.lines() {
        let reject: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let offset = reject["offset"].as_u64().unwrap_or_else(|| panic!("{line}: no offset")) as usize;
        assert!(offset >= last, "{line}: out of order");
        last = offset;
        if let (Some(record), true) = (reject["record"].as_str(), reject["record_base64"].is_null()) {
            assert!(input[offset..].starts_with(record.as_bytes()), "{line}: does not stand there");
        }
        found += 1;
    }
    assert_eq!(found, expected, "every reject is in the file");
}
