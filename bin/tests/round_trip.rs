//! Random tables of every type through each pair of formats: what was written as one format, read, written as another and
//! read again are the rows that went in.

use std::fmt::Write as _;
use std::path::Path;

use arrow_array::RecordBatch;
use arrow_select::concat::concat_batches;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use thalweg::job::{self, JobControl, JobOptions, Pin};
use thalweg::sql::{Outcome, Session, SessionOptions};

/// Random tables; each goes through all pairs.
const TABLES: u64 = 6;
const ROWS: usize = 40;
const FORMATS: [&str; 3] = ["csv", "json", "parquet"];

/// The scalar types, and how a random value of each is written in SQL.
const SCALARS: [&str; 21] = [
    "BOOLEAN",
    "TINYINT",
    "SMALLINT",
    "INT",
    "BIGINT",
    "FLOAT",
    "DOUBLE",
    "DECIMAL(9, 2)",
    "DECIMAL(38, 10)",
    "DECIMAL(18, 18)",
    "CHAR(5)",
    "VARCHAR(20)",
    "STRING",
    "BYTES",
    "DATE",
    "TIME(3)",
    "TIMESTAMP(0)",
    "TIMESTAMP(3)",
    "TIMESTAMP(6)",
    "TIMESTAMP(9)",
    "TIMESTAMP_LTZ(3)",
];

/// Nested types; CSV has no maps, and arrays and rows of scalars alone.
const NESTED: [&str; 5] = [
    "ARRAY<INT>",
    "ARRAY<STRING>",
    "ROW<x INT, y STRING>",
    "MAP<STRING, BIGINT>",
    "ROW<a ARRAY<DECIMAL(9, 2)>, r ROW<d DATE, t TIMESTAMP(3)>>",
];

#[test]
fn scalars_pass_through_every_pair_of_formats() {
    for seed in 0..TABLES {
        let mut random = StdRng::seed_from_u64(seed);
        through_all_pairs(&SCALARS, &FORMATS, &mut random, seed);
    }
}

#[test]
fn nested_values_pass_through_json_and_parquet() {
    for seed in 0..TABLES {
        let mut random = StdRng::seed_from_u64(1000 + seed);
        through_all_pairs(&NESTED, &FORMATS[1..], &mut random, seed);
    }
}

fn through_all_pairs(types: &[&str], formats: &[&str], random: &mut StdRng, seed: u64) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut columns = String::from("id INT");
    for (number, kind) in types.iter().enumerate() {
        write!(columns, ", c{number} {kind}").expect("a string can be written to");
    }
    let mut values = String::new();
    for row in 0..ROWS {
        values.push_str(if row == 0 { "" } else { ",\n" });
        write!(values, "({row}").expect("a string can be written to");
        for kind in types {
            values.push_str(", ");
            values.push_str(&literal(kind, random));
        }
        values.push(')');
    }
    // Several rows of VALUES agree on a type, but not on the length of a string.
    let mut made = String::from("SELECT CAST(`EXPR$0` AS INT) AS id");
    for (number, kind) in types.iter().enumerate() {
        write!(made, ", CAST(`EXPR${}` AS {kind}) AS c{number}", number + 1).expect("a string can be written to");
    }
    write!(made, " FROM (VALUES {values}) AS v").expect("a string can be written to");
    let expected = rows(&made, seed);
    for from in formats {
        let first = table("first", &columns, from, directory.path());
        execute(&format!("{first}\nINSERT INTO first {made};"), seed);
        let read = rows(&format!("{first}\nSELECT * FROM first;"), seed);
        assert_eq!(text(&read), text(&expected), "seed {seed}: {from} does not give back what was written");
        for to in formats {
            let second = table("second", &columns, to, directory.path());
            execute(&format!("{first}\n{second}\nINSERT INTO second SELECT * FROM first;"), seed);
            let again = rows(&format!("{second}\nSELECT * FROM second;"), seed);
            assert_eq!(text(&again), text(&expected), "seed {seed}: {from} to {to}");
        }
    }
}

fn table(name: &str, columns: &str, format: &str, directory: &Path) -> String {
    let path = directory.join(format!("{name}.{format}"));
    // In CSV an empty string and NULL differ only if NULL has a word of its own.
    let options = if format == "csv" { ", 'csv.null-literal' = '\\N'" } else { "" };
    format!(
        "CREATE TABLE {name} ({columns}) WITH ('connector' = 'filesystem', 'path' = '{}', 'format' = '{format}'{options});",
        path.display()
    )
}

/// A value of the type as SQL: an edge or anything, one in six NULL.
fn literal(kind: &str, random: &mut StdRng) -> String {
    if random.random_range(0..6) == 0 {
        return format!("CAST(NULL AS {kind})");
    }
    let mut pick = |texts: &[&str]| (*texts.choose(random).expect("there is one")).to_owned();
    let edge = match kind {
        "BOOLEAN" => pick(&["true", "false"]),
        "TINYINT" => pick(&["-128", "127", "0"]),
        "SMALLINT" => pick(&["-32768", "32767", "-1"]),
        "INT" => pick(&["-2147483648", "2147483647", "7"]),
        "BIGINT" => pick(&["-9223372036854775808", "9223372036854775807", "-7"]),
        "FLOAT" => pick(&["3.4028235e38", "1.4e-45", "-0.0", "NaN", "Infinity", "0.1", "16777217"]),
        "DOUBLE" => {
            pick(&["1.7976931348623157e308", "4.9e-324", "-0.0", "NaN", "-Infinity", "0.1", "1e23", "123456789.125"])
        }
        "DECIMAL(9, 2)" => pick(&["-9999999.99", "9999999.99", "0.00", "0.05", "-0.01"]),
        "DECIMAL(38, 10)" => pick(&["-9999999999999999999999999999.9999999999", "0.0000000001", "1.0000000000"]),
        "DECIMAL(18, 18)" => pick(&["0.999999999999999999", "-0.000000000000000001"]),
        "CHAR(5)" => pick(&["abcde", "a    ", "äöü€ "]),
        "VARCHAR(20)" | "STRING" => return format!("CAST({} AS {kind})", string(random)),
        "BYTES" => {
            let bytes = pick(&["X''", "X'00'", "X'FF00FF'", "X'0A0D2C22'", "X'C3A4'"]);
            return format!("CAST({bytes} AS BYTES)");
        }
        "DATE" => pick(&["0001-01-01", "9999-12-31", "1969-12-31", "2024-02-29"]),
        "TIME(3)" => pick(&["00:00:00.000", "23:59:59.999", "12:00:00.100"]),
        "TIMESTAMP(0)" => pick(&["0001-01-01 00:00:00", "9999-12-31 23:59:59", "1969-12-31 23:59:59"]),
        "TIMESTAMP(3)" => pick(&["1969-12-31 23:59:59.999", "2024-02-29 12:30:00.120", "9999-12-31 23:59:59.999"]),
        "TIMESTAMP(6)" => pick(&["1969-12-31 23:59:59.999999", "2024-02-29 12:30:00.000001"]),
        "TIMESTAMP(9)" => {
            pick(&["1969-12-31 23:59:59.999999999", "2024-02-29 12:30:00.000000001", "2261-01-01 00:00:00"])
        }
        "TIMESTAMP_LTZ(3)" => pick(&["2024-03-31 01:30:00.250", "1900-01-01 00:00:00.001"]),
        nested => return composite(nested, random),
    };
    format!("CAST('{edge}' AS {kind})")
}

fn string(random: &mut StdRng) -> String {
    const PIECES: [&str; 16] = [
        "a",
        "\"",
        ",",
        "''",
        "\\",
        "\n",
        "\r\n",
        "\t",
        " ",
        "ä",
        "😀",
        ";",
        "{",
        "}",
        "\\N",
        "long enough for a view",
    ];
    let mut text = String::new();
    for _ in 0..random.random_range(0..6) {
        let piece = PIECES.choose(random).expect("there is one");
        if text.chars().count() + piece.chars().count() <= 20 {
            text.push_str(piece);
        }
    }
    // The word for NULL, unquoted, is NULL and nothing else.
    format!("'{text}'")
}

fn composite(kind: &str, random: &mut StdRng) -> String {
    let several = |element: &str, random: &mut StdRng| {
        let count = random.random_range(1..4);
        (0..count).map(|_| literal(element, random)).collect::<Vec<_>>().join(", ")
    };
    match kind {
        "ARRAY<INT>" => format!("ARRAY[{}]", several("INT", random)),
        "ARRAY<STRING>" => format!("CAST(ARRAY[{}] AS ARRAY<STRING>)", several("STRING", random)),
        "ROW<x INT, y STRING>" => {
            format!("CAST(ROW({}, {}) AS {kind})", literal("INT", random), literal("STRING", random))
        }
        "MAP<STRING, BIGINT>" => {
            format!("MAP['k', {}, CAST('l\"' AS STRING), {}]", literal("BIGINT", random), literal("BIGINT", random))
        }
        _ => format!(
            "CAST(ROW(ARRAY[{}], ROW({}, {})) AS {kind})",
            several("DECIMAL(9, 2)", random),
            literal("DATE", random),
            literal("TIMESTAMP(3)", random)
        ),
    }
}

fn options(seed: u64) -> JobOptions {
    JobOptions {
        workers: 1 + seed as usize % 3,
        batch_rows: [1, 7, 4096][seed as usize % 3],
        block_bytes: [100, 1000, 128 * 1024][seed as usize % 3],
        pin: Pin::Off,
        ..JobOptions::default()
    }
}

fn execute(sql: &str, seed: u64) {
    run(sql, |plan| {
        job::run(plan, &options(seed), &JobControl::new()).unwrap_or_else(|error| panic!("{error}: {sql}"));
    });
}

fn rows(sql: &str, seed: u64) -> RecordBatch {
    let mut rows = None;
    run(sql, |plan| {
        let schema = plan.pipelines[0].root.schema.clone();
        let (batches, _) = job::collect(plan, &options(seed)).unwrap_or_else(|error| panic!("{error}: {sql}"));
        rows = Some(concat_batches(&schema, &batches).expect("batches of one job have one schema"));
    });
    rows.expect("the statement starts a job")
}

fn run(sql: &str, mut job: impl FnMut(thalweg::plan::JobPlan)) {
    let mut session = Session::new(SessionOptions::default());
    let script = session.parse(sql).unwrap_or_else(|errors| panic!("{}: {sql}", errors[0]));
    for statement in &script.statements {
        let outcome = session.execute(statement).unwrap_or_else(|error| panic!("{error}, {:?}: {sql}", error.help));
        if let Outcome::Job(plan) = outcome {
            job(plan);
        }
    }
}

/// The columns as text, a line each: NaN equals nothing, itself included, and names of columns do not count.
fn text(batch: &RecordBatch) -> Vec<String> {
    batch.columns().iter().map(|column| format!("{column:?}")).collect()
}
