//! Any bytes as CSV of any dialect: read in two ways with the same rows and rejects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use thalweg_fuzz::{read_in_two_ways, scratch_file, split};

fuzz_target!(|data: &[u8]| {
    let Some((way, choice, text)) = split(data) else { return };
    let path = scratch_file("input.csv", text);
    let mut options = format!(
        "'connector' = 'filesystem', 'path' = '{}', 'format' = 'csv', 'on-error' = 'divert', 'max-record-bytes' = '200'",
        path.display()
    );
    options.push_str(if choice & 1 == 0 { ", 'csv.header' = 'false'" } else { "" });
    options.push_str(if choice & 2 == 0 { "" } else { ", 'csv.field-delimiter' = ';'" });
    options.push_str(if choice & 4 == 0 { "" } else { ", 'csv.allow-comments' = 'true'" });
    options.push_str(if choice & 8 == 0 { "" } else { ", 'csv.disable-quote-character' = 'true'" });
    options.push_str(if choice & 16 == 0 { "" } else { ", 'csv.null-literal' = 'n/a'" });
    let ddl = format!(
        "CREATE TABLE t (a INT, b STRING, c DECIMAL(9, 2), d DOUBLE NOT NULL, e TIMESTAMP(3), f BOOLEAN) WITH ({options})"
    );
    read_in_two_ways(&ddl, way);
});
