//! Tables declared with any options: accepted or refused at a place of the text, and what is accepted reads a small file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_fuzz::{Way, run, scratch_file};

const NAMES: [&str; 30] = [
    "csv.field-delimiter",
    "csv.quote-character",
    "csv.disable-quote-character",
    "csv.allow-comments",
    "csv.null-literal",
    "csv.header",
    "csv.ignore-parse-errors",
    "csv.escape-character",
    "csv.array-element-delimiter",
    "on-error",
    "max-rejects",
    "max-record-bytes",
    "json.fail-on-missing-field",
    "json.ignore-parse-errors",
    "json.timestamp-format.standard",
    "json.map-null-key.mode",
    "json.map-null-key.literal",
    "json.encode.decimal-as-plain-number",
    "parquet.compression",
    "parquet.block.size",
    "source.path.regex-pattern",
    "sink.parallelism",
    "sink.rolling-policy.file-size",
    "partition.default-name",
    "auto-compaction",
    "scan.io",
    "late-rows",
    "max-future",
    "late-rows",
    "late-rows-path",
    "late-rows-max-bytes",
    "csv.headr",
    "",
];
const VALUES: [&str; 16] =
    ["true", "false", "", ",", ";", "\\t", "''", "#", "fail", "skip", "1", "0", "128 MB", "5 s", "SQL", "n/a"];

fuzz_target!(|data: &[u8]| {
    let path = scratch_file("input.txt", b"1,x\n2,\"y\"\n#3,z\n{\"a\":4,\"b\":\"w\"}\n");
    let mut bytes = data.iter().copied();
    let mut next = |count: usize| usize::from(bytes.next().unwrap_or_default()) % count;
    let format = ["csv", "json", "parquet", "raw"][next(4)];
    let mut options = format!("'connector' = 'filesystem', 'path' = '{}', 'format' = '{format}'", path.display());
    for _ in 0..next(5) {
        let (name, value) = (NAMES[next(NAMES.len())], VALUES[next(VALUES.len())]);
        let value = if next(4) == 0 {
            String::from_utf8_lossy(&data[data.len() / 2..]).replace('\'', "''")
        } else {
            value.into()
        };
        options.push_str(&format!(", '{name}' = '{value}'"));
    }
    let _ = run(&format!("CREATE TABLE t (a INT, b STRING) WITH ({options});\nSELECT * FROM t"), Way::PLAIN);
});
