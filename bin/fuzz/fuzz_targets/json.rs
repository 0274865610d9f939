//! Any bytes as JSON lines with nested columns: read in two ways with the same rows and rejects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_fuzz::{read_in_two_ways, scratch_file, split};

fuzz_target!(|data: &[u8]| {
    let Some((way, choice, text)) = split(data) else { return };
    let path = scratch_file("input.json", text);
    let mut options = format!(
        "'connector' = 'filesystem', 'path' = '{}', 'format' = 'json', 'on-error' = 'divert', 'max-record-bytes' = '500'",
        path.display()
    );
    options.push_str(if choice & 1 == 0 { "" } else { ", 'json.fail-on-missing-field' = 'true'" });
    options.push_str(if choice & 2 == 0 { "" } else { ", 'json.timestamp-format.standard' = 'ISO-8601'" });
    let ddl = format!(
        "CREATE TABLE t (a INT, b STRING, c DECIMAL(9, 2), d DOUBLE, e TIMESTAMP(3), f BOOLEAN, g ARRAY<INT>, \
             h ROW<x BIGINT, y ARRAY<STRING>>, m MAP<STRING, DOUBLE>, n BYTES) WITH ({options})"
    );
    read_in_two_ways(&ddl, way);
});
